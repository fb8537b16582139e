"""Settings -> adapters -> operations: the only place that sees both sides of the ports."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from service.adapters.aws.amazon_roots import amazon_roots
from service.adapters.aws.artifacts import S3Artifacts
from service.adapters.aws.audit import DynamoAuditTrail, DynamoPersonKeys
from service.adapters.aws.audit_chain import DynamoAuditChain, KmsAuditSigner
from service.adapters.aws.authorizer import VerifiedPermissionsAuthorizer
from service.adapters.aws.broker import IotCommandBroker
from service.adapters.aws.budgets import DynamoBuckets
from service.adapters.aws.campaigns import DynamoCampaignBatches, DynamoCampaignRecords
from service.adapters.aws.client.calls import AwsCalls
from service.adapters.aws.client.door import AwsDoor
from service.adapters.aws.client.line import authorities
from service.adapters.aws.client.traced_door import TracedDoor
from service.adapters.aws.command_lists import DynamoListedCommands
from service.adapters.aws.command_types import DynamoCommandTypes
from service.adapters.aws.commands import DynamoCommandRecords
from service.adapters.aws.connections import IotConnections
from service.adapters.aws.deliveries import DynamoDeliveries
from service.adapters.aws.device_logs import S3DeviceLogs
from service.adapters.aws.device_state import ShadowDeviceStates
from service.adapters.aws.devices import DynamoDeviceFacts
from service.adapters.aws.downloads import DynamoDownloadRecords
from service.adapters.aws.enrolments import DynamoEnrolments
from service.adapters.aws.events import DynamoEventLog
from service.adapters.aws.file_objects import S3FileObjects
from service.adapters.aws.files import DynamoFileRecords
from service.adapters.aws.freezes import DynamoFreezes, VerifiedPermissionsFreezes
from service.adapters.aws.grants import DynamoGrantRecords, VerifiedPermissionsGrants
from service.adapters.aws.groups import DynamoGroups
from service.adapters.aws.isolation import AwsIsolationProbes
from service.adapters.aws.jobs import IotDownloadJobs
from service.adapters.aws.machine_clients import CognitoMachineClients
from service.adapters.aws.machines import DynamoMachines
from service.adapters.aws.materials import DynamoBillsOfMaterials
from service.adapters.aws.people import CognitoPeople
from service.adapters.aws.plans import DynamoPlans
from service.adapters.aws.policies import VerifiedPermissionsPolicies
from service.adapters.aws.revocations import DynamoRevocations
from service.adapters.aws.signing_keys import JwksKeys
from service.adapters.aws.telemetry import DynamoTelemetry
from service.adapters.aws.tenants import DynamoTenantRegistry
from service.adapters.aws.things import IotThings
from service.adapters.aws.timers import SchedulerTimers
from service.adapters.aws.usage import DynamoUsageDays, EventBridgeUsageEvents
from service.adapters.aws.wanted_versions import DynamoRunningVersions, DynamoWantedVersions
from service.adapters.aws.webhooks import DynamoWebhooks, KmsWebhookSecrets
from service.adapters.aws.work import SqsWorkQueue
from service.adapters.cache.tenants import CachedTenantRegistry
from service.adapters.webhooks.sender import PublicSender
from service.domain.enrolments import DeviceEndpoint
from service.domain.instants import now_in_utc
from service.errors import ConfigurationError
from service.operations.isolation_canary import IsolationCanary
from service.operations.operations import Operations
from service.ports import Ports
from service.ports.metrics import UNMEASURED
from service.ports.traces import UNTRACED

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from litestar import Litestar

    from service.operations.worker import Worker
    from service.ports.metrics import Metrics
    from service.ports.traces import Traces
    from service.settings import Settings


def door_to_aws(settings: Settings, metrics: Metrics = UNMEASURED) -> AwsDoor:
    """The door of this process."""
    most, traces = settings.tenants.cache_entries, traces_of(settings)
    if traces is UNTRACED:
        return AwsDoor(settings.aws, max_tenants=most, metrics=metrics)
    return TracedDoor(settings.aws, max_tenants=most, metrics=metrics, traces=traces)


def traces_of(settings: Settings) -> Traces:
    """Where spans are told, if anywhere.

    Raises:
        ConfigurationError: they are wanted, and nothing takes them.
    """
    if settings.traces.told_to is None:
        return UNTRACED
    # Imported here: who does not trace is not to pay for it.
    from service.adapters.traces.open_telemetry import (  # noqa: PLC0415 - see above
        OpenTelemetryTraces,
    )

    return OpenTelemetryTraces()


def build(
    settings: Settings,
    metrics: Metrics,
    *,
    open_door: Callable[[Settings, Metrics], AwsDoor] = door_to_aws,
) -> Litestar:
    """The service on AWS, or on the embedded cloud if the settings give its endpoint."""
    # Imported here: the worker has no routes, and does without the half second of what makes them.
    from service.api.app import create_app  # noqa: PLC0415 - see above
    from service.api.console import ConsoleOrigins  # noqa: PLC0415 - see above

    calls = AwsCalls(settings.aws)
    door = open_door(settings, metrics)
    operations = Operations(
        aws_ports(settings, calls, door, metrics=metrics, traces=traces_of(settings)),
        settings.tokens,
        settings.enrolment,
        device_endpoint(settings),
        settings.policies,
    )
    ends = (operations.close, calls.close, door.close)
    # The embedded cloud is one host for all.
    console = ConsoleOrigins(cloud=settings.aws.endpoint_url)
    return create_app(operations, settings.http, console=console, on_shutdown=ends)


def device_endpoint(settings: Settings) -> DeviceEndpoint:
    """Where enrolled devices are told to connect.

    Raises:
        ConfigurationError: nobody says where, or the file of authorities cannot be read.
    """
    aws = settings.aws
    # The embedded cloud is one host for all.
    cloud = urlsplit(aws.endpoint_url or "").hostname
    said = aws.device_endpoint or aws.iot_data_endpoint or cloud
    host, _, port = (said or "").partition(":")
    if not host or not (port or "8883").isdecimal():
        raise ConfigurationError(
            f"CEDARFLEET_DEVICE_ENDPOINT is `{said or ''}`: give the devices' host, or `host:port`"
        )
    file = settings.enrolment.device_ca_file
    try:
        authorities = amazon_roots() if file is None else Path(file).read_text(encoding="ascii")
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"CEDARFLEET_DEVICE_CA_FILE cannot be read: {error}") from error
    return DeviceEndpoint(host=host, port=int(port or 8883), authorities=authorities)


def build_worker(
    settings: Settings, metrics: Metrics = UNMEASURED
) -> tuple[Worker, IsolationCanary | None, Callable[[], Awaitable[None]]]:
    """The worker on AWS, or on the embedded cloud, its canary, and what ends their calls."""
    calls = AwsCalls(settings.aws)
    door = door_to_aws(settings, metrics)
    ports = aws_ports(settings, calls, door, metrics=metrics)
    operations = Operations(ports, settings.tokens)
    pair = settings.isolation.pair
    canary = None
    if pair is not None:
        canary = IsolationCanary(
            tenants=ports.tenants,
            probes=ports.isolation,
            metrics=metrics,
            pair=pair,
            seconds=settings.isolation.seconds,
        )

    async def close() -> None:
        calls.close()
        await door.close()

    worker = operations.worker(settings.jobs, held_seconds=settings.work.handling_seconds)
    return worker, canary, close


def aws_ports(
    settings: Settings,
    calls: AwsCalls,
    door: AwsDoor,
    *,
    metrics: Metrics = UNMEASURED,
    traces: Traces = UNTRACED,
) -> Ports:
    """Every port answered by AWS; what is measured is kept in ``metrics``."""
    aws, records = settings.aws, settings.records
    commands = DynamoCommandRecords(aws=door, settings=records)
    people = DynamoPersonKeys(aws=door, settings=records)
    audit = DynamoAuditTrail(aws=door, settings=records, people=people)
    registry = DynamoTenantRegistry(aws=door, table=settings.tenants.table, region=aws.region)
    return Ports(
        tenants=CachedTenantRegistry(
            registry,
            settings.tenants,
            max_unknown=max(1, aws.threads // 4),
        ),
        signing_keys=JwksKeys(
            settings.jwks,
            calls=calls,
            timeout_seconds=aws.connect_seconds,
            authorities=authorities(aws.ca_bundle),
        ),
        authorizer=VerifiedPermissionsAuthorizer(aws=door),
        policy_stores=VerifiedPermissionsPolicies(
            aws=door, table=settings.tenants.table, templates=settings.policies.templates
        ),
        audit=audit,
        audit_entries=audit,
        audit_chain=DynamoAuditChain(aws=door, settings=records),
        audit_signer=KmsAuditSigner(aws=door, key=records.audit_key),
        person_keys=people,
        buckets=DynamoBuckets(aws=door, settings=records),
        devices=DynamoDeviceFacts(aws=door, settings=records),
        groups=DynamoGroups(aws=door, settings=records),
        connections=IotConnections(aws=door),
        command_types=DynamoCommandTypes(aws=door, settings=records),
        command_records=commands,
        listed_commands=DynamoListedCommands(aws=door, settings=records, records=commands),
        broker=IotCommandBroker(aws=door, settings=settings.direct),
        campaign_records=DynamoCampaignRecords(aws=door, settings=records),
        campaign_batches=DynamoCampaignBatches(aws=door, settings=records),
        artifacts=S3Artifacts(aws=door),
        file_records=DynamoFileRecords(aws=door, settings=records),
        file_objects=S3FileObjects(aws=door),
        download_records=DynamoDownloadRecords(aws=door, settings=records),
        deliveries=DynamoDeliveries(aws=door, settings=records),
        download_jobs=IotDownloadJobs(aws=door, settings=settings.jobs),
        plans=DynamoPlans(aws=door, settings=records),
        wanted_versions=DynamoWantedVersions(aws=door, settings=records),
        running_versions=DynamoRunningVersions(aws=door, settings=records),
        bills_of_materials=DynamoBillsOfMaterials(aws=door, settings=records),
        enrolments=DynamoEnrolments(aws=door, settings=records),
        things=IotThings(aws=door),
        people=CognitoPeople(aws=door),
        revocations=DynamoRevocations(aws=door, settings=records),
        machine_records=DynamoMachines(aws=door, settings=records),
        machine_clients=CognitoMachineClients(aws=door),
        event_log=DynamoEventLog(aws=door, settings=records),
        webhooks=DynamoWebhooks(aws=door, settings=records),
        webhook_secrets=KmsWebhookSecrets(aws=door, key=records.webhook_key),
        webhook_sender=PublicSender(),
        grant_records=DynamoGrantRecords(aws=door, settings=records),
        granted_policies=VerifiedPermissionsGrants(aws=door, settings=records),
        freeze_records=DynamoFreezes(aws=door, settings=records),
        freeze_policies=VerifiedPermissionsFreezes(aws=door),
        device_states=ShadowDeviceStates(aws=door),
        device_logs=S3DeviceLogs(aws=door),
        telemetry=DynamoTelemetry(aws=door, settings=records),
        usage=DynamoUsageDays(aws=door, settings=records),
        usage_events=EventBridgeUsageEvents(aws=door),
        isolation=AwsIsolationProbes(aws=door, settings=records),
        work_queue=SqsWorkQueue(
            aws=door, settings=settings.work, longest_answer_seconds=aws.read_seconds
        ),
        timers=SchedulerTimers(aws=door, settings=settings.work, region=aws.region),
        metrics=metrics,
        clock=now_in_utc,
        traces=traces,
    )
