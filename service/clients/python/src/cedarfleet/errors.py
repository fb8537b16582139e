"""What can go wrong, by who must act.

::

    CedarfleetError
    ├── ApiError                the API did not do it, and says why
    │   ├── NotSignedInError    401: sign in again
    │   ├── RefusedError        403: the policies say no; `policies` and `explained` say why
    │   ├── NotFoundError       404: there is none, or none that the caller may view
    │   ├── ConflictError       409, 412: it is not as the caller thought; read, then decide
    │   └── BusyError           429, 503: later; `retry_after_seconds` says when
    ├── SignInError             the sign-in page or its token endpoint let nobody in
    ├── NotEndedError           it goes on, but the caller's patience has ended
    ├── UploadError             a file did not arrive as it was sent
    ├── UnreachableError        nobody answers
    └── UnexpectedAnswerError   no answer of the API's; a proxy's, or another release's
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


class CedarfleetError(Exception):
    """The root of all."""


class SignInError(CedarfleetError):
    """Nobody was let in; the message never holds a password, a code or a token."""


class NotEndedError(CedarfleetError):
    """It had not ended when the time was over; ``last`` is how it stood."""

    def __init__(self, what: str, last: Any) -> None:
        super().__init__(f"{what} has not ended: it is `{last.state}`")
        self.last = last


class UploadError(CedarfleetError):
    """A file did not arrive as it was sent."""


class UnreachableError(CedarfleetError):
    """Nobody answers; what was asked may have been done."""


class UnexpectedAnswerError(CedarfleetError):
    """What came is no answer of the API's."""


class ApiError(CedarfleetError):
    """The API did not do it; the members are those of its problem document (RFC 9457).

    Attributes:
        status: of HTTP.
        type: stable, e.g. ``urn:cedarfleet:problem:permission-denied``.
        title: in a word.
        detail: in a sentence.
        request_id: by which the operator finds it.
        code: of a 401, e.g. ``token-expired``.
        action: that was refused, by its name in the policies.
        reason: of a refusal.
        policies: that decided.
        explained: each of them, with its conditions in words; see `why`.
        fields: name of a field of the request -> what is wrong with it.
        command: id of a command that may have left.
        download: id of a download that was recorded.
        retry_after_seconds: when to ask again, if the API says it.
    """

    def __init__(self, status: int, problem: Mapping[str, Any], retry_after: float | None) -> None:
        self.status = status
        self.type = str(problem.get("type", ""))
        self.title = str(problem.get("title", ""))
        self.detail = problem.get("detail")
        self.request_id = problem.get("request_id")
        self.code = problem.get("code")
        self.action = problem.get("action")
        self.reason = problem.get("reason")
        self.policies: list[str] = list(problem.get("policies", ()))
        self.explained: list[dict[str, Any]] = list(problem.get("explained", ()))
        self.fields = {one["field"]: one["problem"] for one in problem.get("errors", ())}
        self.command = problem.get("command")
        self.download = problem.get("download")
        self.retry_after_seconds = retry_after
        self.problem = dict(problem)
        wrong = "; ".join(f"{field}: {words}" for field, words in self.fields.items())
        super().__init__(wrong or self.detail or self.title or f"status {status}")

    @property
    def slug(self) -> str:
        """The last word of ``type``: ``permission-denied``."""
        return self.type.rpartition(":")[2]


class NotSignedInError(ApiError):
    """401: the token proves nothing, or nothing any more."""


class RefusedError(ApiError):
    """403: the policies say no, or the tenant is suspended."""


class NotFoundError(ApiError):
    """404: there is none, or none that the caller may view."""


class ConflictError(ApiError):
    """409 or 412: it is not as the caller thought."""


class BusyError(ApiError):
    """429 or 503: later."""


OF_STATUS: Mapping[int, type[ApiError]] = {
    401: NotSignedInError,
    403: RefusedError,
    404: NotFoundError,
    409: ConflictError,
    412: ConflictError,
    429: BusyError,
    503: BusyError,
}
"""The class of each status; of any other ``ApiError`` itself."""
