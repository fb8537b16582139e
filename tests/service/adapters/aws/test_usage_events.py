"""A day of usage that a bus did not take is not told, whatever its answer's status was."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from infra.stacks.platform_stack.task_roles import USAGE_ALONE
from service.adapters.aws.usage import EventBridgeUsageEvents
from service.errors import UpstreamError
from tests.service.adapters.aws.every_call import USAGE

if TYPE_CHECKING:
    from service.domain.tenants import Tenant
    from tests.service.adapters.aws.answered_line import AnsweredDoor


def test_a_day_is_told_as_the_workers_role_lets(new_door: AnsweredDoor, acme: Tenant) -> None:
    """By the worker itself, with source and type that its role names, and the day's own JSON."""
    new_door.answer = lambda _: {"FailedEntryCount": 0, "Entries": [{"EventId": "e"}]}
    asyncio.run(EventBridgeUsageEvents(aws=new_door).tell(acme, USAGE))
    [call] = new_door.calls
    assert new_door.line.roles == []
    [entry] = call.arguments["Entries"]
    meant = USAGE_ALONE["ForAllValues:StringEquals"]
    assert [entry["Source"]] == meant["events:source"]
    assert [entry["DetailType"]] == meant["events:detail-type"]
    assert json.loads(entry["Detail"]) == USAGE.told_of("acme")


@pytest.mark.parametrize(
    "entries", [[], [{"ErrorCode": "ThrottlingException", "ErrorMessage": "slow down"}], [{}, {}]]
)
def test_what_has_no_id_was_not_taken(
    door: AnsweredDoor, acme: Tenant, entries: list[dict[str, Any]]
) -> None:
    """An answer of 200 may have taken nothing: it is told again then."""
    door.answer = lambda _: {"FailedEntryCount": len(entries), "Entries": entries}
    with pytest.raises(UpstreamError):
        asyncio.run(EventBridgeUsageEvents(aws=door).tell(acme, USAGE))
