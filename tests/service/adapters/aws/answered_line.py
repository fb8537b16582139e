"""A line that a test answers in AWS's place: calls checked, answers spelt, by AWS's own model."""

from __future__ import annotations

import base64
import json
from collections.abc import Awaitable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from botocore.validate import ParamValidator

from service.adapters.aws.client.credentials import OwnCredentials
from service.adapters.aws.client.door import AwsDoor
from service.adapters.aws.client.lanes import Lanes, Way
from service.adapters.aws.client.line import Line, Reply, Request
from service.adapters.aws.client.operations import AwsOperations
from service.adapters.aws.client.signing import AwsCredentials

if TYPE_CHECKING:
    from collections.abc import Callable

    from service.settings import AwsSettings

OWN = AwsCredentials(access_key="AKIAOFTHESERVICE", secret_key="secret", token="own token")


@dataclass(frozen=True)
class Call:
    """One call, as the adapter made it."""

    service: str
    operation: str
    arguments: dict[str, Any]


@dataclass(frozen=True)
class Refusal:
    """What AWS answers instead: the code, the HTTP status, and members beside them."""

    code: str
    status: int = 400
    members: dict[str, Any] = field(default_factory=dict[str, Any], hash=False)

    def body(self) -> dict[str, Any]:
        """The answer as botocore reads it."""
        return {
            "Error": {"Code": self.code, "Message": "secret words of AWS"},
            "ResponseMetadata": {"HTTPStatusCode": self.status},
            **self.members,
        }


Said = dict[str, Any] | Refusal | Reply | Exception | None
Answer = Said | Awaitable[Said]


class FixedCredentials(OwnCredentials):
    """The service's own credentials, found without looking."""

    async def get(self) -> AwsCredentials:
        """Always the same."""
        return OWN


class AnsweredLine(Line):
    """Reaches no network.

    Attributes:
        answer: what AWS says to a call: members of the answer, a refusal, a reply as it stands on
            the line, an error of the line, or ``None``: out of order.
        calls: what was asked so far, in order; without the assuming of roles.
        role: what AWS says to the assuming of a role.
        roles: what was asked of it.
        sent: the signed requests, without those for roles.
        seconds: how long the last of them would have been waited for.
    """

    def __init__(self, settings: AwsSettings) -> None:
        self.answer: Callable[[Call], Answer] = lambda _: {}
        self.calls: list[Call] = []
        self.role: Said = {
            "Credentials": {
                "AccessKeyId": "ASIAOFTHETENANT",
                "SecretAccessKey": "secret",
                "SessionToken": "token of the tenant",
                "Expiration": datetime.now(UTC) + timedelta(hours=1),
            }
        }
        self.roles: list[Call] = []
        self.sent: list[Request] = []
        self.seconds = 0.0
        self._operations = AwsOperations(settings)

    async def send(self, request: Request, *, seconds: float) -> Reply:
        """What the test says, in AWS's spelling."""
        model: Any = self._operations.find(request.service, request.operation).model
        report = ParamValidator().validate(dict(request.parameters), model.input_shape)
        if report.has_errors():
            raise AssertionError(f"{request.operation}: {report.generate_report()}")
        call = Call(request.service, request.operation, dict(request.parameters))
        if call.operation == "AssumeRole":
            self.roles.append(call)
            answer: Said = self.role
        else:
            self.calls.append(call)
            self.sent.append(request)
            self.seconds = seconds
            said = self.answer(call)
            answer = await said if isinstance(said, Awaitable) else said
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, Reply):
            return answer
        if answer is None:
            return Reply(status=503, headers={}, body=b"")
        if isinstance(answer, Refusal):
            return refused(model, answer)
        return answered(model, answer)

    async def close(self) -> None:
        """Nothing is open."""


class NeverCutOff(Lanes):
    """Admits every call, however many were refused before it: each finds lanes that are new."""

    def __init__(self, settings: AwsSettings) -> None:
        super().__init__(settings)
        self._settings = settings

    def tenant(self, tenant_id: str, dependency: str, *, until: float | None = None) -> Way:
        """At once."""
        return Lanes(self._settings).tenant(tenant_id, dependency, until=until)

    def own(self, dependency: str, *, until: float | None = None) -> Way:
        """At once."""
        return Lanes(self._settings).own(dependency, until=until)


