"""What the routes of several nouns take and answer in the same form."""

from datetime import UTC, datetime
from typing import Annotated

from litestar import Response
from litestar.di import NamedDependency
from litestar.params import HeaderParameter, QueryParameter, SkipValidation
from msgspec import Meta, Struct

from service.errors import InvalidRequestError
from service.operations.authorization import Access
from service.operations.operations import Operations

# Ours, made in this process: nothing to validate.
Caller = NamedDependency[SkipValidation[Access]]
Ops = NamedDependency[SkipValidation[Operations]]

Limit = Annotated[int, QueryParameter(ge=1, le=100, description="at most this many on one page")]
Cursor = Annotated[
    str | None, QueryParameter(max_length=4096, description="the `cursor` of the page before")
]
IdempotencyKey = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key",
        min_length=1,
        max_length=200,
        description="repeat a request with the same key: it is done once, within 24 hours",
    ),
]
Label = Annotated[str, Meta(min_length=1, max_length=64)]
Reason = Annotated[
    str, Meta(pattern=r"\S", max_length=500, description="why this is an emergency; audited")
]


StatedReason = Annotated[
    str,
    Meta(
        pattern=r"\S",
        max_length=500,
        description="why, where the command needs a reason; recorded, audited, told to policies",
    ),
]


class Emergency(Struct, forbid_unknown_fields=True, frozen=True):
    """The caller's declaration of an emergency; policies may allow more, and it is audited."""

    reason: Reason


def emergency_reason(declared: Emergency | None) -> str | None:
    """The reason as it is decided with and audited, or ``None`` without a declaration."""
    return declared.reason.strip() if declared else None


def stated_reason(given: str | None) -> str | None:
    """A reason as it is recorded, without the blanks around it."""
    return given.strip() if given is not None else None


class Accepted(Struct, frozen=True):
    """What was accepted, and where it can be watched."""

    id: str
    url: str
    state: str

    def answer(self) -> "Response[Accepted]":
        """202 with the place to watch also where HTTP expects it."""
        return Response(self, status_code=202, headers={"Location": self.url})


def instant(name: str, text: str | None) -> int | None:
    """Milliseconds since the epoch of a query parameter in RFC 3339.

    Raises:
        InvalidRequestError: it is not of the form, or of no time zone.
    """
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
        since_epoch = found.timestamp() if found.tzinfo is not None else -1
    except (ValueError, OverflowError):
        since_epoch = -1
    # The last second of the year 9999 has fewer than the 48 bits that an id has for milliseconds.
    if since_epoch < 0:
        raise InvalidRequestError(name, "must be a time like `2026-11-30T06:00:00Z`")
    return int(since_epoch * 1000)


def utc(milliseconds: int | None) -> datetime | None:
    """An instant for the answer, of milliseconds since the epoch."""
    try:
        return None if milliseconds is None else datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        return None  # a device's clock may say anything
