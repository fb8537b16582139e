"""The one table from an error to its problem document, and the document itself (RFC 9457).

Nothing here needs the web framework: the worker, which tells its measures over HTTP and serves no
route, does without it.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from service.api.request_state import PROBLEM
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


def type_of(error: CedarfleetError) -> str:
    """The `type` of the problem document of an error."""
    return problem_type(STATUS[type(error)][1])


def problem_type(slug: str) -> str:
    """The stable `type` of a problem."""
    return f"{_TYPE}{slug}"


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
