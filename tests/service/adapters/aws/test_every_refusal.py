"""Every AWS call that an adapter makes, refused in every way: never a success, always our error.

The calls are found by making them, the ways to refuse them in AWS's own model of each operation.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final

import pytest
from botocore import xform_name

from service.adapters.aws.client.failures import NoAnswerError
from service.adapters.aws.client.line import Reply
from service.adapters.memory.user_pool import MemoryUserPool
from service.domain.budgets import Grant
from service.domain.campaigns import Batch
from service.domain.commands import DirectAnswer
from service.domain.device_state import DeviceState
from service.domain.files import StoredObject
from service.domain.isolation import NOBODY
from service.errors import (
    ConflictError,
    InvalidRequestError,
    NotFoundError,
    UnavailableError,
    UpstreamError,
)
from tests.mutants.critical import CRITICAL
from tests.service.adapters.aws.answered_line import AnsweredDoor, Refusal, on_the_line
from tests.service.adapters.aws.conftest import AWS
from tests.service.adapters.aws.every_call import (
    ADAPTERS,
    ID,
    NOT_FOUND,
    SERVICES,
    WITHOUT_AWS,
    answer,
    arguments,
    ports_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from service.domain.tenants import Tenant
    from tests.service.adapters.aws.answered_line import Call

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
# Of a call that tries the boundary between tenants, these say how it stands.
TELLS: Final = {
    *("AccessDenied", "AccessDeniedException", "ForbiddenException"),
    *("ConditionalCheckFailedException", NOT_FOUND),
}
# What a refusal means, where it is no fault: the type of what is answered or raised.
MEANS: Final[dict[tuple[str, str], type]] = {
    ("GetConnection", NOT_FOUND): type(None),
    ("GetThingShadow", NOT_FOUND): DeviceState,
    ("UpdateThingShadow", "ConflictException"): ConflictError,
    ("UpdateThingShadow", "RequestEntityTooLargeException"): InvalidRequestError,
    ("SendDirectMessage", NOT_FOUND): DirectAnswer,
    ("SendDirectMessage", "GatewayTimeoutException"): DirectAnswer,
    ("ListJobExecutionsForJob", NOT_FOUND): dict,
    ("CancelJobExecution", NOT_FOUND): type(None),
    ("CancelJobExecution", "InvalidStateTransitionException"): type(None),
    ("CancelJob", NOT_FOUND): bool,
    ("CancelJob", "InvalidRequestException"): bool,
    ("CreateJob", NOT_FOUND): ConflictError,
    ("UpdateSchedule", NOT_FOUND): type(None),
    ("CreateSchedule", "ConflictException"): type(None),
    ("DeleteSchedule", NOT_FOUND): type(None),
    ("PutItem of an end", "ConditionalCheckFailedException"): type(None),
    # Of two rounds of a number one is first.
    ("PutItem of a round", "ConditionalCheckFailedException"): bool,
    ("HeadObject", "404"): type(None),
    ("HeadObject", "NoSuchKey"): type(None),
    ("CreateJob", "ResourceAlreadyExistsException"): type(None),
    ("PutItem of a new code", "ConditionalCheckFailedException"): type(None),
    ("PutItem of a new device", "ConditionalCheckFailedException"): bool,
    ("PutItem of a device", "ConditionalCheckFailedException"): ConflictError,
    ("UpdateItem of a bucket", "ConditionalCheckFailedException"): Grant,
    ("UpdateItem of a claim", "ConditionalCheckFailedException"): bool,
    ("UpdateItem of an open download", "ConditionalCheckFailedException"): bool,
    ("CreateThing", "ResourceAlreadyExistsException"): type(None),
    ("DescribeCertificate", NOT_FOUND): type(None),
    ("DeleteConnection", NOT_FOUND): type(None),
    ("ListThingPrincipals", NOT_FOUND): type(None),
    ("PutItem of an end of a device", "ConditionalCheckFailedException"): frozenset,
    ("PutItem of a file", "ConditionalCheckFailedException"): ConflictError,
    ("ListUsers of a page", "InvalidParameterException"): InvalidRequestError,
    ("AdminGetUser", "UserNotFoundException"): type(None),
    ("AdminListGroupsForUser", "UserNotFoundException"): type(None),
    ("AdminCreateUser", "UsernameExistsException"): ConflictError,
    ("AdminCreateUser", "InvalidParameterException"): InvalidRequestError,
    ("AdminAddUserToGroup", NOT_FOUND): InvalidRequestError,
    ("AdminRemoveUserFromGroup", NOT_FOUND): InvalidRequestError,
    **{
        (f"Admin{change}", "UserNotFoundException"): NotFoundError
        for change in (
            "AddUserToGroup",
            "RemoveUserFromGroup",
            "EnableUser",
            "DisableUser",
            "UserGlobalSignOut",
        )
    },
    ("CreateUserPoolClient", "LimitExceededException"): ConflictError,
    ("AddUserPoolClientSecret", "LimitExceededException"): ConflictError,
    ("AddUserPoolClientSecret", NOT_FOUND): NotFoundError,
    ("ListUserPoolClientSecrets", NOT_FOUND): frozenset,
    ("DeleteUserPoolClient", NOT_FOUND): type(None),
    ("DeleteUserPoolClientSecret", NOT_FOUND): type(None),
    ("DeleteUserPoolClientSecret", "InvalidParameterException"): ConflictError,
    ("PutItem of a machine", "ConditionalCheckFailedException"): type(None),
    ("UpdateItem of a use", "ConditionalCheckFailedException"): type(None),
    ("PutItem of a freeze", "ConditionalCheckFailedException"): type(None),
    ("PutItem of a grant", "ConditionalCheckFailedException"): ConflictError,
    ("CreatePolicy", "ServiceQuotaExceededException"): ConflictError,
    ("CreatePolicy", "ValidationException"): ConflictError,
    ("CreatePolicy", "ConflictException"): str,
    ("GetPolicy", NOT_FOUND): type(None),
    ("DeletePolicy", NOT_FOUND): type(None),
    ("DeletePolicy", "ConflictException"): UnavailableError,
    ("UpdateItem of a revocation", "ConditionalCheckFailedException"): type(None),
    ("PutItem of a group", "ConditionalCheckFailedException"): type(None),
    ("PutItem of a link", "ConditionalCheckFailedException"): bool,
    ("PutItem of a checkpoint", "ConditionalCheckFailedException"): type(None),
    # Somebody else made the person's key, and then it is not there: fail closed.
    ("PutItem of a person", "ConditionalCheckFailedException"): UnavailableError,
    ("PutItem of a wish", "ConditionalCheckFailedException"): type(None),
    ("TransactWriteItems of a wish", "TransactionCanceledException"): type(None),
    ("PutItem of a version", "ConditionalCheckFailedException"): type(None),
    ("PutItem of a command type", "ConditionalCheckFailedException"): type(None),
    # Somebody else was first: it goes on from there.
    ("UpdateItem of a step", "ConditionalCheckFailedException"): type(None),
    ("TransactWriteItems of a batch", "TransactionCanceledException"): Batch,
    ("ListParts", "NoSuchUpload"): StoredObject,
    ("CompleteMultipartUpload", "NoSuchUpload"): StoredObject,
    ("AbortMultipartUpload", "NoSuchUpload"): type(None),
}


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
        told: Any = model.output_shape
        is_json = "json" in str(model.service_model.protocol)
        if is_json and told is not None and told.members and "payload" not in told.serialization:
            found[call.operation].append(Reply(status=200, headers={}, body=b""))
            if told.required_members:
                found[call.operation].append(Reply(status=200, headers={}, body=b"{}"))
    return found


def meant(call: Call, refusal: Refusal | Reply | Exception) -> tuple[type, ...]:
    """What may come of a refusal: the types of what is raised or answered."""
    if isinstance(refusal, Exception):
        return (UnavailableError,)
    if isinstance(refusal, Reply):
        return (UpstreamError, UnavailableError)
    item, values = (call.arguments.get(name, {}) for name in ("Item", "ExpressionAttributeValues"))
    special = {
        f"{call.operation} of an end": "job#" in str(item.get("sk")) and "members" not in item,
        f"{call.operation} of a round": "job#" in str(item.get("sk")) and "members" in item,
        f"{call.operation} of a bucket": "budget#" in str(call.arguments.get("Key")),
        f"{call.operation} of a claim": ":earlier" in values,
        f"{call.operation} of an open download": str(
            call.arguments.get("ConditionExpression")
        ).startswith("attribute_exists(thing) AND attribute_not_exists(closing)"),
        f"{call.operation} of a step": "#step = :before" in str(call.arguments),
        f"{call.operation} of a batch": "attribute_not_exists(prepared_at)" in str(call.arguments),
        f"{call.operation} of a new code": ":version" in values and "code_digest" in item,
        f"{call.operation} of a new device": ":version" not in values
        and (item.get("origin") == {"S": ID} or "code_digest" in item),
        f"{call.operation} of a file": "acme--files" in str(item),
        f"{call.operation} of a page": "PaginationToken" in call.arguments,
        f"{call.operation} of a machine": "acme--machines" in str(item)
        or "acme--webhooks" in str(item),
        f"{call.operation} of a use": "--machines" in str(call.arguments.get("Key")),
        f"{call.operation} of a revocation": "not_before" in str(call.arguments),
        f"{call.operation} of a freeze": "acme--freezes" in str(item),
        f"{call.operation} of a grant": "acme--grants" in str(item),
        f"{call.operation} of an end of a device": "#retired#" in str(item.get("sk")),
        f"{call.operation} of a group": "acme--groups" in str(item),
        f"{call.operation} of a link": "acme--audit-chain" in str(item)
        or "acme--events" in str(item),
        f"{call.operation} of a checkpoint": "acme--audit-signed" in str(item)
        or "acme--audit-noted" in str(item)
        or "acme--usage" in str(item),
        f"{call.operation} of a person": "acme--people" in str(item),
        f"{call.operation} of a command type": "acme--command-types" in str(item),
        f"{call.operation} of a wish": item.get("thing") == {"S": "acme--wanted"}
        or "acme--wanted" in str(call.arguments.get("TransactItems")),
        f"{call.operation} of a version": item.get("thing") == {"S": "acme--versions"},
        f"{call.operation} of a device": "devices" in str(call.arguments.get("TableName")),
    }
    if NOBODY in str(call.arguments) and refusal.code in TELLS:
        return (bool,)
    for operation in (call.operation, *(name for name, holds in special.items() if holds)):
        if (operation, refusal.code) in MEANS:
            # What `sizes` finds of an upload that is no more is none; a new client has a secret.
            more = {"ListParts": [dict], "ListUserPoolClientSecrets": [UpstreamError]}
            return (MEANS[operation, refusal.code], *more.get(operation, []))
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
OWN: Final = (
    "tenants.",
    "policy_stores.expected",
    "work_queue.",
    "timers.",
    "audit_signer.",
    "webhook_secrets.",
    "usage_events.",
)
# Signs with the role's credentials, and asks AWS for no more than these.
SIGNED_HERE: Final = {"device_logs.sign_upload", "file_objects.sign"}
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


def test_the_mutants_ask_for_methods_that_exist() -> None:
    """A method that was renamed is renamed there too, or its file would not be tried at all."""
    asked = [one for tests in CRITICAL.values() for one in tests]
    named = {one.partition("[")[2][:-1] for one in asked if "::test_a_refused_call_is_" in one}
    assert named
    assert named - set(METHODS) == set()


def named_operations() -> set[str]:
    """Operations that the adapters' text names, beside that of the session itself."""
    known = {xform_name(name) for model in SERVICES.values() for name in model.operation_names}
    named: set[str] = set()
    for path in ADAPTERS.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                texts = [str(arg.value) for arg in node.args if isinstance(arg, ast.Constant)]
                if node.func.attr in {"call", "pages", "rows", "_pages", "_change", "_call"}:
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
