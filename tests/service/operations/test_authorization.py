"""What a request may do: nothing that its route does not state, or that the policies deny."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from service.adapters.memory.audit import MemoryAuditLog
from service.cedar.decision import Allowed, Evaluation
from service.domain.artifacts import Artifact
from service.domain.devices import Device
from service.domain.permissions import Permission
from service.errors import ConfigurationError, PermissionDeniedError, UnavailableError
from service.operations.authorization import Access, RequestFacts
from service.operations.purpose import Purpose
from tests.service.operations.policies import Advice, Policies

if TYPE_CHECKING:
    from service.cedar.decision import Decision
    from service.cedar.request import AuthorizationRequest
    from service.domain.identities import Principal

DEVICE = Device(tenant="acme", id="press-07").entities({})
OTHER = Device(tenant="acme", id="press-08").entities({})
DENIED = Evaluation(engine_allows=False, policies=("no",), errors=()).decision
ALLOWED = Allowed(policies=("yes",))
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
