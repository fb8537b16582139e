"""Routes of events: what happens in the tenant, told live."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import msgspec
from litestar import Request, get
from litestar.datastructures import State
from litestar.params import HeaderParameter, QueryParameter
from litestar.response import Stream
from msgspec import Struct

from service.api.guard import signed_in
from service.api.parameters import Caller, Ops
from service.api.request_state import FAREWELL
from service.domain.events import NOUNS, OF_DEVICES, OF_TARGETS, OF_TENANT, Event
from service.errors import InvalidRequestError
from service.operations.event_streams import LONGEST_SECONDS, StreamEnd, Told

MEDIA_TYPE: Final = "text/event-stream"
_RETRY_MS: Final = 1000
_SEES: Final = sorted({*OF_DEVICES.values(), *OF_TARGETS.values(), *OF_TENANT.values()})


class EventOut(Struct, frozen=True):
    """An event; webhooks send the same."""

    id: str
    """The same each time that it is told."""
    type: str
    timestamp: datetime
    device: str | None
    data: Any

    @classmethod
    def of(cls, event: Event) -> "EventOut":
        """An event for the answer."""
        return cls(
            id=event.event_id,
            type=event.type,
            timestamp=datetime.fromtimestamp(event.at / 1000, UTC),
            device=event.device,
            data=dict(event.data),
        )


@get("/events", opt=signed_in(*_SEES), media_type=MEDIA_TYPE)
async def follow_events(
    request: Request[Any, Any, State],
    access: Caller,
    operations: Ops,
    *,
    nouns: Annotated[
        str | None,
        QueryParameter(
            max_length=200,
            description=f"of {', '.join(NOUNS)}, parted by commas; else those of devices:"
            f" {', '.join(OF_DEVICES)}",
        ),
    ] = None,
    seconds: Annotated[
        int,
        QueryParameter(
            ge=0,
            le=LONGEST_SECONDS,
            description="after which the stream ends; 0: with what there is",
        ),
    ] = LONGEST_SECONDS,
    last_event_id: Annotated[
        str | None,
        HeaderParameter(
            name="Last-Event-ID",
            max_length=40,
            description="`id` of the last event that was read: goes on behind it",
        ),
    ] = None,
) -> Stream:
    """What happens, as it happens: server-sent events (WHATWG HTML, 9.2), from now on.

    Each message has the event as JSON in `data`, its type in `event`, and in `id` what a reader
    gives as `Last-Event-ID` to miss nothing. A message without `data` says that the stream lives;
    one of the type `end` says in `data.reason` why it ends.
    """
    told = await operations.event_streams.follow(
        access,
        nouns=_nouns(nouns),
        after=last_event_id,
        seconds=seconds,
        ending=_ending(request),
    )
    request.scope["state"][FAREWELL] = _end(StreamEnd.TOO_SLOW).encode()
    return Stream(_lines(told), media_type=MEDIA_TYPE)


async def _lines(stream: AsyncGenerator[Told]) -> AsyncGenerator[str]:
    try:
        yield f"retry: {_RETRY_MS}\n"
        async for told in stream:
            yield _message(told)
    finally:
        await stream.aclose()


def _message(told: Told) -> str:
    head = f"id: {told.cursor}\n"
    if told.event is not None:
        data = msgspec.json.encode(EventOut.of(told.event)).decode()
        return f"{head}event: {told.event.type}\ndata: {data}\n\n"
    return f"{head}\n" if told.end is None else f"{head}{_end(told.end)}"


def _end(reason: StreamEnd) -> str:
    data = msgspec.json.encode({"reason": reason}).decode()
    return f"event: end\ndata: {data}\n\n"


def _nouns(text: str | None) -> frozenset[str]:
    """The nouns that are asked for.

    Raises:
        InvalidRequestError: one is none of ours.
    """
    named = frozenset(text.split(",")) if text is not None else frozenset[str]()
    if unknown := sorted(named - set(NOUNS)):
        raise InvalidRequestError(
            "nouns", f"`{unknown[0][:40]}` is none; there are: {', '.join(NOUNS)}"
        )
    return named


def _ending(request: Request[Any, Any, State]) -> asyncio.Event | None:
    """What the server sets once it ends; a test's client has none."""
    found = request.scope["state"].get("ending")
    return found if isinstance(found, asyncio.Event) else None
