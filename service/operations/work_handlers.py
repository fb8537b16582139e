"""What the worker does with each kind of work: one operation for each, over one set of ports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from service.domain.work import WorkKind
from service.operations.audit_chaining import AuditChaining
from service.operations.audit_deliveries import AuditDeliveries
from service.operations.audit_outcomes import AuditOutcomes
from service.operations.audit_verifying import AuditVerifying
from service.operations.bringing import Bringing
from service.operations.budgets import Pace
from service.operations.campaign_decisions import CampaignDecisions
from service.operations.campaign_sending import CampaignSending
from service.operations.decided_events import DecidedEvents
from service.operations.file_verification import FileVerification
from service.operations.machine_upkeep import MachineUpkeep
from service.operations.redelivery import Redelivery
from service.operations.retired_devices import RetiredDevices
from service.operations.retries import Retries
from service.operations.rollout import Rollout
from service.operations.usage import UsageCounting
from service.operations.wave_decisions import WaveDecisions
from service.operations.webhook_delivery import WebhookDelivery

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.operations.audit_trail import AuditTrail
    from service.operations.commands import Commands
    from service.operations.device_logs import CommandsWithForms
    from service.operations.event_telling import EventTelling
    from service.operations.granting import Granting
    from service.operations.machines import MachineEnd
    from service.operations.revocations import Revocations
    from service.operations.worker import Handler
    from service.ports import Ports
    from service.ports.authorizer import Authorizer
    from service.settings import JobSettings


@dataclass(frozen=True, kw_only=True)
class WorkHandlers:
    """Makes the handlers.

    Attributes:
        ports: what they need of the world.
        authorizer: asks the tenants' stores.
        broker: sends commands, with the form that a device sends its log by.
        commands: sends those of a campaign.
        granting: also ends what has run out.
        revocations: of tokens.
        machine_end: of machines that are revoked.
        telling: writes the logs of events.
        trail: that is written to.
    """

    ports: Ports
    authorizer: Authorizer
    broker: CommandsWithForms
    commands: Commands
    granting: Granting
    revocations: Revocations
    machine_end: MachineEnd
    telling: EventTelling
    trail: AuditTrail

    def by_kind(self, jobs: JobSettings) -> Mapping[WorkKind, Handler]:
        """The handler of each kind.

        Args:
            jobs: how fast downloads are rolled out, and how long they wait.
        """
        ports = self.ports
        pace = Pace(ports.buckets, ports.clock)
        rollout = Rollout(
            devices=ports.devices,
            records=ports.download_records,
            deliveries=ports.deliveries,
            jobs=ports.download_jobs,
            pace=pace,
            queue=ports.work_queue,
            timers=ports.timers,
            decisions=WaveDecisions(
                devices=ports.devices,
                groups=ports.groups,
                people=ports.people,
                authorizer=self.authorizer,
                audit=ports.audit,
                pace=pace,
                clock=ports.clock,
            ),
            telling=self.telling,
            clock=ports.clock,
            settings=jobs,
            metrics=ports.metrics,
        )
        bringing = Bringing(
            wishes=ports.wanted_versions,
            running=ports.running_versions,
            devices=ports.devices,
            groups=ports.groups,
            files=ports.file_records,
            records=ports.download_records,
            deliveries=ports.deliveries,
            queue=ports.work_queue,
            timers=ports.timers,
            clock=ports.clock,
            download_days=jobs.download_days,
        )
        redelivery = Redelivery(
            records=ports.command_records,
            broker=self.broker,
            clock=ports.clock,
            came=bringing.came,
        )
        verification = FileVerification(
            records=ports.file_records,
            objects=ports.file_objects,
            bills=ports.bills_of_materials,
            clock=ports.clock,
        )
        outcomes = AuditOutcomes(
            entries=ports.audit_entries,
            chain=ports.audit_chain,
            commands=ports.command_records,
            devices=ports.devices,
            trail=self.trail,
            queue=ports.work_queue,
            clock=ports.clock,
        )
        delivered = AuditDeliveries(
            entries=ports.audit_entries,
            records=ports.download_records,
            deliveries=ports.deliveries,
            trail=self.trail,
            clock=ports.clock,
        )
        chaining = AuditChaining(
            entries=ports.audit_entries,
            chain=ports.audit_chain,
            signer=ports.audit_signer,
            queue=ports.work_queue,
            clock=ports.clock,
        )
        verifying = AuditVerifying(
            entries=ports.audit_entries,
            chain=ports.audit_chain,
            signer=ports.audit_signer,
            queue=ports.work_queue,
            timers=ports.timers,
            metrics=ports.metrics,
            clock=ports.clock,
        )
        webhooks = WebhookDelivery(
            records=ports.webhooks,
            secrets=ports.webhook_secrets,
            sender=ports.webhook_sender,
            log=ports.event_log,
            queue=ports.work_queue,
            timers=ports.timers,
            clock=ports.clock,
        )
        decided = DecidedEvents(
            entries=ports.audit_entries,
            chain=ports.audit_chain,
            commands=ports.command_records,
            downloads=ports.download_records,
            devices=ports.devices,
            enrolments=ports.enrolments,
            grants=ports.grant_records,
            telling=self.telling,
            queue=ports.work_queue,
            clock=ports.clock,
        )
        upkeep = MachineUpkeep(
            records=ports.machine_records,
            clients=ports.machine_clients,
            revocations=self.revocations,
            end=self.machine_end,
            timers=ports.timers,
            clock=ports.clock,
        )
        retired = RetiredDevices(
            devices=ports.devices,
            records=ports.download_records,
            deliveries=ports.deliveries,
            jobs=ports.download_jobs,
            pace=pace,
            queue=ports.work_queue,
            clock=ports.clock,
            settings=jobs,
        )
        counting = UsageCounting(
            usage=ports.usage,
            events=ports.usage_events,
            entries=ports.audit_entries,
            downloads=ports.download_records,
            files=ports.file_records,
            devices=ports.devices,
            timers=ports.timers,
            clock=ports.clock,
        )
        return {
            WorkKind.ADVANCE_DOWNLOAD: rollout.advance,
            WorkKind.MAKE_JOB: rollout.make_job,
            WorkKind.RETRY_JOB: Retries(rollout=rollout).handle,
            WorkKind.CANCEL_JOB: rollout.cancel_job,
            WorkKind.SETTLE_JOB: rollout.settle_job,
            WorkKind.REDELIVER_COMMANDS: redelivery.handle,
            WorkKind.VERIFY_FILE: verification.handle,
            WorkKind.CHAIN_AUDIT: chaining.handle,
            WorkKind.VERIFY_AUDIT: verifying.handle,
            WorkKind.TELL_OUTCOMES: outcomes.handle,
            WorkKind.TELL_DELIVERED: delivered.handle,
            WorkKind.TELL_DECISIONS: decided.handle,
            WorkKind.TELL_EVENT: self.telling.handle,
            WorkKind.SEND_EVENTS: webhooks.handle,
            WorkKind.SEND_EVENT_AGAIN: webhooks.again,
            WorkKind.SETTLE_MACHINE: upkeep.handle,
            WorkKind.LOOK_AT_GRANT: self.granting.look,
            WorkKind.ADVANCE_CAMPAIGN: self.campaign_sending(pace).advance,
            WorkKind.SETTLE_RETIRED: retired.handle,
            WorkKind.BRING_VERSION: bringing.look,
            WorkKind.BRING_DEVICE: bringing.device,
            WorkKind.COUNT_USAGE: counting.handle,
        }

    def campaign_sending(self, pace: Pace) -> CampaignSending:
        """What sends campaigns, at the pace that all tasks keep."""
        ports = self.ports
        return CampaignSending(
            records=ports.campaign_records,
            batches=ports.campaign_batches,
            decisions=CampaignDecisions(
                devices=ports.devices,
                types=ports.command_types,
                people=ports.people,
                machines=ports.machine_records,
                authorizer=self.authorizer,
                audit=ports.audit,
                pace=pace,
                clock=ports.clock,
            ),
            telling=self.telling,
            devices=ports.devices,
            sender=self.commands,
            commands=ports.command_records,
            broker=self.broker,
            pace=pace,
            queue=ports.work_queue,
            clock=ports.clock,
        )
