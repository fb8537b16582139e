"""A plan of a rollout: what would become of each device, and whether that still holds."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from service.domain.artifacts import Artifact
    from service.domain.downloads import TargetKind
    from service.domain.rollouts import Reach, Shape
    from service.domain.selections import Selection

PLAN_SECONDS: Final = 24 * 3600
"""For which a plan can be read and started."""
_NAMED: Final = 3  # devices of each kind of change, in words


class Verdict(StrEnum):
    """What would become of one device."""

    ALLOWED = "allowed"
    DENIED = "denied"
    SKIPPED = "skipped"


@dataclass(frozen=True, kw_only=True)
class PlannedDevice:
    """One device of a plan.

    Attributes:
        origin: id of the thing that bears the name: another thing under it is another device.
        policies: those that decided; none where nothing permits it.
        reason: why it is skipped, or denied, in words.
        hidden: who planned may not view it, and is not told its name.
    """

    id: str
    verdict: Verdict
    origin: str = ""
    policies: tuple[str, ...] = ()
    reason: str | None = None
    hidden: bool = False


NOBODY: Final = PlannedDevice(id="", verdict=Verdict.SKIPPED, hidden=True)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a rollout would be, as it was when it was planned.

    Attributes:
        plan_id: ULID; a download that is started of it bears it too.
        made_by: entity id of who may read and start it.
        made_at: milliseconds since the epoch.
        artifact: what the file was.
        asked_file: id of the version that was asked for; ``None``: the newest of its name.
        needs_approval: whether the policies want a second person's word.
        counts: devices by verdict.
        hidden: denied devices that who planned may not view: they are counted, and not named.
        denied_by: denied devices by the policy that denied them; those that nothing permits under
            the empty name.
        skipped_for: skipped devices by reason.
        digest: of all that it saw.
        emergency_reason: as it was declared.
        selection: of a plan for what a filter finds, or for devices by name: which.
    """

    plan_id: str
    tenant: str
    made_by: str
    made_at: int
    target_kind: TargetKind
    target: str
    artifact: Artifact
    asked_file: str | None
    shape: Shape
    reach: Reach
    needs_approval: bool
    counts: Mapping[Verdict, int]
    hidden: int
    denied_by: Mapping[str, int]
    skipped_for: Mapping[str, int]
    digest: str
    emergency_reason: str | None = None
    selection: Selection | None = None

    @property
    def expires_at(self) -> int:
        """Until when it counts, in milliseconds since the epoch."""
        return self.made_at + PLAN_SECONDS * 1000

    @property
    def allowed(self) -> int:
        """How many devices it is for."""
        return self.counts.get(Verdict.ALLOWED, 0)


@dataclass(frozen=True, kw_only=True)
class PlannedPage:
    """Devices of a plan in the order of their ids; ``cursor`` asks for the next page."""

    devices: tuple[PlannedDevice, ...]
    cursor: str | None


@dataclass(kw_only=True)
class Tally:
    """Counts what becomes of devices."""

    counts: Counter[Verdict] = field(default_factory=Counter["Verdict"])
    denied_by: Counter[str] = field(default_factory=Counter[str])
    skipped_for: Counter[str] = field(default_factory=Counter[str])

    def add(self, devices: Iterable[PlannedDevice]) -> None:
        """Count these too."""
        for device in devices:
            self.counts[device.verdict] += 1
            if device.verdict is Verdict.DENIED:
                self.denied_by.update(device.policies or ("",))
            if device.verdict is Verdict.SKIPPED:
                self.skipped_for[device.reason or ""] += 1


def digest_of(
    artifact: Artifact, shape: Shape, devices: Sequence[PlannedDevice], *, needs_approval: bool
) -> str:
    """SHA-256 of what a plan saw; a fact that changes nothing of the answer does not count."""
    seen = [
        [artifact.name, artifact.version, artifact.etag, artifact.sha256, artifact.file_id],
        shape.encode(),
        needs_approval,
        *([one.id, one.origin, one.verdict, *one.policies] for one in devices),
    ]
    return hashlib.sha256(json.dumps(seen).encode()).hexdigest()


def changes(
    before: tuple[Artifact, Sequence[PlannedDevice]], now: tuple[Artifact, Sequence[PlannedDevice]]
) -> tuple[str, ...]:
    """What is otherwise than it was planned, in words; of each kind some devices by name."""
    words: list[str] = []
    if before[0] != now[0]:
        words.append(f"file `{before[0].name}` is another version")
    old = {one.id: one for one in before[1]}
    new = {one.id: one for one in now[1]}
    both = [(old[name], new[name]) for name in old if name in new]
    kinds = {
        "joined": [name for name in new if name not in old],
        "left": [name for name in old if name not in new],
        "replaced by another thing": [a.id for a, b in both if a.origin != b.origin],
    }
    for verdict in Verdict:
        kinds[f"now {verdict}"] = [
            b.id for a, b in both if b.verdict is verdict and a.verdict is not verdict
        ]
    kinds["decided by other policies"] = [
        b.id for a, b in both if a.verdict is b.verdict and a.policies != b.policies
    ]
    for kind, names in kinds.items():
        shown = [name for name in names if not new.get(name, old.get(name, NOBODY)).hidden]
        if names:
            some = ", ".join(f"`{name}`" for name in shown[:_NAMED])
            rest = len(names) - len(shown[:_NAMED])
            more = (" and " if some else "") + f"{rest} more" if rest else ""
            words.append(f"{kind}: {some}{more}")
    return tuple(words) or ("a second person's approval is asked for now, or no more",)
