"""A twin for every port, to be filled and looked at."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from service.adapters.memory.artifacts import MemoryArtifacts
from service.adapters.memory.audit import (
    MemoryAuditChain,
    MemoryAuditLog,
    MemoryAuditSigner,
    MemoryPersonKeys,
)
from service.adapters.memory.budgets import MemoryBuckets
from service.adapters.memory.campaigns import MemoryCampaignBatches, MemoryCampaignRecords
from service.adapters.memory.command_types import MemoryCommandTypes
from service.adapters.memory.commands import (
    MemoryCommandBroker,
    MemoryCommandRecords,
    MemoryListedCommands,
)
from service.adapters.memory.device_logs import MemoryDeviceLogs
from service.adapters.memory.device_state import MemoryDeviceStates
from service.adapters.memory.devices import MemoryConnections, MemoryDevices
from service.adapters.memory.downloads import (
    MemoryDeliveries,
    MemoryDownloadJobs,
    MemoryDownloadRecords,
)
from service.adapters.memory.enrolments import MemoryEnrolments, MemoryThings
from service.adapters.memory.events import MemoryEventLog
from service.adapters.memory.files import MemoryFileObjects, MemoryFileRecords
from service.adapters.memory.freezes import MemoryFreezePolicies, MemoryFreezes
from service.adapters.memory.grants import MemoryGrantedPolicies, MemoryGrantRecords
from service.adapters.memory.isolation import MemoryIsolationProbes
from service.adapters.memory.machines import MemoryMachineClients, MemoryMachines
from service.adapters.memory.materials import MemoryBillsOfMaterials
from service.adapters.memory.metrics import MemoryMetrics
from service.adapters.memory.people import MemoryPeople
from service.adapters.memory.plans import MemoryPlans
from service.adapters.memory.policies import MemoryPolicyStores
from service.adapters.memory.revocations import MemoryRevocations
from service.adapters.memory.signing_keys import MemorySigningKeys
from service.adapters.memory.telemetry import MemoryTelemetry
from service.adapters.memory.tenants import MemoryTenantRegistry
from service.adapters.memory.usage import MemoryUsageDays, MemoryUsageEvents
from service.adapters.memory.wanted_versions import MemoryRunningVersions, MemoryWantedVersions
from service.adapters.memory.webhooks import (
    MemoryWebhooks,
    MemoryWebhookSecrets,
    MemoryWebhookSender,
)
from service.adapters.memory.work import MemoryTimers, MemoryWorkQueue
from service.ports import Ports

if TYPE_CHECKING:
    from service.adapters.memory.groups import MemoryGroups
    from service.ports.authorizer import Authorizer


@dataclass
class MemoryClock:
    """The real time, or ``now`` if it is set."""

    now: datetime | None = None

    def __call__(self) -> datetime:
        """The time of now."""
        return self.now or datetime.now(UTC)


@dataclass(frozen=True, kw_only=True)
class MemoryPorts(Ports):
    """Ports of which each says that a twin stands behind it."""

    tenants: MemoryTenantRegistry
    signing_keys: MemorySigningKeys
    policy_stores: MemoryPolicyStores
    audit: MemoryAuditLog
    audit_entries: MemoryAuditLog
    audit_chain: MemoryAuditChain
    audit_signer: MemoryAuditSigner
    person_keys: MemoryPersonKeys
    buckets: MemoryBuckets
    devices: MemoryDevices
    groups: MemoryGroups
    connections: MemoryConnections
    command_types: MemoryCommandTypes
    command_records: MemoryCommandRecords
    listed_commands: MemoryListedCommands
    broker: MemoryCommandBroker
    campaign_records: MemoryCampaignRecords
    campaign_batches: MemoryCampaignBatches
    artifacts: MemoryArtifacts
    file_records: MemoryFileRecords
    file_objects: MemoryFileObjects
    download_records: MemoryDownloadRecords
    deliveries: MemoryDeliveries
    download_jobs: MemoryDownloadJobs
    plans: MemoryPlans
    wanted_versions: MemoryWantedVersions
    running_versions: MemoryRunningVersions
    bills_of_materials: MemoryBillsOfMaterials
    enrolments: MemoryEnrolments
    things: MemoryThings
    people: MemoryPeople
    revocations: MemoryRevocations
    machine_records: MemoryMachines
    machine_clients: MemoryMachineClients
    event_log: MemoryEventLog
    webhooks: MemoryWebhooks
    webhook_secrets: MemoryWebhookSecrets
    webhook_sender: MemoryWebhookSender
    grant_records: MemoryGrantRecords
    granted_policies: MemoryGrantedPolicies
    freeze_records: MemoryFreezes
    freeze_policies: MemoryFreezePolicies
    telemetry: MemoryTelemetry
    usage: MemoryUsageDays
    usage_events: MemoryUsageEvents
    isolation: MemoryIsolationProbes
    device_states: MemoryDeviceStates
    device_logs: MemoryDeviceLogs
    work_queue: MemoryWorkQueue
    timers: MemoryTimers
    metrics: MemoryMetrics
    clock: MemoryClock

    @classmethod
    def around(cls, authorizer: Authorizer, *, devices: MemoryDevices | None = None) -> MemoryPorts:
        """Empty twins beside an authorizer; facts and connections know the same devices."""
        known = devices or MemoryDevices()
        revocations, stores = MemoryRevocations(), MemoryPolicyStores()
        commands = MemoryCommandRecords()
        audit = MemoryAuditLog()
        return cls(
            tenants=MemoryTenantRegistry(),
            signing_keys=MemorySigningKeys(),
            authorizer=authorizer,
            policy_stores=stores,
            audit=audit,
            audit_entries=audit,
            audit_chain=MemoryAuditChain(),
            audit_signer=MemoryAuditSigner(),
            person_keys=audit.people,
            buckets=MemoryBuckets(),
            devices=known,
            groups=known.groups,
            connections=MemoryConnections(devices=known),
            command_types=MemoryCommandTypes(),
            command_records=commands,
            listed_commands=MemoryListedCommands(records=commands),
            broker=MemoryCommandBroker(),
            campaign_records=MemoryCampaignRecords(),
            campaign_batches=MemoryCampaignBatches(),
            artifacts=MemoryArtifacts(),
            file_records=MemoryFileRecords(),
            file_objects=MemoryFileObjects(),
            download_records=MemoryDownloadRecords(),
            deliveries=MemoryDeliveries(),
            download_jobs=MemoryDownloadJobs(),
            plans=MemoryPlans(),
            wanted_versions=MemoryWantedVersions(),
            running_versions=MemoryRunningVersions(),
            bills_of_materials=MemoryBillsOfMaterials(),
            enrolments=MemoryEnrolments(devices=known),
            things=MemoryThings(),
            people=MemoryPeople(),
            machine_records=MemoryMachines(),
            machine_clients=MemoryMachineClients(),
            revocations=revocations,
            event_log=MemoryEventLog(),
            webhooks=MemoryWebhooks(),
            webhook_secrets=MemoryWebhookSecrets(),
            webhook_sender=MemoryWebhookSender(),
            grant_records=MemoryGrantRecords(),
            granted_policies=MemoryGrantedPolicies(revocations=revocations, stores=stores),
            freeze_records=MemoryFreezes(),
            freeze_policies=MemoryFreezePolicies(stores=stores),
            telemetry=MemoryTelemetry(),
            usage=MemoryUsageDays(),
            usage_events=MemoryUsageEvents(),
            isolation=MemoryIsolationProbes(),
            device_states=MemoryDeviceStates(),
            device_logs=MemoryDeviceLogs(),
            work_queue=MemoryWorkQueue(),
            timers=MemoryTimers(),
            metrics=MemoryMetrics(),
            clock=MemoryClock(),
        )
