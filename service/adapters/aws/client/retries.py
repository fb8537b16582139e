"""Which calls are made again, and when: botocore's standard mode, in what is safe to repeat.

Its conditions, its waiting with jitter and its quota are used as they are (AWS SDKs and Tools
reference guide, "Retry behavior", standard mode); a test holds each error code of the models
against it.
"""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ConnectionClosedError, ConnectTimeoutError
from botocore.retries.quota import RetryQuota
from botocore.retries.standard import (
    ExponentialBackoff,
    RetryContext,
    RetryQuotaChecker,
    StandardRetryConditions,
)

from service.adapters.aws.client.failures import AwsRefusalError, NoAnswerError

if TYPE_CHECKING:
    from collections.abc import Callable

    from service.adapters.aws.client.failures import AwsCallError
    from service.adapters.aws.client.operations import Operation

# A second one does something else: another certificate, the device's handler asked again.
_ONCE: Final = frozenset({"CreateCertificateFromCsr", "SendDirectMessage"})
_SERVER_FAULT: Final = 500


class RetryBudget:
    """What one tenant may still repeat of one service: each repetition costs, success gives back.

    While a service fails for long, each call is made once.
    """

    def __init__(self) -> None:
        self._quota: Any = RetryQuota()
        self._checker: Any = RetryQuotaChecker(self._quota)

    def take(self, context: Any) -> bool:
        """Whether one more attempt is granted."""
        return self._checker.acquire_retry_quota(context)

    def succeeded(self, context: Any | None) -> None:
        """Give back what the attempts of a call took that came to its answer."""
        taken = context.request_context.get("retry_quota_capacity") if context else None
        self._quota.release(1 if taken is None else taken)


class Retries:
    """Decides on one more attempt.

    Args:
        max_attempts: of one call, the first included.
        jitter: of the time between attempts, from 0 to 1.
    """

    def __init__(self, max_attempts: int, *, jitter: Callable[[], float] = random.random) -> None:
        self._conditions: Any = StandardRetryConditions(max_attempts=max_attempts)
        self._backoff: Any = ExponentialBackoff(random=jitter)

    def context(self, operation: Operation, attempt: int, failure: AwsCallError) -> Any:
        """What botocore's conditions look at.

        Args:
            operation: what was asked.
            attempt: which one failed, from 1.
            failure: how.
        """
        said: dict[str, Any] | None = None
        answered: Any = None
        broken: Exception | None = None
        match failure:
            case AwsRefusalError():
                said = {"Error": {"Code": failure.code}}
                answered = SimpleNamespace(status_code=failure.status, headers={})
            case NoAnswerError(is_lost=True):
                broken = ConnectionClosedError(endpoint_url=operation.service)
            case NoAnswerError():
                broken = ConnectTimeoutError(endpoint_url=operation.service)
            # What came was not AWS's, or was cut off.
            case _:
                broken = ConnectionClosedError(endpoint_url=operation.service)
        return RetryContext(
            attempt_number=attempt,
            operation_model=operation.model,
            parsed_response=said,
            http_response=answered,
            caught_exception=broken,
        )

    def is_repeated(self, operation: Operation, failure: AwsCallError, context: Any) -> bool:
        """Whether the call may be made again."""
        if operation.name in _ONCE and is_perhaps_done(failure):
            return False
        return self._conditions.is_retryable(context)

    def seconds(self, context: Any) -> float:
        """How long to wait before."""
        return self._backoff.delay_amount(context)


def is_perhaps_done(failure: AwsCallError) -> bool:
    """Whether AWS may have done what was asked all the same."""
    match failure:
        case AwsRefusalError():
            return failure.status >= _SERVER_FAULT
        case NoAnswerError():
            return failure.is_lost
        case _:
            return True
