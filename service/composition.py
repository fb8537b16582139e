"""Settings -> adapters -> operations: the only place that sees both sides of the ports."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from service.adapters.aws.artifacts import S3Artifacts
from service.adapters.aws.audit import DynamoAuditLog
from service.adapters.aws.authorizer import VerifiedPermissionsAuthorizer
from service.adapters.aws.broker import IotCommandBroker
from service.adapters.aws.budgets import DynamoBuckets
from service.adapters.aws.client.calls import AwsCalls
from service.adapters.aws.client.sessions import AwsSessions
from service.adapters.aws.commands import DynamoCommandRecords
from service.adapters.aws.connections import IotConnections
from service.adapters.aws.devices import DynamoDeviceFacts
from service.adapters.aws.downloads import DynamoDownloadRecords
from service.adapters.aws.jobs import IotDownloadJobs
from service.adapters.aws.signing_keys import JwksKeys
from service.adapters.aws.tenants import DynamoTenantRegistry
from service.adapters.cache.tenants import CachedTenantRegistry
from service.api.app import create_app
from service.operations.operations import Operations
from service.ports import Ports

if TYPE_CHECKING:
    from litestar import Litestar

    from service.settings import Settings


def build(settings: Settings) -> Litestar:
    """The service on AWS, or on the embedded cloud if the settings give its endpoint."""
    calls = AwsCalls(settings.aws)
    sessions = AwsSessions(settings.aws, max_tenants=settings.tenants.cache_entries)
    direct = direct_calls(settings)
    operations = Operations(aws_ports(settings, calls, direct, sessions), settings.tokens)
    return create_app(operations, settings.http, on_shutdown=(calls.close, direct.close))


def direct_calls(settings: Settings) -> AwsCalls:
    """Threads of their own for calls that wait for a device: none of them waits for a thread."""
    return AwsCalls(replace(settings.aws, threads=settings.direct.at_once, max_waiting=0))


def aws_ports(
    settings: Settings, calls: AwsCalls, direct: AwsCalls, sessions: AwsSessions
) -> Ports:
    """Every port answered by AWS."""
    aws, records = settings.aws, settings.records
    registry = DynamoTenantRegistry(
        calls=calls, sessions=sessions, table=settings.tenants.table, region=aws.region
    )
    return Ports(
        tenants=CachedTenantRegistry(
            registry,
            settings.tenants,
            max_unknown=max(1, aws.threads // 4),
        ),
        signing_keys=JwksKeys(settings.jwks, calls=calls, timeout_seconds=aws.connect_seconds),
        authorizer=VerifiedPermissionsAuthorizer(calls=calls, sessions=sessions),
        audit=DynamoAuditLog(calls=calls, sessions=sessions, settings=records),
        buckets=DynamoBuckets(calls=calls, sessions=sessions, settings=records),
        devices=DynamoDeviceFacts(calls=calls, sessions=sessions, settings=records),
        connections=IotConnections(calls=calls, sessions=sessions),
        command_records=DynamoCommandRecords(calls=calls, sessions=sessions, settings=records),
        broker=IotCommandBroker(
            calls=calls, direct_calls=direct, sessions=sessions, settings=settings.direct
        ),
        artifacts=S3Artifacts(calls=calls, sessions=sessions),
        download_records=DynamoDownloadRecords(calls=calls, sessions=sessions, settings=records),
        download_jobs=IotDownloadJobs(calls=calls, sessions=sessions, settings=settings.jobs),
        clock=lambda: datetime.now(UTC),
    )
