"""AWS clients of botocore whose calls a test answers: checked and spelt as AWS's own model says."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders

from service.adapters.aws.client.sessions import AwsSessions

if TYPE_CHECKING:
    from collections.abc import Callable

    import boto3

    from service.settings import AwsSettings


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


Answer = dict[str, Any] | Refusal | Exception | None


class AnsweredSessions(AwsSessions):
    """Sessions whose clients reach no network.

    Attributes:
        answer: what AWS says to a call: members of the answer, a refusal, or an error of the line.
        calls: what was asked so far, in order; without the assuming of roles.
        role: what AWS says to the assuming of a role.
        roles: what was asked of it.
        sent: the signed requests of calls that were let onto the line.
    """

    def __init__(self, settings: AwsSettings, *, max_tenants: int = 10) -> None:
        super().__init__(settings, max_tenants=max_tenants)
        self.answer: Callable[[Call], Answer] = lambda _: {}
        self.calls: list[Call] = []
        self.role: Answer = {
            "Credentials": {
                "AccessKeyId": "ASIAOFTHETENANT",
                "SecretAccessKey": "secret",
                "SessionToken": "token of the tenant",
                "Expiration": datetime.now(UTC) + timedelta(hours=1),
            }
        }
        self.roles: list[Call] = []
        self.sent: list[Any] = []

    def make(
        self, session: boto3.Session, service: str, patience_seconds: float | None = None
    ) -> Any:
        """A client whose calls end at ``answer``."""
        client = super().make(session, service, patience_seconds)
        client.meta.events.register("provide-client-params.*.*", _keep_arguments)
        client.meta.events.register("before-call.*.*", self._answer)
        client.meta.events.register("before-send.*.*", self._send)
        return client

    def _answer(self, *, model: Any, context: dict[str, Any], **_: Any) -> tuple[Any, Any] | None:
        service = model.service_model.service_name
        call = Call(service, model.name, context["cedarfleet_arguments"])
        if call.operation == "AssumeRole":
            self.roles.append(call)
            answer = self.role
        else:
            self.calls.append(call)
            answer = self.answer(call)
        if answer is None:
            return None
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, Refusal):
            return SimpleNamespace(status_code=answer.status), answer.body()
        return SimpleNamespace(status_code=200), answer

    def _send(self, *, request: Any, **_: Any) -> AWSResponse:
        self.sent.append(request)
        headers = HTTPHeaders()
        return AWSResponse(request.url, 503, headers, SimpleNamespace(stream=lambda: iter([b""])))


def on_the_line(_: Call) -> None:
    """An answer: none yet, so that the call is signed and sent."""


def _keep_arguments(*, params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
    context["cedarfleet_arguments"] = params
