"""What an answer to a range request means: go on, fresh URL, start over, try again, or give up."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from cedarfleet_device.downloads.outcomes import DownloadRefusedError, Reason
from cedarfleet_device.downloads.range_client.answers import (
    ChangedObjectError,
    ExpiredUrlError,
    NoRangesError,
    TryAgainError,
)
from cedarfleet_device.downloads.ranges import parse_content_range

if TYPE_CHECKING:
    from cedarfleet_device.downloads.range_client.answers import Answer
    from cedarfleet_device.downloads.ranges import ByteRange

# Source: Amazon S3 API, "Error responses". An expired session token is a 400, an expired signature
# a 403.
_EXPIRED_CODES: Final = frozenset({"ExpiredToken", "TokenRefreshRequired", "InvalidToken"})
_PASSING_4XX: Final = frozenset({408, 425, 429})
_PASSING_CODES: Final = frozenset({"RequestTimeout", "SlowDown", "RequestTimeTooSkewed"})


def accept(answer: Answer, *, wanted: ByteRange, size: int, etag: str | None) -> str | None:
    """Accept a body of exactly ``wanted`` bytes of the pinned object, or raise what is to be done.

    Args:
        answer: what came.
        wanted: the range that was asked for.
        size: announced bytes of the whole file.
        etag: what is pinned; None: not yet known.

    Returns:
        The ETag of the answer, to be pinned; None when the server sent none.

    Raises:
        TryAgainError: the server is unwell or its answer does not fit the question.
        ExpiredUrlError: 403 and S3's other ways to say it.
        ChangedObjectError: ``If-Match`` failed, or another ETag or size came.
        DownloadRefusedError: redirect, other 4xx.
    """
    if answer.status not in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
        raise _refusal(answer)
    if answer.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise TryAgainError("the server encoded the body, which a range must not be")  # fail closed
    if "transfer-encoding" in answer.headers or answer.length is None:
        raise TryAgainError("the server did not announce the body's length")  # fail closed
    return _check_range(answer, wanted=wanted, size=size, etag=etag)


def _check_range(answer: Answer, *, wanted: ByteRange, size: int, etag: str | None) -> str | None:
    """The second half: whether a 2xx answer is of the pinned object and of these bytes."""
    found = answer.headers.get("etag")
    if etag is not None and found is not None and found != etag:
        raise ChangedObjectError("the server sent another ETag")
    if answer.status == HTTPStatus.OK:
        if answer.length != size:
            raise ChangedObjectError(f"the object has {answer.length} bytes, {size} were announced")
        if (wanted.start, wanted.end) != (0, size):
            raise NoRangesError("the server ignored the range")
        return found
    described = parse_content_range(answer.headers.get("content-range", ""))
    if described is None:
        raise TryAgainError("the server sent part of the file without saying which")  # fail closed
    span, total = described
    if total is not None and total != size:
        raise ChangedObjectError(f"the object has {total} bytes, {size} were announced")
    if span != wanted or answer.length != len(wanted):
        raise TryAgainError("the server sent another range than asked for")  # fail closed
    return found


def _refusal(answer: Answer) -> Exception:
    """What a status other than 200 and 206 stands for."""
    status, code = answer.status, answer.error_code
    named = f"{status} {code}".rstrip()
    if status in (HTTPStatus.PRECONDITION_FAILED, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE):
        return ChangedObjectError(f"the server answered {named}")
    if (status == HTTPStatus.FORBIDDEN and code not in _PASSING_CODES) or code in _EXPIRED_CODES:
        return ExpiredUrlError(f"the server answered {named}")
    if (
        status >= HTTPStatus.INTERNAL_SERVER_ERROR
        or status in _PASSING_4XX
        or code in _PASSING_CODES
    ):
        return TryAgainError(f"the server answered {named}", retry_after=_retry_after(answer))
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        # Where a redirect leads was signed by nobody.
        return DownloadRefusedError(
            Reason.SERVER, f"the server answered {named}: redirects are not followed"
        )
    if status >= HTTPStatus.BAD_REQUEST:
        return DownloadRefusedError(Reason.SERVER, f"the server answered {named}")
    return TryAgainError(f"the server answered {named}, which is no answer to a range")


def _retry_after(answer: Answer) -> float | None:
    """``Retry-After`` in seconds.

    Its other form, a date, needs a right clock, which a device may not have.
    """
    text = answer.headers.get("retry-after", "").strip()
    return float(text) if re.fullmatch(r"\d{1,6}", text) else None
