"""The one table from an error to its problem document (RFC 9457)."""

from http import HTTPStatus
from typing import Any, Final

import structlog
from litestar import Request, Response
from litestar.enums import ParamType
from litestar.exceptions import HTTPException

from service.api.preconditions import quoted
from service.api.rate_limits import retry_after
from service.api.request_log import LEFT, PROBLEM
from service.errors import (
    CedarfleetError,
    CommandNotPublishedError,
    CommandUnconfirmedError,
    ConflictError,
    DeviceNotConnectedError,
    DownloadNotStartedError,
    EnrolmentRefusedError,
    EnrolmentStateError,
    EventsGoneError,
    IdempotencyMismatchError,
    InvalidRequestError,
    NotFoundError,
    NotInTierError,
    OutOfTimeError,
    OverBudgetError,
    OverShareError,
    PermissionDeniedError,
    PlanStaleError,
    PreconditionFailedError,
    TenantSuspendedError,
    TokenFault,
    TooManyStreamsError,
    UnauthenticatedError,
    UnavailableError,
    UpstreamError,
    WrongMediaTypeError,
)

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()
MEDIA_TYPE: Final = "application/problem+json"
_TYPE: Final = "urn:cedarfleet:problem:"

STATUS: Final[dict[type[Exception], tuple[HTTPStatus, str]]] = {
    UnauthenticatedError: (HTTPStatus.UNAUTHORIZED, "unauthenticated"),
    TenantSuspendedError: (HTTPStatus.FORBIDDEN, "tenant-suspended"),
    NotInTierError: (HTTPStatus.FORBIDDEN, "not-in-tier"),
    PermissionDeniedError: (HTTPStatus.FORBIDDEN, "permission-denied"),
    NotFoundError: (HTTPStatus.NOT_FOUND, "not-found"),
    WrongMediaTypeError: (HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type"),
    InvalidRequestError: (HTTPStatus.BAD_REQUEST, "invalid-request"),
    ConflictError: (HTTPStatus.CONFLICT, "conflict"),
    PlanStaleError: (HTTPStatus.CONFLICT, "plan-stale"),
    PreconditionFailedError: (HTTPStatus.PRECONDITION_FAILED, "precondition-failed"),
    DeviceNotConnectedError: (HTTPStatus.CONFLICT, "device-not-connected"),
    EnrolmentRefusedError: (HTTPStatus.UNAUTHORIZED, "enrolment-refused"),
    EnrolmentStateError: (HTTPStatus.CONFLICT, "enrolment-impossible"),
    IdempotencyMismatchError: (HTTPStatus.UNPROCESSABLE_ENTITY, "idempotency-key-reused"),
    CommandNotPublishedError: (HTTPStatus.BAD_GATEWAY, "command-not-published"),
    CommandUnconfirmedError: (HTTPStatus.GATEWAY_TIMEOUT, "command-unconfirmed"),
    DownloadNotStartedError: (HTTPStatus.BAD_GATEWAY, "download-not-started"),
    OverBudgetError: (HTTPStatus.TOO_MANY_REQUESTS, "over-budget"),
    TooManyStreamsError: (HTTPStatus.TOO_MANY_REQUESTS, "too-many-streams"),
    EventsGoneError: (HTTPStatus.GONE, "events-gone"),
    OutOfTimeError: (HTTPStatus.GATEWAY_TIMEOUT, "out-of-time"),
    OverShareError: (HTTPStatus.TOO_MANY_REQUESTS, "over-share"),
    UnavailableError: (HTTPStatus.SERVICE_UNAVAILABLE, "unavailable"),
    UpstreamError: (HTTPStatus.BAD_GATEWAY, "upstream-refused"),
}
"""Status and type of each error of ours; what is not here is our own fault: a silent 500."""

TOKEN_FAULTS: Final[dict[TokenFault, str]] = {
    TokenFault.MISSING: "send `Authorization: Bearer TOKEN`: of a person the ID token of the"
    " tenant's user pool, of a machine the access token",
    TokenFault.MALFORMED: "the bearer token is not one RS256 token in its compact form",
    TokenFault.UNKNOWN_TENANT: "the token's issuer is the user pool of no tenant here",
    TokenFault.NOT_PROVED: "the token is not proved to be of the user pool that it names",
    TokenFault.EXPIRED: "the token has expired: refresh it, or sign in again",
    TokenFault.WRONG_KIND: "not a token for this API: a person sends the ID token, a machine the"
    " access token, of an app client of the tenant",
    TokenFault.REVOKED: "the token is of before its bearer was signed out, disabled or taken out of"
    " a group: refresh it, or sign in again",
}
"""What the sender of a token is told, by the fault."""


def from_error(request: Request[Any, Any, Any], error: Exception) -> Response[dict[str, Any]]:
    """The answer to any error of ours, and to any other."""
    status, slug = STATUS.get(type(error), (HTTPStatus.INTERNAL_SERVER_ERROR, "internal"))
    members: dict[str, Any] = _told(error)
    headers: dict[str, str] = {}
    detail: str | None = str(error)
    match error:
        case UnauthenticatedError():
            log.warning("request.unauthenticated", reason=error.reason)
            detail = TOKEN_FAULTS[error.fault]
            members = {"code": error.fault.value}
            headers["WWW-Authenticate"] = _challenge(error.fault)
        case PermissionDeniedError():
            members = _of_denial(error)
        case InvalidRequestError():
            wrong = ((error.field, error.problem), *error.others)
            members = {"errors": [{"field": name, "problem": words} for name, words in wrong]}
        case PreconditionFailedError():
            headers["ETag"] = quoted(error.tag)
        case EnrolmentRefusedError() | EnrolmentStateError():
            members, headers = _of_enrolment(error)
        case (
            CommandNotPublishedError()
            | CommandUnconfirmedError()
            | DeviceNotConnectedError()
            | DownloadNotStartedError()
        ):
            members, headers = _of_record(error)
        case OverBudgetError():
            headers["Retry-After"] = retry_after(error.wait_seconds)
            members = {"budget": error.budget}
        case UnavailableError() | TooManyStreamsError():
            headers["Retry-After"] = retry_after(error.wait_seconds)
        case _ if status is HTTPStatus.INTERNAL_SERVER_ERROR:
            log.error("request.failed", error=type(error).__name__, exc_info=error)
            detail = "an unexpected error; the operator finds it in the log under the request id"
        case _:
            pass
    return _answer(request, status, slug, detail=detail, members=members, headers=headers)


def _told(error: Exception) -> dict[str, Any]:
    """Members that an error has of itself, word for word."""
    if isinstance(error, PlanStaleError):
        return {"changes": list(error.changes)}
    if isinstance(error, NotInTierError):
        return {"feature": error.feature, "tier": error.tier}
    return {}


def from_http(request: Request[Any, Any, Any], error: HTTPException) -> Response[dict[str, Any]]:
    """The answer to what Litestar itself refuses: unknown paths and methods, malformed bodies."""
    status = HTTPStatus(error.status_code)
    if request.scope["state"].get(LEFT):  # no fault of ours, and nobody reads the answer
        return _answer(
            request,
            HTTPStatus.BAD_REQUEST,
            "body-incomplete",
            detail="the connection ended before the body had come",
            members={},
            headers={},
        )
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return from_error(request, error)
    members: dict[str, Any] = {}
    detail: str | None = None
    headers = {
        name: text for name, text in (error.headers or {}).items() if name.lower() == "allow"
    }
    if status is HTTPStatus.NOT_FOUND:
        detail = "nothing stands under this path; GET /v1/openapi describes those there are"
    if status is HTTPStatus.METHOD_NOT_ALLOWED and headers:
        detail = f"this path takes {', '.join(headers.values())}"
    if status is HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        most: int = request.app.state.body_max_bytes
        detail, members = f"the body has more than {most} bytes", {"limit_bytes": most}
    if status is HTTPStatus.BAD_REQUEST:
        found = [_problem(entry) for entry in error.extra] if isinstance(error.extra, list) else []
        first = found[0] if found else None
        detail = f"`{first['field']}`: {first['problem']}" if first else error.detail
        members = {"errors": found} if found else {}
    slug = (
        "invalid-request"
        if status is HTTPStatus.BAD_REQUEST
        else status.phrase.lower().replace(" ", "-")
    )
    return _answer(request, status, slug, detail=detail, members=members, headers=headers)


def from_recursion(request: Request[Any, Any, Any], _: RecursionError) -> Response[dict[str, Any]]:
    """The answer to a body that is nested too deeply to be read."""
    return from_error(request, InvalidRequestError("body", "is nested too deeply"))


HANDLERS: Final[dict[int | type[Exception], Any]] = {
    CedarfleetError: from_error,
    HTTPException: from_http,
    RecursionError: from_recursion,
    Exception: from_error,
}


def type_of(error: CedarfleetError) -> str:
    """The `type` of the problem document of an error."""
    return problem_type(STATUS[type(error)][1])


def problem_type(slug: str) -> str:
    """The stable `type` of a problem."""
    return f"{_TYPE}{slug}"


def _of_enrolment(
    error: EnrolmentRefusedError | EnrolmentStateError,
) -> tuple[dict[str, Any], dict[str, str]]:
    """Members and headers: a code for who has proved something, a challenge for who has not."""
    if isinstance(error, EnrolmentStateError):
        return {"code": error.fault.value}, {}
    return {}, {"WWW-Authenticate": "EnrolmentCode"}


def _of_denial(error: PermissionDeniedError) -> dict[str, Any]:
    """Members: which policies decided and, where that may be told, what their conditions met."""
    explained = {"explained": list(error.explained)} if error.explained else {}
    return {
        "action": error.action,
        "reason": error.reason,
        "policies": list(error.policies),
        **explained,
    }


def _of_record(
    error: CommandNotPublishedError
    | CommandUnconfirmedError
    | DeviceNotConnectedError
    | DownloadNotStartedError,
) -> tuple[dict[str, Any], dict[str, str]]:
    """Members and headers: which record there is all the same, and where."""
    if isinstance(error, DownloadNotStartedError):
        name = error.download_id
        return {"download": name}, {"Location": f"/v1/downloads/{name}"}
    return {"command": error.command_id}, {"Location": f"/v1/commands/{error.command_id}"}


def _challenge(fault: TokenFault) -> str:
    """RFC 6750, 3: a request without any token is told the scheme alone."""
    if fault is TokenFault.MISSING:
        return "Bearer"
    return f'Bearer error="invalid_token", error_description="{fault.value}"'


def _problem(entry: Any) -> dict[str, str]:
    fields = entry if isinstance(entry, dict) else {}
    name = str(fields.get("key", "body"))[:100]
    if fields.get("source") == ParamType.HEADER:
        name = name.replace("_", "-").title()  # as the caller wrote it: `Idempotency-Key`
    return {
        "field": name,
        "problem": str(fields.get("message", "is not valid"))[:300],
    }


def _answer(
    request: Request[Any, Any, Any],
    status: HTTPStatus,
    slug: str,
    *,
    detail: str | None,
    members: dict[str, Any],
    headers: dict[str, str],
) -> Response[dict[str, Any]]:
    content = document(request.scope, status, slug, detail=detail, members=members)
    return Response(content, status_code=status, headers=headers, media_type=MEDIA_TYPE)


def document(
    scope: Any, status: HTTPStatus, slug: str, *, detail: str | None, members: dict[str, Any]
) -> dict[str, Any]:
    """The members of a problem document, in their order; the request's log line names it too."""
    scope["state"][PROBLEM] = slug
    told: dict[str, Any] = {
        "type": problem_type(slug),
        "title": status.phrase,
        "status": int(status),
    }
    if detail:
        told["detail"] = detail
    return told | {"request_id": scope["state"].get("request_id"), **members}
