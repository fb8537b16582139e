"""The audit trail is added to and never written over."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import pytest

from service.adapters.aws.audit import DynamoAuditLog
from service.adapters.aws.client.calls import AwsCalls
from service.cedar.decision import Allowed
from service.domain.audit import AuditRecord
from service.domain.permissions import Permission
from service.errors import UpstreamError
from service.settings import AwsSettings, RecordSettings

if TYPE_CHECKING:
    from infra.local.cloud import EmbeddedCloud
    from service.adapters.aws.client.sessions import AwsSessions
    from service.domain.tenants import Tenant

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


class Root:
    """Sessions that are the account's own."""

    def __init__(self, cloud: EmbeddedCloud) -> None:
        self._cloud = cloud

    def tenant(self, _tenant: Tenant, service: str) -> Any:
        """A client of the root."""
        return self._cloud.client(service)


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
    calls = AwsCalls(
        AwsSettings(region="eu-central-1", threads=1, max_waiting=1, deadline_seconds=10)
    )
    sessions = cast("AwsSessions", Root(embedded_cloud))
    log, tenant = (
        DynamoAuditLog(calls=calls, sessions=sessions, settings=RecordSettings(audit_table=table)),
        cast("Tenant", None),
    )
    asyncio.run(log.write(tenant, RECORD))
    asyncio.run(log.write(tenant, RECORD))
    with pytest.raises(UpstreamError, match="the audit trail refused the call"):
        asyncio.run(log.write(tenant, replace(RECORD, principal="somebody else")))
    [row] = client.scan(TableName=table)["Items"]
    assert row["principal"] == {"S": "somebody"}
    calls.close()
