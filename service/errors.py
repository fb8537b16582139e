"""Everything that can go wrong, split by who must act.

::

    CedarfleetError
    ├── CallerError                    the caller must change the request
    │   ├── UnauthenticatedError       no token, or one that proves nothing
    │   ├── TenantSuspendedError       the tenant is suspended
    │   ├── NotInTierError             the tenant's tier does not offer it
    │   ├── PermissionDeniedError      the tenant's policies say no
    │   ├── NotFoundError              no such thing in this tenant
    │   ├── WrongMediaTypeError        the body is not declared as JSON
    │   ├── InvalidRequestError        a member is not of its form
    │   ├── ConflictError              the request is fine, the state of the thing is not
    │   │   └── PlanStaleError         what was planned is not as it was
    │   ├── PreconditionFailedError    the thing is not as the caller expects it
    │   ├── DeviceNotConnectedError    recorded, but the device is away and nobody wants to wait
    │   ├── EnrolmentRefusedError      tenant, device and code do not prove a registration
    │   ├── EnrolmentStateError        they do, and still it goes no further
    │   ├── IdempotencyMismatchError   an idempotency key was used for another request
    │   ├── OverBudgetError            the tenant has used up its budget of this second
    │   ├── TooManyStreamsError        the person or tenant follows events often enough here
    │   └── EventsGoneError            what came since is not kept any more
    ├── UpstreamError                  AWS did not do it: try again, or the operator must look
    │   ├── UnavailableError           no answer, throttled, or too many calls waiting here
    │   │   ├── OverShareError         of one tenant, which alone must slow down
    │   │   └── OutOfTimeError         the request's own time was over first
    │   ├── CommandNotPublishedError   recorded, but it did not leave for the device
    │   ├── CommandUnconfirmedError    it may have left: nobody knows yet
    │   └── DownloadNotStartedError    recorded, but the job was not created
    └── ConfigurationError             the operator must correct settings, a registry row or a route
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class CedarfleetError(Exception):
    """The root: anything that this program raises on purpose."""


class CallerError(CedarfleetError):
    """The caller must change the request."""


class TokenFault(StrEnum):
    """Why a token proves nothing, as far as its sender is told.

    Of one whose signature is not proved no more is said than its form and its issuer, which the
    sender wrote: anything else would help whoever forges tokens.
    """

    MISSING = "token-missing"
    MALFORMED = "token-malformed"
    UNKNOWN_TENANT = "tenant-unknown"
    NOT_PROVED = "token-not-proved"
    EXPIRED = "token-expired"
    WRONG_KIND = "token-of-wrong-kind"
    REVOKED = "token-revoked"


class UnauthenticatedError(CallerError):
    """The request carries no token that proves an identity.

    The reason is for our log alone.

    Attributes:
        reason: a static word or two; never a part of the token.
        fault: what the sender is told.
    """

    def __init__(self, reason: str, fault: TokenFault = TokenFault.MALFORMED) -> None:
        super().__init__(reason)
        self.reason = reason
        self.fault = fault


class TenantSuspendedError(CallerError):
    """The tenant of a valid token is suspended."""

    def __init__(self, tenant: str) -> None:
        super().__init__(f"tenant `{tenant}` is suspended")
        self.tenant = tenant


class NotInTierError(CallerError):
    """The tenant's tier does not offer what would be begun; nothing was.

    Attributes:
        feature: of those that a tier may leave out.
        tier: its name; ``None``: the tenant has none.
    """

    def __init__(self, feature: str, *, tier: str | None) -> None:
        whose = "the tenant's terms have" if tier is None else f"the tenant's tier `{tier}` has"
        super().__init__(
            f"{whose} no {feature.replace('-', ' ')}: nothing new can be begun, what is there goes"
            " on; ask the operator"
        )
        self.feature = feature
        self.tier = tier


class PermissionDeniedError(CallerError):
    """The tenant's policies deny the action.

    Attributes:
        action: what was asked.
        reason: why not, in one word.
        policies: those that decided, by the names of our files.
        explained: what the conditions of these met, in JSON (``cedar.explanation``); empty where
            that is not known, or not for the caller to know.
    """

    def __init__(
        self,
        action: str,
        *,
        reason: str,
        explanation: str,
        policies: tuple[str, ...],
        explained: Sequence[Mapping[str, object]] = (),
    ) -> None:
        super().__init__(f"{action} is not allowed: {explanation}")
        self.action = action
        self.reason = reason
        self.policies = policies
        self.explained = explained


class NotFoundError(CallerError):
    """The caller's tenant has no such thing; whether another tenant has it is not said."""

    def __init__(self, kind: str, name: str) -> None:
        super().__init__(f"there is no {kind} `{name}`")
        self.kind = kind
        self.name = name


