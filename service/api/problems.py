"""Answers every error by its problem document (RFC 9457)."""

from http import HTTPStatus
from typing import Any, Final

import structlog
from litestar import Request, Response
from litestar.enums import ParamType
from litestar.exceptions import HTTPException

from service import request_line
from service.api.preconditions import quoted
from service.api.problem_documents import MEDIA_TYPE, STATUS, TOKEN_FAULTS, document
from service.api.rate_limits import retry_after
from service.api.request_state import LEFT
from service.errors import (
    CedarfleetError,
    CommandNotPublishedError,
    CommandUnconfirmedError,
    DeviceNotConnectedError,
    DownloadNotStartedError,
    EnrolmentRefusedError,
    EnrolmentStateError,
    InvalidRequestError,
    NotInTierError,
    OverBudgetError,
    PermissionDeniedError,
    PlanStaleError,
    PreconditionFailedError,
    TokenFault,
    TooManyStreamsError,
    UnauthenticatedError,
    UnavailableError,
)

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


def from_error(request: Request[Any, Any, Any], error: Exception) -> Response[dict[str, Any]]:
    """The answer to any error of ours, and to any other."""
    status, slug = STATUS.get(type(error), (HTTPStatus.INTERNAL_SERVER_ERROR, "internal"))
    members: dict[str, Any] = _told(error)
    headers: dict[str, str] = {}
    detail: str | None = str(error)
    match error:
        case UnauthenticatedError():
            request_line.unauthenticated(error.reason)
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
