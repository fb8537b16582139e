"""A wanted version: which version of a package the devices of a group shall come to, and how.

A wish stands until somebody ends it: who joins its group later, or comes back, is brought to it
too. It is carried out in batches of at most a hundred devices, each a download of its own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from cedarfleet_device.wire import Manifest

from service.cedar.entities import ROOT_GROUP
from service.cedar.group_tree import with_ancestors
from service.domain.downloads import JOB_MEMBERS, Closing, DeliveryState, Outcome
from service.domain.preconditions import entity_tag
from service.errors import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from service.cedar.entities import GroupParents
    from service.domain.devices import Device
    from service.domain.files import FileVersion
    from service.domain.rollouts import Reach, Window

MOST_AN_HOUR: Final = 6_000
"""Devices of one wish: a job of a hundred each minute, since no timer is more exact."""
MAX_TRIES: Final = 5
"""Of one device that fails, or says all the same that it runs another version; then it is left
alone until another wish."""
MAX_PINS: Final = 32
"""Packages that one device is pinned to."""
_HOUR_MS: Final = 3_600_000
_LONGEST_PAUSE_MS: Final = 24 * _HOUR_MS
_ENOUGH_ENDED: Final = 10
_PACKAGE: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_FAILURES: Final = frozenset(
    {DeliveryState.FAILED, DeliveryState.REJECTED, DeliveryState.TIMED_OUT}
)


class WishState(StrEnum):
    """Whether anybody is brought to a wanted version."""

    ACTIVE = "active"
    STOPPED = "stopped"
    """Nobody is brought to it until it is set again; ``why`` says what stopped it."""
    ENDED = "ended"
    UNKNOWN = "unknown"
    """What a later release wrote; never written by this one."""

    @classmethod
    def of_row(cls, text: str) -> WishState:
        """The state that a row has, whichever release wrote it: two run side by side for a while.

        Args:
            text: as it stands there.
        """
        return cls(text) if text in set(cls) else cls.UNKNOWN


class Standing(StrEnum):
    """Where one device of the group stands."""

    THERE = "there"
    """It has the version."""
    WAITING = "waiting"
    """It is to be brought to it, when the rate and the window let it."""
    BEGUN = "begun"
    """It has a job, which it ends when it can; one that is away finds it as it comes back."""
    FAILED = "failed"
    """It is tried again after a pause."""
    DENIED = "denied"
    """It was not allowed when its turn came, and is asked for again after a pause."""
    GIVEN_UP = "given_up"
    """It failed too often, or ran another version all the same."""
    PINNED = "pinned"
    """Somebody keeps it where it is."""
    OTHER = "other"
    """Another wish counts for it."""
    SKIPPED = "skipped"
    """It has not come in yet, or its facts cannot be read."""


@dataclass(frozen=True, kw_only=True)
class WantedVersion:
    """What a group wants of one package.

    Attributes:
        wish_id: ULID; another one each time that somebody wants something else.
        version: of the package, as the file's maker says it.
        file_id: of the uploaded version that brings it.
        artifact: name of that file.
        created_by: entity id of whose wish it is, for whom each device is decided.
        requester: the same person, by the name in the user pool.
        created_at: milliseconds since the epoch.
        reach: of the group when it was set; policies see the same at each job.
        devices_per_hour: at most so many are begun.
        window: in which they are begun; ``None``: at any time.
        abort_percent: of the ended devices: once so many failed, nobody else is begun.
        via: by what it was wished, if not by the person; policies see it at each job.
        next_at: before which no other batch begins, in milliseconds since the epoch.
        why: it was stopped, in words.
        revision: counted up with each change, also of the worker's; 0: not stored yet.
    """

    wish_id: str
    tenant: str
    group: str
    package: str
    version: str
    file_id: str
    artifact: str
    created_by: str
    requester: str
    created_at: int
    reach: Reach
    devices_per_hour: int
    window: Window | None = None
    abort_percent: int = 50
    source_ip: str | None = None
    via: str | None = None
    state: WishState = WishState.ACTIVE
    next_at: int = 0
    why: str | None = None
    revision: int = 0

    @property
    def tag(self) -> str:
        """For who changes it only as it was read; what the worker notes of it is no part of it."""
        return entity_tag("wanted version", self.tenant, self.wish_id, self.state)

    @property
    def counts(self) -> bool:
        """Whether it says what its devices shall have; also where it is stopped (fail closed)."""
        return self.state is not WishState.ENDED

    @property
    def batch_size(self) -> int:
        """Devices that may begin at once."""
        return min(JOB_MEMBERS, max(1, self.devices_per_hour // 60))

    def wants_the_same(self, other: WantedVersion) -> bool:
        """Whether to set this in place of ``other`` would change nothing."""
        said = ("group", "package", "file_id", "created_by", "devices_per_hour", "window")
        return (
            other.state is WishState.ACTIVE
            and self.abort_percent == other.abort_percent
            and all(getattr(self, name) == getattr(other, name) for name in said)
        )

    def rests_until(self, now_ms: int, begun: int) -> int:
        """From when on the next devices may begin, once so many have begun now."""
        return now_ms + begun * _HOUR_MS // self.devices_per_hour


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Devices that are brought to a wanted version together.

    Attributes:
        wish_id: whose.
        version: of its package.
        download_id: of the download that does it; it is made once the batch stands.
        at: when it was taken, in milliseconds since the epoch.
        members: ids of its devices.
        outcomes: how they ended, as far as is known.
        closing: of the download; ``None``: it is open.
        settled: nothing more is to be learnt of it.
    """

    wish_id: str
    version: str
    download_id: str
    at: int
    members: tuple[str, ...]
    outcomes: Mapping[str, Outcome] = field(default_factory=dict[str, "Outcome"])
    closing: Closing | None = None
    settled: bool = False