class WrongMediaTypeError(CallerError):
    """The body is declared as something else than JSON, or as nothing."""

    def __init__(self) -> None:
        super().__init__("send the body with `Content-Type: application/json`")


class InvalidRequestError(CallerError):
    """A member of the request is not of its form.

    Attributes:
        field: the member, as the caller wrote it.
        problem: what would be right.
        others: further members with what would be right of each.
    """

    def __init__(
        self, field: str, problem: str, *, others: tuple[tuple[str, str], ...] = ()
    ) -> None:
        super().__init__(f"`{field}`: {problem}")
        self.field = field
        self.problem = problem
        self.others = others


class ConflictError(CallerError):
    """The request is well formed, but the thing is not in a state that allows it."""


class PlanStaleError(ConflictError):
    """A plan does not say any more what would be done; nothing was begun.

    Attributes:
        changes: what is otherwise, in words.
    """

    def __init__(self, plan_id: str, changes: tuple[str, ...]) -> None:
        super().__init__(f"plan `{plan_id}` is stale, make another: {'; '.join(changes)}")
        self.changes = changes


class PreconditionFailedError(CallerError):
    """The thing is in another state than the request expects; nothing was changed.

    Attributes:
        tag: of the thing as it is now.
    """

    def __init__(self, tag: str) -> None:
        super().__init__("it was changed meanwhile: read it again, and change what it is now")
        self.tag = tag


class DeviceNotConnectedError(CallerError):
    """The command is recorded as failed: its device is away, and it was not to wait for it."""

    def __init__(self, device: str, command_id: str) -> None:
        super().__init__(f"device `{device}` is not connected; command `{command_id}` was not sent")
        self.command_id = command_id


class EnrolmentRefusedError(CallerError):
    """What was sent proves no registration; which part is wrong is not said to anybody."""

    def __init__(self) -> None:
        super().__init__("tenant, device and code do not fit together")


class EnrolmentFault(StrEnum):
    """Why a device that proved its code is not let in."""

    CODE_EXPIRED = "code-expired"
    KEY_DIFFERS = "key-differs"
    NAME_TAKEN = "name-taken"
    REVOKED = "certificate-revoked"


class EnrolmentStateError(CallerError):
    """The code is right, and the device is not let in; only who has the code is told why."""

    def __init__(self, fault: EnrolmentFault) -> None:
        super().__init__(_ENROLMENT_FAULTS[fault])
        self.fault = fault


_ENROLMENT_FAULTS = {
    EnrolmentFault.CODE_EXPIRED: "the code has expired: ask whoever registered the device for a"
    " new one",
    EnrolmentFault.KEY_DIFFERS: "the code was used with another key: go on with that key, or ask"
    " whoever registered the device for a new code",
    EnrolmentFault.NAME_TAKEN: "a thing of this name was made by somebody else: the operator must"
    " look",
    EnrolmentFault.REVOKED: "the certificate of this code was revoked: the operator must look",
}


class IdempotencyMismatchError(CallerError):
    """The idempotency key was already used by the same caller for another request."""

    def __init__(self) -> None:
        super().__init__("the idempotency key was already used for another request; use a new key")


