"""Plans of rollouts: rows of the commands table, of one plan in one partition.

::

    thing                sk       written by
    <tenant>--plan#<id>  record   the service: the plan
    <tenant>--plan#<id>  part#07  the service: what it says of 100 devices
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from cedarfleet_device.wire import Signed

from service.adapters.aws.client.failures import asks
from service.adapters.aws.cursors import seal, token_of
from service.domain.artifacts import Artifact
from service.domain.device_filter import DeviceFilter
from service.domain.downloads import TargetKind
from service.domain.plans import Plan, PlannedDevice, PlannedPage, Verdict
from service.domain.rollouts import Reach, Shape
from service.domain.selections import Selection
from service.errors import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from service.adapters.aws.client.door import AwsDoor
    from service.domain.tenants import Tenant
    from service.settings import RecordSettings

_TABLE: Final = "the commands table"
_PART: Final = 100  # devices of one row
# Of one transaction, which may have 100 (source: DynamoDB API reference, TransactWriteItems). A
# partition takes 1,000 write units a second, a row of 100 long names 14 in a transaction.
_ROWS_AT_ONCE: Final = 25


@dataclass(frozen=True, kw_only=True)
class DynamoPlans:
    """Answers ``ports.Plans`` with the tenant's own session; every read is consistent."""

    aws: AwsDoor
    settings: RecordSettings

    @asks(_TABLE)
    async def store(self, tenant: Tenant, plan: Plan, devices: Sequence[PlannedDevice]) -> None:
        items = plan_items(tenant, plan, devices)
        table = self.aws.tenant(tenant, "dynamodb")
        for start in range(0, len(items), _ROWS_AT_ONCE):
            await table.call(
                "TransactWriteItems",
                TransactItems=[
                    {"Put": {"TableName": self.settings.commands_table, "Item": item}}
                    for item in items[start : start + _ROWS_AT_ONCE]
                ],
            )

    @asks(_TABLE)
    async def read(self, tenant: Tenant, plan_id: str) -> Plan | None:
        item = await self._item(tenant, plan_id, "record")
        return None if item is None else _plan(tenant, json.loads(item["plan"]["S"]))

    @asks(_TABLE)
    async def page(
        self, tenant: Tenant, plan: Plan, *, limit: int, cursor: str | None
    ) -> PlannedPage:
        scope = f"plan:{tenant.id}:{plan.plan_id}"
        token = "0" if cursor is None else token_of(scope, cursor)
        if not token.isdecimal():
            raise InvalidRequestError("cursor", "must be the `cursor` of an earlier page")
        start, count = int(token[:9]), sum(plan.counts.values())
        shown: list[PlannedDevice] = []
        at = start
        while len(shown) < limit and at < count:
            item = await self._item(tenant, plan.plan_id, _part(at // _PART))
            if item is None:
                break
            some = _decoded(item["devices"]["S"])[at % _PART :][: limit - len(shown)]
            shown += some
            at += len(some)
        return PlannedPage(
            devices=tuple(shown), cursor=seal(scope, str(at) if at < count else None)
        )

    @asks(_TABLE)
    async def devices(self, tenant: Tenant, plan: Plan) -> Sequence[PlannedDevice]:
        rows = await self.aws.tenant(tenant, "dynamodb").rows(
            "Query",
            TableName=self.settings.commands_table,
            KeyConditionExpression="thing = :thing AND begins_with(sk, :prefix)",
            ExpressionAttributeValues={
                ":thing": _key(tenant, plan.plan_id, "")["thing"],
                ":prefix": {"S": "part#"},
            },
            ConsistentRead=True,
        )
        return [device for row in rows for device in _decoded(row["devices"]["S"])]

    async def _item(self, tenant: Tenant, plan_id: str, sk: str) -> Mapping[str, Any] | None:
        found = await self.aws.tenant(tenant, "dynamodb").call(
            "GetItem",
            TableName=self.settings.commands_table,
            Key=_key(tenant, plan_id, sk),
            ConsistentRead=True,
        )
        return found.get("Item")


def plan_items(
    tenant: Tenant, plan: Plan, devices: Sequence[PlannedDevice]
) -> list[dict[str, Any]]:
    """The rows of a plan."""
    ttl = {"ttl": {"N": str(plan.expires_at // 1000)}}
    parts = [devices[start : start + _PART] for start in range(0, len(devices), _PART)]
    return [
        *(
            {**_key(tenant, plan.plan_id, _part(number)), "devices": {"S": _encoded(some)}, **ttl}
            for number, some in enumerate(parts)
        ),
        # Last of all, since it says that they are all there.
        {**_key(tenant, plan.plan_id, "record"), "plan": {"S": _plan_text(plan)}, **ttl},
    ]


def _key(tenant: Tenant, plan_id: str, sk: str) -> dict[str, Any]:
    return {"thing": {"S": f"{tenant.id}--plan#{plan_id}"}, "sk": {"S": sk}}


def _part(number: int) -> str:
    return f"part#{number:02}"


def _encoded(devices: Sequence[PlannedDevice]) -> str:
    """Devices in short: most of them are decided by the same policies."""
    said = [(str(one.verdict), list(one.policies), one.reason, one.hidden) for one in devices]
    known = [*{json.dumps(one): one for one in said}.values()]
    return json.dumps(
        {
            "said": known,
            "devices": [
                [one.id, one.origin, known.index(words)]
                for one, words in zip(devices, said, strict=True)
            ],
        }
    )


def _decoded(text: str) -> list[PlannedDevice]:
    found = json.loads(text)
    said = [
        {
            "verdict": Verdict(verdict),
            "policies": tuple(policies),
            "reason": reason,
            "hidden": hidden,
        }
        for verdict, policies, reason, hidden in found["said"]
    ]
    return [
        PlannedDevice(id=name, origin=origin, **said[number])
        for name, origin, number in found["devices"]
    ]


def _plan_text(plan: Plan) -> str:
    known = {**asdict(plan), "shape": plan.shape.encode()}
    # A service of the release before knows no `selection`, and reads what has none.
    if plan.selection is None:
        del known["selection"]
    return json.dumps(known)


def _selection(found: Mapping[str, Any]) -> Selection:
    wanted = found["wanted"]
    return Selection(
        group=found["group"],
        wanted=DeviceFilter(**wanted) if wanted else None,
        devices=tuple(found["devices"]),
    )


def _plan(tenant: Tenant, found: dict[str, Any]) -> Plan:
    artifact: dict[str, Any] = found["artifact"]
    manifest = artifact["manifest"]
    selected = found.get("selection")
    artifact["manifest"] = Signed.of(manifest) if manifest else None
    read: dict[str, Any] = {
        "tenant": tenant.id,
        "target_kind": TargetKind(found["target_kind"]),
        "artifact": Artifact(**artifact),
        "shape": Shape.decode(found["shape"]),
        "reach": Reach(**found["reach"]),
        "selection": _selection(selected) if selected else None,
        "counts": {Verdict(one): count for one, count in found["counts"].items()},
    }
    return Plan(**{**found, **read})
