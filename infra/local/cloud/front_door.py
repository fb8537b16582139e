"""The only way in: refuse every HTTP request and WebSocket that AWS would not even look at.

Let through are requests with one well-formed Signature Version 4 of a service that this project
uses (the emulator then verifies it) and the few endpoints that are unsigned on AWS too. Everything
else is refused here: the emulator takes an unknown Authorization header for the account's root, and
serves its own administration to anyone.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final
from xml.sax.saxutils import escape

from infra.local.cloud.signatures import ClaimedSignature, claimed_signature, header_values

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    Scope = MutableMapping[str, Any]
    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    Application = Callable[[Scope, Receive, Send], Awaitable[None]]

# By signing name. A name outside makes the emulator load every model of botocore: 4 s and 366 MB.
SERVICES: Final = frozenset(
    {
        "acm",
        "cognito-idp",
        "dynamodb",
        "ec2",
        "ecr",
        "ecs",
        "elasticloadbalancing",
        "events",
        "firehose",
        "iam",
        "iot",
    }
    | {
        "iot-jobs-data",
        "iotdata",
        "iotdevicegateway",
        "kms",
        "lambda",
        "logs",
        "monitoring",
        "s3",
        "scheduler",
        "secretsmanager",
    }
    | {"sns", "sqs", "ssm", "sts", "tagging", "verifiedpermissions"}
)
_TOKEN_PATH: Final = "/oauth2/token"  # noqa: S105 - a path
OPEN_PATHS: Final = frozenset(
    {
        "/_ministack/ready",
        "/_ministack/iot/ca.pem",
        "/oauth2/authorize",
        # Not /saml2/idpresponse: the emulator checks no signature of an assertion. Fail closed.
        "/oauth2/idpresponse",
        _TOKEN_PATH,
        "/oauth2/revoke",
        "/oauth2/userInfo",
    }
    | {"/login", "/logout"}
)
_OWN_HOSTS: Final = ("127.0.0.1", "localhost")
_WELL_KNOWN = re.compile(r"/[a-z0-9-]+_[A-Za-z0-9]+/\.well-known/(jwks\.json|openid-configuration)")
_BUCKET = re.compile(r"/[a-z0-9][a-z0-9.-]{2,62}")
_COGNITO_TARGET = "AWSCognitoIdentityProviderService."
_ONCE = (b"authorization", b"x-amz-target", b"host", b"x-amz-security-token", b"x-amz-date")
# No form-action: browsers apply it to the redirect back to the application too.
_PAGE_HEADERS: Final = (
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (
        b"content-security-policy",
        b"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
)


class FrontDoor:
    """ASGI application around the emulator.

    Args:
        inner: what is behind the door.
        unsigned_cognito: operations of ``cognito-idp`` that AWS serves unsigned.
    """

    def __init__(self, *, inner: Application, unsigned_cognito: frozenset[str]) -> None:
        self._inner = inner
        self._unsigned_cognito = unsigned_cognito

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve or refuse one request."""
        signature = claimed_signature(scope["headers"], scope.get("query_string", b""))
        refusal = self._refusal(scope, signature)
        if refusal is None:
            await self._inner(
                scope, receive, _with_page_headers(send) if signature is None else send
            )
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
        else:
            await _refuse(send, scope, *refusal)

    def _refusal(
        self, scope: Scope, signature: ClaimedSignature | None
    ) -> tuple[int, str, str] | None:
        """Why the request is refused (status, code, words), or None."""
        headers, path = scope["headers"], scope["path"]
        for name in _ONCE:
            if len(header_values(headers, name)) > 1:
                return 400, "BadRequest", f"the header {name.decode()} stands twice"
        if signature is not None and not path.startswith(("/_ministack", "/_localstack")):
            if signature.service in SERVICES:
                return None
            words = (
                f"`{signature.service}` is not part of the embedded cloud, which has: "
                + ", ".join(sorted(SERVICES))
            )
            return 400, "UnknownService", words
        if (
            scope["type"] == "http"
            and not header_values(headers, b"authorization")
            and self._is_open(scope)
        ):
            return None
        if _is_machine(scope) or _is_form(scope):
            return None
        return (
            403,
            "MissingAuthenticationToken",
            "the embedded cloud serves requests with one AWS Signature Version 4",
        )

    def _is_open(self, scope: Scope) -> bool:
        """Whether AWS serves this request unsigned too."""
        path, target = scope["path"], header_values(scope["headers"], b"x-amz-target")
        if target:
            name = target[0].removeprefix(_COGNITO_TARGET)
            return path == "/" and name != target[0] and name in self._unsigned_cognito
        return path in OPEN_PATHS or _WELL_KNOWN.fullmatch(path) is not None


def _is_machine(scope: Scope) -> bool:
    """Whether an app client names itself to the token endpoint by HTTP Basic (RFC 6749, 2.3.1).

    The emulator takes this header too for the account's root, so nothing else of the request may
    lead it elsewhere.
    """
    headers = scope["headers"]
    hosts = header_values(headers, b"host")
    return (
        (scope["type"], scope.get("method"), scope["path"]) == ("http", "POST", _TOKEN_PATH)
        and not scope.get("query_string")
        and not header_values(headers, b"x-amz-target")
        and len(hosts) == 1
        and hosts[0].rpartition(":")[0] in _OWN_HOSTS
        and header_values(headers, b"authorization")[0].startswith("Basic ")
    )


def _is_form(scope: Scope) -> bool:
    """Whether this is a form for a bucket, whose signature stands in its body (S3, "POST Object").

    What has none the emulator refuses as anybody's request for a private bucket.
    """
    headers = scope["headers"]
    hosts, kinds = header_values(headers, b"host"), header_values(headers, b"content-type")
    return (
        (scope["type"], scope.get("method")) == ("http", "POST")
        and _BUCKET.fullmatch(scope["path"]) is not None
        and not scope.get("query_string")
        and not header_values(headers, b"x-amz-target")
        and not header_values(headers, b"authorization")
        and len(hosts) == 1
        and hosts[0].rpartition(":")[0] in _OWN_HOSTS
        and len(kinds) == 1
        and kinds[0].startswith("multipart/form-data; boundary=")
    )


def _with_page_headers(send: Send) -> Send:
    """Add headers that the emulator's sign-in pages lack: no frames, no scripts, no referrer."""

    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = list(message.get("headers", ()))
            kinds = header_values(headers, b"content-type")
            if kinds and kinds[0].startswith("text/html"):
                names = {name for name, _ in _PAGE_HEADERS}
                kept = [(key, value) for key, value in headers if key.lower() not in names]
                message = {**message, "headers": [*kept, *_PAGE_HEADERS]}
        await send(message)

    return wrapped


async def _refuse(send: Send, scope: Scope, status: int, code: str, words: str) -> None:
    """Answer in the caller's protocol, so that boto3 shows the code and the words."""
    kinds = header_values(scope["headers"], b"content-type")
    if header_values(scope["headers"], b"x-amz-target") or (kinds and "json" in kinds[0]):
        kind, body = (
            b"application/x-amz-json-1.0",
            json.dumps({"__type": code, "message": words}).encode(),
        )
    else:
        kind = b"text/xml"
        error = f"<Error><Code>{code}</Code><Message>{escape(words)}</Message></Error>"
        body = f"<ErrorResponse>{error}</ErrorResponse>".encode()
    headers = [
        (b"content-type", kind),
        (b"content-length", str(len(body)).encode()),
        (b"x-amzn-errortype", code.encode()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