class OverBudgetError(CallerError):
    """The tenant has used up a budget, whoever of its people and machines did.

    Attributes:
        budget: its name.
        wait_seconds: until there may be some of it again.
    """

    def __init__(self, budget: str, *, per_second: int, burst: int, wait_seconds: float) -> None:
        super().__init__(
            f"the tenant's {budget} are limited to {per_second} a second, {burst} at once"
        )
        self.budget = budget
        self.wait_seconds = wait_seconds


class TooManyStreamsError(CallerError):
    """One task serves no more streams of events to this person, this tenant, or at all.

    Attributes:
        wait_seconds: after which another try makes sense.
    """

    def __init__(self, whose: str, most: int) -> None:
        super().__init__(f"{whose} has {most} streams of events here, and no more at once")
        self.wait_seconds = 5.0


class EventsGoneError(CallerError):
    """Events behind the cursor have left, or there is no such cursor."""

    def __init__(self) -> None:
        super().__init__(
            "events since this `Last-Event-ID` are not kept any more: read the lists anew, then"
            " follow events without it"
        )


class UpstreamError(CedarfleetError):
    """AWS did not do what was asked; the message never quotes AWS, the log does.

    Attributes:
        is_lost: nobody knows that it did not: only its answer is missing.
    """

    def __init__(self, message: str, *, is_lost: bool = False) -> None:
        super().__init__(message)
        self.is_lost = is_lost


class UnavailableError(UpstreamError):
    """No answer in time, throttled, or too many calls waiting; the same request may succeed later.

    Attributes:
        what: the part that did not answer, in our words.
        wait_seconds: after which to ask again.
        is_throttled: it did answer: less often.
    """

    def __init__(
        self,
        what: str,
        *,
        wait_seconds: float = 2.0,
        is_throttled: bool = False,
        is_lost: bool = True,
    ) -> None:
        # Fail closed: what nobody says was not begun may have been done.
        super().__init__(f"{what} is not available at the moment", is_lost=is_lost)
        self.what = what
        self.wait_seconds = wait_seconds
        self.is_throttled = is_throttled


class OverShareError(UnavailableError):
    """Too many calls of one tenant are under way or wait here; this one was not made."""

    def __init__(self, what: str, *, wait_seconds: float) -> None:
        super().__init__(what, wait_seconds=wait_seconds, is_lost=False)
        self.args = (f"too many of the tenant's requests wait for {what} already",)


class OutOfTimeError(UnavailableError):
    """The time that a request has in all was over before the answer of ``what``."""

    def __init__(self, what: str, *, is_lost: bool = True) -> None:
        super().__init__(what, is_lost=is_lost)
        told = "; what the request changes may be done: look before you repeat it"
        self.args = (
            f"the request's time was over while {what} was asked{told if is_lost else ''}",
        )


class CommandNotPublishedError(UpstreamError):
    """The command is recorded, and has certainly not left for the device."""

    def __init__(self, command_id: str) -> None:
        super().__init__(
            f"command `{command_id}` was recorded, but handing it to the device's broker failed"
        )
        self.command_id = command_id


class CommandUnconfirmedError(UpstreamError):
    """An answer was lost: the command may have left for the device, and nobody knows yet.

    If even the answer of the record was lost, there may be none; nothing has left then.
    """

    def __init__(self, command_id: str) -> None:
        super().__init__(
            f"command `{command_id}` may be on its way to the device: nobody confirmed it;"
            " watch it, or repeat the request with the same `Idempotency-Key`",
            is_lost=True,
        )
        self.command_id = command_id


class DownloadNotStartedError(UpstreamError):
    """The download is recorded as failed: its job was not created."""

    def __init__(self, download_id: str) -> None:
        super().__init__(f"download `{download_id}` was recorded, but its job could not be created")
        self.download_id = download_id


class ConfigurationError(CedarfleetError):
    """Settings, a registry row or a route are wrong; the operator must correct them."""
