"""The shape of a rollout: its waves, the pauses between, its window, and when it is given up."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Self

from cedarfleet_device import wire

from service.errors import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_WAVES: Final = 20
MAX_PAUSE_MINUTES: Final = 7 * 24 * 60
MAX_RETRIES: Final = 5
MAX_RETRY_MINUTES: Final = 24 * 60
_DAY: Final = timedelta(days=1)
ENOUGH_ENDED: Final = 10
_OFFSET: Final = re.compile(r"(?P<sign>[+-])(?P<hours>0\d|1[0-4]):(?P<minutes>[0-5]\d)")


@dataclass(frozen=True, kw_only=True)
class WaveSize:
    """How many devices a wave takes: a number, or a share of all; exactly one is given."""

    devices: int | None = None
    percent: int | None = None


@dataclass(frozen=True, kw_only=True)
class Window:
    """The times of day in which jobs are made; the end is exclusive, and may pass midnight.

    Attributes:
        text: ``22:00-04:00``.
        utc_offset: of its clock, ``+01:00``.
    """

    text: str
    utc_offset: str = "+00:00"

    @classmethod
    def of(cls, text: str, utc_offset: str) -> Self:
        """A window as it is asked for.

        Raises:
            InvalidRequestError: one of the two is not of its form, or it is never open.
        """
        try:
            hours = wire.Hours.read(text)
        except ValueError as error:
            raise InvalidRequestError("window", f"{error}") from error
        if hours.start == hours.end:
            raise InvalidRequestError("window", "is never open")
        if _OFFSET.fullmatch(utc_offset) is None:
            raise InvalidRequestError("utc_offset", "must be like `+01:00`, at most 14 hours")
        return cls(text=text, utc_offset=utc_offset)

    def opens_at(self, now: datetime) -> datetime:
        """From when on jobs may be made: ``now`` itself inside, else the next opening."""
        hours = wire.Hours.read(self.text)
        local = now.astimezone(UTC) + _offset(self.utc_offset)
        if hours.is_open(60 * local.hour + local.minute):
            return now
        midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
        return now + (timedelta(minutes=hours.start) - (local - midnight)) % _DAY


@dataclass(frozen=True, kw_only=True)
class Reach:
    """How much of a tenant's fleet something is for: its blast radius, as policies see it.

    Attributes:
        targets: devices that it is for, also those that it turns out not to be allowed on.
        share_of_fleet: of all devices, in percent, rounded up; ``None``: not counted.
        critical_targets: those of high criticality.
        share_of_critical: of all devices of high criticality, in percent, rounded up.
    """

    targets: int
    share_of_fleet: int | None = None
    critical_targets: int | None = None
    share_of_critical: int | None = None

    @classmethod
    def counted(cls, *, targets: int, fleet: int, critical: int, critical_fleet: int) -> Self:
        """The reach of so many devices of a fleet that was counted whole."""
        return cls(
            targets=targets,
            share_of_fleet=_percent(targets, fleet),
            critical_targets=critical,
            share_of_critical=_percent(critical, critical_fleet),
        )


@dataclass(frozen=True, kw_only=True)
class Shape:
    """How a rollout is to go.

    Attributes:
        waves: sizes of the first waves; what is left is the last one.
        pause_minutes: between the last job of a wave and the first of the next.
        ended_percent: of the devices of all waves so far that must have ended before the next.
        abort_percent: of the ended devices: once so many failed, nothing more begins.
        window: in which jobs are made; ``None``: at any time.
        retries: how often a device that failed, or timed out, is tried again.
        retry_minutes: from its end on until it is tried again, at the soonest.
    """

    waves: tuple[WaveSize, ...] = ()
    pause_minutes: int = 0
    ended_percent: int = 0
    abort_percent: int = 50
    window: Window | None = None
    retries: int = 0
    retry_minutes: int = 15

    def sizes(self, devices: int) -> tuple[int, ...]:
        """Devices of each wave; none is empty, and a share is rounded up."""
        left, sizes = devices, list[int]()
        for wave in self.waves:
            wanted = wave.devices or -(-devices * (wave.percent or 0) // 100)
            if left and (size := min(wanted, left)):
                sizes.append(size)
                left -= size
        return (*sizes, left) if left else tuple(sizes)

    def is_failing(self, *, ended: int, failed: int, begun: int) -> bool:
        """Whether so many of the ended devices failed that the others shall not begin.

        Args:
            ended: devices, those that are being tried again too.
            failed: those of them; who is tried again has failed until they succeed.
            begun: devices of the waves that began; of fewer than ten, all have to end first.
        """
        enough = ended >= min(ENOUGH_ENDED, begun)
        return enough and failed > 0 and 100 * failed >= self.abort_percent * ended

    def encode(self) -> str:
        """As it is stored."""
        known = asdict(self)
        # A worker of the release before takes no member that it does not know.
        if not self.retries:
            del known["retries"], known["retry_minutes"]
        return json.dumps(known)

    @classmethod
    def decode(cls, text: str) -> Self:
        """Of what was stored."""
        found = json.loads(text)
        window = found.pop("window")
        waves = tuple(WaveSize(**wave) for wave in found.pop("waves"))
        return cls(**found, waves=waves, window=Window(**window) if window else None)


@dataclass(frozen=True, kw_only=True)
class PlannedRollout:
    """What a download that was planned keeps of its plan.

    Attributes:
        shape: how it is to go.
        waves: devices of each wave; together all of the download.
        reach: as it was planned; policies see the same at each wave.
        requester: who asked for it, by the name in the user pool.
        source_ip: where it was asked from.
        via: by whom, if not by the person; policies see the same at each wave.
        needs_approval: whether nothing begins before a second person has approved.
    """

    shape: Shape
    waves: tuple[int, ...]
    reach: Reach
    requester: str
    source_ip: str | None = None
    via: str | None = None
    needs_approval: bool = False

    def encode(self) -> str:
        """As it is stored."""
        known = {**asdict(self), "shape": self.shape.encode()}
        # A worker of the release before knows no `via`, and takes no member that it does not know.
        if self.via is None:
            del known["via"]
        return json.dumps(known)

    @classmethod
    def decode(cls, text: str) -> Self:
        """Of what was stored."""
        found = json.loads(text)
        return cls(
            shape=Shape.decode(found.pop("shape")),
            waves=tuple(found.pop("waves")),
            reach=Reach(**found.pop("reach")),
            **found,
        )


def check_shape(shape: Shape) -> None:
    """Refuse a shape that nobody can mean; its window is of its form.

    Raises:
        InvalidRequestError: names the member.
    """
    if len(shape.waves) > MAX_WAVES:
        raise InvalidRequestError("waves", f"at most {MAX_WAVES}")
    for index, wave in enumerate(shape.waves):
        if (wave.devices is None) == (wave.percent is None):
            raise InvalidRequestError(
                f"waves[{index}]", "give exactly one of `devices` and `percent`"
            )


def wave_of(job: int, sizes: Sequence[int], *, job_members: int) -> tuple[int, int]:
    """The wave of a job, and its number in that wave, both from 0."""
    left = job
    for wave, size in enumerate(sizes):
        jobs = -(-size // job_members)
        if left < jobs:
            return wave, left
        left -= jobs
    raise ValueError(f"no wave has job {job}")


def _percent(part: int, whole: int) -> int:
    return -(-100 * part // whole) if whole else 0


def _offset(text: str) -> timedelta:
    match = _OFFSET.fullmatch(text)
    if match is None:
        raise ValueError(f"`{text}` is no offset")
    offset = timedelta(hours=int(match["hours"]), minutes=int(match["minutes"]))
    return offset if match["sign"] == "+" else -offset
