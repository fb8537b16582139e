"""Every operation of the service, over one set of ports."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from service.domain.enrolments import DeviceEndpoint
from service.operations.approvals import Approvals
from service.operations.audit_reading import AuditReading
from service.operations.audit_trail import AuditTrail
from service.operations.authentication import Authenticate
from service.operations.authorization import Access
from service.operations.budgets import Budgets
from service.operations.bulk_registration import BulkRegistration
from service.operations.campaign_lists import CampaignLists
from service.operations.campaigns import Campaigns
from service.operations.command_cancel import CommandCancel
from service.operations.command_lists import CommandLists
from service.operations.command_types import CommandTypes
from service.operations.commands import Commands
from service.operations.decisions import Decisions
from service.operations.device_logs import CommandsWithForms, Logs
from service.operations.device_state import States
from service.operations.devices import Devices
from service.operations.download_lists import DownloadLists
from service.operations.downloads import Downloads
from service.operations.enrolment import Enrol
from service.operations.event_feeds import EventFeeds
from service.operations.event_streams import EventStreams
from service.operations.event_telling import EventTelling
from service.operations.explanations import Explanations
from service.operations.files import Files
from service.operations.freezes import Freezes
from service.operations.granting import Granting
from service.operations.grants import Grants
from service.operations.groups import Groups
from service.operations.machine_admission import MachineAdmission
from service.operations.machines import MachineEnd, TenantMachines
from service.operations.membership import Membership
from service.operations.people import TenantPeople
from service.operations.permissions import Permissions
from service.operations.planned_downloads import PlannedDownloads
from service.operations.plans import Planning
from service.operations.policy_copies import PolicyCopies
from service.operations.readiness import Readiness
from service.operations.registration import Registration
from service.operations.replays import Replays
from service.operations.retirement import Retirement
from service.operations.revocations import Revocations
from service.operations.selections import Selections
from service.operations.telemetry import DeviceTelemetry
from service.operations.traced_decisions import TracedAdvice, TracedDecisions
from service.operations.usage import Usage
from service.operations.versions import Versions
from service.operations.wanted_versions import Wishes
from service.operations.webhook_delivery import WebhookNotices
from service.operations.webhooks import Webhooks
from service.operations.who_may import WhoMay
from service.operations.work_handlers import WorkHandlers
from service.operations.worker import Worker
from service.ports.traces import UNTRACED
from service.settings import EnrolmentSettings, PolicySettings

if TYPE_CHECKING:
    from service.domain.identities import Principal
    from service.domain.permissions import Permission
    from service.domain.tenants import Tenant
    from service.operations.authorization import RequestFacts
    from service.ports import Ports
    from service.ports.authorizer import Adviser, Authorizer
    from service.ports.traces import Traces
    from service.settings import JobSettings, TokenSettings


class Operations:
    """Everything that the service does, over one set of ports.

    Args:
        ports: what the operations need of the world.
        tokens: how tokens are verified.
        enrolment: how devices come in.
        endpoint: where they are told to connect.
        policies: how old and large copies of policies may be.
    """

    def __init__(
        self,
        ports: Ports,
        tokens: TokenSettings,
        enrolment: EnrolmentSettings | None = None,
        endpoint: DeviceEndpoint | None = None,
        policies: PolicySettings | None = None,
    ) -> None:
        policies, enrolment = policies or PolicySettings(), enrolment or EnrolmentSettings()
        self.trail = AuditTrail(log=ports.audit, queue=ports.work_queue)
        ports = replace(ports, audit=self.trail)
        self._ports = ports
        self.metrics = ports.metrics
        self.traces = ports.traces
        self.revocations = Revocations(ports.revocations, ports.clock)
        self.decisions = Decisions(
            ports.authorizer,
            PolicyCopies(ports.policy_stores, policies, ports.metrics, self.revocations),
            ports.metrics,
            self.revocations,
            sample=policies.sample,
        )
        self._authorizer, self._adviser = _traced(self.decisions, ports.traces)
        self._readiness = Readiness(registry=ports.tenants, now=time.monotonic)
        self.machine_admission = MachineAdmission(ports.machine_records, ports.clock)
        self.authenticate = Authenticate(
            tenants=ports.tenants,
            signing_keys=ports.signing_keys,
            clock=ports.clock,
            settings=tokens,
            revocations=self.revocations,
            machines=self.machine_admission,
        )
        self.budgets = Budgets(ports.buckets, ports.clock)
        self._machine_end = MachineEnd(
            records=ports.machine_records,
            clients=ports.machine_clients,
            revocations=self.revocations,
            clock=ports.clock,
        )
        self.machines = TenantMachines(
            records=ports.machine_records,
            clients=ports.machine_clients,
            revocations=self.revocations,
            end=self._machine_end,
            budgets=self.budgets,
            queue=ports.work_queue,
            clock=ports.clock,
        )
        self.devices = Devices(
            facts=ports.devices,
            groups=ports.groups,
            connections=ports.connections,
            queue=ports.work_queue,
            clock=ports.clock,
        )
        self.groups = Groups(records=ports.groups, devices=ports.devices, clock=ports.clock)
        self.membership = Membership(
            devices=ports.devices, groups=ports.groups, queue=ports.work_queue, clock=ports.clock
        )
        self._broker = CommandsWithForms(broker=ports.broker, logs=ports.device_logs)
        self.command_types = CommandTypes(records=ports.command_types, clock=ports.clock)
        self.commands = Commands(
            devices=ports.devices,
            types=ports.command_types,
            records=ports.command_records,
            broker=self._broker,
            budgets=self.budgets,
            clock=ports.clock,
        )
        self.command_lists = CommandLists(
            devices=ports.devices, listed=ports.listed_commands, clock=ports.clock
        )
        self.command_cancel = CommandCancel(
            devices=ports.devices,
            types=ports.command_types,
            records=ports.command_records,
            broker=ports.broker,
            clock=ports.clock,
        )
        self.campaign_lists = CampaignLists(
            devices=ports.devices,
            commands=ports.command_records,
            records=ports.campaign_records,
            batches=ports.campaign_batches,
            clock=ports.clock,
        )
        self.campaigns = Campaigns(
            devices=ports.devices,
            selections=self.selections,
            types=ports.command_types,
            lists=self.campaign_lists,
            records=ports.campaign_records,
            batches=ports.campaign_batches,
            machines=ports.machine_records,
            queue=ports.work_queue,
            clock=ports.clock,
        )
        self.download_lists = DownloadLists(
            devices=ports.devices,
            records=ports.download_records,
            deliveries=ports.deliveries,
            groups=ports.groups,
        )
        self.downloads = Downloads(
            devices=ports.devices,
            groups=ports.groups,
            artifacts=ports.artifacts,
            files=ports.file_records,
            records=ports.download_records,
            deliveries=ports.deliveries,
            queue=ports.work_queue,
            clock=ports.clock,
        )
        self.planning = Planning(
            devices=ports.devices,
            groups=ports.groups,
            downloads=self.downloads,
            selections=self.selections,
            plans=ports.plans,
            clock=ports.clock,
        )
        self.versions = Versions(
            devices=ports.devices, running=ports.running_versions, bills=ports.bills_of_materials
        )
        self.wishes = Wishes(
            devices=ports.devices,
            groups=ports.groups,
            files=ports.file_records,
            records=ports.wanted_versions,
            running=ports.running_versions,
            queue=ports.work_queue,
            clock=ports.clock,
        )
        self.files = Files(
            records=ports.file_records,
            objects=ports.file_objects,
            queue=ports.work_queue,
            clock=ports.clock,
        )
        self.permissions = Permissions(
            devices=ports.devices,
            groups=ports.groups,
            types=ports.command_types,
            artifacts=ports.artifacts,
            files=ports.file_records,
        )
        self.people = TenantPeople(
            people=ports.people,
            audit_keys=ports.person_keys,
            grants=ports.grant_records,
            revocations=self.revocations,
            budgets=self.budgets,
        )
        self.planned_downloads = PlannedDownloads(
            planning=self.planning,
            approvals=Approvals(
                people=self.people,
                devices=ports.devices,
                deliveries=ports.deliveries,
                clock=ports.clock,
            ),
            downloads=self.downloads,
            records=ports.download_records,
            deliveries=ports.deliveries,
            queue=ports.work_queue,
            clock=ports.clock,
        )
        self.audit = AuditReading(
            entries=ports.audit_entries,
            chain=ports.audit_chain,
            people=ports.person_keys,
            trail=self.trail,
            clock=ports.clock,
        )
        self.event_streams = EventStreams(
            feeds=EventFeeds(log=ports.event_log, devices=ports.devices, groups=ports.groups),
            authenticate=self.authenticate,
        )
        self.webhooks = Webhooks(
            records=ports.webhooks,
            secrets=ports.webhook_secrets,
            log=ports.event_log,
            queue=ports.work_queue,
            clock=ports.clock,
        )
        self.explanations = Explanations(permissions=self.permissions, people=self.people)
        self.granting = Granting(
            records=ports.grant_records,
            policies=ports.granted_policies,
            revocations=self.revocations,
            queue=ports.work_queue,
            timers=ports.timers,
            clock=ports.clock,
        )
        self.grants = Grants(
            records=ports.grant_records,
            granting=self.granting,
            people=self.people,
            devices=ports.devices,
            groups=ports.groups,
            revocations=self.revocations,
            clock=ports.clock,
        )
        self.freezes = Freezes(
            groups=ports.groups,
            records=ports.freeze_records,
            policies=ports.freeze_policies,
            told=ports.granted_policies,
            revocations=self.revocations,
            clock=ports.clock,
        )
        self.who_may = WhoMay(permissions=self.permissions, people=self.people)
        self.states = States(devices=ports.devices, states=ports.device_states, clock=ports.clock)
        self.logs = Logs(devices=ports.devices, logs=ports.device_logs)
        self.telemetry = DeviceTelemetry(devices=ports.devices, telemetry=ports.telemetry)
        self.usage = Usage(usage=ports.usage, clock=ports.clock)
        self.registration = Registration(
            devices=ports.devices,
            groups=ports.groups,
            enrolments=ports.enrolments,
            clock=ports.clock,
            settings=enrolment,
        )
        self.retirement = Retirement(
            devices=ports.devices,
            enrolments=ports.enrolments,
            things=ports.things,
            connections=ports.connections,
            budgets=self.budgets,
            queue=ports.work_queue,
            clock=ports.clock,
        )
        self.bulk_registration = BulkRegistration(registration=self.registration)
        self.enrol = Enrol(
            ports,
            self.budgets,
            enrolment,
            endpoint or DeviceEndpoint(host="localhost", port=8883, authorities=""),
        )

    @cached_property
    def selections(self) -> Selections:
        """Devices of a filter, or by name."""
        return Selections(
            devices=self._ports.devices, device_lists=self.devices, groups=self._ports.groups
        )

    @cached_property
    def replays(self) -> Replays:
        """Proposed policies, asked what was recorded."""
        return Replays(
            entries=self._ports.audit_entries,
            people=self._ports.person_keys,
            copies=self.decisions.copies,
            revocations=self.revocations,
            clock=self._ports.clock,
        )

    @cached_property
    def telling(self) -> EventTelling:
        """What writes the logs of events, for all that this process tells."""
        ports = self._ports
        return EventTelling(
            log=ports.event_log,
            notices=WebhookNotices(records=ports.webhooks, queue=ports.work_queue),
            clock=ports.clock,
            metrics=ports.metrics,
        )

    @property
    def work_handlers(self) -> WorkHandlers:
        """What is done with the work that the other operations hand over."""
        return WorkHandlers(
            ports=self._ports,
            authorizer=self._authorizer,
            broker=self._broker,
            commands=self.commands,
            granting=self.granting,
            revocations=self.revocations,
            machine_end=self._machine_end,
            telling=self.telling,
            trail=self.trail,
        )

    def worker(self, jobs: JobSettings, *, held_seconds: float = 60) -> Worker:
        """What takes that work from the queue.

        Args:
            jobs: how fast downloads are rolled out, and how long they wait.
            held_seconds: for which the queue gives a message to nobody else.
        """
        ports = self._ports
        return Worker(
            queue=ports.work_queue,
            tenants=ports.tenants,
            held_seconds=held_seconds,
            metrics=ports.metrics,
            clock=ports.clock,
            handlers=self.work_handlers.by_kind(jobs),
        )

    def access(
        self, principal: Principal, *, facts: RequestFacts, declared: frozenset[Permission]
    ) -> Access:
        """What one request may do."""
        return Access(
            principal=principal,
            facts=facts,
            declared=declared,
            authorizer=self._authorizer,
            adviser=self._adviser,
            audit=self._ports.audit,
            clock=self._ports.clock,
        )

    async def tenant_named(self, tenant_id: str) -> Tenant | None:
        """The tenant of this id, for what strangers may know of it: where its people sign in."""
        return await self._ports.tenants.named(tenant_id)

    async def close(self) -> None:
        """End what is done in the background."""
        await self.event_streams.feeds.close()
        await self.decisions.close()
        await self.revocations.close()
        await self.machine_admission.close()

    async def check_ready(self) -> None:
        """Raise ``UnavailableError`` unless requests can be served."""
        await self._readiness.check()


def _traced(decisions: Decisions, traces: Traces) -> tuple[Authorizer, Adviser]:
    if traces is UNTRACED:
        return decisions, decisions
    return (
        TracedDecisions(origin=decisions, traces=traces),
        TracedAdvice(origin=decisions, traces=traces),
    )
