"""Every AWS call that an adapter makes, refused in every way: never a success, always our error.

The calls are found by making them, the ways to refuse them in AWS's own model of each operation.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import json
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import botocore.session
import pytest
from botocore import xform_name
from cedarfleet_device.wire import Signed

from infra.stacks.tenant_stack.registry_row import registry_item
from service.adapters.aws.client.calls import AwsCalls
from service.adapters.aws.client.failures import NoAnswerError
from service.adapters.aws.client.line import Reply
from service.adapters.aws.cursors import seal
from service.adapters.aws.policies import digest_key
from service.adapters.memory.user_pool import MemoryUserPool
from service.cedar.decision import Allowed
from service.cedar.request import AuthorizationRequest, RequestContext
from service.cedar.values import EntityUid
from service.composition import aws_ports
from service.domain.audit import AuditRecord
from service.domain.budgets import Bucket, Grant
from service.domain.commands import CommandRecord, DirectAnswer
from service.domain.devices import Device
from service.domain.downloads import (
    DeliveryJob,
    DeliveryState,
    DownloadRecord,
    Outcome,
    TargetKind,
)
from service.domain.enrolments import Certificate, Enrolment, SigningRequest
from service.domain.files import FileState, FileVersion, StoredObject, UploadPart
from service.domain.groups import DeviceGroup
from service.domain.idempotency import IdempotencyKey
from service.domain.identities import Principal, TokenUse, VerifiedClaims
from service.domain.permissions import Permission
from service.domain.rates import Rate
from service.domain.work import ReceivedWork, Work, WorkKind
from service.errors import ConflictError, UnavailableError, UpstreamError
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
from tests.service.adapters.aws.answered_line import AnsweredDoor, Refusal, on_the_line
from tests.service.adapters.aws.conftest import AWS

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from service.domain.tenants import Tenant
    from service.ports import Ports
    from tests.service.adapters.aws.answered_line import Call

ADAPTERS: Final = Path(__file__).parents[4] / "service/adapters/aws"
ID: Final = "01JD0000000000000000000000"
AT: Final = 1_790_000_000_000
# Nothing that is asked here runs on its threads.
NO_CALLS: Final = AwsCalls(AWS)
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
ENROLMENT: Final = Enrolment(
    tenant="acme", device="press-07", registration=ID, code_digest="ab" * 32, expires_at=AT
)
CERTIFICATE: Final = Certificate(
    id="ab" * 32,
    arn=f"arn:aws:iot:eu-central-1:123456789012:cert/{'ab' * 32}",
    pem="pem",
    active=True,
)
JOB: Final = DeliveryJob(number=0, members=("press-07",))
OUTCOME: Final = Outcome(state=DeliveryState.SUCCEEDED, at=AT)
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
QUESTION: Final = AuthorizationRequest.of(
    principal=EntityUid("Fleet::User", "pool|somebody"),
    action=Permission.VIEW_DEVICE,
    entities=DEVICE.entities({}),
    context=RequestContext(now=datetime(2026, 10, 1, tzinfo=UTC)),
)
# Answered by something else than AWS clients: `test_signing_keys.py`, the clock of the process.
SERVICES: Final = {
    name: botocore.session.get_session().get_service_model(name)
    for name in (*("dynamodb", "iot", "iot-data", "s3", "scheduler", "sqs", "verifiedpermissions"),)
}
WITHOUT_AWS: Final = {"signing_keys", "clock"}

IN_EVERY_OPERATION: Final = {
    Refusal("AccessDeniedException", 403): UpstreamError,
    Refusal("ExpiredTokenException", 400): UpstreamError,
    Refusal("UnrecognizedClientException", 400): UpstreamError,
    Refusal("ValidationException", 400): UpstreamError,
    Refusal("ConditionalCheckFailedException", 400): UpstreamError,
    Refusal("SomethingNewException", 400): UpstreamError,
    Refusal("ThrottlingException", 400): UnavailableError,
    Refusal("SlowDown", 503): UnavailableError,
    Refusal("InternalServerError", 500): UnavailableError,
    Refusal("SomethingNewException", 502): UnavailableError,
}
ON_THE_LINE: Final = (
    NoAnswerError("the line broke", is_lost=True),
    NoAnswerError("nobody listens", is_lost=False),
    Reply(status=200, headers={}, body=b"<html>secret words of a proxy</html>"),
    Reply(status=200, headers={}, body=b"[]"),
    Reply(status=200, headers={}, body=b"null"),
)
NOT_FOUND: Final = "ResourceNotFoundException"
# What a refusal means, where it is no fault: the type of what is answered or raised.
MEANS: Final[dict[tuple[str, str], type]] = {
    ("GetConnection", NOT_FOUND): type(None),
    ("SendDirectMessage", NOT_FOUND): DirectAnswer,
    ("SendDirectMessage", "GatewayTimeoutException"): DirectAnswer,
    ("ListJobExecutionsForJob", NOT_FOUND): dict,
    ("CancelJob", NOT_FOUND): type(None),
    ("CancelJob", "InvalidRequestException"): type(None),
    ("CreateJob", NOT_FOUND): ConflictError,
    ("UpdateSchedule", NOT_FOUND): type(None),
    ("CreateSchedule", "ConflictException"): type(None),
    ("DeleteSchedule", NOT_FOUND): type(None),
    ("PutItem of an end", "ConditionalCheckFailedException"): type(None),
    ("HeadObject", "404"): type(None),
    ("HeadObject", "NoSuchKey"): type(None),
    ("CreateJob", "ResourceAlreadyExistsException"): type(None),
    ("PutItem of a new code", "ConditionalCheckFailedException"): type(None),
    ("PutItem of a new device", "ConditionalCheckFailedException"): bool,
    ("PutItem of a device", "ConditionalCheckFailedException"): ConflictError,
    ("UpdateItem of a bucket", "ConditionalCheckFailedException"): Grant,
    ("UpdateItem of a claim", "ConditionalCheckFailedException"): bool,
    ("CreateThing", "ResourceAlreadyExistsException"): type(None),
    ("DescribeCertificate", NOT_FOUND): type(None),
    ("PutItem of a file", "ConditionalCheckFailedException"): ConflictError,
    ("ListParts", "NoSuchUpload"): StoredObject,
    ("CompleteMultipartUpload", "NoSuchUpload"): StoredObject,
    ("AbortMultipartUpload", "NoSuchUpload"): type(None),
}


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
    page, progress = tenant | {"limit": 10}, download | {"limit": 10}
    return {
        "tenants.find": ({"issuer": acme.issuer},),
        "tenants.named": ({"tenant_id": acme.id},),
        "tenants.check": ({},),
        "authorizer.decide": ({"principal": principal, "request": QUESTION},),
        "authorizer.decide_all": ({"principal": principal, "requests": [QUESTION]},),
        "policy_stores.expected": (tenant,),
        "policy_stores.versions": (tenant,),
        "policy_stores.contents": (tenant,),
        "audit.write": (tenant | {"record": AUDIT},),
        "buckets.take": (
            {"bucket": replace(BUCKET, tenant=acme), "tokens": 1, "now": AT},
            {"bucket": BUCKET, "tokens": 1, "now": AT},
        ),
        "devices.find": (tenant | {"device_id": "press-07"},),
        "devices.change": (tenant | {"device": DEVICE, "by": "somebody", "now_ms": AT},),
        "devices.page": (
            page | {"cursor": None},
            page | {"cursor": seal("devices:acme", "press-06")},
        ),
        "devices.members": (tenant | {"group": EVERYTHING, "limit": 10},),
        "connections.find": (tenant | {"device": DEVICE},),
        "command_records.create": (command | {"key": None}, command | {"key": KEY}),
        "command_records.claim": (command | {"now_ms": AT},),
        "command_records.settle": (command,),
        "command_records.unanswered": (tenant | {"device_id": "press-07", "since_ms": AT},),
        "command_records.read": (tenant | {"command_id": ID},),
        "broker.send_direct": (command | {"now_ms": AT},),
        "broker.publish": (command | {"now_ms": AT},),
        "artifacts.find": (tenant | {"name": "recipes/steel.json"},),
        "download_records.create": (download | {"key": None}, download | {"key": KEY}),
        "download_records.settle": (download,),
        "download_records.read": (tenant | {"download_id": ID},),
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
        "things.make": (tenant | {"enrolment": ENROLMENT},),
        "things.sign": (tenant | {"request": SigningRequest(pem="x", key="ab" * 32)},),
        "things.certificate": (tenant | {"certificate_id": CERTIFICATE.id},),
        "things.admit": (tenant | {"enrolment": ENROLMENT, "certificate": CERTIFICATE},),
        "deliveries.plan": (download | {"jobs": [JOB]},),
        "deliveries.job": (download | {"number": 0},),
        "deliveries.made": (job | {"now_ms": AT},),
        "deliveries.tell": (job | {"outcomes": {"press-07": OUTCOME}},),
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
        "Query": {"Items": []},
        "UpdateItem": {"Attributes": {"full_at": {"N": "1"}}},
        "ListJobExecutionsForJob": {
            "executionSummaries": [
                {"thingArn": thing, "jobExecutionSummary": {"status": "IN_PROGRESS"}}
            ]
        },
        "IsAuthorizedWithToken": allow,
        "BatchIsAuthorizedWithToken": {"results": [allow]},
        **_policy_store(),
        "HeadObject": {"ContentLength": 1, "ETag": '"e"', "VersionId": "v1"},
        "CreateMultipartUpload": {"UploadId": "upload-1"},
        "ListParts": {
            "UploadId": "upload-1",
            "Parts": [{"PartNumber": 1, "Size": 1, "ETag": '"p"', "ChecksumSHA256": "c"}],
        },
        "CompleteMultipartUpload": {"ETag": '"e"'},
        "GetObject": {"Body": b"0123456789"},
        "CreateThing": {"thingId": "thing-1"},
        "CreateCertificateFromCsr": certificate,
        "DescribeCertificate": {"certificateDescription": certificate | {"status": "ACTIVE"}},
    }
    if call.operation == "UpdateSchedule" and call.arguments["Name"] == NEW_TIMER:
        return Refusal(NOT_FOUND, 404)
    if call.operation == "GetItem" and digest_key("") in str(call.arguments["Key"]):
        return {"Item": {"digest": {"S": "ab" * 32}}}
    if call.operation == "GetItem":
        claim = "replay" in str(call.arguments["Key"])  # nobody made anything under this key
        return {} if claim else {"Item": stored(call.arguments["Key"], acme)}
    return answers.get(call.operation, {})


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
        "GetSchema": {"schema": "{}", **at},
    }


def stored(key: Mapping[str, Any], acme: Tenant) -> dict[str, Any]:
    """The row of a key, in the table that it is a key of."""
    if "issuer" in key:
        row = {
            member.name: getattr(acme, member.name)
            for member in fields(acme)
            if member.name not in {"id", "client_ids", "status", "budgets"}
        }
        listed = {"tenant": acme.id, "client_ids": sorted(acme.client_ids), "status": "ACTIVE"}
        return json.loads(registry_item(row | listed))
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
        records=RecordSettings(),
        direct=DirectMessageSettings(),
        jobs=JobSettings(),
        enrolment=EnrolmentSettings(),
        work=WorkSettings(
            queue_url="https://sqs.eu-central-1.amazonaws.com/123456789012/work",
            timer_role_arn="arn:aws:iam::123456789012:role/timer",
        ),
    )
    return aws_ports(settings, NO_CALLS, door)


def refusals(calls: list[Call]) -> dict[str, list[Refusal | Reply | Exception]]:
    """For each operation that was called, every way not to get its answer."""
    found: dict[str, list[Refusal | Reply | Exception]] = {}
    for call in calls:
        model = SERVICES[call.service].operation_model(call.operation)
        shapes: list[Any] = model.error_shapes
        modelled = {
            Refusal(shape.error_code, shape.metadata.get("error", {}).get("httpStatusCode", 400))
            for shape in shapes
        }
        named = {Refusal(code) for operation, code in MEANS if operation == call.operation}
        found[call.operation] = [*IN_EVERY_OPERATION, *modelled, *named, *ON_THE_LINE]
    return found


def meant(call: Call, refusal: Refusal | Reply | Exception) -> tuple[type, ...]:
    """What may come of a refusal: the types of what is raised or answered."""
    if isinstance(refusal, Exception):
        return (UnavailableError,)
    if isinstance(refusal, Reply):
        return (UpstreamError, UnavailableError)
    item, values = (call.arguments.get(name, {}) for name in ("Item", "ExpressionAttributeValues"))
    special = {
        f"{call.operation} of an end": "job#" in str(call.arguments.get("Item")),
        f"{call.operation} of a bucket": "budget#" in str(call.arguments.get("Key")),
        f"{call.operation} of a claim": ":earlier" in values,
        f"{call.operation} of a new code": ":version" in values and "code_digest" in item,
        f"{call.operation} of a new device": ":version" not in values
        and (item.get("origin") == {"S": ID} or "code_digest" in item),
        f"{call.operation} of a file": "acme--files" in str(item),
        f"{call.operation} of a device": "devices" in str(call.arguments.get("TableName")),
    }
    for operation in (call.operation, *(name for name, holds in special.items() if holds)):
        if (operation, refusal.code) in MEANS:
            # What `sizes` finds of an upload that is no more is none.
            return (MEANS[operation, refusal.code], *([dict] if operation == "ListParts" else []))
    for other, kind in IN_EVERY_OPERATION.items():
        if other.code == refusal.code and other.status == refusal.status:
            return (kind,)
    return (UpstreamError, UnavailableError)


@dataclass(frozen=True)
class Refusing:
    """Refuses one call of an operation, the ``number``-th, and answers the others."""

    acme: Tenant
    door: AnsweredDoor
    operation: str
    number: int
    refusal: Refusal | Reply | Exception

    def __call__(self, call: Call) -> dict[str, Any] | Refusal | Reply | Exception:
        """The answer."""
        same = sum(one.operation == self.operation for one in self.door.calls)
        if call.operation == self.operation and same == self.number:
            return self.refusal
        return answer(call, self.acme)


def outcome(ask: Callable[..., Coroutine[Any, Any, object]], asked: dict[str, Any]) -> object:
    """What a method answers or raises, once all its calls have ended."""

    async def scenario() -> object:
        try:
            return await ask(**asked)
        except Exception as error:  # noqa: BLE001 - whatever comes is what is looked at
            return error

    return asyncio.run(scenario())


# Asked with the credentials of the service itself, in no tenant's session.
OWN: Final = ("tenants.", "policy_stores.expected", "work_queue.", "timers.")
# Signs with the role's credentials, and asks AWS for no more than these.
SIGNED_HERE: Final = {"file_objects.sign"}
METHODS: Final = sorted(arguments(MemoryUserPool("acme").tenant))


@pytest.mark.parametrize("method", METHODS)
def test_a_refused_call_is_never_a_success(method: str, acme: Tenant, door: AnsweredDoor) -> None:
    """Each call of each method, refused in each way, is our error or what the refusal means."""
    port, _, name = method.partition(".")
    ask = getattr(getattr(ports_of(door), port), name)
    wrong: list[object] = []
    for asked in arguments(acme)[method]:
        door.calls.clear()
        door.answer = lambda call: answer(call, acme)
        well = outcome(ask, asked)
        assert not isinstance(well, Exception), well
        calls = list(door.calls)
        assert calls or method in SIGNED_HERE, "nothing was asked, so nothing can be known"
        for position, call in enumerate(calls):
            number = sum(one.operation == call.operation for one in calls[: position + 1])
            for refusal in refusals([call])[call.operation]:
                door.calls.clear()
                door.answer = Refusing(acme, door, call.operation, number, refusal)
                became = outcome(ask, asked)
                if type(became) not in meant(call, refusal) or "secret" in str(became):
                    wrong.append((call.operation, number, refusal, became))
    assert wrong == []


def test_every_method_and_every_call_is_refused(acme: Tenant, door: AnsweredDoor) -> None:
    """No method of a port is left out above, and no operation that an adapter's text names."""
    ports = ports_of(door)
    methods = {
        f"{port.name}.{name}"
        for port in fields(ports)
        if port.name not in WITHOUT_AWS
        for name, _ in inspect.getmembers(getattr(ports, port.name), inspect.iscoroutinefunction)
        if not name.startswith("_")
    }
    assert methods == set(METHODS)
    door.answer = lambda call: answer(call, acme)
    for method in METHODS:
        port, _, name = method.partition(".")
        for asked in arguments(acme)[method]:
            outcome(getattr(getattr(ports, port), name), asked)
    called = {xform_name(call.operation) for call in door.calls}
    assert called == named_operations()


def named_operations() -> set[str]:
    """Operations that the adapters' text names, beside that of the session itself."""
    known = {xform_name(name) for model in SERVICES.values() for name in model.operation_names}
    named: set[str] = set()
    for path in ADAPTERS.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                texts = [str(arg.value) for arg in node.args if isinstance(arg, ast.Constant)]
                if node.func.attr in {"call", "pages", "rows", "_pages"}:
                    named |= set(map(xform_name, texts)) & known
    return named


@pytest.fixture(scope="module")
def without_role() -> AnsweredDoor:
    """A door that AWS refuses the tenant's role."""
    door = AnsweredDoor(AWS)
    door.line.role, door.answer = Refusal("AccessDenied", 403), on_the_line
    return door


@pytest.mark.parametrize("method", [name for name in METHODS if not name.startswith(OWN)])
def test_a_refused_role_lets_nothing_through(
    method: str, acme: Tenant, without_role: AnsweredDoor
) -> None:
    """Without the tenant's role no call leaves: not as the service itself, and not unsigned."""
    port, _, name = method.partition(".")
    ask = getattr(getattr(ports_of(without_role), port), name)
    assert type(outcome(ask, arguments(acme)[method][0])) is UpstreamError
    assert without_role.line.sent == []
