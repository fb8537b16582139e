"""What each operation asks of AWS: nothing of IoT Core's control plane, but to begin and read jobs.

Its quotas are an account's, shared by all tenants: 100 look-ups of groups and 10 jobs a second
(source: AWS IoT Core and AWS IoT Device Management quotas).
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from service.adapters.memory.policies import MemoryPolicyStores
from service.adapters.memory.revocations import MemoryRevocations
from service.domain.permissions import Permission
from service.operations.authorization import RequestFacts
from service.operations.commands import CommandRequest
from service.operations.operations import Operations
from service.settings import PolicySettings, TokenSettings
from tests.service.adapters.aws.every_call import ID, answer, arguments, ports_of
from tests.service.stamped_policies import PERMIT_ALL, only

if TYPE_CHECKING:
    from service.domain.tenants import Tenant
    from service.operations.authorization import Access
    from tests.service.adapters.aws.answered_line import AnsweredDoor, Call

BORN = {
    "partition": {"S": "acme--devices"},
    "sk": {"S": "press-07#born#thing-1"},
    "at": {"N": "1"},
    "thing_id": {"S": "thing-1"},
}


async def _send(operations: Operations, access: Access) -> object:
    request = CommandRequest(device="press-07", name="reboot", arguments={}, timeout_seconds=60)
    return await operations.commands.send(access, request)


async def _read_device(operations: Operations, access: Access) -> object:
    return await operations.devices.read(access, "press-07")


async def _list(operations: Operations, access: Access) -> object:
    return await operations.devices.page(access, limit=10, cursor=None)


async def _configure(operations: Operations, access: Access) -> object:
    return await operations.devices.configure(access, "press-07", {"kind": "press"})


async def _set_groups(operations: Operations, access: Access) -> object:
    return await operations.devices.set_groups(access, "press-07", [])


async def _set_tags(operations: Operations, access: Access) -> object:
    return await operations.devices.set_tags(access, "press-07", {"building": "7"})


async def _poll(operations: Operations, access: Access) -> object:
    return await operations.commands.read(access, ID)


@pytest.mark.parametrize(
    ("ask", "calls"),
    [
        (_list, ["Query"]),
        (_read_device, ["Query", "GetConnection"]),
        *(
            (
                change,
                [
                    "Query",
                    *["IsAuthorizedWithToken", "PutItem"] * 2,  # audited each
                    *["PutItem", "GetConnection"],
                ],
            )
            for change in (_configure, _set_groups, _set_tags)
        ),
        (
            _send,
            [
                *["Query", "IsAuthorizedWithToken", "PutItem", "TransactWriteItems"],
                *["SendDirectMessage", "UpdateItem"],
            ],
        ),
        (_poll, ["GetItem", "Query", "GetItem", "Query"]),
    ],
    ids=["list", "read", "configure", "set-groups", "set-tags", "command", "poll"],
)
def test_an_operation_makes_these_calls(
    ask: Any, calls: list[str], door: AnsweredDoor, acme: Tenant
) -> None:
    """In this order, and none of them of the registry, the index or the jobs' control plane."""

    def answered(call: Call) -> Any:
        if call.operation == "Query" and "devices" in call.arguments["TableName"]:
            return {"Items": [BORN]}
        return answer(call, acme)

    door.answer = answered
    principal = arguments(acme)["authorizer.decide"][0]["principal"]
    stores = MemoryPolicyStores()
    stores.stamp(acme, only(acme, all=PERMIT_ALL))
    # Each tenant's word is read every two seconds, whoever asks (ADR 0036).
    ports = replace(ports_of(door), policy_stores=stores, revocations=MemoryRevocations())
    operations = Operations(ports, TokenSettings(), policies=PolicySettings(sample=0))
    access = operations.access(
        principal,
        facts=RequestFacts(request_id="request-1", source_ip=None),
        declared=frozenset(Permission),
    )

    async def scenario() -> None:
        assert await operations.decisions.prepare(acme)
        await ask(operations, access)

    asyncio.run(scenario())
    # Leases of shared buckets are one in half a second, not of a request (ADR 0022).
    # So is what the audit asks beside its row: a person's key in ten minutes, a message in seconds.
    asked = [
        call
        for call in door.calls
        if "budget#" not in str(call.arguments.get("Key"))
        and call.operation != "SendMessage"
        and "--people" not in str(call.arguments)
    ]
    assert [call.operation for call in asked] == calls
    assert {call.service for call in door.calls} <= {
        "dynamodb",
        "iot-data",
        "sqs",
        "verifiedpermissions",
    }