@dataclass(frozen=True, kw_only=True)
class Running:
    """Which version of a package a device runs.

    Attributes:
        at: since when that is known, in milliseconds since the epoch.
    """

    device: str
    package: str
    version: str
    at: int


@dataclass(kw_only=True)
class Tries:
    """What was tried with one device for one wish.

    Attributes:
        begun: it has a job that has not ended.
        ended: how often it ended one, whether it failed or said later that it runs something else.
        denied: it was left out of its last job.
        again_at: from when on it may be tried again, in milliseconds since the epoch.
    """

    begun: bool = False
    ended: int = 0
    denied: bool = False
    again_at: int = 0


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a wish came.

    Attributes:
        counts: devices of the group by where they stand.
        waiting: those that may begin now, in the order of their ids.
        again_at: when the first of the others is tried again; ``None``: none is.
    """

    counts: Mapping[Standing, int]
    waiting: tuple[str, ...]
    again_at: int | None


def tries_of(batches: Iterable[Batch]) -> dict[str, Tries]:
    """What was tried with each device.

    One whose job was canceled with all others, or ran out while it was away, has not failed: it is
    begun anew. One that was left out of a job was not allowed then, maybe only at that hour: it is
    asked for again each hour, and never given up.
    """
    found: dict[str, Tries] = {}
    for batch in sorted(batches, key=lambda one: one.download_id):
        for device in batch.members:
            tries = found.setdefault(device, Tries())
            outcome = batch.outcomes.get(device)
            if outcome is None:
                tries.begun = tries.begun or not batch.settled
                continue
            tries.denied = outcome.state is DeliveryState.CANCELED and batch.closing in {
                None,
                Closing.ENDED,
            }
            if tries.denied:
                tries.again_at = outcome.at + _HOUR_MS
            if outcome.state is DeliveryState.SUCCEEDED or outcome.state in _FAILURES:
                tries.ended += 1
                pause = min(_HOUR_MS * 2 ** (tries.ended - 1), _LONGEST_PAUSE_MS)
                tries.again_at = outcome.at + pause
    return found


def is_failing(wish: WantedVersion, batches: Iterable[Batch]) -> bool:
    """Whether so many of the devices that ended have failed that nobody else shall begin."""
    states = [one.state for batch in batches for one in batch.outcomes.values()]
    failed = sum(state in _FAILURES for state in states)
    ended = failed + states.count(DeliveryState.SUCCEEDED)
    return ended >= _ENOUGH_ENDED and 100 * failed >= wish.abort_percent * ended


def counting(
    device: Device, wishes: Iterable[WantedVersion], parents: GroupParents
) -> WantedVersion | None:
    """The wish of one package that counts for a device, of those that stand.

    The nearest: a wish of a group that lies in another's group takes precedence over that one,
    whenever either was set. Of groups of which none lies in the other, the wish that was set last.

    Args:
        device: with its groups.
        wishes: of one package.
        parents: of the tenant's groups.
    """
    here = [one for one in wishes if one.counts and device.is_in(one.group, parents)]
    tree = {**device.made, **parents}
    above = {
        outer
        for one in here
        for outer in (ROOT_GROUP, *with_ancestors([one.group], tree))
        if outer != one.group
    }
    return max(
        (one for one in here if one.group not in above),
        key=lambda one: one.wish_id,
        default=None,
    )


def progress_of(
    wish: WantedVersion,
    members: Sequence[Device],
    *,
    wishes: Iterable[WantedVersion],
    running: Mapping[str, Running],
    batches: Iterable[Batch],
    parents: GroupParents,
    now_ms: int,
) -> Progress:
    """Where each device of a wish's group stands.

    Args:
        wish: one of ``wishes``.
        members: devices of its group.
        wishes: all of its package.
        running: what was delivered to devices of the package, by their ids.
        batches: of the wish.
        parents: of the tenant's groups.
        now_ms: milliseconds since the epoch.
    """
    known, tries = tuple(wishes), tries_of(batches)
    # With no other that stands it counts for each of its members.
    has_rivals = any(one.counts and one.group != wish.group for one in known)
    counts: dict[Standing, int] = {}
    waiting: list[str] = []
    again: list[int] = []
    for device in members:
        tried = tries.get(device.id, Tries())
        standing = _standing(wish, device, running.get(device.id), tried, now_ms)
        if has_rivals and standing in {Standing.WAITING, Standing.FAILED, Standing.DENIED}:
            ours = counting(device, known, parents)
            if ours is None or ours.wish_id != wish.wish_id:
                standing = Standing.OTHER
        counts[standing] = counts.get(standing, 0) + 1
        if standing is Standing.WAITING:
            waiting.append(device.id)
        elif standing in {Standing.FAILED, Standing.DENIED}:
            again.append(tried.again_at)
    return Progress(counts=counts, waiting=tuple(waiting), again_at=min(again, default=None))


def runs(device: Device, package: str, told: Running | None) -> Running | None:
    """What a device runs of a package: as it said, or as was delivered to it, whichever is later.

    What an earlier thing of its name ran says nothing of this one.

    Args:
        device: with what it said last.
        package: which.
        told: what is written down of a delivery.
    """
    known: list[Running] = []
    if told is not None and told.at >= (device.born_at or 0):
        known.append(told)
    if (said := device.reported) is not None and package in said.packages:
        version = said.packages[package]
        known.append(Running(device=device.id, package=package, version=version, at=said.at))
    return max(known, key=lambda one: one.at, default=None)


def _standing(
    wish: WantedVersion, device: Device, running: Running | None, tried: Tries, now_ms: int
) -> Standing:
    now = runs(device, wish.package, running)
    known = (
        (now is not None and now.version == wish.version, Standing.THERE),
        (tried.begun, Standing.BEGUN),
        # Fail closed: of what cannot be read nobody knows whether it is allowed.
        (device.problem is not None or not device.enrolled, Standing.SKIPPED),
        (wish.package in device.pinned, Standing.PINNED),
        (tried.ended >= MAX_TRIES, Standing.GIVEN_UP),
        (now_ms >= tried.again_at, Standing.WAITING),
        (tried.denied, Standing.DENIED),
    )
    return next((standing for holds, standing in known if holds), Standing.FAILED)


def package_of(file: FileVersion) -> tuple[str, str]:
    """Package and version that a file brings: as its maker's manifest says, else its uploader.

    Both are empty where nobody says so.
    """
    if file.manifest is not None:
        told = Manifest.decode(file.manifest.text.encode())  # as checked when it was uploaded
        return told.package, told.version
    return file.package.name, file.package.version


def check_package(text: str, field: str = "package") -> None:
    """Refuse what names no package.

    Raises:
        InvalidRequestError: of ``field``: it is not of the form that manifests have.
    """
    if _PACKAGE.fullmatch(text) is None:
        raise InvalidRequestError(field, "must be of a-z, 0-9 and `._-`, at most 64 characters")
