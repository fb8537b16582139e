"""What changes for whom when one policy set replaces another: flipped decisions, and the steps."""

from __future__ import annotations

import itertools
import json
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from infra.policies.cases.requests import ACTIONS, all_requests
from infra.policies.comparison.coverage import Reached, as_permit
from infra.policies.comparison.subjects import subjects
from infra.policies.files.schema_json import Actions
from infra.policies.store.update_order import Step, pieces, plan
from service.cedar.evaluator import Evaluator
from service.cedar.policy_set import Link, PolicySet
from service.cedar.request import TokenBearer
from service.cedar.statement import statement_est

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from infra.policies.cases.reference_fleet import ReferenceFleet
    from infra.policies.comparison.subjects import Subjects
    from service.cedar.decision import Evaluation
    from service.cedar.request import AuthorizationRequest

_HEAD: Final = ("who", "when", "action", "on", "deployed", "files")


@dataclass(frozen=True, kw_only=True)
class Flip:
    """One decision that comes out differently."""

    who: str
    when: str
    action: str
    resource: str
    before: Evaluation
    after: Evaluation


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Everything that the new set changes.

    Attributes:
        flips: decisions that come out differently; of somebody in two groups only if neither group
            alone says it.
        schema_changes: whether the schema is written first.
        steps: calls that the store will get, in order; a policy may change without any flip.
        asked: how many requests were put to both sets, of actions that a policy which comes or goes
            speaks of.
        whens: the contexts that were asked about.
        unreached: policies that come, go or change and that no request matched, or of which none
            told the old form from the new: of these the flips say nothing.
        not_asked: what there were too many combinations of.
        proof: what is proved of the update, or why nothing is, in lines.
    """

    flips: tuple[Flip, ...]
    schema_changes: bool
    steps: tuple[Step, ...]
    asked: int
    whens: tuple[str, ...]
    unreached: tuple[str, ...] = ()
    not_asked: tuple[str, ...] = ()
    proof: str = ""

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
            names = ", ".join(self.unreached)
            lines += ["", f"{len(self.unreached)} policies were reached by no question: {names}"]
            lines += ["Of these the count of flips says nothing; read them."]
        beyond = ["values that no policy names, three groups at once", *self.not_asked]
        lines += ["", f"Not asked: {'; '.join(beyond)}."]
        if self.proof:
            lines += ["", self.proof]
        lines += ["", "Steps, in this order:"]
        lines += ["  put schema"] * self.schema_changes
        lines += [f"  {step}" for step in self.steps]
        return "\n".join(lines)

    def _rows(self) -> list[tuple[str, ...]]:
        rows = [
            (f.who, f.when, f.action, f.resource, str(f.before), str(f.after)) for f in self.flips
        ]
        rows = [_always(row, self.whens) for row in _folded(rows, 1)]
        return _folded(_folded(rows, 3), 2)


def difference(
    deployed: PolicySet,
    files: PolicySet,
    *,
    fleet: ReferenceFleet,
    tenant: str,
    pool_id: str,
    now: datetime,
) -> Difference:
    """Puts the same requests to both sets, unless they are the same.

    Args:
        deployed: what the store holds (``deployed.read``).
        files: what it is to hold.
        fleet: whose devices are varied to ask about.
        tenant: tenant id.
        pool_id: the tenant's user pool, to which both sets are bound.
        now: the day to ask about, with a time zone.

    Raises:
        ValueError: a deployed policy does not fit the schema of the files.
    """
    schema_changes = json.loads(deployed.schema) != json.loads(files.schema)
    # An update writes the schema first: from then on it holds for the old set too.
    deployed = replace(deployed, schema=files.schema)
    steps = plan(pieces(deployed), pieces(files))
    if not steps:
        return Difference(flips=(), schema_changes=schema_changes, steps=(), asked=0, whens=())
    changing = _changing(steps, files)
    asked = subjects(
        deployed, files, changing=changing, fleet=fleet, tenant=tenant, pool_id=pool_id, now=now
    )
    comparison = _Comparison(deployed, files, changing, steps)
    actions = [action for action in ACTIONS if action in comparison.actions]
    for requests in _requests(asked, actions, tenant=tenant, pool_id=pool_id):
        comparison.put(requests)
    return Difference(
        flips=tuple(comparison.flips),
        schema_changes=schema_changes,
        steps=steps,
        asked=comparison.asked,
        whens=tuple(asked.contexts),
        unreached=comparison.reached.missing(),
        not_asked=asked.not_asked,
    )


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """All requests of one bearer on one resource; each with the words for its context."""

    who: str
    bearer: TokenBearer
    resource: str
    requests: list[tuple[str, AuthorizationRequest]]


def _requests(
    asked: Subjects, actions: Sequence[str], *, tenant: str, pool_id: str
) -> Iterator[_Asked]:
    everything = itertools.product(asked.bearers.items(), asked.resources.items())
    for (who, bearer), (name, resource) in everything:
        requests = [
            (when, request)
            for when, context in asked.contexts.items()
            for _, _, request in all_requests(
                bearer,
                context,
                {name: resource},
                tenant=tenant,
                pool_id=pool_id,
                actions=actions,
            )
        ]
        yield _Asked(who=who, bearer=bearer, resource=name, requests=requests)


class _Comparison:
    """Puts requests to both sets and keeps the decisions that flip."""

    def __init__(
        self, deployed: PolicySet, files: PolicySet, changing: PolicySet, steps: tuple[Step, ...]
    ) -> None:
        self.flips: list[Flip] = []
        self.asked = 0
        self.reached = Reached(steps)
        self._before, self._after = Evaluator(deployed), Evaluator(files)
        self._changing = Evaluator(changing)
        schema = Actions(files.schema)
        # Those that a policy which comes or goes may be asked about.
        self.actions: Final = frozenset[str]().union(
            *(schema.of(statement_est(text)["action"]) for text in changing.statements())
        )
        # When, action, resource, outcome -> whom a flip has been told of.
        self._told: dict[tuple[str, str, str, bool], list[TokenBearer]] = defaultdict(list)

    def put(self, asked: _Asked) -> None:
        """Put the requests of `actions`."""
        self.asked += len(asked.requests)
        # Where no policy that comes or goes matches, nothing can flip: most requests are settled by
        # these few policies, and only the rest is put to the two whole sets.
        matched = self._changing.evaluate_all([request for _, request in asked.requests])
        self.reached.note(by.policies for by in matched)
        touched = [
            one for one, by in zip(asked.requests, matched, strict=True) if by.policies or by.errors
        ]
        if not touched:
            return
        requests = [request for _, request in touched]
        before, after = self._before.evaluate_all(requests), self._after.evaluate_all(requests)
        for (when, request), was, becomes in zip(touched, before, after, strict=True):
            self._compare(asked, when, request, was, becomes)

    def _compare(
        self,
        asked: _Asked,
        when: str,
        request: AuthorizationRequest,
        before: Evaluation,
        after: Evaluation,
    ) -> None:
        told = self._told[when, request.action, asked.resource, after.allowed]
        # The fewest groups come first: whoever has more than them flips for the same reason.
        if before.allowed is after.allowed or _implied(asked.bearer, told):
            return
        told.append(asked.bearer)
        self.flips.append(
            Flip(
                who=asked.who,
                when=when,
                action=request.action,
                resource=asked.resource,
                before=before,
                after=after,
            )
        )


def _implied(bearer: TokenBearer, told: Sequence[TokenBearer]) -> bool:
    """Whether the flip is told of somebody with a part of the groups, or of the user with fewer."""
    anybody = TokenBearer().subject
    return any(
        set(part.groups) <= set(bearer.groups)
        and (part.groups or part.subject == bearer.subject != anybody)
        and part.subject in (bearer.subject, anybody)
        and (part.claims, part.scopes) == (bearer.claims, bearer.scopes)
        for part in told
    )


def _changing(steps: Sequence[Step], files: PolicySet) -> PolicySet:
    """Only the policies that come or go, named by their steps.

    All as permits: where a forbid matches, the engine names no permit that matches too.
    """
    links = [(str(step), step.piece) for step in steps if step.piece.principal is not None]
    return PolicySet(
        schema=files.schema,
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


def nothing(files: PolicySet) -> PolicySet:
    """The store before its first policy, to show what a new tenant's people will be allowed."""
    return PolicySet(schema=files.schema, static={}, templates={}, links=())


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
