"""Contexts and devices on both sides of every line that policies draw: values, moments, windows."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final

from infra.policies.cases.reference_fleet import NIGHT, NOON
from infra.policies.cases.requests import SOME_GROUP, SOME_TAG, Resource, sample_artifact
from service.cedar.binding import until_text
from service.cedar.entities import DEVICE, DEVICE_GROUP, ROOT_GROUP, TENANT
from service.cedar.request import RequestContext

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from infra.policies.cases.reference_fleet import ReferenceFleet
    from infra.policies.comparison.literals import Literals
    from service.cedar.entities import Entity
    from service.cedar.values import EntityUid

_ANOTHER: Final = "another-tenant"  # or another text of a tag
# Long ago and recently, whatever day it is.
_PATCHED: Final = {"press-07": timedelta(days=90), "pump-03": timedelta(days=10)}
_AROUND: Final = (timedelta(seconds=-1), timedelta(), timedelta(seconds=1))
_WINDOW: Final = ("resource.window_start", "resource.window_end")
# Beside the press's own window, which passes midnight: one by day, and one that is never.
_WINDOWS: Final = {
    "09:00-17:00": (timedelta(hours=9), timedelta(hours=17)),
    "00:00-00:00": (timedelta(), timedelta()),
}
# In UTC, the edges of the press's 22:00-04:00 and of 09:00-17:00, at +01:00.
_EDGES: Final = (time(21), time(3), time(8), time(16))
_LABELS: Final = ("kind", "region", "criticality")
COMBINATIONS: Final = 40
"""So many devices with several things at once, and so many circumstances; each multiplies all."""
# No clock is further off than that; a duration of days compares something else than an offset.
_MAX_OFFSET: Final = timedelta(hours=100)


@dataclass(frozen=True, kw_only=True)
class Samples:
    """What to ask about by what policies look at.

    Attributes:
        looked_at: what all policies look at.
        changed: what those look at that come or go.
        fleet: whose devices are varied.
        tenant: tenant id.
        now: the day to ask about, with a time zone.
    """

    looked_at: Literals
    changed: Literals
    fleet: ReferenceFleet
    tenant: str
    now: datetime

    def contexts(self) -> Iterator[tuple[str, RequestContext]]:
        """When, why and with what is asked, with words for it."""
        looked_at, changed = self.looked_at, self.changed
        at_night = RequestContext(now=self._night)
        emergency = replace(at_night, emergency=True, reason="alarm")
        yield "at night", at_night
        yield "at noon", replace(at_night, now=at_night.now.replace(hour=NOON.hour))
        yield "emergency", emergency
        yield "emergency, no reason", replace(emergency, reason=None)
        yield "members allowed", replace(at_night, members_allowed=True)
        yield from self._apps(at_night)
        for command in sorted(looked_at.texts.get("context.command", ())):
            yield f"command {command}", replace(at_night, command=command)
        for address in sorted(looked_at.addresses):
            yield f"from {address}", replace(at_night, source_ip=ip_address(address))
        for moment in sorted(looked_at.moments):
            yield (
                f"emergency before {until_text(moment)}",
                replace(emergency, now=moment - timedelta(minutes=30)),
            )
        for reason in sorted(changed.texts.get("context.reason", ())):
            yield f"emergency, reason {reason!r}", replace(emergency, reason=reason)
        for words, artifact in self._artifacts():
            yield words, replace(at_night, artifact=artifact)
        yield from self._changed_tags(at_night)
        yield from self._people_groups(at_night)
        yield from self._approver_groups(at_night)
        yield from self._machine_scopes(at_night)
        yield from self._command_actions(at_night)
        yield from self._giving(at_night)
        yield from itertools.islice(self._context_combinations(), COMBINATIONS)
        # Of what no changed policy compares, no second can tell the old set from the new.
        for edge in sorted({edge + step for edge in changed.edges() for step in _AROUND}):
            yield f"emergency at {until_text(edge)}", replace(emergency, now=edge)
        if any(map(changed.reads, _WINDOW)):
            for edge in _EDGES:
                for step in _AROUND:
                    moment = datetime.combine(at_night.now, edge, UTC) + step
                    yield f"at {moment:%H:%M:%S}Z", replace(at_night, now=moment)

    def _apps(self, at_night: RequestContext) -> Iterator[tuple[str, RequestContext]]:
        """Each app by which people ask that changed policies name."""
        for app in sorted(self.changed.texts.get("context.via", ())):
            yield f"by {app}", replace(at_night, via=app)

    def _changed_tags(self, at_night: RequestContext) -> Iterator[tuple[str, RequestContext]]:
        """Each tag that policies name by itself, and all together with one that they do not."""
        if self.changed.reads("context.changed_tags"):
            named = sorted(self.looked_at.texts["context.changed_tags"])
            for tags in (*((tag,) for tag in named), (*named, SOME_TAG)):
                yield f"tags {', '.join(tags)}", replace(at_night, changed_tags=tags)

    def _people_groups(self, at_night: RequestContext) -> Iterator[tuple[str, RequestContext]]:
        """Each group of people that policies name by itself, and all together with another one."""
        if self.changed.reads("context.people_groups"):
            named = sorted(self.looked_at.texts["context.people_groups"])
            for groups in (*((group,) for group in named), (*named, SOME_GROUP)):
                words = f"people of {', '.join(groups)}"
                yield words, replace(at_night, people_groups=groups)

    def _approver_groups(self, at_night: RequestContext) -> Iterator[tuple[str, RequestContext]]:
        """Likewise of who approved a delivery."""
        if self.changed.reads("context.approver_groups"):
            named = sorted(self.looked_at.texts["context.approver_groups"])
            for groups in (*((group,) for group in named), (*named, SOME_GROUP)):
                words = f"approved by {', '.join(groups)}"
                yield words, replace(at_night, approved=True, approver_groups=groups)

    def _machine_scopes(self, at_night: RequestContext) -> Iterator[tuple[str, RequestContext]]:
        """Each scope of a machine that policies name by itself, and all together."""
        if self.changed.reads("context.machine_scopes"):
            named = sorted(self.looked_at.texts["context.machine_scopes"])
            for scopes in (*((scope,) for scope in named), (*named,)):
                words = f"a machine of {', '.join(scopes)}"
                yield words, replace(at_night, machine_scopes=scopes)

    def _command_actions(self, at_night: RequestContext) -> Iterator[tuple[str, RequestContext]]:
        """Each action that changed policies let a command be declared of."""
        for action in sorted(self.changed.texts.get("context.command_action", ())):
            yield f"a command of {action}", replace(at_night, command_action=action)

    def _giving(self, at_night: RequestContext) -> Iterator[tuple[str, RequestContext]]:
        """Grants of each template that policies name, held by who gives them or not."""
        if any(map(self.changed.reads, ("context.template", "context.holds_all"))):
            for template in sorted(self.looked_at.texts.get("context.template", {"break-glass"})):
                for held, to_self in ((True, False), (True, True), (False, False)):
                    words = f"giving {template}{' that is held' * held}{' to oneself' * to_self}"
                    yield (
                        words,
                        replace(at_night, template=template, holds_all=held, to_self=to_self),
                    )

    def _artifacts(self) -> Iterator[tuple[str, Entity]]:
        texts, numbers = self.looked_at.texts, self.looked_at.numbers
        for kind in sorted(texts.get("context.artifact.kind", ())):
            yield f"a file of kind {kind}", sample_artifact(kind=kind, tenant=self.tenant)
        for size in _next_to(numbers.get("context.artifact.size", ())):
            yield f"a file of {size} bytes", sample_artifact(size=size, tenant=self.tenant)
        if self.changed.reads("context.artifact"):
            for kind in ("file", "firmware"):
                yield f"another tenant's {kind}", sample_artifact(kind=kind, tenant=_ANOTHER)

    def resources(self, named: Iterable[EntityUid]) -> Iterator[tuple[str, Resource]]:
        """What is asked about, with words for it; ``named`` are the groups and devices of all."""
        yield "the tenant", Resource(type=TENANT)
        press = self._device("press-07")
        for device in (press, self._device("pump-03"), self._device("infusion-12")):
            yield f"a {device.attributes['kind']}", device
        lines: list[str] = []
        for uid in sorted(named, key=str):
            if uid.type == DEVICE_GROUP:
                yield f"group {uid.id}", Resource(type=DEVICE_GROUP, id=uid.id)
                # Every device is in the root group, the press above too.
                if uid.id != ROOT_GROUP:
                    lines.append(uid.id)
                    yield f"a press in {uid.id}", replace(press, groups=(uid.id,))
            elif uid.type == DEVICE:
                yield f"device {uid.id}", replace(press, id=uid.id)
        varied = [*self._labelled(press), *self._variants(press)]
        for words, device in varied:
            yield f"a press {words}", device
            # A grant's policy matches only in its line: there the same edges are asked about.
            if lines and self._is_looked_at(words):
                yield f"a press of all lines {words}", replace(device, groups=tuple(lines))
        for words, device in self._device_combinations(press)[:COMBINATIONS]:
            yield f"a press {words}", device
        yield "another tenant's press", replace(press, tenant=_ANOTHER)

    def _labelled(self, press: Resource) -> Iterator[tuple[str, Resource]]:
        """The press with each text that a policy compares a label with."""
        for attribute in _LABELS:
            for value in self._other_labels(press, attribute):
                yield f"of {attribute} {value}", press.with_attributes(**{attribute: value})

    def _other_labels(self, press: Resource, attribute: str) -> list[str]:
        compared = self.looked_at.texts.get(f"resource.{attribute}", set())
        return sorted(compared - {"", str(press.attributes[attribute])})

    def _is_looked_at(self, words: str) -> bool:
        """Whether a policy that comes or goes looks at what is varied."""
        named = [label for label in _LABELS if words.startswith(f"of {label} ")]
        return not named or self.changed.reads(f"resource.{named[0]}")

    def _device_combinations(self, press: Resource) -> list[tuple[str, Resource]]:
        """The press with two things or more at once: one policy may look at each of them.

        Two labels come first, then a label with a clock, window or date, then three labels.
        """
        absent = {label: [None] * self.changed.reads(f"resource.{label}") for label in _LABELS}
        values = {label: [*self._other_labels(press, label), *absent[label]] for label in _LABELS}

        def combined(labels: tuple[str, ...]) -> Iterator[tuple[str, Resource]]:
            for chosen in itertools.product(*(values[label] for label in labels)):
                words = " and ".join(
                    f"without {label}" if value is None else f"of {label} {value}"
                    for label, value in zip(labels, chosen, strict=True)
                )
                attributes = dict(zip(labels, chosen, strict=True))
                yield words, press.with_attributes(**attributes)

        pairs = [one for two in itertools.combinations(_LABELS, 2) for one in combined(two)]
        with_edges = [
            (f"{words} {edge}", varied)
            for label in _LABELS
            for words, device in combined((label,))
            if not words.startswith("without ")
            for edge, varied in self._variants(device)
            if not edge.startswith("without ") or edge == "without window"
        ]
        return [*pairs, *with_edges, *combined(_LABELS)]

    def not_asked(self) -> Iterator[str]:
        """What there were too many combinations of."""
        devices = self._device_combinations(self._device("press-07"))
        for found, words in (
            (devices, "devices with several of the labels, clocks, windows and dates at once"),
            (list(self._context_combinations()), "circumstances with several things at once"),
        ):
            if len(found) > COMBINATIONS:
                yield f"{len(found) - COMBINATIONS} of {len(found)} {words}"

    def _context_combinations(self) -> Iterator[tuple[str, RequestContext]]:
        """A command, an address and an emergency together, and a file in an emergency."""
        at_night = RequestContext(now=self._night)
        commands = [
            (f"command {command}", {"command": command})
            for command in sorted(self.looked_at.texts.get("context.command", ()))
        ]
        addresses = [
            (f"from {address}", {"source_ip": ip_address(address)})
            for address in sorted(self.looked_at.addresses)
        ]
        emergencies = [("emergency", {"emergency": True, "reason": "alarm"})]
        files = [(words, {"artifact": artifact}) for words, artifact in self._artifacts()]
        dimensions: list[list[tuple[str, dict[str, Any]]]] = [commands, addresses, emergencies]
        if not (self.changed.reads("context.emergency") or self.changed.reads("context.artifact")):
            files = []
        pairs = list(itertools.combinations(dimensions, 2))
        for several in (*pairs, (emergencies, files), (addresses, files), tuple(dimensions)):
            for chosen in itertools.product(*several):
                members = {name: value for _, part in chosen for name, value in part.items()}
                yield ", ".join(words for words, _ in chosen), replace(at_night, **members)

    def _variants(self, press: Resource) -> Iterator[tuple[str, Resource]]:
        """The press with other clocks, windows and dates, and with nothing where policies look."""
        changed = self.changed
        if any(map(changed.reads, _WINDOW)):
            for words, (start, end) in _WINDOWS.items():
                varied = press.with_attributes(window_start=start, window_end=end)
                yield f"with window {words}", varied
            yield "without window", press.with_attributes(window_start=None, window_end=None)
        if changed.reads("resource.utc_offset"):
            minute = timedelta(minutes=1)
            for minutes in _next_to({int(span / minute) for span in changed.durations}):
                offset = minutes * minute
                if abs(offset) < _MAX_OFFSET:
                    words = f"with utc_offset {_offset_text(minutes)}"
                    yield words, press.with_attributes(utc_offset=offset)
        if changed.reads("resource.security_patch"):
            dates = {self._night - span for span in changed.durations} | changed.moments
            for patched in sorted(date + step for date in dates for step in _AROUND):
                words = f"patched {until_text(patched)}"
                yield words, press.with_attributes(security_patch=patched)
        for attribute in ("kind", "region", "criticality", "utc_offset", "security_patch"):
            if changed.reads(f"resource.{attribute}"):
                yield f"without {attribute}", press.with_attributes(**{attribute: None})
        yield from self._tagged(press)

    def _tagged(self, press: Resource) -> Iterator[tuple[str, Resource]]:
        """The press with each tag that policies look at, of each text and of another."""
        for attribute in sorted(self.changed.texts):
            of, _, tag = attribute.partition("#")
            if of == "resource" and tag:
                for text in (*sorted(self.changed.texts[attribute]), _ANOTHER):
                    yield f"with tag {tag} {text}", replace(press, tags={tag: text})

    @property
    def _night(self) -> datetime:
        now = self.now.astimezone(UTC)
        return now.replace(hour=NIGHT.hour, minute=0, second=0, microsecond=0)

    def _device(self, device: str) -> Resource:
        """A device of the fleet in no line, so that what a line gives is seen by itself."""
        resource = replace(self.fleet.device(device), groups=())
        if device not in _PATCHED:
            return resource
        day = (self.now - _PATCHED[device]).replace(hour=0, minute=0, second=0, microsecond=0)
        return resource.with_attributes(security_patch=day.replace(tzinfo=UTC))


def _next_to(numbers: Iterable[int]) -> list[int]:
    return sorted({number + step for number in numbers for step in (-1, 0, 1)})


def _offset_text(minutes: int) -> str:
    hours, rest = divmod(abs(minutes), 60)
    return f"{'-' if minutes < 0 else '+'}{hours:02}:{rest:02}"
