"""Why a decision is as it is, and what it would be if something were otherwise."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from litestar import post
from litestar.params import JSONBody
from msgspec import Meta, Struct

from service.api.guard import needs, signed_in
from service.api.parameters import Caller, Label, Ops
from service.api.permissions import AnswerOut, QuestionBody
from service.domain.permissions import Permission
from service.errors import InvalidRequestError
from service.operations.explanations import DeviceState, Persona, WhatIf
from service.operations.permissions import Answer
from service.operations.proposed_policies import MOST_CHARACTERS, MOST_LEFT_OUT, MOST_PROPOSED
from service.ports.authorizer import Considered, Proposed

_Group = Annotated[str, Meta(min_length=1, max_length=128)]
_Text = Annotated[str, Meta(max_length=128)]
_PolicyName = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[a-z0-9-]+$")]
_Statement = Annotated[str, Meta(min_length=1, max_length=MOST_CHARACTERS)]


class ConditionOut(Struct, frozen=True):
    """A part of a policy: in the policy's own words, as Cedar writes it, and what it met."""

    words: str
    condition: str
    holds: bool
    values: dict[str, str | None]
    may_change: list[str]


class ExplainedOut(Struct, frozen=True):
    """One policy; it says otherwise if `one` or `all` of its conditions come out otherwise."""

    policy: str
    effect: Literal["permit", "forbid"]
    applies: bool
    changes_if: Literal["one", "all"]
    conditions: list[ConditionOut]


class ConsideredOut(Struct, frozen=True):
    """An answer and why: the policies that decided, and permits that nearly said yes."""

    allowed: bool
    policies: list[str]
    explanation: str | None
    explained: list[ExplainedOut]

    @classmethod
    def of(cls, found: Considered) -> "ConsideredOut":
        """An answer for what was found."""
        said = AnswerOut.of(Answer(decision=found.decision))
        return cls(
            allowed=said.allowed,
            policies=said.policies,
            explanation=said.explanation,
            explained=[msgspec.convert(one.json(), ExplainedOut) for one in found.explained],
        )


class ExplainBody(QuestionBody, frozen=True, forbid_unknown_fields=True):
    """A question about the caller, or about a person of the tenant."""

    person: Label | None = None


class WhyOut(ConsideredOut, frozen=True, kw_only=True):
    """An answer and why; `changers`: for each action of `may_change`, the groups that may do it.

    Whoever may not view people is told of no groups.
    """

    changers: dict[str, list[str]]


@post("/permissions/explain", opt=signed_in(Permission.VIEW_PEOPLE), status_code=200)
async def explain_permission(
    access: Caller, operations: Ops, data: JSONBody[ExplainBody]
) -> WhyOut:
    """Why the caller may or may not do this to that now; with `person`, why somebody else may.

    A device that the caller may not view is answered for as one that there is not. Of another
    person nothing is told to who may not `ViewPeople`.
    """
    why = await operations.explanations.explain(access, data.question(), person=data.person)
    told = ConsideredOut.of(why.considered)
    return WhyOut(
        allowed=told.allowed,
        policies=told.policies,
        explanation=told.explanation,
        explained=told.explained,
        changers={action: list(groups) for action, groups in why.changers.items()},
    )


class PersonaBody(Struct, frozen=True, forbid_unknown_fields=True):
    """Somebody who need not be: groups of the pool, and the region that a token would tell."""

    groups: Annotated[list[_Group], Meta(max_length=20)] = []
    region: _Text | None = None


class DeviceStateBody(Struct, frozen=True, forbid_unknown_fields=True):
    """What is thought otherwise of the device; `null`: without it. `groups` are all it is in."""

    facts: Annotated[dict[Label, _Text | None], Meta(max_length=10)] = {}
    tags: Annotated[dict[Label, _Text | None], Meta(max_length=50)] = {}
    groups: Annotated[list[Label], Meta(max_length=20)] | None = None


class ProposedBody(Struct, frozen=True, forbid_unknown_fields=True):
    """Policies by name, as in a policy file: one of a known name stands in that one's place."""

    added: Annotated[dict[_PolicyName, _Statement], Meta(max_length=MOST_PROPOSED)] = {}
    without: Annotated[list[_PolicyName], Meta(max_length=MOST_LEFT_OUT)] = []

    def proposed(self) -> Proposed:
        """As the operation takes it."""
        return Proposed(added=self.added, without=frozenset(self.without))


class SimulateBody(Struct, frozen=True, forbid_unknown_fields=True):
    """A question, and what is thought otherwise: what is left out is as it is."""

    question: QuestionBody
    person: Label | None = None
    persona: PersonaBody | None = None
    at: datetime | None = None
    device_state: DeviceStateBody | None = None
    policies: ProposedBody | None = None

    def what_if(self) -> WhatIf:
        """As the operation takes it.

        Raises:
            InvalidRequestError: the time is of no zone.
        """
        if self.at is not None and self.at.tzinfo is None:
            raise InvalidRequestError("at", "must be a time like `2026-11-30T06:00:00Z`")
        persona, state = self.persona, self.device_state
        return WhatIf(
            person=self.person,
            persona=persona and Persona(groups=tuple(persona.groups), region=persona.region),
            at=self.at,
            device_state=state
            and DeviceState(
                facts=state.facts,
                tags=state.tags,
                groups=None if state.groups is None else tuple(state.groups),
            ),
            policies=self.policies and self.policies.proposed(),
        )


class SimulatedOut(Struct, frozen=True):
    """What the policies say of the caller as it is, and what they would say."""

    now: ConsideredOut
    then: ConsideredOut
    flips: bool


@post("/permissions/simulate", opt=needs(Permission.VIEW_PEOPLE), status_code=200)
async def simulate_permission(
    access: Caller, operations: Ops, data: JSONBody[SimulateBody]
) -> SimulatedOut:
    """What the policies would say of another persona or time, device or policy; nothing changes.

    Proposed policies are checked as the tenant's own, decided with in this process, and forgotten.
    """
    found = await operations.explanations.simulate(access, data.question.question(), data.what_if())
    now, then = ConsideredOut.of(found.now), ConsideredOut.of(found.then)
    return SimulatedOut(now=now, then=then, flips=now.allowed is not then.allowed)
