"""What becomes of a call without an answer: whose fault it is, and whether it may have happened."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from service.adapters.aws.client.failures import (
    AwsCallError,
    AwsRefusalError,
    NoAnswerError,
    NoTimeLeftError,
    UnreadableAnswerError,
    asked_part,
    asks,
)
from service.errors import OutOfTimeError, UnavailableError, UpstreamError

TABLE = "the commands table"


def refusal(code: str, status: int = 400) -> AwsRefusalError:
    """AWS says no, in words that quote what was asked."""
    return AwsRefusalError("PutItem", code=code, status=status, members={"Message": "secret"})


def lost(error: AwsCallError) -> AwsCallError:
    """The same, after an attempt that may have done what was asked."""
    error.was_lost = True
    return error


@asks(TABLE)
async def call(error: Exception | None) -> str:
    """A method of an adapter whose one call ends so; else the part that is asked meanwhile."""
    if error is not None:
        raise error
    return asked_part("dynamodb")


@asks("another part")
async def call_through() -> list[str]:
    """A method of an adapter that asks another one."""
    return [asked_part("dynamodb"), await call(None), asked_part("dynamodb")]


@pytest.mark.parametrize(
    ("error", "for_now", "throttled", "fault"),
    [
        (refusal("AccessDeniedException", 403), False, False, False),
        (refusal("ValidationException"), False, False, False),
        (refusal("SomethingNew", 499), False, False, False),
        (refusal("SomethingNew", 500), True, False, True),
        (refusal("InternalServerError"), True, False, True),
        (refusal("ThrottlingException"), True, True, False),
        (refusal("SlowDown", 503), True, True, False),
        (refusal("TransactionConflictException"), True, False, False),
        (refusal("TransactionCanceledException", 500), True, False, False),
    ],
)
def test_a_refusal_says_whose_fault_it_is(
    error: AwsRefusalError, *, for_now: bool, throttled: bool, fault: bool
) -> None:
    """For now or for good; too many calls and other callers are no fault of AWS."""
    assert (error.is_for_now, error.is_throttled, error.is_fault) == (for_now, throttled, fault)


@pytest.mark.parametrize(
    ("error", "kind", "is_lost"),
    [
        (refusal("AccessDeniedException", 403), UpstreamError, False),
        (lost(refusal("AccessDeniedException", 403)), UpstreamError, True),
        (refusal("InternalServerError"), UnavailableError, True),
        (refusal("ThrottlingException"), UnavailableError, False),
        (lost(refusal("ThrottlingException")), UnavailableError, True),
        (NoAnswerError("nobody answered", is_lost=False), UnavailableError, False),
        (NoAnswerError("it broke", is_lost=True), UnavailableError, True),
        (lost(NoAnswerError("nobody answered", is_lost=False)), UnavailableError, True),
        (NoTimeLeftError(is_lost=False), OutOfTimeError, False),
        (NoTimeLeftError(is_lost=True), OutOfTimeError, True),
        (lost(NoTimeLeftError(is_lost=False)), OutOfTimeError, True),
        (UnreadableAnswerError("PutItem", "no JSON"), UpstreamError, True),
        (KeyError("secret"), UpstreamError, True),
    ],
)
def test_what_may_have_happened_is_said(
    error: Exception, kind: type[UpstreamError], *, is_lost: bool
) -> None:
    """Of the last attempt, and of one before it; the part stands there, and no words of AWS."""
    with pytest.raises(UpstreamError) as caught:
        asyncio.run(call(error))
    assert (type(caught.value), caught.value.is_lost) == (kind, is_lost)
    assert TABLE in str(caught.value)
    assert "secret" not in str(caught.value)
    throttled = isinstance(error, AwsRefusalError) and error.is_throttled
    assert isinstance(caught.value, UnavailableError) is (kind is not UpstreamError)
    if isinstance(caught.value, UnavailableError):
        assert caught.value.is_throttled is throttled


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (refusal("AccessDeniedException", 403), "PutItem: AccessDeniedException (403)"),
        (NoAnswerError("it broke", is_lost=True), "it broke"),
        (NoTimeLeftError(is_lost=False), "no time left"),
        (UnreadableAnswerError("PutItem", "no JSON"), "PutItem: no JSON"),
    ],
)
def test_a_trace_says_what_failed_without_words_of_aws(error: Exception, words: str) -> None:
    """Which may quote what was asked."""
    assert str(error) == words


def test_the_part_that_is_asked_is_the_innermost() -> None:
    """And afterwards the one that it was before, also behind a failure; outside it is a service."""

    async def scenario() -> list[str]:
        with pytest.raises(UpstreamError):
            await call(KeyError())
        return [*await call_through(), asked_part("dynamodb")]

    assert asyncio.run(scenario()) == ["another part", TABLE, "another part", "dynamodb"]


def test_an_answer_of_another_form_is_logged_by_its_place() -> None:
    """The line that could not read it, not what it says: that may quote the answer."""
    with capture_logs() as logged, pytest.raises(UpstreamError):
        asyncio.run(call(KeyError("secret")))
    line = call.__wrapped__.__code__.co_firstlineno + 4  # type: ignore[attr-defined] - `wraps`
    assert logged == [
        {
            "event": "aws.unreadable",
            "log_level": "error",
            "what": TABLE,
            "problem": "KeyError",
            "at": f"{__name__}:{line}",
        }
    ]
