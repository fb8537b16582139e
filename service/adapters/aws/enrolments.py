"""Registrations in DynamoDB: each a row beside the device's facts, changed by its version."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from service.adapters.aws.client.failures import asks
from service.adapters.aws.conditional_rows import ABSENT, at, put
from service.adapters.aws.devices import facts_item, partition_of, rows_of
from service.adapters.aws.enrolment_rows import enrolment_item
from service.domain.device_rows import Facts
from service.errors import UnavailableError

if TYPE_CHECKING:
    from service.adapters.aws.client.door import AwsDoor
    from service.domain.device_rows import DeviceRows
    from service.domain.devices import Device
    from service.domain.enrolments import Enrolment
    from service.domain.tenants import Tenant
    from service.settings import RecordSettings

_TABLE: Final = "the devices table"
_ROUNDS: Final = 8  # of one request, each overtaken by another's step


@dataclass(frozen=True, kw_only=True)
class DynamoEnrolments:
    """Answers ``ports.Enrolments`` with the tenant's own session; every read is consistent."""

    aws: AwsDoor
    settings: RecordSettings

    @asks(_TABLE)
    async def register(
        self, tenant: Tenant, device: Device, enrolment: Enrolment, *, by: str, now_ms: int
    ) -> bool:
        # The code first: cut off behind it, there is a code of no device, which lets nobody in.
        if not await self._put(tenant, enrolment_item(replace(enrolment, version=1)), **ABSENT):
            return False
        facts = Facts(
            attributes=device.attributes,
            groups=device.groups,
            tags=device.tags,
            version=1,
            origin=enrolment.registration,
            created_at=now_ms,
            changed_at=now_ms,
            changed_by=by,
        )
        if await self._put(tenant, facts_item(tenant, device, facts), **ABSENT):
            return True
        rows = await self._rows(tenant, device.id)
        # Fail closed: facts that cannot be read may be those of a device that is there.
        if rows.living is not None or rows.facts is None:
            return False
        after = facts._replace(version=rows.facts.version + 1)
        item = facts_item(tenant, device, after)
        return await self._put(tenant, item, **at("version", rows.facts.version))

    @asks(_TABLE)
    async def find(self, tenant: Tenant, device_id: str) -> Enrolment | None:
        rows = await self._rows(tenant, device_id)
        return None if rows.retired_at is not None else rows.enrolment

    @asks(_TABLE)
    async def retire(
        self, tenant: Tenant, device: Device, *, by: str, now_ms: int
    ) -> frozenset[str]:
        rows = await self._rows(tenant, device.id)
        if rows.retired_at is None:
            row = {"sk": {"S": f"{device.id}#retired#{device.origin}"}, "at": {"N": str(now_ms)}}
            facts = {} if rows.facts is None else facts_item(tenant, device, rows.facts)
            key = {"partition": {"S": partition_of(tenant)}}
            await self._put(tenant, {**facts, **key, **row, "by": {"S": by}}, **ABSENT)
        # Whoever is within an enrolment now has an earlier version, and looks again.
        for _ in range(_ROUNDS):
            rows = await self._rows(tenant, device.id)
            under_way = [one for one in rows.standing if one.enrolled_at is None]
            if all([await self.change(tenant, one) for one in under_way]):
                return frozenset(one.certificate_id for one in rows.standing if one.certificate_id)
        raise UnavailableError("the registration")

    async def _rows(self, tenant: Tenant, device_id: str) -> DeviceRows:
        items = await self.aws.tenant(tenant, "dynamodb").rows(
            "Query",
            TableName=self.settings.devices_table,
            KeyConditionExpression="#partition = :own AND begins_with(sk, :prefix)",
            ExpressionAttributeNames={"#partition": "partition"},
            ExpressionAttributeValues={
                ":own": {"S": partition_of(tenant)},
                ":prefix": {"S": f"{device_id}#"},
            },
            ConsistentRead=True,
        )
        return rows_of(items)

    @asks(_TABLE)
    async def change(self, tenant: Tenant, enrolment: Enrolment) -> Enrolment | None:
        changed = replace(enrolment, version=enrolment.version + 1)
        stored = await self._put(
            tenant, enrolment_item(changed), **at("version", enrolment.version)
        )
        return changed if stored else None

    async def _put(self, tenant: Tenant, item: dict[str, Any], **condition: Any) -> bool:
        """Whether the row is stored; ``False``: the condition does not hold."""
        calls = self.aws.tenant(tenant, "dynamodb")
        return await put(calls, self.settings.devices_table, item, **condition)
