"""What a request may do: nothing that its route does not state, or that the policies deny."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from service.adapters.memory.audit import MemoryAuditLog
from service.cedar.decision import Allowed, Denied, Evaluation, Refusal
from service.domain.artifacts import Artifact
from service.domain.devices import Device
from service.domain.identities import VerifiedClaims
from service.domain.permissions import Permission
from service.errors import ConfigurationError, PermissionDeniedError, UnavailableError
from service.operations.authorization import Access, RequestFacts
from service.operations.purpose import Purpose
from tests.service.operations.policies import Advice, Policies

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from service.cedar.decision import Decision
    from service.cedar.request import AuthorizationRequest
    from service.domain.identities import Principal

DEVICE = Device(tenant="acme", id="press-07").entities({})
OTHER = Device(tenant="acme", id="press-08").entities({})
DENIED = Evaluation(engine_allows=False, policies=("no",), errors=()).decision
ALLOWED = Allowed(policies=("yes",))
NOT_PERMITTED = Denied(reason=Refusal.NOT_PERMITTED)
NOON = datetime(2026, 10, 1, 12, tzinfo=UTC)
FILE = Artifact(tenant="acme", name="recipes/steel.json", size=1, sha256=None, etag='"e"')


def access(principal: Principal, *answers: Decision, audit: MemoryAuditLog | None = None) -> Access:
    """What a request may do whose route states a reading and a changing action."""
    return Access(
        principal=principal,
        facts=RequestFacts(request_id="request-1", source_ip="203.0.113.9"),
        declared=frozenset({Permission.VIEW_DEVICE, Permission.UPDATE_FIRMWARE}),
        authorizer=Policies(list(answers)),
        adviser=Advice(Policies(list(answers))),
        audit=audit or MemoryAuditLog(),
        clock=lambda: datetime(2026, 10, 1, 12, tzinfo=UTC),
    )


def asked(of: Access) -> list[AuthorizationRequest]:
    """What the policies were asked."""
    assert isinstance(of.authorizer, Policies)
    return of.authorizer.asked


def test_an_action_that_the_route_does_not_state_is_never_asked(principal: Principal) -> None:
    """Neither for one thing nor for many: the policies might allow it."""
    may = access(principal, ALLOWED)
    with pytest.raises(ConfigurationError, match="StopDevice"):
        asyncio.run(may.require(Permission.STOP_DEVICE, DEVICE))
    with pytest.raises(ConfigurationError, match="StopDevice"):
        asyncio.run(may.allows_each(Permission.STOP_DEVICE, [DEVICE], Purpose()))
    assert (asked(may), may.granted) == ([], set())


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ((ALLOWED, ALLOWED), True),
        ((ALLOWED, DENIED), False),
        ((DENIED, ALLOWED), False),
        ((ALLOWED,), False),
        ((ALLOWED, ALLOWED, ALLOWED), False),
        ((), False),
    ],
)
def test_each_member_must_be_allowed(
    principal: Principal, answers: tuple[Decision, ...], expected: bool
) -> None:
    """One denial is a denial, and nobody asked is nobody allowed; nothing is granted by asking."""
    audit = MemoryAuditLog()
    may = access(principal, *answers, audit=audit)
    found = asyncio.run(may.allows_each(Permission.UPDATE_FIRMWARE, [DEVICE, OTHER], Purpose()))
    assert found is expected
    assert [request.resource.id for request in asked(may)] == ["press-07", "press-08"]
    assert (may.granted, audit.trail) == (set(), [])


MANY: dict[str, Callable[[Access], Awaitable[object]]] = {
    "seen": lambda may: may.seen(
        Permission.VIEW_DEVICE,
        [Device(tenant="acme", id="press-07"), Device(tenant="acme", id="press-08")],
    ),
    "shown": lambda may: may.shown(Permission.VIEW_DEVICE, [DEVICE, OTHER]),
    "held": lambda may: may.holds([Permission.STOP_DEVICE], DEVICE, [NOON, NOON]),
}


@pytest.mark.parametrize("number", [0, 1, 3])
@pytest.mark.parametrize("question", MANY)
def test_fewer_or_more_answers_allow_nothing(
    principal: Principal, question: str, number: int
) -> None:
    """Each of many needs an answer of its own: nothing is seen, shown or held without."""
    audit = MemoryAuditLog()
    may = access(principal, *[ALLOWED] * number, audit=audit)
    try:
        found = asyncio.run(_awaited(MANY[question](may)))
    except (ConfigurationError, UnavailableError):
        found = None
    assert found is (False if question == "held" else None)
    assert (may.granted, audit.trail) == (set(), [])


async def _awaited(asked: Awaitable[object]) -> object:
    return await asked


def test_of_many_the_allowed_ones_are_told(principal: Principal) -> None:
    """In their order; whoever holds a right holds it at each moment."""
    devices = [Device(tenant="acme", id="press-07"), Device(tenant="acme", id="press-08")]
    may = access(principal, DENIED, ALLOWED)
    assert asyncio.run(may.seen(Permission.VIEW_DEVICE, devices)) == devices[1:]
    assert asyncio.run(may.shown(Permission.VIEW_DEVICE, [DEVICE, OTHER])) == (False, True)
    assert may.granted == {Permission.VIEW_DEVICE}
    moments = [NOON, NOON.replace(hour=13)]
    assert asyncio.run(may.holds([Permission.STOP_DEVICE], DEVICE, moments)) is False
    assert [one.context["now"] for one in asked(may)[-2:]] == moments
    assert asyncio.run(access(principal, ALLOWED).holds([], DEVICE, moments)) is False
    may = access(principal, ALLOWED, ALLOWED)
    assert asyncio.run(may.holds([Permission.STOP_DEVICE], DEVICE, moments)) is True


@pytest.mark.parametrize(
    ("answer", "expected"), [(ALLOWED, True), (NOT_PERMITTED, False), (DENIED, None)]
)
def test_who_may_see_a_part_is_told_so(
    principal: Principal, answer: Decision, expected: bool | None
) -> None:
    """Nobody permits it: a part is left, and no trace. A policy forbids it: a refusal, audited."""
    audit = MemoryAuditLog()
    may = access(principal, answer, audit=audit)
    if expected is None:
        with pytest.raises(PermissionDeniedError):
            asyncio.run(may.permitted(Permission.VIEW_DEVICE, DEVICE))
    else:
        assert asyncio.run(may.permitted(Permission.VIEW_DEVICE, DEVICE)) is expected
    assert [record.decision for record in audit.trail] == [DENIED] * (expected is None)
    assert may.granted == ({Permission.VIEW_DEVICE} if expected else set())


def test_no_change_is_decided_in_part(principal: Principal) -> None:
    """Whatever the policies say: a change is allowed or refused, and audited."""
    may = access(principal, ALLOWED)
    for asked_ in (
        may.permitted(Permission.UPDATE_FIRMWARE, DEVICE),
        may.seen(Permission.UPDATE_FIRMWARE, [Device(tenant="acme", id="press-07")]),
        may.shown(Permission.UPDATE_FIRMWARE, [DEVICE]),
    ):
        with pytest.raises(ConfigurationError):
            asyncio.run(asked_)
    assert may.granted == set()


@pytest.mark.parametrize(("groups", "told"), [((), None), (("leads",), ("leads",))])
def test_who_is_to_approve_stands_in_the_plan(
    principal: Principal, groups: tuple[str, ...], told: tuple[str, ...] | None
) -> None:
    """The groups that policies ask of who approves; of no group nothing is told."""
    may = access(principal, ALLOWED)
    may.adviser = Advice(Policies([]), groups)
    found = asyncio.run(may.once_approved(Permission.UPDATE_FIRMWARE, Purpose()))
    assert (found.approved, found.approver_groups) == (True, told)


def test_a_record_keeps_what_policies_saw_of_the_token(principal: Principal) -> None:
    """So that the question can be asked again; what tells of the token itself is left out."""
    kept = {"sub": "somebody", "cognito:groups": ["operators"], "custom:shift": "night"}
    of_the_token = {"exp": 1, "iat": 0, "jti": "1", "auth_time": 0, "origin_jti": "2"}
    caller = replace(principal, claims=VerifiedClaims(kept | of_the_token))
    audit = MemoryAuditLog()
    asyncio.run(access(caller, ALLOWED, audit=audit).require(Permission.UPDATE_FIRMWARE, DEVICE))
    [record] = audit.trail
    assert record.question is not None
    assert record.question.claims == kept


@pytest.mark.parametrize(
    ("action", "answer", "audited"),
    [
        (Permission.VIEW_DEVICE, ALLOWED, False),
        (Permission.VIEW_DEVICE, DENIED, True),
        (Permission.UPDATE_FIRMWARE, ALLOWED, True),
        (Permission.UPDATE_FIRMWARE, DENIED, True),
    ],
)
def test_changes_and_denials_leave_a_record(
    principal: Principal, action: Permission, answer: Decision, audited: bool
) -> None:
    """Who, what, on what, by which policies, from where, why, and about which file."""
    audit = MemoryAuditLog()
    may = access(principal, answer, audit=audit)
    purpose = Purpose(artifact=FILE, emergency_reason="fire")
    if isinstance(answer, Allowed):
        asyncio.run(may.require(action, DEVICE, purpose))
        assert may.granted == {action}
    else:
        with pytest.raises(PermissionDeniedError) as caught:
            asyncio.run(may.require(action, DEVICE, purpose))
        assert (caught.value.action, caught.value.policies) == (action, ("no",))
        assert may.granted == set()
    assert len(audit.trail) == audited
    for record in audit.trail:
        assert record.at == 1_790_856_000_000
        assert (record.tenant, record.principal) == ("acme", principal.entity_id)
        assert (record.action, record.resource) == (action, 'Fleet::Device::"press-07"')
        assert (record.decision, record.request_id) == (answer, "request-1")
        assert (record.source_ip, record.emergency_reason) == ("203.0.113.9", "fire")
        assert record.subject == "recipes/steel.json"


def test_a_change_without_its_record_is_not_granted(principal: Principal) -> None:
    """Nothing changes without a trace."""
    may = access(principal, ALLOWED, audit=MemoryAuditLog(available=False))
    with pytest.raises(UnavailableError):
        asyncio.run(may.require(Permission.UPDATE_FIRMWARE, DEVICE))
    assert may.granted == set()


def test_what_was_not_found_is_left_out_of_the_context(principal: Principal) -> None:
    """A policy cannot take `not asked` for `not allowed`, nor silence for an emergency."""
    may = access(principal, ALLOWED)
    asyncio.run(may.require(Permission.VIEW_DEVICE, DEVICE))
    [plain] = asked(may)
    assert "members_allowed" not in plain.context
    assert plain.context["emergency"] is False
    asyncio.run(
        may.require(
            Permission.VIEW_DEVICE,
            DEVICE,
            Purpose(members_allowed=True, emergency_reason="fire", command="reboot", artifact=FILE),
        )
    )
    _, told = asked(may)
    assert told.context["members_allowed"] is True
    assert (told.context["emergency"], told.context["reason"]) == (True, "fire")
    assert told.context["command"] == "reboot"
