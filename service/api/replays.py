"""Replay before change: which recorded decisions would come out otherwise by proposed policies."""

from datetime import datetime
from typing import Annotated

from litestar import post
from litestar.params import JSONBody
from msgspec import Meta, Struct

from service.api.explanations import ProposedBody
from service.api.guard import needs
from service.api.parameters import Caller, Ops, utc
from service.api.permissions import AnswerOut
from service.domain.permissions import Permission
from service.operations.permissions import Answer
from service.operations.replays import MOST_DECISIONS, Flip, Replay


class ReplayBody(Struct, frozen=True, forbid_unknown_fields=True):
    """Policies as they would be, and of how many of the last decisions it is asked."""

    policies: ProposedBody
    most: Annotated[int, Meta(ge=1, le=MOST_DECISIONS)] = 200


class FlipOut(Struct, frozen=True):
    """A recorded decision that would flip: what was said, what is said now, what would be."""

    id: str
    """Of the entry of the audit trail."""
    at: datetime | None
    who: str
    principal: str
    action: str
    resource: str
    recorded: bool
    now: AnswerOut
    then: AnswerOut

    @classmethod
    def of(cls, flip: Flip) -> "FlipOut":
        """A flip for the answer."""
        one = flip.recorded
        return cls(
            id=one.entry_id,
            at=utc(one.at if isinstance(one.at, int) else None),
            who=one.who,
            principal=one.principal.id,
            action=one.request.action,
            resource=str(one.request.resource),
            recorded=one.allowed,
            now=AnswerOut.of(Answer(decision=flip.now)),
            then=AnswerOut.of(Answer(decision=flip.then)),
        )


class ReplayOut(Struct, frozen=True):
    """What becomes of the last decisions of at most seven days.

    `drifted` of them are decided otherwise today than they were, without the proposal: a grant has
    ended since, or the policies were changed. `unreadable` ones do not say any more what was asked.
    """

    asked: int
    drifted: int
    unreadable: int
    flips: list[FlipOut]

    @classmethod
    def of(cls, found: Replay) -> "ReplayOut":
        """A replay for the answer."""
        return cls(
            asked=found.asked,
            drifted=found.drifted,
            unreadable=found.unreadable,
            flips=[FlipOut.of(flip) for flip in found.flips],
        )


@post("/permissions/replay", opt=needs(Permission.VIEW_AUDIT), status_code=200)
async def replay_decisions(
    access: Caller, operations: Ops, data: JSONBody[ReplayBody]
) -> ReplayOut:
    """Which of the last recorded decisions proposed policies would turn; nothing changes.

    Recorded are changes, allowed or not, and every refusal; reads that were allowed are not.
    """
    proposed = data.policies.proposed()
    return ReplayOut.of(await operations.replays.replay(access, proposed, most=data.most))
