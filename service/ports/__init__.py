"""What the operations need of the world, in our own words; each file of ``adapters`` answers one.

Every method may raise ``UnavailableError`` when its part does not answer. A ``Tenant`` argument is
always the verified caller's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from service.ports.traces import UNTRACED

if TYPE_CHECKING:
    from service.domain.instants import Clock
    from service.ports.artifacts import Artifacts
    from service.ports.audit import (
        AuditChain,
        AuditEntries,
        AuditLog,
        AuditSigner,
        PersonKeys,
    )
    from service.ports.authorizer import Authorizer
    from service.ports.budgets import SharedBuckets
    from service.ports.campaigns import CampaignBatches, CampaignRecords
    from service.ports.command_types import CommandTypeRecords
    from service.ports.commands import CommandBroker, CommandRecords, ListedCommands
    from service.ports.device_logs import DeviceLogs
    from service.ports.device_state import DeviceStates
    from service.ports.devices import Connections, DeviceFacts
    from service.ports.downloads import Deliveries, DownloadJobs, DownloadRecords
    from service.ports.enrolments import Enrolments, Things
    from service.ports.events import EventLog
    from service.ports.files import FileObjects, FileRecords
    from service.ports.freezes import FreezePolicies, FreezeRecords
    from service.ports.grants import GrantedPolicies, GrantRecords
    from service.ports.groups import GroupRecords
    from service.ports.isolation import IsolationProbes
    from service.ports.machines import MachineClients, MachineRecords
    from service.ports.materials import BillsOfMaterials
    from service.ports.metrics import Metrics
    from service.ports.people import People
    from service.ports.plans import Plans
    from service.ports.policies import PolicyStores
    from service.ports.revocations import RevocationRecords
    from service.ports.signing_keys import SigningKeys
    from service.ports.telemetry import Telemetry
    from service.ports.tenants import TenantRegistry
    from service.ports.traces import Traces
    from service.ports.usage import UsageDays, UsageEvents
    from service.ports.wanted_versions import RunningVersions, WantedVersions
    from service.ports.webhooks import WebhookRecords, WebhookSecrets, WebhookSender
    from service.ports.work import Timers, WorkQueue


@dataclass(frozen=True, kw_only=True)
class Ports:
    """One answer to every port."""

    tenants: TenantRegistry
    signing_keys: SigningKeys
    authorizer: Authorizer
    policy_stores: PolicyStores
    audit: AuditLog
    audit_entries: AuditEntries
    audit_chain: AuditChain
    audit_signer: AuditSigner
    person_keys: PersonKeys
    buckets: SharedBuckets
    devices: DeviceFacts
    groups: GroupRecords
    connections: Connections
    command_types: CommandTypeRecords
    command_records: CommandRecords
    listed_commands: ListedCommands
    broker: CommandBroker
    campaign_records: CampaignRecords
    campaign_batches: CampaignBatches
    artifacts: Artifacts
    file_records: FileRecords
    file_objects: FileObjects
    download_records: DownloadRecords
    deliveries: Deliveries
    download_jobs: DownloadJobs
    plans: Plans
    wanted_versions: WantedVersions
    running_versions: RunningVersions
    bills_of_materials: BillsOfMaterials
    enrolments: Enrolments
    things: Things
    people: People
    revocations: RevocationRecords
    machine_records: MachineRecords
    machine_clients: MachineClients
    event_log: EventLog
    webhooks: WebhookRecords
    webhook_secrets: WebhookSecrets
    webhook_sender: WebhookSender
    grant_records: GrantRecords
    granted_policies: GrantedPolicies
    freeze_records: FreezeRecords
    freeze_policies: FreezePolicies
    telemetry: Telemetry
    usage: UsageDays
    usage_events: UsageEvents
    isolation: IsolationProbes
    device_states: DeviceStates
    device_logs: DeviceLogs
    work_queue: WorkQueue
    timers: Timers
    metrics: Metrics
    clock: Clock
    traces: Traces = UNTRACED
