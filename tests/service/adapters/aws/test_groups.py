"""Groups of devices: found by the tenant's name of them, their members from all pages."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from service.adapters.aws.groups import IotDeviceGroups
from service.domain.groups import DeviceGroup
from service.errors import ConflictError
from tests.service.adapters.aws.answered_sessions import Refusal

if TYPE_CHECKING:
    from service.adapters.aws.client.calls import AwsCalls
    from service.domain.tenants import Tenant
    from tests.service.adapters.aws.answered_sessions import AnsweredSessions, Call

LINE = DeviceGroup(tenant="acme", id="line-press")


@pytest.fixture
def groups(aws: AwsCalls, sessions: AnsweredSessions) -> IotDeviceGroups:
    """The adapter."""
    return IotDeviceGroups(calls=aws, sessions=sessions)


def pages(sessions: AnsweredSessions, *things: list[str]) -> None:
    """Answer with these pages."""

    def answer(call: Call) -> dict[str, Any]:
        number = int(call.arguments.get("nextToken", "0"))
        more = {"nextToken": str(number + 1)} if number + 1 < len(things) else {}
        return {"things": things[number], **more}

    sessions.answer = answer


def test_a_group_is_found_by_the_tenants_name(
    groups: IotDeviceGroups, sessions: AnsweredSessions, acme: Tenant
) -> None:
    """The name carries the tenant's prefix; a group that is not there is none."""
    assert asyncio.run(groups.find(acme, "line-press")) == LINE
    assert sessions.calls[0].arguments == {"thingGroupName": "acme--line-press"}
    sessions.answer = lambda _: Refusal("ResourceNotFoundException", 404)
    assert asyncio.run(groups.find(acme, "line-press")) is None


def test_members_are_of_all_pages_up_to_the_limit(
    groups: IotDeviceGroups, sessions: AnsweredSessions, acme: Tenant
) -> None:
    """One more than the limit is told, so that too many can be told; then no page is asked for."""
    pages(sessions, ["acme--a", "acme--b"], ["acme--c"], ["acme--d", "acme--e"])
    assert asyncio.run(groups.members(acme, LINE, limit=10)) == ("a", "b", "c", "d", "e")
    assert len(sessions.calls) == 3
    assert sessions.calls[0].arguments["recursive"] is True
    sessions.calls.clear()
    assert asyncio.run(groups.members(acme, LINE, limit=2)) == ("a", "b", "c")
    assert len(sessions.calls) == 2
    assert asyncio.run(groups.members(acme, LINE, limit=1)) == ("a", "b")


def test_a_group_with_a_foreign_thing_is_a_conflict(
    groups: IotDeviceGroups, sessions: AnsweredSessions, acme: Tenant
) -> None:
    """Nobody decides on another tenant's device; a name of no device is only left out."""
    pages(sessions, ["acme--a", "acme--a:b", "acme--"], ["acme--c"])
    assert asyncio.run(groups.members(acme, LINE, limit=10)) == ("a", "c")
    for foreign in ("globex--a", "globex", "acme2--a"):
        pages(sessions, ["acme--a"], [foreign])
        with pytest.raises(ConflictError, match="line-press"):
            asyncio.run(groups.members(acme, LINE, limit=10))
