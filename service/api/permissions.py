"""What the caller may do: asked before it is done, and of nothing but the caller's own rights."""

from typing import Annotated

from litestar import post
from litestar.params import JSONBody
from msgspec import Meta, Struct

from service.api.guard import needs, signed_in
from service.api.parameters import Caller, Cursor, Emergency, Label, Ops, emergency_reason
from service.cedar.decision import Allowed, Denied
from service.domain.permissions import Permission
from service.operations.permissions import MAX_QUESTIONS, Answer, Question
from service.operations.who_may import Who


class QuestionBody(Struct, forbid_unknown_fields=True, frozen=True):
    """One action, by its name or by a command's, on a device, a device group or the tenant."""

    action: Permission | None = None
    command: Label | None = None
    device: Label | None = None
    group: Label | None = None
    artifact: Annotated[str, Meta(min_length=1, max_length=512)] | None = None
    emergency: Emergency | None = None

    def question(self) -> Question:
        """What is asked."""
        return Question(
            action=self.action,
            command=self.command,
            device=self.device,
            group=self.group,
            artifact=self.artifact,
            emergency_reason=emergency_reason(self.emergency),
        )


class CheckBody(Struct, forbid_unknown_fields=True, frozen=True):
    """Up to 100 questions, answered in their order."""

    checks: Annotated[list[QuestionBody], Meta(min_length=1, max_length=MAX_QUESTIONS)]


class AnswerOut(Struct, frozen=True):
    """One answer; ``explanation`` says why not, or why nobody can say."""

    allowed: bool
    policies: list[str]
    explanation: str | None

    @classmethod
    def of(cls, answer: Answer) -> "AnswerOut":
        """An answer for the answer."""
        match answer.decision:
            case Allowed(policies=policies):
                return cls(allowed=True, policies=list(policies), explanation=None)
            case Denied(policies=policies) as denied:
                return cls(allowed=False, policies=list(policies), explanation=denied.explanation)
            case _:
                # Fail closed: what cannot be asked is not allowed.
                return cls(allowed=False, policies=[], explanation=answer.problem)


class CheckOut(Struct, frozen=True):
    """The answers, in the order of the questions."""

    answers: list[AnswerOut]


@post("/permissions/check", opt=signed_in(), status_code=200)
async def check_permissions(access: Caller, operations: Ops, data: JSONBody[CheckBody]) -> CheckOut:
    """Whether the caller may do this to that, as far as the policies know now.

    Nothing is done, and nothing is granted: whoever acts is asked again. A device that the caller
    may not view is answered for as one that there is not.
    """
    answers = await operations.permissions.check(access, [one.question() for one in data.checks])
    return CheckOut(answers=[AnswerOut.of(answer) for answer in answers])


class GroupMayOut(Struct, frozen=True):
    """What somebody meets who is in this group alone, with no address and no region."""

    group: str
    allowed: bool
    policies: list[str]
    explanation: str | None


class PersonMayOut(Struct, frozen=True):
    """What a person meets, by all groups as they are now; `enabled`: whether they can sign in."""

    id: str
    email: str
    groups: list[str]
    enabled: bool
    allowed: bool
    policies: list[str]
    explanation: str | None


class WhoOut(Struct, frozen=True):
    """Every group that the policies name, and ten people; ``cursor`` asks for the next ten."""

    groups: list[GroupMayOut]
    people: list[PersonMayOut]
    cursor: str | None

    @classmethod
    def of(cls, who: Who) -> "WhoOut":
        """An answer for the answer."""
        groups = [(one.group, AnswerOut.of(Answer(decision=one.decision))) for one in who.groups]
        people = [(one.person, AnswerOut.of(Answer(decision=one.decision))) for one in who.people]
        return cls(
            groups=[
                GroupMayOut(group, said.allowed, said.policies, said.explanation)
                for group, said in groups
            ],
            people=[
                PersonMayOut(
                    id=person.id,
                    email=person.email,
                    groups=list(person.groups),
                    enabled=person.enabled,
                    allowed=said.allowed,
                    policies=said.policies,
                    explanation=said.explanation,
                )
                for person, said in people
            ],
            cursor=who.cursor,
        )


@post("/permissions/who", opt=needs(Permission.VIEW_PEOPLE), status_code=200)
async def who_may(
    access: Caller, operations: Ops, data: JSONBody[QuestionBody], cursor: Cursor = None
) -> WhoOut:
    """Who may do this to that now, from where the caller is: groups, and people ten at a time.

    Asked by a copy of the tenant's policies, and of what Cognito says of each person. A group says
    what it gives by itself: a policy may ask for two, or for a region.
    """
    return WhoOut.of(await operations.who_may.find(access, data.question(), cursor=cursor))
