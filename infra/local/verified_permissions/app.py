"""The endpoint as an ASGI application: awsJson1.0 in, one operation, awsJson1.0 out.

Operations run on the event loop, one after the other: that is what makes each of them atomic.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any, Final, cast

from .call import Call, Caller, SigningKeys
from .deciding import Decider, ForbidErrors, RequestValidation
from .errors import (
    AccessDenied,
    ApiError,
    ConflictError,
    Field,
    InvalidInputError,
    MalformedRequestError,
    UnknownOperationError,
)
from .operations import OPERATIONS
from .shapes import check_input, modelled_errors
from .state import State

if TYPE_CHECKING:
    from pathlib import Path

    from .contents import Visibility

MAX_BODY_BYTES: Final = 1024 * 1024  # quota: size of an authorization request

_TARGET: Final = "VerifiedPermissions."
_CONTENT_TYPE: Final = b"application/x-amz-json-1.0"
_REGION: Final = re.compile(r"Credential=[^/]+/\d{8}/([a-z0-9-]+)/verifiedpermissions/aws4_request")
# What changes the contents of a store.
_WRITES: Final = frozenset(
    f"{verb}{kind}"
    for verb in ("Create", "Update", "Delete")
    for kind in ("IdentitySource", "Policy", "PolicyTemplate")
) | {"PutSchema"}
_log = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Authenticate = Callable[[Mapping[str, str], bytes, str, str | None], Caller]


class VerifiedPermissions:
    """Amazon Verified Permissions for one account; an ASGI callable.

    Args:
        state_dir: where the journal is kept; None keeps nothing.
        authenticate: called with headers (lower-case names), body, IAM action without its prefix,
            and the ARN of the resource or None; answers who calls, or raises ``AccessDenied``. A
            request may ask it several times.
        signing_keys: issuer -> JWK set as a dict; raises LookupError for an unknown issuer. Must
            not block.
        account_id: the account whose stores these are.
        forbid_errors: see ``Decider``; the default departs from AWS and fails closed.
        request_validation: see ``Decider``.
        consistency_delay_seconds: how long a new policy store is not found yet, to try out a
            client's retries.
        clock: seconds since the epoch.
        visibility: how late decisions see a change; None: at once.
        write_seconds: how long a write of a store takes, in which another one of the same store is
            refused; 0: writes do not meet.

    Raises:
        JournalError: the state cannot be loaded.
    """

    def __init__(
        self,
        *,
        state_dir: Path | None,
        authenticate: Authenticate,
        signing_keys: SigningKeys,
        account_id: str,
        forbid_errors: ForbidErrors = "deny",
        request_validation: RequestValidation = "store",
        consistency_delay_seconds: float = 0.0,
        clock: Callable[[], float] = time.time,
        visibility: Visibility | None = None,
        write_seconds: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self._state = State(state_dir, visibility=visibility)
        self._decider = Decider(forbid_errors=forbid_errors, request_validation=request_validation)
        self._authenticate = authenticate
        self._signing_keys = signing_keys
        self._account_id = account_id
        self._consistency_delay_seconds = consistency_delay_seconds
        self._clock = clock
        self._write_seconds = write_seconds
        self._written: set[str] = set()

    def close(self) -> None:
        """Let the state folder go; requests after this fail."""
        self._state.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection scope."""
        if scope["type"] == "lifespan":
            await _serve_lifespan(receive, send)
            return
        if scope["type"] != "http":
            raise ValueError(f"no `{scope['type']}` here")
        headers = {
            name.decode("latin-1").lower(): text.decode("latin-1")
            for name, text in scope["headers"]
        }
        body = await _read(receive)
        status, answer = await self._answer_in_time(headers, body)
        content = json.dumps(answer).encode()
        await send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": [
                    (b"content-type", _CONTENT_TYPE),
                    (b"content-length", str(len(content)).encode()),
                    (b"x-amzn-requestid", str(uuid.uuid4()).encode()),
                ],
            }
        )
        await send({"type": "http.response.body", "body": content})

    async def _answer_in_time(
        self, headers: Mapping[str, str], body: bytes | None
    ) -> tuple[int, dict[str, Any]]:
        """The answer, after as long as a write takes.

        Source: Verified Permissions user guide, "Quotas": it "might return an exception when [...]
        you attempt simultaneous write operations"; API reference, ConflictException: "another
        request to modify a resource occurred at the same" time.
        """
        seconds = self._write_seconds()
        store = _written_store(_operation(headers), body) if seconds > 0 else None
        if store is None:
            return self.answer(headers, body)
        if store in self._written:
            return self.answer(headers, body, too_early=True)
        self._written.add(store)
        try:
            await asyncio.sleep(seconds)
            return self.answer(headers, body)
        finally:
            self._written.discard(store)

    def answer(
        self, headers: Mapping[str, str], body: bytes | None, *, too_early: bool = False
    ) -> tuple[int, dict[str, Any]]:
        """Status and JSON document for one request.

        Args:
            headers: lower-case names.
            body: None when it was too large.
            too_early: another write of the store is on its way.
        """
        operation = _operation(headers)
        try:
            return 200, self._answered(headers, body, operation, too_early=too_early)
        except AccessDenied as error:
            return error.status, error.body()
        except ApiError as error:
            return _refusal(operation, error)
        except RecursionError:
            return _refusal(
                operation, InvalidInputError(Field("/", "The request is nested too deeply."))
            )
        except Exception:  # noqa: BLE001 - a server answers 500 and goes on
            _log.exception("verified_permissions.operation_failed", extra={"operation": operation})
            return 500, {
                "__type": "com.amazonaws.verifiedpermissions#InternalServerException",
                "message": "Internal server error",
            }

    def _answered(
        self, headers: Mapping[str, str], body: bytes | None, operation: str, *, too_early: bool
    ) -> dict[str, Any]:
        if operation not in OPERATIONS:
            raise UnknownOperationError(
                f"Unknown operation; the target must be {_TARGET}<operation>."
            )
        if body is None:
            raise InvalidInputError(
                Field("/", f"The request is larger than {MAX_BODY_BYTES} bytes.")
            )
        request = _parsed(body)
        caller = self._authorized(headers, body, operation, request)
        check_input(operation, request)
        if too_early:
            raise ConflictError(
                "The request failed because another request to modify a resource occurred at the "
                "same time.",
                resource_id=request["policyStoreId"],
                resource_type="POLICY_STORE",
            )
        return self.perform(operation, request, caller)

    def perform(self, operation: str, request: dict[str, Any], caller: Caller) -> dict[str, Any]:
        """Run one operation for a caller who may call it, on a request that its model allows.

        Raises:
            ApiError: the operation refuses.
        """
        return OPERATIONS[operation].run(
            Call(
                operation=operation,
                request=request,
                caller=caller,
                at=self._clock(),
                state=self._state,
                decider=self._decider,
                signing_keys=self._signing_keys,
                consistency_delay_seconds=self._consistency_delay_seconds,
            )
        )

    def _authorized(
        self, headers: Mapping[str, str], body: bytes, operation: str, request: dict[str, Any]
    ) -> Caller:
        """Who calls, once every resource of the request is allowed to them."""
        entry = OPERATIONS[operation]
        # The region is needed to look an alias up before anyone is recognised; the signature covers
        # it.
        claimed = _REGION.search(headers.get("authorization", ""))
        presumed = Caller(account_id=self._account_id, region=claimed[1] if claimed else "")
        caller: Caller | None = None
        for arn in entry.resources(self._state, presumed, request):
            caller = self._authenticate(headers, body, entry.iam_action or operation, arn)
            if caller != presumed:  # fail closed: the ARNs were made for another account or region
                raise AccessDenied(
                    "AccessDeniedException",
                    f"Account {caller.account_id} in region {caller.region} "
                    "has no policy stores here.",
                )
        if caller is None:
            raise AccessDenied("AccessDeniedException", "Nobody was asked.")  # fail closed
        return caller


