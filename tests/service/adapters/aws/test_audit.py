"""The audit trail is added to and never written over."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import pytest

from service.adapters.aws.audit import DynamoAuditLog
from service.cedar.decision import Allowed, Evaluation
from service.domain.audit import AuditRecord
from service.domain.permissions import Permission
from service.errors import UpstreamError
from service.settings import RecordSettings
from tests.service.adapters.aws.answered_line import Refusal
from tests.service.adapters.aws.root_door import RootDoor

if TYPE_CHECKING:
    from infra.local.cloud import EmbeddedCloud
    from service.cedar.decision import Decision
    from service.domain.tenants import Tenant
    from tests.service.adapters.aws.answered_line import AnsweredDoor

RECORD = AuditRecord(
    audit_id="01JD0000000000000000000000",
    at=1_790_000_000_000,
    tenant="acme",
    principal="somebody",
    action=Permission.OPERATE_DEVICE,
    resource='Fleet::Device::"press-07"',
    decision=Allowed(policies=("managers-everything",)),
    request_id="request-1",
    source_ip=None,
)


def test_a_record_is_never_written_over(embedded_cloud: EmbeddedCloud) -> None:
    """The same record again is a put repeated, and fine; another under its key is refused."""
    table, client = "audit-once", embedded_cloud.client("dynamodb")
    client.create_table(
        TableName=table,
        KeySchema=[
            {"AttributeName": "partition", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[
            {"AttributeName": "partition", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "S"},
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    log, tenant = (
        DynamoAuditLog(aws=RootDoor(embedded_cloud), settings=RecordSettings(audit_table=table)),
        cast("Tenant", None),
    )
    asyncio.run(log.write(tenant, RECORD))
    asyncio.run(log.write(tenant, RECORD))
    with pytest.raises(UpstreamError, match="the audit trail refused the call"):
        asyncio.run(log.write(tenant, replace(RECORD, principal="somebody else")))
    [row] = client.scan(TableName=table)["Items"]
    assert row["principal"] == {"S": "somebody"}


@pytest.mark.parametrize(
    ("decision", "said"),
    [
        (Allowed(policies=("yes", "also")), ("ALLOW", "")),
        (Evaluation(engine_allows=False).decision, ("DENY", "not_permitted")),
        (Evaluation(engine_allows=False, policies=("no",)).decision, ("DENY", "forbidden")),
    ],
)
def test_a_record_says_who_asked_and_what_was_decided(
    acme: Tenant,
    door: AnsweredDoor,
    decision: Decision,
    said: tuple[str, str],
) -> None:
    """In the partition of the tenant's day, until it ends by itself; what is unknown is empty."""
    settings = RecordSettings(audit_table="trail", audit_days=2)
    record = replace(RECORD, decision=decision, source_ip="203.0.113.9", subject="reboot")
    asyncio.run(DynamoAuditLog(aws=door, settings=settings).write(acme, record))
    [call] = door.calls
    assert call.arguments["TableName"] == "trail"
    item = call.arguments["Item"]
    assert item["partition"] == {"S": "acme--audit#2026-09-21"}
    assert (item["decision"]["S"], item["reason"]["S"]) == said
    assert item["policies"] == {"L": [{"S": name} for name in decision.policies]}
    assert item["at"] == {"N": "1790000000000"}
    assert item["ttl"] == {"N": str(1_790_000_000 + 2 * 86_400)}
    assert (item["source_ip"], item["subject"]) == ({"S": "203.0.113.9"}, {"S": "reboot"})
    assert item["emergency_reason"] == {"S": ""}


def test_a_repeated_put_is_told_from_a_record_in_the_way(acme: Tenant, door: AnsweredDoor) -> None:
    """By the row that AWS shows with its refusal: the same is fine, another or none is not."""
    log = DynamoAuditLog(aws=door, settings=RecordSettings())
    asyncio.run(log.write(acme, RECORD))
    item = door.calls[0].arguments["Item"]
    for code, members, fine in (
        ("ConditionalCheckFailedException", {"Item": item}, True),
        ("ConditionalCheckFailedException", {"Item": item | {"at": {"N": "1"}}}, False),
        ("ConditionalCheckFailedException", {}, False),
        ("AccessDeniedException", {"Item": item}, False),
    ):
        refusal = Refusal(code, 400, members)
        door.answer = lambda _, refusal=refusal: refusal
        if fine:
            asyncio.run(log.write(acme, RECORD))
        else:
            with pytest.raises(UpstreamError):
                asyncio.run(log.write(acme, RECORD))
