"""What one more tenant costs the door: credentials and their keys, and no model of AWS."""

from __future__ import annotations

import asyncio
import gc
import resource
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from service.adapters.aws.client.door import AwsDoor
from service.adapters.aws.client.line import Line, Reply, Request
from service.adapters.aws.client.operations import AwsOperations
from tests.service.adapters.aws.answered_line import FixedCredentials, answered
from tests.service.adapters.aws.conftest import AWS

if TYPE_CHECKING:
    from service.domain.tenants import Tenant

TENANTS: Final = 500
# A thousand tenants may take 600 MB of a process (issue 13); the door's part is the smallest.
MOST_BYTES: Final = 10_000
ASKED: Final[tuple[tuple[str, str, dict[str, Any]], ...]] = (
    ("dynamodb", "GetItem", {"TableName": "t", "Key": {"k": {"S": "1"}}}),
    ("verifiedpermissions", "GetSchema", {"policyStoreId": "PS"}),
    ("iot-data", "GetConnection", {"clientId": "c"}),
)


def held_bytes() -> int:
    """What the process holds now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()


class Forgetful(Line):
    """Answers everything with nothing, and keeps nothing."""

    def __init__(self, role: Reply) -> None:
        self._role = role

    async def send(self, request: Request, *, seconds: float) -> Reply:
        """Credentials, or an empty answer."""
        del seconds
        if request.operation == "AssumeRole":
            return self._role
        return Reply(status=200, headers={}, body=b"{}")

    async def close(self) -> None:
        """Nothing is open."""


def test_each_of_500_tenants_takes_some_kilobytes(acme: Tenant) -> None:
    """All are active with several services; before, each had boto3's models to itself: 20.7 MB."""
    role = {
        "AccessKeyId": "ASIA" + "A" * 16,
        "SecretAccessKey": "s" * 40,
        "SessionToken": "t" * 1_000,
        "Expiration": "2099-01-01T00:00:00Z",
    }
    model = AwsOperations(AWS).find("sts", "AssumeRole").model
    line = Forgetful(answered(model, {"Credentials": role}))
    door = AwsDoor(AWS, max_tenants=1_000, line=line, own=FixedCredentials())

    async def ask(number: int) -> None:
        role_arn = f"arn:aws:iam::123456789012:role/t{number}"
        tenant = replace(acme, id=f"t{number}", role_arn=role_arn)
        for service, operation, parameters in ASKED:
            await door.tenant(tenant, service).call(operation, **parameters)

    async def scenario() -> int:
        await ask(TENANTS)  # the models
        gc.collect()
        before = held_bytes()
        for number in range(TENANTS):
            await ask(number)
        gc.collect()
        return held_bytes() - before

    taken = asyncio.run(scenario())
    assert taken / TENANTS < MOST_BYTES
    assert len(door.credentials) == TENANTS + 1