def _operation(headers: Mapping[str, str]) -> str:
    """The operation of a request, or an empty text."""
    target = headers.get("x-amz-target", "")
    return target.removeprefix(_TARGET) if target.startswith(_TARGET) else ""


def _written_store(operation: str, body: bytes | None) -> str | None:
    """The policy store that a request writes to, as it names it; None: it writes to none."""
    if operation not in _WRITES:
        return None
    try:
        store = json.loads(body or b"{}").get("policyStoreId")
    except (ValueError, RecursionError, AttributeError):
        return None  # refused for that
    return store if isinstance(store, str) else None


def _refusal(operation: str, error: ApiError) -> tuple[int, dict[str, Any]]:
    """Status and document of an error.

    One that the operation does not model travels as the ValidationException that every operation
    has.
    """
    own = (UnknownOperationError.code, MalformedRequestError.code)
    if error.code not in own and error.code not in modelled_errors(operation):
        error = InvalidInputError(message=error.message)
    return error.status, error.body()


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body or b"{}")
        if b"\\u" in body:
            json.dumps(document, ensure_ascii=False).encode()  # half a surrogate pair is no text
    except (ValueError, RecursionError) as error:
        raise MalformedRequestError("The request body is not valid JSON.") from error
    if not isinstance(document, dict):
        raise MalformedRequestError("The request body is not a JSON object.")
    return cast("dict[str, Any]", document)


async def _read(receive: Receive) -> bytes | None:
    """The body, or None when it is too large.

    The rest is read and dropped, so that the client gets the answer.
    """
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size <= MAX_BODY_BYTES:
            chunks.append(chunk)
        if not message.get("more_body"):
            return b"".join(chunks) if size <= MAX_BODY_BYTES else None


async def _serve_lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
