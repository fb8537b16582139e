"""The composition root: the only place that sees both the operations and the AWS adapters."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from service.adapters.aws.artifacts import S3Artifacts
from service.adapters.aws.audit import DynamoAuditLog
from service.adapters.aws.authorizer import VerifiedPermissionsAuthorizer
from service.adapters.aws.broker import IotCommandBroker
from service.adapters.aws.client.calls import AwsCalls
from service.adapters.aws.client.sessions import AwsSessions
from service.adapters.aws.commands import DynamoCommandRecords
from service.adapters.aws.devices import IotDeviceRegistry, IotFleetIndex
from service.adapters.aws.downloads import DynamoDownloadRecords
from service.adapters.aws.groups import IotDeviceGroups
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

_DAY_SECONDS = 24 * 3600


def build(settings: Settings) -> Litestar:
    """The service on AWS, or on the embedded cloud if the settings give its endpoint."""
    calls = AwsCalls(
        threads=settings.aws_threads,
        max_waiting=settings.aws_max_waiting,
        deadline_seconds=settings.aws_deadline_seconds,
    )
    operations = Operations(
        aws_ports(settings, calls),
        token_max_bytes=settings.token_max_bytes,
        token_cache_seconds=settings.token_cache_seconds,
        token_cache_entries=settings.token_cache_entries,
    )
    return create_app(
        operations, body_max_bytes=settings.body_max_bytes, on_shutdown=(calls.close,)
    )


def aws_ports(settings: Settings, calls: AwsCalls) -> Ports:
    """Every port answered by AWS."""
    sessions = AwsSessions(
        region=settings.region,
        endpoint_url=settings.endpoint_url,
        connect_seconds=settings.aws_connect_seconds,
        read_seconds=settings.aws_read_seconds,
        max_attempts=settings.aws_max_attempts,
        connections=settings.aws_threads,
        max_tenants=settings.tenant_cache_entries,
    )
    registry = DynamoTenantRegistry(
        calls=calls, sessions=sessions, table=settings.tenants_table, region=settings.region
    )
    keep_seconds = settings.record_days * _DAY_SECONDS
    return Ports(
        tenants=CachedTenantRegistry(
            registry,
            seconds=settings.tenant_cache_seconds,
            unknown_seconds=settings.unknown_tenant_cache_seconds,
            max_entries=settings.tenant_cache_entries,
            max_strangers=max(1, settings.aws_threads // 4),
        ),
        signing_keys=JwksKeys(
            calls=calls,
            url_template=settings.jwks_url_template,
            seconds=settings.jwks_cache_seconds,
            again_seconds=settings.jwks_again_seconds,
            timeout_seconds=settings.aws_connect_seconds,
        ),
        authorizer=VerifiedPermissionsAuthorizer(calls=calls, sessions=sessions),
        devices=IotDeviceRegistry(calls=calls, sessions=sessions),
        fleet_index=IotFleetIndex(calls=calls, sessions=sessions),
        groups=IotDeviceGroups(calls=calls, sessions=sessions),
        command_records=DynamoCommandRecords(
            calls=calls, sessions=sessions, table=settings.commands_table, keep_seconds=keep_seconds
        ),
        broker=IotCommandBroker(calls=calls, sessions=sessions),
        artifacts=S3Artifacts(calls=calls, sessions=sessions),
        download_records=DynamoDownloadRecords(
            calls=calls, sessions=sessions, table=settings.commands_table, keep_seconds=keep_seconds
        ),
        download_jobs=IotDownloadJobs(
            calls=calls,
            sessions=sessions,
            url_ttl_seconds=settings.url_ttl_seconds,
            device_timeout_minutes=settings.device_timeout_minutes,
            devices_per_minute=settings.devices_per_minute,
        ),
        audit=DynamoAuditLog(
            calls=calls,
            sessions=sessions,
            table=settings.audit_table,
            keep_seconds=settings.audit_days * _DAY_SECONDS,
        ),
        clock=lambda: datetime.now(UTC),
    )
