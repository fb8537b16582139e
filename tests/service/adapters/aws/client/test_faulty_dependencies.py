"""One tenant's dependency is faulty in every way; another tenant's answers stay, and it comes back.

The door speaks HTTP to the embedded cloud through a proxy that spoils the requests of one tenant.
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import pytest

from service.adapters.aws.client.breaker import MOST_SECONDS
from service.adapters.aws.client.door import AwsDoor
from service.adapters.aws.client.failures import asks
from service.adapters.aws.client.lanes import Lanes
from service.errors import UnavailableError, UpstreamError
from service.settings import AwsSettings
from tests.service.adapters.aws.client.clock import Seconds
from tests.service.adapters.aws.client.faulty_cloud import FaultyCloud
from tests.service.adapters.aws.root_door import RootCredentials

if TYPE_CHECKING:
    from infra.local.cloud import EmbeddedCloud
    from service.adapters.aws.client.signing import AwsCredentials
    from service.domain.tenants import Tenant

FAULTS: Final = ("down", "hanging", "slow", "throttling", "garbage", "cut")
AT_ONCE: Final = 5
PATIENCE_SECONDS: Final = 0.1


class TenantDoor(AwsDoor):
    """The door of a service whose tenants' roles are all the root."""

    root: RootCredentials

    async def _assume(self, tenant: Tenant) -> AwsCredentials:
        del tenant
        return replace(await self.root.get(), expires_at=time.time() + 3600)


@pytest.fixture(scope="module")
def dependencies(embedded_cloud: EmbeddedCloud) -> dict[str, tuple[str, dict[str, Any]]]:
    """An operation and its parameters for each, in which `TENANT` stands for the tenant."""
    name = f"faults-{uuid.uuid4().hex}"
    embedded_cloud.client("dynamodb").create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "thing", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "thing", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    s3 = embedded_cloud.client("s3")
    s3.create_bucket(
        Bucket=name, CreateBucketConfiguration={"LocationConstraint": embedded_cloud.region}
    )
    for tenant in ("acme", "globex"):
        s3.put_object(Bucket=name, Key=f"{tenant}/recipe.json", Body=b"{}")
    store = embedded_cloud.client("verifiedpermissions").create_policy_store(
        validationSettings={"mode": "OFF"}
    )["policyStoreId"]
    entity = {"entityType": "Fleet::User", "entityId": "TENANT|ann"}
    return {
        "dynamodb": ("GetItem", {"TableName": name, "Key": {"thing": {"S": "TENANT--press-07"}}}),
        "s3": ("HeadObject", {"Bucket": name, "Key": "TENANT/recipe.json"}),
        "iot-data": ("Publish", {"topic": "cedarfleet/TENANT--press-07", "qos": 1}),
        "verifiedpermissions": (
            "IsAuthorized",
            {
                "policyStoreId": store,
                "principal": entity,
                "action": {"actionType": "Fleet::Action", "actionId": "ViewDevice"},
                "resource": {"entityType": "Fleet::Device", "entityId": "TENANT--press-07"},
            },
        ),
    }


class Asking:
    """A door through the proxy, and one call of each dependency."""

    def __init__(
        self,
        cloud: EmbeddedCloud,
        url: str,
        dependencies: dict[str, tuple[str, dict[str, Any]]],
        tenant: Tenant,
    ) -> None:
        settings = AwsSettings(
            region=cloud.region,
            endpoint_url=url,
            max_attempts=1,
            connect_seconds=0.5,
            calls_at_once=3 * AT_ONCE,
            tenant_calls=AT_ONCE,
            tenant_calls_of_each=AT_ONCE,
        )
        self.clock = Seconds()
        self.door = TenantDoor(settings, max_tenants=100, lanes=Lanes(settings, clock=self.clock))
        self.door.root = RootCredentials(cloud)
        self.dependencies = dependencies
        self.tenant = tenant

    @asks("the part")
    async def ask(self, service: str, tenant: str, *, patience: float | None = None) -> Any:
        """The answer, or an error in our words."""
        operation, parameters = self.dependencies[service]
        asked = json.loads(json.dumps(parameters).replace("TENANT", tenant.partition("-")[0]))
        if service == "iot-data":
            asked["payload"] = b"{}"
        # A tenant of its own for each case: what is cut off in one is not in the next.
        whose = replace(self.tenant, id=tenant, role_arn=f"{self.tenant.role_arn}-{tenant}")
        calls = self.door.tenant(whose, service, patience_seconds=patience)
        return await calls.call(operation, **asked)


def test_one_tenants_faulty_dependency_is_nobody_elses(
    embedded_cloud: EmbeddedCloud,
    dependencies: dict[str, tuple[str, dict[str, Any]]],
    acme: Tenant,
) -> None:
    """Down, hanging, slow, throttling, garbage or cut: another's calls are answered meanwhile.

    The tenant itself is told 502 or 503, and served again once the dependency is well.
    """

    async def case(cloud: FaultyCloud, asking: Asking, service: str, fault: str) -> None:
        tenant = f"acme-{service}-{fault}"
        cloud.fault, cloud.released = fault, asyncio.Event()
        patience = PATIENCE_SECONDS if fault == "hanging" else None
        asked = [
            asyncio.ensure_future(asking.ask(service, tenant, patience=patience))
            for _ in range(2 * AT_ONCE)
        ]
        for _ in range(3):
            await asking.ask(service, "globex")
        if fault == "slow":
            assert not any(task.done() for task in asked)
            cloud.released.set()
        answers = await asyncio.gather(*asked, return_exceptions=True)
        errors = [one for one in answers if isinstance(one, BaseException)]
        assert {type(one) for one in errors} <= {UpstreamError, UnavailableError}, (fault, errors)
        # The answer to a HEAD has no body: its adapter sees what is missing.
        is_well = fault == "slow" or (service, fault) == ("s3", "garbage")
        assert len(errors) == (0 if is_well else len(answers)), (service, fault, answers)
        is_cut_off = tenant in {owner for owner, _ in asking.door._lanes.cut_off}
        # S3 throttles a HEAD without a code: nobody can tell it from a fault.
        is_silent = (fault in {"down", "hanging", "cut", "garbage"} and not is_well) or (
            service,
            fault,
        ) == ("s3", "throttling")
        assert is_cut_off is is_silent, (service, fault, errors)
        cloud.fault = ""
        cloud.released.set()
        asking.clock.at += MOST_SECONDS
        await asking.ask(service, tenant)
        await asking.ask(service, "globex")

    async def scenario() -> None:
        cloud = FaultyCloud(embedded_cloud)
        cloud.spoilt = b"acme"
        async with cloud.serving():
            asking = Asking(embedded_cloud, cloud.url, dependencies, acme)
            for service in dependencies:
                for fault in FAULTS:
                    await case(cloud, asking, service, fault)
            await asking.door.close()

    asyncio.run(scenario())
