"""How each method of each port of AWS is called, and what AWS answers when all is well."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import botocore.session
from cedarfleet_device.wire import DesiredState, Signed

from infra.stacks.tenant_stack.registry_row import registry_item
from service.adapters.aws.campaigns import batch_item, campaign_item
from service.adapters.aws.client.calls import AwsCalls
from service.adapters.aws.cursors import seal
from service.adapters.aws.machines import machine_item
from service.adapters.aws.plans import plan_items
from service.cedar.decision import Allowed
from service.cedar.request import AuthorizationRequest, RequestContext, TokenBearer
from service.cedar.values import EntityUid
from service.composition import aws_ports
from service.domain.artifacts import Artifact
from service.domain.audit import AuditRecord
from service.domain.audit_chain import Checkpoint, Link, Noted
from service.domain.audit_entries import entry_of
from service.domain.budgets import Bucket
from service.domain.campaigns import (
    EVERY_CAMPAIGN,
    Batch,
    BatchDevice,
    CampaignClosing,
    CampaignFilter,
    CampaignRecord,
)
from service.domain.command_types import CommandTypeRecord
from service.domain.commands import CommandFilter, CommandRecord
from service.domain.device_logs import log_key
from service.domain.devices import Device
from service.domain.downloads import (
    EVERY_DOWNLOAD,
    Closing,
    DeliveryJob,
    DeliveryState,
    DownloadFilter,
    DownloadRecord,
    Outcome,
    TargetKind,
)
from service.domain.enrolments import Certificate, Enrolment, SigningRequest
from service.domain.events import Event, EventCursor, EventPage
from service.domain.files import FileState, FileVersion, UploadPart
from service.domain.freezes import Freeze, FreezeState
from service.domain.grants import Grant
from service.domain.group_records import GroupRecord
from service.domain.groups import DeviceGroup
from service.domain.idempotency import IdempotencyKey
from service.domain.identities import Principal, TokenUse, VerifiedClaims
from service.domain.instants import first_ulid
from service.domain.isolation import Part
from service.domain.machines import Machine, MachineSecret, MachineState
from service.domain.materials import Component, Materials, WantedComponent
from service.domain.people import NewPerson
from service.domain.permissions import Permission
from service.domain.plans import Plan, PlannedDevice, Verdict
from service.domain.rates import Rate
from service.domain.rollouts import Reach, Shape, WaveSize, Window
from service.domain.selections import Selection
from service.domain.usage import UsageDay
from service.domain.wanted_versions import Batch as WishBatch
from service.domain.wanted_versions import Running, WantedVersion
from service.domain.webhooks import Delivery, SealedSecret, Webhook
from service.domain.work import ReceivedWork, Work, WorkKind
from service.settings import (
    DirectMessageSettings,
    EnrolmentSettings,
    HttpSettings,
    JobSettings,
    JwksSettings,
    PolicySettings,
    RecordSettings,
    Settings,
    TenantSettings,
    TokenSettings,
    WorkSettings,
)
from tests.service.adapters.aws.answered_line import AnsweredDoor, Refusal
from tests.service.adapters.aws.conftest import AWS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.domain.tenants import Tenant
    from service.ports import Ports
    from tests.service.adapters.aws.answered_line import Call

ADAPTERS: Final = Path(__file__).parents[4] / "service/adapters/aws"
ID: Final = "01JD0000000000000000000000"
AT: Final = 1_790_000_000_000
# Nothing that is asked here runs on its threads.
NO_CALLS: Final = AwsCalls(AWS)
ASKED: Final = DesiredState(version=1, value="3", asked_at=1)
DEVICE: Final = Device(tenant="acme", id="press-07")
EVERYTHING: Final = DeviceGroup(tenant="acme", id="all")
BUCKET: Final = Bucket(name="jobs", rate=Rate(per_second=5, burst=5))
KEY: Final = IdempotencyKey.of(tenant="acme", principal="somebody", key="command k", request="x")
COMMAND: Final = CommandRecord(
    command_id=ID,
    tenant="acme",
    device="press-07",
    name="reboot",
    arguments={},
    created_by="somebody",
    created_at=AT,
    expires_at=AT + 60_000,
)
CAMPAIGN: Final = CampaignRecord(
    campaign_id=ID,
    tenant="acme",
    name="reboot",
    arguments={},
    target=Selection(group="all"),
    seconds=60,
    send_before=2**42,
    created_by="somebody",
    requester="kim",
    created_at=AT,
    devices=1,
)
BATCH: Final = Batch(number=0, devices=(BatchDevice(id="press-07", command_id=ID),), prepared_at=AT)
LOG: Final = log_key("press-07", ID, AT)
FREEZE: Final = Freeze(
    tenant="acme",
    group="line",
    freeze_id=ID,
    state=FreezeState.FREEZING,
    by="acme|somebody",
    at=AT,
    reason="a recall",
    version=1,
)
GRANT: Final = Grant(
    grant_id=ID,
    tenant="acme",
    template="technician-for-line",
    person="ann",
    subject="ann",
    email="ann@acme.test",
    device="press-07",
    group=None,
    until=2**42,
    reason="a colleague is away",
    statement="permit",
    given_by="somebody",
    given_at=AT,
)
DOWNLOAD: Final = DownloadRecord(
    download_id=ID,
    tenant="acme",
    target_kind=TargetKind.DEVICE,
    target="press-07",
    artifact="recipes/steel.json",
    size=20,
    sha256="ab" * 32,
    etag='"e"',
    created_by="somebody",
    created_at=AT,
)
PLANNED: Final = PlannedDevice(
    id="press-07", origin="thing-1", verdict=Verdict.DENIED, policies=("p",), reason="no"
)
PLAN: Final = Plan(
    plan_id=ID,
    tenant="acme",
    made_by="somebody",
    made_at=AT,
    target_kind=TargetKind.GROUP,
    target="all",
    artifact=Artifact(
        tenant="acme",
        name="recipes/steel.json",
        size=20,
        sha256="ab" * 32,
        etag='"e"',
        manifest=Signed(text="{}", signatures={"0" * 64: "AAAA"}),
    ),
    asked_file=None,
    shape=Shape(
        waves=(WaveSize(devices=1), WaveSize(percent=10)),
        window=Window.of("22:00-04:00", "+01:00"),
    ),
    reach=Reach(targets=1),
    needs_approval=False,
    counts={Verdict.DENIED: 1},
    hidden=0,
    denied_by={"p": 1},
    skipped_for={},
    digest="ab" * 32,
)
WISH: Final = WantedVersion(
    wish_id=ID,
    tenant="acme",
    group="all",
    package="press-controller",
    version="2.0",
    file_id=ID,
    artifact="recipes/steel.json",
    created_by="somebody",
    requester="somebody",
    created_at=AT,
    reach=Reach(targets=1),
    devices_per_hour=60,
    window=Window.of("22:00-04:00", "+01:00"),
    revision=1,
)
WISH_BATCH: Final = WishBatch(
    wish_id=ID,
    version="2.0",
    download_id=ID,
    at=AT,
    members=("press-07",),
    outcomes={"press-07": Outcome(state=DeliveryState.SUCCEEDED, at=AT)},
    closing=Closing.ENDED,
)
RUNNING: Final = Running(device="press-07", package="press-controller", version="2.0", at=AT)
BILL: Final = Materials(
    file_id=ID,
    name="sbom/a.json",
    size=20,
    sha256="ab" * 32,
    components=(Component(name="zlib", version="1.3"),),
    is_whole=True,
)
ZLIB: Final = WantedComponent.of("zlib")
FILE: Final = FileVersion(
    file_id=ID,
    tenant="acme",
    name="recipes/steel.json",
    size=20,
    sha256="ab" * 32,
    part_size=20,
    upload="upload-1",
    created_by="somebody",
    created_at=AT,
    changed_at=AT,
    version="v1",
    manifest=Signed(text="{}", signatures={}),
    revision=1,
)
GROUP: Final = GroupRecord(
    tenant="acme",
    id="cell-9",
    description="",
    parents=("hall-2",),
    above={"hall-2": ()},
    created_by="somebody",
    created_at=AT,
    changed_at=AT,
)
COMMAND_TYPE: Final = CommandTypeRecord(
    tenant="acme",
    name="set-recipe",
    action=Permission.SET_PARAMETERS,
    changed_by="somebody",
    changed_at=AT,
)
ENROLMENT: Final = Enrolment(
    tenant="acme", device="press-07", registration=ID, code_digest="ab" * 32, expires_at=AT
)
CERTIFICATE: Final = Certificate(
    id="ab" * 32,
    arn=f"arn:aws:iot:eu-central-1:123456789012:cert/{'ab' * 32}",
    pem="pem",
    active=True,
)
CLIENT: Final = "1example23456789"
MACHINE: Final = Machine(
    tenant="acme",
    id="mes",
    scopes=("view",),
    created_by="somebody",
    created_at=AT,
    changed_at=AT,
    client_id=CLIENT,
    state=MachineState.ACTIVE,
    secrets=(
        MachineSecret(id=f"{CLIENT}--1", created_by="somebody", created_at=AT),
        MachineSecret(id=f"{CLIENT}--2", created_by="somebody", created_at=AT, expires_at=2**45),
    ),
    version=1,
)
JOB: Final = DeliveryJob(number=0, members=("press-07",))
OUTCOME: Final = Outcome(state=DeliveryState.SUCCEEDED, at=AT)
NOT_FOUND: Final = "ResourceNotFoundException"
NEW_TIMER: Final = "acme--new"
WORK: Final = Work(kind=WorkKind.MAKE_JOB, issuer="https://issuer", tenant="acme")
RECEIVED: Final = ReceivedWork(receipt="r", text=WORK.encode())
AUDIT: Final = AuditRecord(
    audit_id=ID,
    at=AT,
    tenant="acme",
    principal="somebody",
    action=Permission.OPERATE_DEVICE,
    resource='Fleet::Device::"press-07"',
    decision=Allowed(policies=()),
    request_id="request-1",
    source_ip=None,
)
AUDIT_OF_SOMEBODY: Final = replace(AUDIT, person="somebody")
ENTRY: Final = entry_of(AUDIT, None)
LINK: Final = Link.after(
    None, ((ENTRY.entry_id, ENTRY.digest),), tenant="acme", made_at=AT, settled=AT
)
CHECKPOINT: Final = Checkpoint(
    tenant="acme", number=1, link=LINK.hash, total=1, at=AT, key="a2V5", signature="c2lnbg=="
)
NOTED: Final = Noted(at=AT, number=1, link=LINK.hash, made_at=AT, oldest=1, oldest_at=AT)
USAGE: Final = UsageDay(
    day=date(2026, 10, 1),
    counted_at=AT,
    decisions=1,
    denials=0,
    commands=1,
    deliveries=0,
    bytes_delivered=0,
    bytes_uploaded=0,
    end=None,
)
WEBHOOK: Final = Webhook(
    webhook_id=ID,
    tenant="acme",
    url="https://hooks.example.com/",
    nouns=("device",),
    secrets=(SealedSecret(sealed="eA=="),),
    cursor=EventCursor(page=1),
    created_by="somebody",
    created_at=AT,
)
SENT: Final = Delivery(
    delivery_id=ID,
    event_id="evt_1",
    type="device.connected",
    cursor=EventCursor(page=1, seen=1),
    at=AT,
    attempt=1,
    delivered=True,
    outcome="204",
    milliseconds=1,
)
PAGE: Final = EventPage(
    number=AT, made_at=AT, events=(Event(event_id="evt_1", type="device.connected", at=AT),)
)
QUESTION: Final = AuthorizationRequest.of(
    principal=EntityUid("Fleet::User", "pool|somebody"),
    action=Permission.VIEW_DEVICE,
    entities=DEVICE.entities({}),
    context=RequestContext(now=datetime(2026, 10, 1, tzinfo=UTC)),
)
# Answered by something else than AWS clients: `test_signing_keys.py`, the clock of the process.
SERVICES: Final = {
    name: botocore.session.get_session().get_service_model(name)
    for name in (
        *(
            "cognito-idp",
            "dynamodb",
            "events",
            "iot",
            "iot-data",
            "kms",
            "s3",
            "scheduler",
            "sqs",
            "verifiedpermissions",
        ),
    )
}
WITHOUT_AWS: Final = {"signing_keys", "clock", "webhook_sender"}


def arguments(acme: Tenant) -> dict[str, tuple[dict[str, Any], ...]]:
    """How each method of each port is called; more than once where its calls differ."""
    principal = Principal(
        tenant=acme,
        subject="somebody",
        token_use=TokenUse.ID,
        groups=(),
        email=None,
        client_id="acmeclient",
        expires_at=AT,
        claims=VerifiedClaims({}),
        token="header.claims.signature",
    )
    tenant = {"tenant": acme}
    command, download = tenant | {"record": COMMAND}, tenant | {"record": DOWNLOAD}
    file = tenant | {"record": FILE}
    job = download | {"job": JOB}
    timer = {"at": datetime(2026, 10, 1, tzinfo=UTC), "work": WORK}
    campaign = tenant | {"record": CAMPAIGN}
    page, progress = tenant | {"limit": 10}, download | {"limit": 10}
    known = {
        "tenants.find": ({"issuer": acme.issuer},),
        "tenants.named": ({"tenant_id": acme.id},),
        "tenants.check": ({},),
        "authorizer.decide": ({"principal": principal, "request": QUESTION},),
        "authorizer.decide_all": ({"principal": principal, "requests": [QUESTION]},),
        "authorizer.decide_all_for": (
            tenant | {"bearer": TokenBearer(groups=("line",)), "requests": [QUESTION]},
        ),
        "policy_stores.expected": ({"tenants": [acme]},),
        "policy_stores.versions": (tenant,),
        "policy_stores.contents": (tenant,),
        "audit.write": (tenant | {"record": AUDIT}, tenant | {"record": AUDIT_OF_SOMEBODY}),
        "audit_entries.keep": (tenant | {"entry": ENTRY},),
        "audit_entries.oldest": (tenant | {"since": AT, "until": AT, "most": 10},),
        "audit_entries.newest": (
            tenant | {"since": AT, "until": AT, "before": None, "most": 10},
            tenant | {"since": AT, "until": AT, "before": first_ulid(AT + 1), "most": 10},
        ),
        "audit_entries.of_link": (tenant | {"link": LINK},),
        "webhooks.put": (tenant | {"webhook": WEBHOOK},),
        "webhooks.every": (tenant,),
        "webhooks.note": (tenant | {"webhook_id": ID, "delivery": SENT},),
        "webhooks.deliveries": (tenant | {"webhook_id": ID, "before": None, "most": 1},),
        "webhook_secrets.seal": (tenant | {"webhook_id": ID, "secret": "whsec_eA=="},),
        "webhook_secrets.open": (tenant | {"webhook_id": ID, "sealed": "eA=="},),
        "event_log.last": (tenant,),
        "event_log.append": (tenant | {"page": PAGE},),
        "event_log.since": (tenant | {"number": 1, "most": 1},),
        "usage.keep": (tenant | {"day": USAGE},),
        "usage.newest": (tenant,),
        "usage.told": (tenant,),
        "usage.note_told": (tenant | {"day": USAGE.day},),
        "usage_events.tell": (tenant | {"day": USAGE},),
        "usage.between": (tenant | {"first": USAGE.day, "last": USAGE.day},),
        "audit_chain.last": (tenant | {"most": 1},),
        "audit_chain.append": (tenant | {"link": LINK},),
        "audit_chain.since": (tenant | {"number": 1, "most": 1},),
        "audit_chain.last_checkpoint": (tenant,),
        "audit_chain.checkpoints": (tenant | {"first": 1, "last": 2},),
        "audit_chain.sign_off": (tenant | {"checkpoint": CHECKPOINT},),
        "audit_chain.noted": (tenant,),
        "isolation.reaches": tuple({"by": acme, "part": part, "of": acme} for part in Part),
        "audit_chain.note": (tenant | {"noted": NOTED},),
        "audit_signer.public_key": ({},),
        "audit_signer.sign": ({"message": b"x"},),
        "person_keys.of": (tenant | {"person": "ann"},),
        "person_keys.find": (tenant | {"person": "ann"},),
        "person_keys.all": (tenant,),
        "person_keys.erase": (tenant | {"person": "ann"},),
        "buckets.take": (
            {"bucket": replace(BUCKET, tenant=acme), "tokens": 1, "now": AT},
            {"bucket": BUCKET, "tokens": 1, "now": AT},
        ),
        "devices.find": (tenant | {"device_id": "press-07"},),
        "devices.repair": (tenant | {"device": DEVICE, "by": "somebody", "now_ms": AT},),
        "devices.change": (tenant | {"device": DEVICE, "by": "somebody", "now_ms": AT},),
        "devices.page": (
            page | {"cursor": None},
            page | {"cursor": seal("devices:acme", "press-06")},
        ),
        "devices.members": (tenant | {"group": EVERYTHING, "limit": 10},),
        "groups.named": (tenant | {"groups": ["cell-9"]},),
        "groups.following": (page | {"after": None}, tenant | {"after": "a", "limit": None}),
        "groups.put": (tenant | {"record": GROUP}, tenant | {"record": replace(GROUP, version=1)}),
        "device_logs.sign_upload": (tenant | {"key": LOG, "seconds": 60},),
        "device_logs.page": (
            page | {"device_id": "press-07", "cursor": None, "url_seconds": 60},
            page
            | {
                "device_id": "press-07",
                "cursor": seal("logs:acme:press-07", LOG),
                "url_seconds": 60,
            },
        ),
        "command_types.named": (tenant | {"names": ["set-recipe"]},),
        "command_types.every": (tenant,),
        "command_types.put": (
            tenant | {"record": COMMAND_TYPE},
            tenant | {"record": replace(COMMAND_TYPE, version=1)},
        ),
        "connections.find": (tenant | {"device": DEVICE},),
        "command_records.create": (command | {"key": None}, command | {"key": KEY}),
        "command_records.claim": (command | {"now_ms": AT},),
        "command_records.settle": (command,),
        "command_records.cancel": (command | {"now_ms": AT},),
        "command_records.unanswered": (tenant | {"device_id": "press-07", "since_ms": AT},),
        "command_records.read": (tenant | {"command_id": ID},),
        "listed_commands.page": (
            page | {"cursor": None, "wanted": CommandFilter(name="reboot", since=AT)},
            page | {"cursor": None, "wanted": CommandFilter(device="press-07")},
        ),
        "broker.send_direct": (command | {"now_ms": AT},),
        "broker.publish": (command | {"now_ms": AT},),
        "broker.cancel": (command | {"now_ms": AT},),
        "campaign_records.create": (campaign | {"key": None}, campaign | {"key": KEY}),
        "campaign_records.settle": (
            campaign,
            tenant | {"record": replace(CAMPAIGN, begun_at=AT, looked_at=AT, step=1)},
        ),
        "campaign_records.read": (tenant | {"campaign_id": ID},),
        "campaign_records.begin_batch": (campaign | {"number": 0, "at_ms": AT},),
        "campaign_records.close": (
            campaign | {"closing": CampaignClosing.CANCELED, "by": "somebody"},
            campaign | {"closing": CampaignClosing.STOPPED, "why": "because"},
        ),
        "campaign_records.page": (
            page | {"cursor": None, "wanted": EVERY_CAMPAIGN},
            page | {"cursor": seal("campaigns:acme", ID), "wanted": CampaignFilter(group="all")},
        ),
        "campaign_batches.plan": (campaign | {"batches": [BATCH]},),
        "campaign_batches.read": (campaign | {"number": 0},),
        "campaign_batches.prepare": (campaign | {"batch": BATCH},),
        "campaign_batches.store": (campaign | {"batch": BATCH},),
        "campaign_batches.tallies": (campaign,),
        "campaign_batches.page": (campaign | {"limit": 10, "cursor": None},),
        "artifacts.find": (tenant | {"name": "recipes/steel.json"},),
        "download_records.create": (download | {"key": None}, download | {"key": KEY}),
        "download_records.settle": (download,),
        "download_records.read": (tenant | {"download_id": ID},),
        "download_records.close": (
            download | {"closing": Closing.CANCELED},
            download | {"closing": Closing.STOPPED, "why": "because"},
        ),
        "download_records.pause": (download | {"at_ms": AT}, download | {"at_ms": None}),
        "download_records.approve": (download | {"by": "another", "groups": ("managers",)},),
        "download_records.begin_wave": (download | {"wave": 1, "at_ms": AT},),
        "plans.store": (tenant | {"plan": PLAN, "devices": [PLANNED]},),
        "plans.read": (tenant | {"plan_id": ID},),
        "plans.page": (tenant | {"plan": PLAN, "limit": 10, "cursor": None},),
        "plans.devices": (tenant | {"plan": PLAN},),
        "wanted_versions.of_package": (tenant | {"package": WISH.package},),
        "wanted_versions.every": (tenant,),
        "wanted_versions.put": (
            tenant | {"wish": WISH},
            tenant | {"wish": replace(WISH, revision=0)},
            tenant | {"wish": WISH, "batch": WISH_BATCH},
        ),
        "wanted_versions.batches": (tenant | {"wish_id": ID},),
        "wanted_versions.settle": (tenant | {"batch": WISH_BATCH},),
        "bills_of_materials.store": (tenant | {"materials": BILL},),
        "bills_of_materials.link": (
            tenant | {"package": WISH.package, "version": WISH.version, "file_id": ID},
        ),
        "bills_of_materials.of_package": (
            tenant | {"package": WISH.package, "version": WISH.version, "most": 5},
        ),
        "bills_of_materials.read": (tenant | {"file_id": ID, "wanted": ZLIB, "most": 5},),
        "running_versions.of_package": (tenant | {"package": WISH.package},),
        "running_versions.every": (tenant,),
        "running_versions.find": (tenant | {"package": WISH.package, "device_id": "press-07"},),
        "running_versions.tell": (tenant | {"running": RUNNING},),
        "download_records.page": (
            page | {"cursor": None, "wanted": EVERY_DOWNLOAD},
            page | {"cursor": seal("downloads:acme", ID), "wanted": DownloadFilter(group="all")},
        ),
        "file_records.create": (file | {"key": None}, file | {"key": KEY}),
        "file_records.settle": (file,),
        "file_records.read": (tenant | {"file_id": ID},),
        "file_records.page": (
            page | {"prefix": "", "cursor": None},
            page | {"prefix": "a/", "cursor": seal("files:acme:a/", f"a/b#{ID}")},
        ),
        "file_records.newest": (tenant | {"name": "recipes/steel.json"},),
        "file_objects.begin": (tenant | {"file_id": ID},),
        "file_objects.sign": (
            tenant
            | {"file": FILE, "parts": [UploadPart(number=1, sha256="ab" * 32)], "seconds": 600},
        ),
        "file_objects.sizes": (tenant | {"file": FILE},),
        "file_objects.assemble": (tenant | {"file": FILE},),
        "file_objects.piece": (tenant | {"file": FILE, "first": 0, "last": 9},),
        "file_objects.discard": (
            tenant | {"file": replace(FILE, version="")},
            tenant | {"file": replace(FILE, state=FileState.RETIRED)},
        ),
        "enrolments.register": (
            tenant | {"device": DEVICE, "enrolment": ENROLMENT, "by": "somebody", "now_ms": AT},
        ),
        "enrolments.find": (tenant | {"device_id": "press-07"},),
        "enrolments.change": (tenant | {"enrolment": ENROLMENT},),
        "device_states.read": (tenant | {"device_id": "press-07"},),
        "device_states.change": (
            tenant
            | {"device_id": "press-07", "desired": {"speed": ASKED, "mode": None}, "version": 7},
        ),
        "telemetry.last_values": (
            page | {"device_id": "press-07", "cursor": None},
            page | {"device_id": "press-07", "cursor": seal("telemetry:acme:press-07", "speed")},
        ),
        "things.make": (tenant | {"enrolment": ENROLMENT},),
        "things.sign": (tenant | {"request": SigningRequest(pem="x", key="ab" * 32)},),
        "things.certificate": (tenant | {"certificate_id": CERTIFICATE.id},),
        "enrolments.retire": (tenant | {"device": DEVICE, "by": "somebody", "now_ms": AT},),
        "deliveries.of_device": (
            download | {"device_id": "press-07"},
            tenant | {"record": replace(DOWNLOAD, devices=101), "device_id": "press-07"},
        ),
        "download_jobs.waiting": (tenant | {"device_id": "press-07"},),
        "download_jobs.withdraw": (
            tenant | {"device_id": "press-07", "job": (ID, "00"), "why": "because"},
        ),
        "things.put_off": (tenant | {"device": DEVICE, "certificates": frozenset()},),
        "connections.end": (tenant | {"device": DEVICE},),
        "things.admit": (tenant | {"enrolment": ENROLMENT, "certificate": CERTIFICATE},),
        "people.page": (
            page | {"email": "", "cursor": None},
            page | {"email": "ann", "cursor": seal("people:acme:ann", "token")},
        ),
        "people.find": (tenant | {"person_id": "ann"},),
        "people.invite": (tenant | {"new": NewPerson(email="ann@acme.test", region="eu")},),
        "people.add_to_group": (tenant | {"person_id": "ann", "group": "operators"},),
        "people.remove_from_group": (tenant | {"person_id": "ann", "group": "operators"},),
        "people.enable": tuple(
            tenant | {"person_id": "ann", "enabled": enabled} for enabled in (True, False)
        ),
        "people.sign_out": (tenant | {"person_id": "ann"},),
        "machine_records.find": (tenant | {"machine_id": "mes"},),
        "machine_records.following": (
            tenant | {"after": None, "limit": 10},
            tenant | {"after": "a", "limit": 10},
        ),
        "machine_records.put": (
            tenant | {"machine": MACHINE},
            tenant | {"machine": replace(MACHINE, version=0, state=MachineState.REVOKED)},
        ),
        "machine_records.admit": (tenant | {"client_id": CLIENT, "machine_id": "mes"},),
        "machine_records.admitted": (tenant | {"client_id": CLIENT},),
        "machine_records.used": (tenant | {"machine_id": "mes", "at_ms": AT},),
        "machine_clients.make": (tenant | {"machine": MACHINE},),
        "machine_clients.named": (tenant | {"name": "api.mes"},),
        "machine_clients.delete": (tenant | {"client_id": CLIENT},),
        "machine_clients.add_secret": (tenant | {"client_id": CLIENT},),
        "machine_clients.secrets": (tenant | {"client_id": CLIENT},),
        "machine_clients.delete_secret": (
            tenant | {"client_id": CLIENT, "secret_id": f"{CLIENT}--1"},
        ),
        "grant_records.create": (
            tenant | {"record": GRANT, "key": None},
            tenant | {"record": GRANT, "key": KEY},
        ),
        "grant_records.settle": (tenant | {"record": GRANT},),
        "grant_records.read": (tenant | {"grant_id": ID},),
        "grant_records.page": (page | {"cursor": None}, page | {"cursor": seal("grants:acme", ID)}),
        "granted_policies.tell": (tenant | {"fingerprint": "ab" * 16},),
        "granted_policies.end": (
            tenant | {"fingerprint": "ab" * 16, "policy_id": None},
            tenant | {"fingerprint": "ab" * 16, "policy_id": "SP1"},
        ),
        "granted_policies.forget": (tenant | {"policy_id": "SP1"},),
        "granted_policies.put": (tenant | {"grant": GRANT},),
        "granted_policies.find": (tenant | {"grant": GRANT},),
        "granted_policies.remove": (tenant | {"grant": GRANT},),
        "freeze_records.read": (tenant | {"group": FREEZE.group},),
        "freeze_records.put": (tenant | {"freeze": FREEZE},),
        "freeze_policies.put": (tenant | {"freeze": FREEZE},),
        "freeze_policies.remove": (tenant | {"freeze": FREEZE},),
        "revocations.word": (tenant,),
        "revocations.revoke": (tenant | {"subject": "ann", "not_before": AT},),
        "revocations.settle": (tenant | {"subject": "ann", "intent": AT, "not_before": AT},),
        "deliveries.plan": (download | {"jobs": [JOB]},),
        "deliveries.job": (download | {"number": 0},),
        "deliveries.attempts": (download | {"number": 0},),
        "deliveries.retry": (download | {"job": replace(JOB, round=1)},),
        "deliveries.made": (job | {"now_ms": AT},),
        "deliveries.decided": (job | {"now_ms": AT},),
        "deliveries.canceled": (job | {"now_ms": AT},),
        "deliveries.tell": (job | {"outcomes": {"press-07": OUTCOME}},),
        "deliveries.audited": (job | {"outcomes": {"press-07": OUTCOME}},),
        "deliveries.survey": (download,),
        "deliveries.progress": (progress | {"cursor": None},),
        "download_jobs.make": (job,),
        "download_jobs.cancel": (job,),
        "download_jobs.outcomes": (job,),
        "work_queue.send": ({"work": [WORK]}, {"work": [WORK, WORK]}),
        "work_queue.receive": ({},),
        "work_queue.done": ({"received": RECEIVED},),
        "work_queue.hold": ({"received": RECEIVED},),
        "work_queue.postpone": ({"received": RECEIVED, "seconds": 5},),
        "timers.wake": (timer | {"name": "acme--d"}, timer | {"name": NEW_TIMER}),
        "timers.forget": ({"name": "acme--d"},),
    }
    # One object answers both ports of the trail.
    return known | {
        f"{other}.{name}": known[f"{port}.{name}"]
        for port, other, names in (
            ("audit_entries", "audit", ("keep", "newest", "of_link", "oldest")),
            ("audit", "audit_entries", ("write",)),
        )
        for name in names
    }


def _facts_asked_for(call: Call) -> list[dict[str, Any]]:
    """The keys of the row of facts that a query names."""
    values = call.arguments.get("ExpressionAttributeValues", {})
    return [{"partition": values[":own"], "sk": values[":key"]}] if ":key" in values else []


def answer(call: Call, acme: Tenant) -> dict[str, Any] | Refusal:
    """What AWS says when all is well: enough for the adapter to make all its calls."""
    thing = f"arn:aws:iot:eu-central-1:123456789012:thing/{DEVICE.thing}"
    allow = {"decision": "ALLOW", "determiningPolicies": [], "errors": []}
    certificate = {
        "certificateId": CERTIFICATE.id,
        "certificateArn": CERTIFICATE.arn,
        "certificatePem": CERTIFICATE.pem,
    }
    answers: dict[str, dict[str, Any]] = {
        "GetConnection": {"connected": True, "connectedSince": 1},
        "SendMessage": {"MessageId": "m1"},
        "CreateSchedule": {"ScheduleArn": "arn"},
        "PutEvents": {"FailedEntryCount": 0, "Entries": [{"EventId": "e"}]},
        "UpdateSchedule": {"ScheduleArn": "arn"},
        "SendMessageBatch": {
            "Successful": [{"Id": one.get("Id")} for one in call.arguments.get("Entries", ())],
            "Failed": [],
        },
        # A row of facts that cannot be read, for who repairs one.
        "Query": {"Items": _facts_asked_for(call)},
        "UpdateItem": {"Attributes": {"full_at": {"N": "1"}}},
        "ListJobExecutionsForJob": {
            "executionSummaries": [
                {"thingArn": thing, "jobExecutionSummary": {"status": "IN_PROGRESS"}}
            ]
        },
        "ListJobExecutionsForThing": {
            "executionSummaries": [
                {"jobId": f"acme--{ID}-00", "jobExecutionSummary": {"status": "QUEUED"}}
            ]
        },
        "IsAuthorizedWithToken": allow,
        "BatchIsAuthorized": {"results": [allow]},
        "BatchIsAuthorizedWithToken": {"results": [allow]},
        **_policy_store(),
        "ListObjectsV2": {
            "IsTruncated": False,
            "Contents": [
                {"Key": LOG, "Size": 1, "LastModified": datetime(2026, 10, 1, tzinfo=UTC)}
            ],
        },
        "HeadObject": {"ContentLength": 1, "ETag": '"e"', "VersionId": "v1"},
        "CreateMultipartUpload": {"UploadId": "upload-1"},
        "ListParts": {
            "UploadId": "upload-1",
            "Parts": [{"PartNumber": 1, "Size": 1, "ETag": '"p"', "ChecksumSHA256": "c"}],
        },
        "CompleteMultipartUpload": {"ETag": '"e"'},
        "GetThingShadow": {"payload": b'{"state":{"desired":{}},"version":7}'},
        "GetObject": {"Body": b"0123456789"},
        "CreateThing": {"thingId": "thing-1"},
        "ListThingPrincipals": {"principals": [CERTIFICATE.arn]},
        **_user_pool(),
        "CreateCertificateFromCsr": certificate,
        "GetPublicKey": {"PublicKey": b"key"},
        "Sign": {"Signature": b"signature"},
        "Encrypt": {"CiphertextBlob": b"sealed"},
        "Decrypt": {"Plaintext": b"whsec_eA=="},
        "DescribeCertificate": {"certificateDescription": certificate | {"status": "ACTIVE"}},
    }
    if call.operation == "UpdateSchedule" and call.arguments["Name"] == NEW_TIMER:
        return Refusal(NOT_FOUND, 404)
    if call.arguments.get("ReturnValues") == "ALL_NEW":
        return {"Attributes": stored(call.arguments["Key"], acme)}
    if call.operation == "BatchGetItem":
        return {
            "Responses": {
                table: [key | {"digest": {"S": "ab" * 32}} for key in asked["Keys"]]
                for table, asked in call.arguments["RequestItems"].items()
            },
            "UnprocessedKeys": {},
        }
    if call.operation == "GetItem" and "people" in str(call.arguments["Key"]):
        return {}
    if call.operation == "GetItem":
        claim = "replay" in str(call.arguments["Key"])  # nobody made anything under this key
        return {} if claim else {"Item": stored(call.arguments["Key"], acme)}
    return answers.get(call.operation, {})


def _user_pool() -> dict[str, dict[str, Any]]:
    """A pool with one person."""
    listed = [{"Name": "sub", "Value": "ann"}, {"Name": "email", "Value": "ann@acme.test"}]
    at = datetime(2026, 10, 1, tzinfo=UTC)
    secret = {"ClientSecretId": f"{CLIENT}--1", "ClientSecretCreateDate": at}
    person = {
        "Username": "ann",
        "Enabled": True,
        "UserStatus": "CONFIRMED",
        "UserCreateDate": at,
        "UserLastModifiedDate": at,
    }
    return {
        "CreateUserPoolClient": {"UserPoolClient": {"ClientId": CLIENT, "ClientSecret": "s" * 52}},
        "ListUserPoolClients": {"UserPoolClients": [{"ClientId": CLIENT, "ClientName": "api.mes"}]},
        "ListUserPoolClientSecrets": {"ClientSecrets": [secret]},
        "AddUserPoolClientSecret": {
            "ClientSecretDescriptor": secret | {"ClientSecretValue": "s" * 52}
        },
        "ListUsers": {"Users": [person | {"Attributes": listed}]},
        "AdminGetUser": person | {"UserAttributes": listed},
        "AdminCreateUser": {"User": person | {"Attributes": listed}},
        "AdminListGroupsForUser": {"Groups": [{"GroupName": "operators"}]},
    }


def _policy_store() -> dict[str, dict[str, Any]]:
    """A store with one policy and one grant."""
    at = {"createdDate": "2026-10-01", "lastUpdatedDate": "2026-10-01"}
    somebody = {"entityType": "Fleet::User", "entityId": "pool|somebody"}
    link = {"policyTemplateId": "PT1", "principal": somebody, "resource": somebody}
    definitions = {"SP1": {"static": {"statement": "permit"}}, "SP2": {"templateLinked": link}}
    return {
        "ListPolicies": {"policies": [{"policyId": one, **at} for one in definitions]},
        "ListPolicyTemplates": {"policyTemplates": [{"policyTemplateId": "PT1", **at}]},
        "BatchGetPolicy": {
            "results": [{"policyId": one, "definition": of} for one, of in definitions.items()],
            "errors": [],
        },
        "GetPolicyTemplate": {"statement": "permit"},
        "CreatePolicy": {"policyId": "SP3", **at},
        "GetPolicy": {"policyId": "SP3", **at},
        "GetSchema": {"schema": "{}", **at},
    }


def _bill_row() -> dict[str, Any]:
    """A row of bills of materials, of what one names and of whose it is."""
    told = {"name": BILL.name, "sha256": BILL.sha256, "components": BILL.packed()}
    link = {"version": WISH.version, "file_id": ID}
    return {
        **{name: {"S": text} for name, text in (told | link).items()},
        "size": {"N": str(BILL.size)},
        "is_whole": {"BOOL": True},
    }


def stored(key: Mapping[str, Any], acme: Tenant) -> dict[str, Any]:
    """The row of a key, in the table that it is a key of."""
    if "issuer" in key:
        row = {
            member.name: getattr(acme, member.name)
            for member in fields(acme)
            if member.name not in {"id", "client_ids", "status", "budgets", "lacking"}
        }
        listed = {"tenant": acme.id, "client_ids": sorted(acme.client_ids), "status": "ACTIVE"}
        written = {name: value for name, value in (row | listed).items() if value is not None}
        return json.loads(registry_item(written))
    if "--plan#" in str(key):
        [part, record] = plan_items(acme, PLAN, [PLANNED])
        return record if key["sk"] == record["sk"] else part
    if "--campaign#" in str(key):
        is_record = key["sk"]["S"] == "record"
        return {**(campaign_item(CAMPAIGN) if is_record else batch_item(CAMPAIGN, BATCH)), **key}
    if "--machines" in str(key) or "--materials" in str(key):
        return {**(_bill_row() if "--materials" in str(key) else machine_item(MACHINE)), **key}
    if "--machine-clients" in str(key):
        return {**key, "machine": {"S": MACHINE.id}}
    texts = {
        "target": DEVICE.thing,
        "command_id": ID,
        "name": "reboot",
        "arguments": "{}",
        "created_by": "somebody",
        "state": "created",
        "failure": "",
        "emergency_reason": "",
        "download_id": ID,
        "target_kind": "device",
        "artifact": "recipes/steel.json",
        "sha256": "",
        "etag": "e",
    }
    numbers = {"created_at": "1", "expires_at": "2", "size": "1", "devices": "1"}
    if "--files" in str(key):
        texts |= {"file_id": ID, "upload": "upload-1", "state": "uploading", "problem": ""}
        texts |= {"version": "", "sha256": "ab" * 32}
        numbers |= {"part_size": "1", "changed_at": "1", "revision": "1"}
    if "--versions" in str(key):
        texts, numbers = {"version": RUNNING.version}, {"at": str(AT)}
    if "--freezes" in str(key):
        row = vars(FREEZE) | {"state": "freezing"}
        texts = {name: text for name, text in row.items() if isinstance(text, str)}
        numbers = {name: str(one) for name, one in row.items() if isinstance(one, int)}
    if "--grants" in str(key):
        row = vars(GRANT) | {"state": "active", "group": ""}
        texts |= {name: text for name, text in row.items() if isinstance(text, str)}
        numbers |= {name: str(one) for name, one in row.items() if isinstance(one, int)}
    return {
        **{name: {"S": text} for name, text in texts.items()},
        **{name: {"N": text} for name, text in numbers.items()},
        "members": {"L": []},
        **key,
    }


def ports_of(door: AnsweredDoor) -> Ports:
    """All ports as the service makes them, that remember nothing."""
    settings = Settings(
        http=HttpSettings(),
        tokens=TokenSettings(),
        jwks=JwksSettings(),
        tenants=TenantSettings(cache_seconds=0, unknown_cache_seconds=0, again_seconds=0),
        policies=PolicySettings(templates=0),
        aws=AWS,
        records=RecordSettings(
            audit_key="arn:aws:kms:eu-central-1:123456789012:key/1234abcd",
            audit_keys_seconds=0,
            webhook_key="arn:aws:kms:eu-central-1:123456789012:key/5678abcd",
        ),
        direct=DirectMessageSettings(),
        jobs=JobSettings(),
        enrolment=EnrolmentSettings(),
        work=WorkSettings(
            queue_url="https://sqs.eu-central-1.amazonaws.com/123456789012/work",
            timer_role_arn="arn:aws:iam::123456789012:role/timer",
        ),
    )
    return aws_ports(settings, NO_CALLS, door)
