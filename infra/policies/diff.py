"""What changes for whom when the policies of the files replace the deployed ones: flipped decisions, and the steps."""

from __future__ import annotations

import itertools
import json
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from infra.policies import fleet
from infra.policies.actions import Actions
from infra.policies.evaluator import BoundPolicies, Decision, Evaluator
from infra.policies.judges import judges
from infra.policies.question import Who
from infra.policies.reach import Reached, as_permit
from infra.policies.update import Step, pieces, plan
from service.cedar.policy_set import Link
from service.cedar.statement import statement_est

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from infra.policies.question import Circumstances, Question, Target

_HEAD: Final = ("who", "when", "action", "on", "deployed", "files")


@dataclass(frozen=True, kw_only=True)
class Flip:
    """One decision that comes out differently."""

    who: str
    when: str
    action: str
    target: str
    before: Decision
    after: Decision


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Everything that the new set changes.

    Attributes:
        flips: decisions that come out differently; of somebody in two groups only if neither group alone says it.
        schema_changes: whether the schema is written first.
        steps: calls that the store will get, in order; a policy may change without any flip.
        asked: how many questions were put to both sets, of actions that a policy which comes or goes speaks of.
        whens: the circumstances that were asked about.
        unreached: policies that come, go or change and that no question matched, or of which none told the old form
            from the new: of these the flips say nothing.
    """

    flips: tuple[Flip, ...]
    schema_changes: bool
    steps: tuple[Step, ...]
    asked: int
    whens: tuple[str, ...]
    unreached: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self.schema_changes or bool(self.steps)

    def table(self) -> str:
        """For people: the flips as a table, equal ones in one row, then the steps."""
        if not self:
            return "The store holds what the files say."
        lines = [f"{len(self.flips)} of {self.asked} decisions flip"]
        if self.flips:
            lines += ["", *_aligned([_HEAD, *self._rows()])]
        if self.unreached:
            lines += [
                "",
                f"{len(self.unreached)} policies were reached by no question: {', '.join(self.unreached)}",
            ]
            lines += ["Of these the count of flips says nothing; read them."]
        lines += ["", "Steps, in this order:"]
        lines += ["  put schema"] * self.schema_changes
        lines += [f"  {step}" for step in self.steps]
        return "\n".join(lines)

    def _rows(self) -> list[tuple[str, ...]]:
        rows = [
            (f.who, f.when, f.action, f.target, str(f.before), str(f.after)) for f in self.flips
        ]
        rows = [_always(row, self.whens) for row in _folded(rows, 1)]
        return _folded(_folded(rows, 3), 2)


def difference(
    deployed: BoundPolicies, files: BoundPolicies, *, tenant: str, pool_id: str, now: datetime
) -> Difference:
    """Puts the same questions to both sets, unless they are the same.

    Args:
        deployed: what the store holds (``deployed.read``).
        files: what it is to hold (``evaluator.bound`` of ``load``).
        tenant: tenant id.
        pool_id: the tenant's user pool, to which both sets are bound.
        now: the day to ask about, with a time zone.
    """
    schema_changes = json.loads(deployed.schema_json) != json.loads(files.schema_json)
    deployed = replace(
        deployed, schema_json=files.schema_json
    )  # the schema is the first thing that an update writes
    steps = plan(pieces(deployed), pieces(files))
    if not steps:
        return Difference(flips=(), schema_changes=schema_changes, steps=(), asked=0, whens=())
    changing = _changing(steps, files)
    asked = judges(deployed, files, changing=changing, tenant=tenant, pool_id=pool_id, now=now)
    before, after, reaching = (
        Evaluator(policies, tenant=tenant, pool_id=pool_id)
        for policies in (deployed, files, changing)
    )
    reached = Reached(steps)
    reach = Actions(files.schema_json)
    actions = frozenset[str]().union(
        *(reach.of(statement_est(text)["action"]) for text in changing.statements())
    )
    flips: list[Flip] = []
    told: dict[tuple[str, str, str, bool], list[Who]] = defaultdict(
        list
    )  # whom each flip has been told of
    count = 0
    for (who, principal), (name, target) in itertools.product(
        asked.who.items(), asked.targets.items()
    ):
        questions = [
            one for one in _questions(principal, asked.when, name, target) if one[1] in actions
        ]
        count += len(questions)
        # where no policy that comes or goes matches, nothing can flip: most questions are settled by these few policies
        matched = reaching.decide_all([question for _, _, question in questions])
        reached.note(by.policies for by in matched)
        open_ones = [
            asked for asked, by in zip(questions, matched, strict=True) if by.policies or by.errors
        ]
        for when, action, question in open_ones:
            old, new = before.decide(question), after.decide(question)
            if old.allowed is not new.allowed and not _implied(
                principal, told[when, action, name, new.allowed]
            ):
                told[when, action, name, new.allowed].append(principal)
                flips.append(
                    Flip(who=who, when=when, action=action, target=name, before=old, after=new)
                )
    return Difference(
        flips=tuple(flips),
        schema_changes=schema_changes,
        steps=steps,
        asked=count,
        whens=tuple(asked.when),
        unreached=reached.missing(),
    )


def _implied(who: Who, told: Sequence[Who]) -> bool:
    """Whether the flip is told of somebody who has a part of the groups, or is the same user with fewer."""
    return any(
        set(part.groups) <= set(who.groups)
        and (part.groups or part.user == who.user != Who().user)
        and part.user in (who.user, Who().user)
        and (part.region, part.email, part.scopes) == (who.region, who.email, who.scopes)
        for part in told
    )


def _changing(steps: Sequence[Step], files: BoundPolicies) -> BoundPolicies:
    """Only the policies that come or go, named by their steps; as permits, since beside a forbid no permit is told."""
    links = [(str(step), step.piece) for step in steps if step.piece.principal is not None]
    return BoundPolicies(
        schema_json=files.schema_json,
        static={
            str(step): as_permit(step.piece.statement)
            for step in steps
            if step.piece.principal is None
        },
        templates={name: as_permit(piece.statement) for name, piece in links},
        links=tuple(
            Link(id=name, template=name, principal=piece.principal, resource=piece.resource)
            for name, piece in links
            if piece.principal is not None and piece.resource is not None
        ),
    )


def nothing(files: BoundPolicies) -> BoundPolicies:
    """The store before its first policy, to show what a new tenant's people will be allowed."""
    return BoundPolicies(schema_json=files.schema_json, static={}, templates={}, links=())


def _questions(
    who: Who, whens: Mapping[str, Circumstances], name: str, target: Target
) -> Iterator[tuple[str, str, Question]]:
    for when, about in whens.items():
        for action, _, question in fleet.ask(who, about, {name: target}):
            yield when, action, question


def _folded(rows: Sequence[tuple[str, ...]], column: int) -> list[tuple[str, ...]]:
    """One row for all rows that differ only in ``column``."""
    groups: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for row in rows:
        groups[(*row[:column], *row[column + 1 :])].append(row[column])
    return [(*rest[:column], "; ".join(values), *rest[column:]) for rest, values in groups.items()]


def _always(row: tuple[str, ...], whens: Sequence[str]) -> tuple[str, ...]:
    """The row with a short word for nearly all circumstances."""
    left_out = [when for when in whens if when not in row[1].split("; ")]
    if len(left_out) > len(whens) // 4:
        return row
    return (row[0], "always" + (f" but {'; '.join(left_out)}" if left_out else ""), *row[2:])


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
