"""Machines made at run time in DynamoDB: a row each, and one by which its tokens are known.

Rows of the commands table, without any secret::

    thing                        sk             written by
    <tenant>--machines           <machine>      the service, the worker
    <tenant>--machine-clients    <client id>    the service
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from service.adapters.aws.client.failures import AwsRefusalError, asks
from service.adapters.aws.conditional_rows import ABSENT, at, put
from service.domain.machines import KEPT_SECONDS, USED_MS, Machine, MachineSecret, MachineState

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from service.adapters.aws.client.door import AwsDoor, Calls
    from service.domain.tenants import Tenant
    from service.settings import RecordSettings

_TABLE: Final = "the commands table"
_CONDITION: Final = "ConditionalCheckFailedException"


@dataclass(frozen=True, kw_only=True)
class DynamoMachines:
    """Answers ``ports.MachineRecords`` with the tenant's own session; every read is consistent."""

    aws: AwsDoor
    settings: RecordSettings
    clock: Callable[[], float] = time.time

    @asks(_TABLE)
    async def find(self, tenant: Tenant, machine_id: str) -> Machine | None:
        item = await self._get(tenant, _of_machines(tenant), machine_id)
        return None if item is None else _machine(tenant, item)

    @asks(_TABLE)
    async def following(
        self, tenant: Tenant, *, after: str | None, limit: int
    ) -> tuple[Machine, ...]:
        condition, values = "", {}
        if after is not None:
            condition, values = " AND sk > :after", {":after": {"S": after}}
        answer = await self._rows(tenant).call(
            "Query",
            TableName=self.settings.commands_table,
            KeyConditionExpression=f"thing = :own{condition}",
            ExpressionAttributeValues={":own": {"S": _of_machines(tenant)}, **values},
            ConsistentRead=True,
            Limit=limit,
        )
        return tuple(_machine(tenant, item) for item in answer["Items"])

    @asks(_TABLE)
    async def put(self, tenant: Tenant, machine: Machine) -> Machine | None:
        stored = replace(machine, version=machine.version + 1)
        item = machine_item(stored)
        if stored.state is MachineState.REVOKED:
            item["ttl"] = {"N": str(int(self.clock()) + KEPT_SECONDS)}
        condition = at("version", machine.version) if machine.version else ABSENT
        table = self.settings.commands_table
        return stored if await put(self._rows(tenant), table, item, **condition) else None

    @asks(_TABLE)
    async def admit(self, tenant: Tenant, client_id: str, machine_id: str) -> None:
        await self._rows(tenant).call(
            "PutItem",
            TableName=self.settings.commands_table,
            Item={**_key(_of_clients(tenant), client_id), "machine": {"S": machine_id}},
        )

    @asks(_TABLE)
    async def admitted(self, tenant: Tenant, client_id: str) -> str | None:
        item = await self._get(tenant, _of_clients(tenant), client_id)
        return None if item is None else item["machine"]["S"]

    @asks(_TABLE)
    async def used(self, tenant: Tenant, machine_id: str, *, at_ms: int) -> None:
        try:
            await self._rows(tenant).call(
                "UpdateItem",
                TableName=self.settings.commands_table,
                Key=_key(_of_machines(tenant), machine_id),
                UpdateExpression="SET last_used_at = :now",
                ConditionExpression="attribute_exists(sk) AND "
                "(attribute_not_exists(last_used_at) OR last_used_at < :before)",
                ExpressionAttributeValues={
                    ":now": {"N": str(at_ms)},
                    ":before": {"N": str(at_ms - USED_MS)},
                },
            )
        except AwsRefusalError as error:
            # Another process saw it a moment ago, or the row's time is over.
            if error.code != _CONDITION:
                raise

    async def _get(self, tenant: Tenant, partition: str, sk: str) -> dict[str, Any] | None:
        answer = await self._rows(tenant).call(
            "GetItem",
            TableName=self.settings.commands_table,
            Key=_key(partition, sk),
            ConsistentRead=True,
        )
        return answer.get("Item")

    def _rows(self, tenant: Tenant) -> Calls:
        return self.aws.tenant(tenant, "dynamodb")


def _of_machines(tenant: Tenant) -> str:
    return f"{tenant.id}--machines"


def _of_clients(tenant: Tenant) -> str:
    return f"{tenant.id}--machine-clients"


def _key(partition: str, sk: str) -> dict[str, Any]:
    return {"thing": {"S": partition}, "sk": {"S": sk}}


def machine_item(machine: Machine) -> dict[str, Any]:
    """The row of a machine."""
    item: dict[str, Any] = {
        **_key(f"{machine.tenant}--machines", machine.id),
        "description": {"S": machine.description},
        "scopes": {"L": [{"S": scope} for scope in machine.scopes]},
        "state": {"S": str(machine.state)},
        "secrets": {"L": [{"M": _secret_item(one)} for one in machine.secrets]},
        "created_by": {"S": machine.created_by},
        "created_at": {"N": str(machine.created_at)},
        "changed_at": {"N": str(machine.changed_at)},
        "version": {"N": str(machine.version)},
    }
    if machine.client_id is not None:
        item["client_id"] = {"S": machine.client_id}
    for name, instant in (
        ("adding_since", machine.adding_since),
        ("last_used_at", machine.last_used_at),
    ):
        if instant is not None:
            item[name] = {"N": str(instant)}
    return item


def _secret_item(secret: MachineSecret) -> dict[str, Any]:
    end = {} if secret.expires_at is None else {"expires_at": {"N": str(secret.expires_at)}}
    return {
        "id": {"S": secret.id},
        "created_by": {"S": secret.created_by},
        "created_at": {"N": str(secret.created_at)},
        "ending": {"BOOL": secret.ending},
        **end,
    }


def _machine(tenant: Tenant, item: Mapping[str, Any]) -> Machine:
    return Machine(
        tenant=tenant.id,
        id=item["sk"]["S"],
        description=item["description"]["S"],
        scopes=tuple(scope["S"] for scope in item["scopes"]["L"]),
        client_id=item["client_id"]["S"] if "client_id" in item else None,
        state=MachineState.of_row(item["state"]["S"]),
        secrets=tuple(_secret(one["M"]) for one in item["secrets"]["L"]),
        created_by=item["created_by"]["S"],
        created_at=int(item["created_at"]["N"]),
        changed_at=int(item["changed_at"]["N"]),
        adding_since=_instant(item, "adding_since"),
        last_used_at=_instant(item, "last_used_at"),
        version=int(item["version"]["N"]),
    )


def _secret(members: Mapping[str, Any]) -> MachineSecret:
    return MachineSecret(
        id=members["id"]["S"],
        created_by=members["created_by"]["S"],
        created_at=int(members["created_at"]["N"]),
        expires_at=_instant(members, "expires_at"),
        ending=members["ending"]["BOOL"],
    )


def _instant(members: Mapping[str, Any], name: str) -> int | None:
    return int(members[name]["N"]) if name in members else None
