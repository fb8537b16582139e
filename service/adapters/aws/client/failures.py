"""Ways not to get an answer of AWS, and what each becomes in our words, without AWS's own."""

from __future__ import annotations

from contextvars import ContextVar
from functools import wraps
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

import structlog

from service.errors import OutOfTimeError, UnavailableError, UpstreamError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import CoroutineType

P = ParamSpec("P")
T = TypeVar("T")
log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

_FOR_NOW: Final = frozenset(
    {
        "InternalFailureException",
        "InternalServerException",
        "InternalServerError",
        "ServiceUnavailableException",
    }
)
# As botocore's standard mode has them, which a test holds; the query protocol of STS says
# `Throttling` for what others name an exception.
_THROTTLED: Final = frozenset(
    {
        "BandwidthLimitExceeded",
        "EC2ThrottledException",
        "LimitExceededException",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
# Of a transaction others are in the way, not AWS.
_OF_OTHERS: Final = frozenset(
    {
        "TransactionCanceledException",
        "TransactionConflictException",
        "TransactionInProgressException",
    }
)
_SERVER_FAULT: Final = 500
_asked: ContextVar[str] = ContextVar("asked")
# What reading an answer that is not of its form can raise.
_OTHER_SHAPE: Final = (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError)


class AwsCallError(Exception):
    """A call without an answer; an adapter knows what it means, or ``asks`` translates it.

    Attributes:
        was_lost: an attempt before this one may have done what was asked.
    """

    was_lost: bool = False


class AwsRefusalError(AwsCallError):
    """AWS said no.

    Attributes:
        operation: what was asked.
        code: AWS's, e.g. ``ThrottlingException``.
        status: of HTTP.
        members: beside the code, as AWS's model of the error names them; empty without a model.
    """

    def __init__(
        self, operation: str, *, code: str, status: int, members: Mapping[str, Any]
    ) -> None:
        # Without AWS's message: it may quote what was asked.
        super().__init__(f"{operation}: {code} ({status})")
        self.operation = operation
        self.code = code
        self.status = status
        self.members = members

    @property
    def is_for_now(self) -> bool:
        """Whether the same call may succeed later."""
        return (
            self.code in _FOR_NOW
            or self.code in _OF_OTHERS
            or self.is_throttled
            or self.status >= _SERVER_FAULT
        )

    @property
    def is_fault(self) -> bool:
        """Whether AWS itself failed."""
        return self.is_for_now and not self.is_throttled and self.code not in _OF_OTHERS

    @property
    def is_throttled(self) -> bool:
        """Whether AWS asks for fewer calls."""
        return self.code in _THROTTLED


class NoAnswerError(AwsCallError):
    """The line broke, nobody answered in time, or there are no credentials.

    Attributes:
        kind: a static word or two.
        is_lost: AWS may have done what was asked: only its answer is missing.
    """

    def __init__(self, kind: str, *, is_lost: bool) -> None:
        super().__init__(kind)
        self.kind = kind
        self.is_lost = is_lost


class NoTimeLeftError(NoAnswerError):
    """The request's own time was over before whoever was asked had time to answer."""

    def __init__(self, *, is_lost: bool) -> None:
        super().__init__("no time left", is_lost=is_lost)


class UnreadableAnswerError(AwsCallError):
    """What answered is not what AWS's model says; nothing of it is quoted."""

    def __init__(self, operation: str, problem: str) -> None:
        super().__init__(f"{operation}: {problem}")
        self.operation = operation
        self.problem = problem


def asks(
    what: str,
) -> Callable[[Callable[P, CoroutineType[Any, Any, T]]], Callable[P, CoroutineType[Any, Any, T]]]:
    """Translate all that calls of AWS raise in a method of an adapter; ``what`` names the part.

    The method then raises:
        UnavailableError: no answer, throttled, a fault of AWS.
        OutOfTimeError: the request's time was over first.
        UpstreamError: AWS refused the call, or its answer is not of its form.
    """

    def of(
        method: Callable[P, CoroutineType[Any, Any, T]],
    ) -> Callable[P, CoroutineType[Any, Any, T]]:
        @wraps(method)
        async def asking(*args: P.args, **kwargs: P.kwargs) -> T:
            before = _asked.set(what)
            try:
                return await method(*args, **kwargs)
            except (AwsCallError, *_OTHER_SHAPE) as error:
                raise _translated(what, error) from None
            finally:
                _asked.reset(before)

        return asking

    return of


def asked_part(service: str) -> str:
    """The part that is asked now, in our words; outside of an adapter its service."""
    return _asked.get(service)


def _translated(what: str, error: Exception) -> UpstreamError:
    match error:
        case AwsRefusalError():
            log.error(
                "aws.refused",
                what=what,
                operation=error.operation,
                code=error.code,
                status=error.status,
            )
            if error.is_for_now:
                is_lost = error.is_fault or error.was_lost
                return UnavailableError(what, is_throttled=error.is_throttled, is_lost=is_lost)
            return UpstreamError(f"{what} refused the call", is_lost=error.was_lost)
        case NoTimeLeftError():
            log.warning("aws.no_time_left", what=what)
            return OutOfTimeError(what, is_lost=error.is_lost or error.was_lost)
        case NoAnswerError():
            log.warning("aws.no_answer", what=what, error=error.kind)
            return UnavailableError(what, is_lost=error.is_lost or error.was_lost)
        case UnreadableAnswerError():
            log.error("aws.unreadable", what=what, operation=error.operation, problem=error.problem)
        case _:
            # Where it stands, not what it says: a message may quote the answer.
            log.error("aws.unreadable", what=what, problem=type(error).__name__, at=_place(error))
    return UpstreamError(f"{what} answered something else than what was asked", is_lost=True)


def _place(error: Exception) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return ""
    return f"{trace.tb_frame.f_globals.get('__name__')}:{trace.tb_lineno}"
