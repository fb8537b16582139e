"""Freezes in DynamoDB, and their policies in Verified Permissions.

Rows of the commands table::

    thing                sk         written by
    <tenant>--freezes    <group>    the service
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from service.adapters.aws.client.failures import asks
from service.adapters.aws.conditional_rows import ABSENT, at, put
from service.adapters.aws.run_time_policies import STORE, RunTimePolicy, remove
from service.domain.freezes import KEPT_SECONDS, Freeze, FreezeState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.adapters.aws.client.door import AwsDoor, Calls
    from service.domain.tenants import Tenant
    from service.settings import RecordSettings

_TABLE: Final = "the commands table"
_TEXTS: Final = ("freeze_id", "by", "reason", "policy_id", "over_by")
_NUMBERS: Final = ("at", "over_at", "version")
_FULL: Final = (
    "the tenant's policy store has no room for a freeze there: policies that name one group may"
    " have 200,000 bytes together; revoke grants on it, or freeze a group that it lies in"
)
_UNFIT: Final = (
    "the tenant's policy store does not know of freezes: the operator must bring its stack up again"
)


@dataclass(frozen=True, kw_only=True)
class DynamoFreezes:
    """Answers ``ports.FreezeRecords`` with the tenant's own session; every read is consistent."""

    aws: AwsDoor
    settings: RecordSettings

    @asks(_TABLE)
    async def read(self, tenant: Tenant, group: str) -> Freeze | None:
        found = await self.aws.tenant(tenant, "dynamodb").call(
            "GetItem",
            TableName=self.settings.commands_table,
            Key=_key(tenant, group),
            ConsistentRead=True,
        )
        item = found.get("Item")
        return None if item is None else _freeze(tenant, item)

    @asks(_TABLE)
    async def put(self, tenant: Tenant, freeze: Freeze) -> Freeze | None:
        stored = replace(freeze, version=freeze.version + 1)
        item = {
            **_key(tenant, freeze.group),
            "state": {"S": str(stored.state)},
            **{name: {"S": getattr(stored, name)} for name in _TEXTS},
            **{name: {"N": str(getattr(stored, name))} for name in _NUMBERS},
        }
        # What stands is kept for as long as it does.
        if stored.state is FreezeState.THAWED:
            item["ttl"] = {"N": str(stored.over_at // 1000 + KEPT_SECONDS)}
        condition = at("version", freeze.version) if freeze.version else ABSENT
        calls, table = self.aws.tenant(tenant, "dynamodb"), self.settings.commands_table
        return stored if await put(calls, table, item, **condition) else None


@dataclass(frozen=True, kw_only=True)
class VerifiedPermissionsFreezes:
    """Answers ``ports.FreezePolicies`` with the tenant's own session."""

    aws: AwsDoor

    @asks(STORE)
    async def put(self, tenant: Tenant, freeze: Freeze) -> str:
        policy = RunTimePolicy(
            id=freeze.freeze_id,
            name=_name(freeze),
            statement=freeze.statement,
            description=f"freeze {freeze.freeze_id} of {freeze.group}",
            full=_FULL,
            unfit=_UNFIT,
        )
        return await policy.put(self._store(tenant), tenant.policy_store_id)

    @asks(STORE)
    async def remove(self, tenant: Tenant, freeze: Freeze) -> None:
        policy_id = freeze.policy_id or _name(freeze)
        await remove(self._store(tenant), tenant.policy_store_id, policy_id)

    def _store(self, tenant: Tenant) -> Calls:
        return self.aws.tenant(tenant, "verifiedpermissions")


def _name(freeze: Freeze) -> str:
    return f"name/freeze-{freeze.freeze_id}"


def _key(tenant: Tenant, group: str) -> dict[str, Any]:
    return {"thing": {"S": f"{tenant.id}--freezes"}, "sk": {"S": group}}


def _freeze(tenant: Tenant, item: Mapping[str, Any]) -> Freeze:
    texts: dict[str, Any] = {name: item[name]["S"] for name in _TEXTS}
    numbers: dict[str, Any] = {name: int(item[name]["N"]) for name in _NUMBERS}
    return Freeze(
        tenant=tenant.id,
        group=item["sk"]["S"],
        state=FreezeState(item["state"]["S"]),
        **texts,
        **numbers,
    )
