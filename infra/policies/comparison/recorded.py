"""Recorded decisions of a tenant, asked of the files: which of them an update would flip.

The decisions are entries of the tenant's trail as ``GET /v1/audit`` answers them. Only who may read
the trail can fetch them: the operator, who has no part in it, is given a file.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from infra.policies.cases.requests import ACTIONS
from service.cedar.binding import unbind_uid
from service.cedar.compiled import CompiledPolicies
from service.cedar.decision import Allowed
from service.cedar.recorded import NotRecordedError, recorded

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from service.cedar.decision import Evaluation
    from service.cedar.policy_set import PolicySet
    from service.cedar.recorded import Recorded

_HEAD = ("entry", "who", "action", "on", "recorded", "deployed", "files")


class NotReadableError(Exception):
    """The file holds no entries of a trail."""


@dataclass(frozen=True, kw_only=True)
class RecordedFlip:
    """A recorded decision that the files would turn."""

    found: Recorded
    before: Evaluation
    after: Evaluation


@dataclass(frozen=True, kw_only=True)
class RecordedDifference:
    """What becomes of the recorded decisions.

    Attributes:
        drifted: decided otherwise by the store of today than they were.
        unreadable: entries that do not say what was asked, or not any more.
        tenant: whose they are.
        pool_id: of its people.
    """

    asked: int
    drifted: int
    unreadable: int
    flips: tuple[RecordedFlip, ...]
    tenant: str
    pool_id: str

    def table(self) -> str:
        """For people."""
        aside = (
            f"{self.drifted} are decided otherwise today, {self.unreadable} cannot be asked again"
        )
        lines = [f"{len(self.flips)} of {self.asked} recorded decisions flip ({aside})"]
        if self.flips:
            rows = [_HEAD, *map(self._row, self.flips)]
            widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
            lines += [""]
            lines += [
                "  ".join(
                    cell.ljust(width) for cell, width in zip(row, widths, strict=True)
                ).rstrip()
                for row in rows
            ]
        return "\n".join(lines)

    def _row(self, flip: RecordedFlip) -> tuple[str, ...]:
        found = flip.found
        resource = unbind_uid(found.request.resource, tenant=self.tenant, pool_id=self.pool_id)
        return (
            found.entry_id,
            found.who,
            found.request.action,
            str(resource),
            "ALLOW" if found.allowed else "DENY",
            str(flip.before),
            str(flip.after),
        )


def entries_of(file: Path) -> list[Mapping[str, Any]]:
    """The entries of a file: a page of ``GET /v1/audit``, a list of entries, or one a line.

    Raises:
        NotReadableError: it holds something else, or cannot be read.
    """
    try:
        text = file.read_text(encoding="utf-8")
        try:
            document: Any = json.loads(text)
        except ValueError:
            document = [json.loads(line) for line in text.splitlines() if line.strip()]
        if isinstance(document, dict):
            document = cast("dict[str, Any]", document)["entries"]
        entries: list[Any] = list(document)
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise NotReadableError(f"{file}: no entries of a trail: {error}") from error
    if not all(isinstance(one, dict) for one in entries):
        raise NotReadableError(f"{file}: no entries of a trail")
    return entries


def recorded_difference(
    entries: Iterable[Mapping[str, Any]],
    deployed: PolicySet,
    files: PolicySet,
    *,
    tenant: str,
    pool_id: str,
) -> RecordedDifference:
    """Asks both sets what was asked.

    Args:
        entries: of the tenant's trail.
        deployed: what the store holds.
        files: what it is to hold; bound, as the other.
        tenant: tenant id.
        pool_id: the tenant's user pool.

    Raises:
        ValueError: a policy does not parse.
    """
    old, new = (CompiledPolicies(one, actions=ACTIONS) for one in (deployed, files))
    asked = drifted = unreadable = 0
    flips: list[RecordedFlip] = []
    for entry in entries:
        try:
            found = recorded(entry)
            before, after = (
                one.evaluate(found.asked(one.user_attributes, pool_id=pool_id))
                for one in (old, new)
            )
        # Also what is of another release's schema, or of another tenant.
        except (NotRecordedError, ValueError):
            unreadable += 1
            continue
        asked += 1
        was, would = (isinstance(one.decision, Allowed) for one in (before, after))
        drifted += was is not found.allowed
        if was is not would:
            flips.append(RecordedFlip(found=found, before=before, after=after))
    return RecordedDifference(
        asked=asked,
        drifted=drifted,
        unreadable=unreadable,
        flips=tuple(flips),
        tenant=tenant,
        pool_id=pool_id,
    )
