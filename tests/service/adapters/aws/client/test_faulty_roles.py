"""STS is faulty for one tenant in every way: another's role is assumed, and it comes back.

The door speaks HTTP to the embedded cloud through a proxy that spoils the questions for one role.
"""

from __future__ import annotations

import asyncio
import json
import re
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import pytest
from structlog.testing import capture_logs

from service.adapters.aws.client.door import AwsDoor
from service.adapters.aws.client.failures import asks
from service.errors import UnavailableError, UpstreamError
from service.settings import AwsSettings
from tests.service.adapters.aws.client.faulty_cloud import FaultyCloud
from tests.service.adapters.aws.root_door import RootCredentials

if TYPE_CHECKING:
    from collections.abc import Callable

    from infra.local.cloud import EmbeddedCloud
    from service.domain.tenants import Tenant

FAULTS: Final = ("down", "hanging", "slow", "throttling", "garbage", "cut", "cut late")
_UNREADABLE: Final = {"garbage"}
AT_ONCE: Final = 10
BACK_SECONDS: Final = 20  # far more than the two that a failure is remembered for
_SECRET: Final = re.compile(rb"<SecretAccessKey>([^<]+)<")


@pytest.fixture(scope="module")
def table(embedded_cloud: EmbeddedCloud) -> str:
    """What the tenants' roles may read."""
    name = f"roles-{uuid.uuid4().hex}"
    embedded_cloud.client("dynamodb").create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "thing", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "thing", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    return name


@pytest.fixture(scope="module")
def tenant_with_role(embedded_cloud: EmbeddedCloud, table: str) -> Callable[[Tenant], Tenant]:
    """Gives a tenant a role of its own, which may read the table."""
    iam = embedded_cloud.client("iam")
    trust = {"AWS": f"arn:aws:iam::{embedded_cloud.account_id}:root"}

    def document(**statement: Any) -> str:
        told = {"Effect": "Allow", **statement}
        return json.dumps({"Version": "2012-10-17", "Statement": [told]})

    def make(like: Tenant) -> Tenant:
        name = f"role-{uuid.uuid4().hex}"
        role = iam.create_role(
            RoleName=name,
            AssumeRolePolicyDocument=document(Principal=trust, Action="sts:AssumeRole"),
        )["Role"]["Arn"]
        iam.put_role_policy(
            RoleName=name,
            PolicyName="read",
            PolicyDocument=document(Action="dynamodb:GetItem", Resource=f"*{table}"),
        )
        return replace(like, id=name, role_arn=role)

    return make


class Asking:
    """A door through the proxy, which assumes roles as the service does."""

    def __init__(self, cloud: EmbeddedCloud, url: str, table: str) -> None:
        settings = AwsSettings(
            region=cloud.region,
            endpoint_url=url,
            max_attempts=1,
            connect_seconds=1,
            read_seconds=8,
        )
        self.door = AwsDoor(settings, max_tenants=100, own=RootCredentials(cloud))
        self.table = table

    @asks("the part")
    async def ask(self, tenant: Tenant) -> Any:
        """The answer, or an error in our words."""
        return await self.door.tenant(tenant, "dynamodb").call(
            "GetItem", TableName=self.table, Key={"thing": {"S": "press-07"}}
        )

    async def back(self, tenant: Tenant, like: type[BaseException]) -> None:
        """Return once the tenant is served again; a failure is remembered for a moment."""
        async with asyncio.timeout(BACK_SECONDS):
            while True:
                try:
                    await self.ask(tenant)
                except like:
                    await asyncio.sleep(0.05)  # a breaker tells nobody that it closes
                else:
                    return


def test_a_faulty_sts_of_one_tenant_is_nobody_elses(
    embedded_cloud: EmbeddedCloud,
    table: str,
    tenant_with_role: Callable[[Tenant], Tenant],
    acme: Tenant,
) -> None:
    """Who waits for one role shares its failure; no secret of a broken answer is told anywhere."""

    async def case(fault: str) -> None:
        cloud = FaultyCloud(embedded_cloud)
        faulty, well = tenant_with_role(acme), tenant_with_role(acme)
        cloud.spoilt, cloud.fault = faulty.id.encode(), fault
        async with cloud.serving():
            asking = Asking(embedded_cloud, cloud.url, table)
            asked = [asyncio.ensure_future(asking.ask(faulty)) for _ in range(AT_ONCE)]
            for _ in range(3):
                await asking.ask(well)
            if fault == "slow":
                assert not any(one.done() for one in asked)
                cloud.released.set()
            answers = await asyncio.gather(*asked, return_exceptions=True)
            errors = [one for one in answers if isinstance(one, BaseException)]
            # An answer that nobody can read is AWS's (502), all else is for now (503).
            kinds = UpstreamError if fault in _UNREADABLE else UnavailableError
            assert {type(one) for one in errors} <= {kinds}, (fault, errors)
            assert len(errors) == (0 if fault == "slow" else AT_ONCE), (fault, answers)
            # One question for all of them, and its failure is theirs.
            assert cloud.met == 1, fault
            told.extend(repr(one) + repr(one.__context__) for one in errors)
            secrets.extend(key for one in cloud.cut_off for key in _SECRET.findall(one))
            cloud.fault = ""
            cloud.released.set()
            await asking.back(faulty, kinds)
            await asking.ask(well)
            await asking.door.close()

    async def scenario() -> None:
        async with asyncio.TaskGroup() as group:
            for fault in FAULTS:
                group.create_task(case(fault))

    told: list[str] = []
    secrets: list[bytes] = []
    with capture_logs() as logs:
        asyncio.run(scenario())
    assert len(secrets) == 2  # both cut answers had one
    assert not any(one.decode() in f"{told}{logs}" for one in secrets)
