"""Circumstances and devices on both sides of every line that policies draw: values, moments, windows, dates."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Final

from infra.policies import fleet
from infra.policies.question import ALL_DEVICES, Artifact, Circumstances, Target
from service.cedar.binding import until_text
from service.cedar.entities import DEVICE, DEVICE_GROUP

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from infra.policies.literals import Literals
    from service.cedar.values import EntityUid

_ANOTHER: Final = "another-tenant"
_PATCHED: Final = {
    fleet.PRESS.id: timedelta(days=90),
    fleet.PUMP.id: timedelta(days=10),
}  # long ago, recently
_AROUND: Final = (timedelta(seconds=-1), timedelta(), timedelta(seconds=1))
_WINDOW: Final = ("resource.window_start", "resource.window_end")
_BY_DAY: Final = "09:00-17:00"  # beside the press's own window, which passes midnight
_NEVER: Final = "00:00-00:00"
_EDGES: Final = (
    time(21),
    time(3),
    time(8),
    time(16),
)  # UTC, of the press's 22:00-04:00 and of _BY_DAY, at +01:00


def occasions(
    looked_at: Literals, changed: Literals, now: datetime
) -> Iterator[tuple[str, Circumstances]]:
    """When, why and with what is asked, with words for it; ``changed`` is what the changed policies look at."""
    at_night = Circumstances(now=_night(now))
    emergency = replace(at_night, emergency=True, reason="alarm")
    yield "at night", at_night
    yield "at noon", replace(at_night, now=at_night.now.replace(hour=fleet.NOON.hour))
    yield "emergency", emergency
    yield "emergency, no reason", replace(emergency, reason=None)
    yield "members allowed", replace(at_night, members_allowed=True)
    for command in sorted(looked_at.texts.get("context.command", ())):
        yield f"command {command}", replace(at_night, command=command)
    for address in sorted(looked_at.addresses):
        yield f"from {address}", replace(at_night, source_ip=address)
    for moment in sorted(looked_at.moments):
        yield (
            f"emergency before {until_text(moment)}",
            replace(emergency, now=moment - timedelta(minutes=30)),
        )
    for reason in sorted(changed.texts.get("context.reason", ())):
        yield f"emergency, reason {reason!r}", replace(emergency, reason=reason)
    for words, artifact in _artifacts(looked_at, changed):
        yield words, replace(at_night, artifact=artifact)
    for edge in sorted({edge + step for edge in changed.edges() for step in _AROUND}):
        yield f"emergency at {until_text(edge)}", replace(emergency, now=edge)
    if any(map(changed.reads, _WINDOW)):
        for edge in (
            datetime.combine(at_night.now, edge, UTC) + step for edge in _EDGES for step in _AROUND
        ):
            yield f"at {edge:%H:%M:%S}Z", replace(at_night, now=edge)


def _artifacts(looked_at: Literals, changed: Literals) -> Iterator[tuple[str, Artifact]]:
    for kind in sorted(looked_at.texts.get("context.artifact.kind", ())):
        yield f"a file of kind {kind}", Artifact(kind=kind)
    for size in _next_to(looked_at.numbers.get("context.artifact.size", ())):
        yield f"a file of {size} bytes", Artifact(size=size)
    if changed.reads("context.artifact"):
        for kind in ("file", "firmware"):
            yield f"another tenant's {kind}", Artifact(kind=kind, tenant=_ANOTHER)


def specimens(
    named: Iterable[EntityUid], looked_at: Literals, changed: Literals, now: datetime
) -> Iterator[tuple[str, Target]]:
    """What is asked about, with words for it; ``named`` are the groups and devices of all policies."""
    yield "the tenant", fleet.THE_TENANT
    for device in (fleet.PRESS, fleet.PUMP, fleet.INFUSION):
        yield f"a {device.attributes['kind']}", _patched(replace(device, groups=()), now)
    press = _patched(replace(fleet.PRESS, groups=()), now)
    for attribute in ("kind", "region", "criticality"):
        for value in sorted(
            looked_at.texts.get(f"resource.{attribute}", set()) - {"", press.attributes[attribute]}
        ):
            yield f"a press of {attribute} {value}", _with(press, attribute, value)
    lines: list[str] = []
    for entity in sorted(named, key=str):
        if entity.type == DEVICE_GROUP:
            yield f"group {entity.id}", Target(kind="group", id=entity.id)
            if entity.id != ALL_DEVICES:  # every device is in it
                lines.append(entity.id)
                yield f"a press in {entity.id}", replace(press, groups=(entity.id,))
        elif entity.type == DEVICE:
            yield f"device {entity.id}", replace(press, id=entity.id)
    for words, device in _variants(press, changed, now):
        yield f"a press {words}", device
        if lines:
            yield f"a press of all lines {words}", replace(device, groups=tuple(lines))
    yield "another tenant's press", replace(press, tenant=_ANOTHER)


def _variants(press: Target, changed: Literals, now: datetime) -> Iterator[tuple[str, Target]]:
    """The press with other clocks, windows and dates, and with nothing where the changed policies look."""
    if any(map(changed.reads, _WINDOW)):
        for window in (_BY_DAY, _NEVER):
            yield f"with window {window}", _with(press, "window", window)
        yield "without window", _with(press, "window", None)
    if changed.reads("resource.utc_offset"):
        minutes = {int(duration / timedelta(minutes=1)) for duration in changed.durations}
        for offset in _next_to(minutes):
            if abs(offset) < 100 * 60:  # the attribute has two digits for hours
                text = f"{'-' if offset < 0 else '+'}{abs(offset) // 60:02}:{abs(offset) % 60:02}"
                yield f"with utc_offset {text}", _with(press, "utc_offset", text)
    if changed.reads("resource.security_patch"):
        dates = {_night(now) - duration for duration in changed.durations} | changed.moments
        for patched in sorted(date + step for date in dates for step in _AROUND):
            yield (
                f"patched {until_text(patched)}",
                _with(press, "security_patch", until_text(patched)),
            )
    for attribute in ("kind", "region", "criticality", "utc_offset", "security_patch"):
        if changed.reads(f"resource.{attribute}"):
            yield f"without {attribute}", _with(press, attribute, None)


def _night(now: datetime) -> datetime:
    return now.astimezone(UTC).replace(hour=fleet.NIGHT.hour, minute=0, second=0, microsecond=0)


def _next_to(numbers: Iterable[int]) -> list[int]:
    return sorted({number + step for number in numbers for step in (-1, 0, 1)})


def _with(device: Target, attribute: str, value: str | None) -> Target:
    others = {name: held for name, held in device.attributes.items() if name != attribute}
    return replace(device, attributes=others if value is None else {**others, attribute: value})


def _patched(device: Target, now: datetime) -> Target:
    if device.id not in _PATCHED:
        return device
    return _with(device, "security_patch", f"{now - _PATCHED[device.id]:%Y-%m-%d}")
