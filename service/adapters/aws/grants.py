"""Grants in DynamoDB, and their policies in Verified Permissions.

Rows of the commands table::

    thing                    sk            written by
    <tenant>--grants         <grant id>    the service, then the worker
    <tenant>--revocations    #granted      both: what the store is to hold, and what ended
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final

from service.adapters.aws.client.failures import asks
from service.adapters.aws.conditional_rows import at, put
from service.adapters.aws.cursors import seal, token_of
from service.adapters.aws.idempotency import create_once
from service.adapters.aws.revocations import GRANTED, partition
from service.adapters.aws.run_time_policies import STORE, RunTimePolicy, find, remove
from service.domain.grants import KEPT_SECONDS, Grant, GrantPage, GrantState
from service.errors import ConflictError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.adapters.aws.client.door import AwsDoor, Calls
    from service.domain.idempotency import IdempotencyKey
    from service.domain.tenants import Tenant
    from service.settings import RecordSettings

_TABLE: Final = "the commands table"
_NUMBERS: Final = ("until", "given_at", "over_at", "revision")
_TEXTS: Final = tuple(
    one.name for one in fields(Grant) if one.name not in {*_NUMBERS, "tenant", "state"}
)
_FULL: Final = (
    "the tenant's policy store has no room for another grant there: policies that name one device"
    " or group may have 200,000 bytes together; revoke grants on it, or give one on the other"
)

_UNFIT: Final = (
    "the tenant's policy store does not take a policy of this template: the operator must bring its"
    " stack up again"
)


@dataclass(frozen=True, kw_only=True)
class DynamoGrantRecords:
    """Answers ``ports.GrantRecords`` with the tenant's own session; every read is consistent."""

    aws: AwsDoor
    settings: RecordSettings

    @asks(_TABLE)
    async def create(self, tenant: Tenant, record: Grant, key: IdempotencyKey | None) -> Grant:
        made = await create_once(
            self.aws.tenant(tenant, "dynamodb"),
            table=self.settings.commands_table,
            items=[_item(tenant, record)],
            made=record.grant_id,
            now_ms=record.given_at,
            key=key,
        )
        earlier = await self.read(tenant, made) if made != record.grant_id else None
        return earlier or record

    @asks(_TABLE)
    async def settle(self, tenant: Tenant, record: Grant) -> None:
        item = _item(tenant, record)
        item["revision"] = {"N": str(record.revision + 1)}
        calls = self.aws.tenant(tenant, "dynamodb")
        table = self.settings.commands_table
        if not await put(calls, table, item, **at("revision", record.revision)):
            words = f"grant `{record.grant_id}` was changed meanwhile; read it and try again"
            raise ConflictError(words)

    @asks(_TABLE)
    async def read(self, tenant: Tenant, grant_id: str) -> Grant | None:
        found = await self.aws.tenant(tenant, "dynamodb").call(
            "GetItem",
            TableName=self.settings.commands_table,
            Key=_key(tenant, grant_id),
            ConsistentRead=True,
        )
        item = found.get("Item")
        return None if item is None else _grant(tenant, item)

    @asks(_TABLE)
    async def page(self, tenant: Tenant, *, limit: int, cursor: str | None) -> GrantPage:
        scope = f"grants:{tenant.id}"
        after = None if cursor is None else token_of(scope, cursor)
        start = {} if after is None else {"ExclusiveStartKey": _key(tenant, after)}
        answer = await self.aws.tenant(tenant, "dynamodb").call(
            "Query",
            TableName=self.settings.commands_table,
            KeyConditionExpression="thing = :own",
            ExpressionAttributeValues={":own": _key(tenant, "")["thing"]},
            ScanIndexForward=False,
            Limit=limit,
            ConsistentRead=True,
            **start,
        )
        last = answer.get("LastEvaluatedKey")
        return GrantPage(
            grants=tuple(_grant(tenant, item) for item in answer["Items"]),
            cursor=seal(scope, last["sk"]["S"] if last else None),
        )


@dataclass(frozen=True, kw_only=True)
class VerifiedPermissionsGrants:
    """Answers ``ports.GrantedPolicies`` with the tenant's own session."""

    aws: AwsDoor
    settings: RecordSettings

    @asks(_TABLE)
    async def tell(self, tenant: Tenant, fingerprint: str) -> None:
        await self._told(tenant, "ADD policies :one", {":one": {"SS": [fingerprint]}})

    @asks(_TABLE)
    async def end(self, tenant: Tenant, fingerprint: str, policy_id: str | None) -> None:
        changes, values = "DELETE policies :one", {":one": {"SS": [fingerprint]}}
        if policy_id is not None:
            changes, values = f"{changes} ADD ended :id", {**values, ":id": {"SS": [policy_id]}}
        await self._told(tenant, changes, values)

    @asks(_TABLE)
    async def forget(self, tenant: Tenant, policy_id: str) -> None:
        await self._told(tenant, "DELETE ended :id", {":id": {"SS": [policy_id]}})

    async def _told(self, tenant: Tenant, changes: str, values: Mapping[str, Any]) -> None:
        await self.aws.tenant(tenant, "dynamodb").call(
            "UpdateItem",
            TableName=self.settings.commands_table,
            Key={"thing": {"S": partition(tenant)}, "sk": {"S": GRANTED}},
            UpdateExpression=changes,
            ExpressionAttributeValues=values,
        )

    @asks(STORE)
    async def put(self, tenant: Tenant, grant: Grant) -> str:
        policy = RunTimePolicy(
            id=grant.grant_id,
            name=_name(grant),
            statement=grant.statement,
            description=f"grant {grant.grant_id} of {grant.template}",
            full=_FULL,
            unfit=_UNFIT,
        )
        return await policy.put(self._store(tenant), tenant.policy_store_id)

    @asks(STORE)
    async def find(self, tenant: Tenant, grant: Grant) -> str | None:
        return await find(self._store(tenant), tenant.policy_store_id, _name(grant))

    @asks(STORE)
    async def remove(self, tenant: Tenant, grant: Grant) -> None:
        policy_id = grant.policy_id or _name(grant)
        await remove(self._store(tenant), tenant.policy_store_id, policy_id)

    def _store(self, tenant: Tenant) -> Calls:
        return self.aws.tenant(tenant, "verifiedpermissions")


def _name(grant: Grant) -> str:
    return f"name/grant-{grant.grant_id}"


def _key(tenant: Tenant, grant_id: str) -> dict[str, Any]:
    return {"thing": {"S": f"{tenant.id}--grants"}, "sk": {"S": grant_id}}


def _item(tenant: Tenant, record: Grant) -> dict[str, Any]:
    texts = {name: getattr(record, name) for name in _TEXTS} | {"state": str(record.state)}
    return {
        **_key(tenant, record.grant_id),
        **{name: {"S": text} for name, text in texts.items() if text is not None},
        **{name: {"N": str(getattr(record, name))} for name in _NUMBERS},
        "ttl": {"N": str(record.until // 1000 + KEPT_SECONDS)},
    }


def _grant(tenant: Tenant, item: Mapping[str, Any]) -> Grant:
    texts: dict[str, Any] = {name: item[name]["S"] for name in _TEXTS if name in item}
    numbers: dict[str, Any] = {name: int(item[name]["N"]) for name in _NUMBERS}
    return Grant(
        tenant=tenant.id,
        **{"device": None, "group": None, **texts},
        **numbers,
        state=GrantState.of_row(item["state"]["S"]),
    )