class AnsweredDoor(AwsDoor):
    """The door whose line the test answers; whatever it sets here, it sets on the line.

    Attributes:
        line: what is said, and what was asked.
    """

    def __init__(self, settings: AwsSettings, *, max_tenants: int = 10) -> None:
        self.line = AnsweredLine(settings)
        super().__init__(
            settings,
            max_tenants=max_tenants,
            line=self.line,
            own=FixedCredentials(),
            lanes=NeverCutOff(settings),
            jitter=lambda: 0.0,
        )

    @property
    def answer(self) -> Callable[[Call], Answer]:
        """What AWS says to a call."""
        return self.line.answer

    @answer.setter
    def answer(self, answer: Callable[[Call], Answer]) -> None:
        self.line.answer = answer

    @property
    def calls(self) -> list[Call]:
        """What was asked so far, in order; without the assuming of roles."""
        return self.line.calls


def on_the_line(_: Call) -> None:
    """An answer: none yet, so that what is sent can be looked at."""


def answered(model: Any, members: dict[str, Any]) -> Reply:
    """An answer on the line, in the protocol of its service."""
    shape: Any = model.output_shape
    headers: dict[str, str] = {}
    body: dict[str, Any] = {}
    stream = b""
    for name, value in members.items():
        inner = shape.members[name]  # KeyError: AWS does not say this
        where = inner.serialization.get("location")
        if where == "header":
            headers[inner.serialization["name"].lower()] = _text(inner, value)
        elif where == "headers":
            prefix = inner.serialization["name"].lower()
            headers |= {f"{prefix}{key}": text for key, text in value.items()}
        elif shape.serialization.get("payload") == name and inner.type_name == "blob":
            stream = value
        else:
            body[inner.serialization.get("name", name)] = _document(inner, value)
    match str(model.service_model.resolved_protocol):
        case "query":
            inside = f"<{model.name}Result>{_xml(body)}</{model.name}Result>"
            content = f"<{model.name}Response>{inside}</{model.name}Response>".encode()
        case "rest-xml":
            document = f"<{model.name}Result>{_xml(body)}</{model.name}Result>".encode()
            content = stream or (document if body else b"")
        case _:
            content = stream or json.dumps(body).encode()
    return Reply(status=200, headers=headers, body=content)


def refused(model: Any, refusal: Refusal) -> Reply:
    """A refusal on the line, in the protocol of its service."""
    words = "secret words of AWS"
    match str(model.service_model.resolved_protocol):
        case "query":
            error = f"<Error><Code>{refusal.code}</Code><Message>{words}</Message></Error>"
            content = f"<ErrorResponse>{error}</ErrorResponse>".encode()
        case "rest-xml":
            content = f"<Error><Code>{refusal.code}</Code><Message>{words}</Message></Error>"
            content = content.encode()
        case _:
            body = {"__type": refusal.code, "message": words, **refusal.members}
            content = json.dumps(body).encode()
    return Reply(status=refusal.status, headers={}, body=content)


def _document(shape: Any, value: Any) -> Any:
    match shape.type_name:
        case "structure":
            return {
                shape.members[name].serialization.get("name", name): _document(
                    shape.members[name], inner
                )
                for name, inner in value.items()
            }
        case "map":
            return {name: _document(shape.value, inner) for name, inner in value.items()}
        case "list":
            return [_document(shape.member, inner) for inner in value]
        case "timestamp":
            return value.timestamp() if isinstance(value, datetime) else value
        case "blob":
            return base64.b64encode(value).decode()
        case _:
            return value


def _text(shape: Any, value: Any) -> str:
    return format_datetime(value) if shape.type_name == "timestamp" else str(value)


def _xml(body: dict[str, Any]) -> str:
    return "".join(
        f"<{name}>{_xml(one) if isinstance(one, dict) else escape(str(one))}</{name}>"
        for name, value in body.items()
        # Lists of the answers that we make are flat: each item bears the list's name.
        for one in (value if isinstance(value, list) else [value])
    )
