"""A tenant's events, followed without a loss: each connection goes on behind the last id.

What is asked next, what a line means, and when to give up, is decided here, without any network:
``Fleet.events`` and ``AsyncFleet.events`` only carry lines to it.

Source: WHATWG HTML, 9.2 "Server-sent events"; ``docs/events.md``.
"""

from __future__ import annotations

import json
import math
import random
import re
import time
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, cast

import httpx

from cedarfleet.errors import ApiError, UnexpectedAnswerError, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

PATH: Final = "/v1/events"
MEDIA_TYPE: Final = "text/event-stream"
FOREVER: Final = math.inf
_LONGEST: Final = 3600  # seconds of one connection, which the API ends
_LONGEST_PAUSE: Final = 30.0  # seconds
_LASTED: Final = 10.0  # seconds of a connection that is called good
_REMEMBERED: Final = 10_000  # ids by which an event is known that is told again
_MOST_TEXT: Final = 1024 * 1024  # characters of one message
_ENDS: Final = re.compile(r"\r\n|\n|\r")
_NO_ID: Final = re.compile(r"[\x00\r\n]")


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened.

    Attributes:
        cursor: by which another connection goes on behind it (``Last-Event-ID``).
        id: the same however often it is told.
        type: e.g. ``command.state``.
        timestamp: RFC 3339.
        device: ``None``: it is of the tenant as a whole.
        data: as the type has it; see ``docs/events.md``.
    """

    cursor: str
    id: str
    type: str
    timestamp: str
    device: str | None
    data: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """In JSON."""
        return {
            "cursor": self.cursor,
            "id": self.id,
            "type": self.type,
            "timestamp": self.timestamp,
            "device": self.device,
            "data": self.data,
        }


@dataclass(frozen=True, kw_only=True)
class Message:
    """A message of the stream as it stands there; ``data`` is empty of one that says it lives."""

    cursor: str
    type: str
    data: str


@dataclass(kw_only=True)
class Messages:
    """Text as it comes, in pieces of any size -> messages.

    Only the three line ends of the standard part lines: U+2028 and the like stand in data.
    """

    _rest: str = ""
    _cursor: str = ""
    _type: str = ""
    _data: list[str] = field(default_factory=list[str])

    def take(self, text: str) -> Iterator[Message]:
        """The messages that are whole with this text.

        Raises:
            UnexpectedAnswerError: a message is longer than any of the API's.
        """
        self._rest += text
        # A line may end with the first half of `\r\n`.
        held = "\r" if self._rest.endswith("\r") else ""
        *lines, self._rest = _ENDS.split(self._rest.removesuffix(held))
        self._rest += held
        for line in lines:
            if (message := self._line(line)) is not None:
                yield message
        if len(self._rest) + sum(map(len, self._data)) > _MOST_TEXT:
            raise UnexpectedAnswerError("a message of the events is too long")

    def _line(self, line: str) -> Message | None:
        if not line:
            made = Message(cursor=self._cursor, type=self._type, data="\n".join(self._data))
            is_empty = not self._cursor and not self._data
            self._type, self._data = "", []
            return None if is_empty else made
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._type = value
        elif name == "id" and _NO_ID.search(value) is None:
            self._cursor = value
        return None


def untold(*_: object) -> None:
    """What nobody wants to know of."""


@dataclass(kw_only=True)
class Follower:
    """One reader's way through the events, over as many connections as it takes.

    Args:
        nouns: of the events that are wanted; none: those of devices.
        after: cursor to go on behind; ``None``: from now on.
        seconds: after which it ends; 0: with what there is, of ``FOREVER`` never.
        patience: seconds for which it is tried to connect again once a connection is lost.
        keep: is told of each cursor once all up to it was taken: kept, another program goes on.
        tell: is told in words of each connection that was lost.
    """

    nouns: Collection[str] = ()
    after: str | None = None
    seconds: float = FOREVER
    patience: float = 300.0
    keep: Callable[[str], None] = untold
    tell: Callable[[str], None] = untold
    is_over: bool = field(default=False, init=False)
    _messages: Messages = field(default_factory=Messages, init=False, repr=False)
    _known: dict[str, None] = field(default_factory=dict[str, None], init=False, repr=False)
    _ends: float | None = field(default=None, init=False, repr=False)
    _connected: float | None = field(default=None, init=False, repr=False)
    _lost: float | None = field(default=None, init=False, repr=False)
    _has_begun: bool = field(default=False, init=False, repr=False)
    _told: bool = field(default=False, init=False, repr=False)
    _ended: bool = field(default=False, init=False, repr=False)
    _failures: int = field(default=0, init=False, repr=False)

    def request(self) -> dict[str, Any]:
        """What is asked next, as httpx takes it."""
        self._messages, self._connected, self._told, self._ended = Messages(), None, False, False
        if self._ends is None:
            self._ends = time.monotonic() + self.seconds
        left = min(max(0.0, self._ends - time.monotonic()), _LONGEST)
        params = {"seconds": str(math.ceil(left))}
        if self.nouns:
            params["nouns"] = ",".join(sorted(self.nouns))
        headers = {"Accept": MEDIA_TYPE, "Cache-Control": "no-store"}
        if self.after is not None:
            headers["Last-Event-ID"] = self.after
        return {"method": "GET", "url": PATH, "params": params, "headers": headers}

    def answered(self, response: httpx.Response) -> None:
        """Note that a connection is there.

        Raises:
            UnexpectedAnswerError: what answers is no stream of events.
        """
        kind = response.headers.get("content-type", "").partition(";")[0].strip()
        if kind != MEDIA_TYPE:
            raise UnexpectedAnswerError("the answer is no stream of events")
        self._connected, self._has_begun = time.monotonic(), True

    def take(self, text: str) -> Iterator[Event]:
        """The events that a piece of text tells, each once.

        Raises:
            UnexpectedAnswerError: it is none of the API's form.
        """
        for message in self._messages.take(text):
            if message.type == "end":
                self._end(str(_object(message.data).get("reason", "")))
                return
            event = _event(message) if message.data else None
            self._told = self._told or event is not None
            if event is None or not self._is_new(event.id):
                self._behind(message)
                continue
            # Noted once it was taken: who is cut off in between is told it again.
            yield event
            self._behind(message)

    def lost(self, error: Exception | None) -> float:
        """What to do now that a connection is over: the seconds to wait, then ask again.

        Args:
            error: why; ``None``: it ended as an answer does.

        Raises:
            ApiError: the API's own no, which is none of the moment.
            UnreachableError: nobody answers, and the patience has ended.
            Exception: the error itself, if another attempt would meet it again.
        """
        now = time.monotonic()
        if error is not None and not _is_of_the_moment(error, has_begun=self._has_begun):
            if isinstance(error, httpx.TransportError):
                raise UnreachableError(f"nobody answers: {type(error).__name__}") from error
            raise error
        if self._told or (self._connected is not None and now - self._connected >= _LASTED):
            self._failures, self._lost = 0, None
        self._lost = now if self._lost is None else self._lost
        if now - self._lost > self.patience:
            words = f"nobody has told events for {self.patience:.0f} s"
            raise UnreachableError(words) from error
        self._failures += 1
        if error is not None or not self._ended:
            self.tell("the connection was lost: following on")
        asked = error.retry_after_seconds if isinstance(error, ApiError) else None
        # Not all readers at once, when a task that served many of them ends.
        spread = random.uniform(0.5, 1.0)  # noqa: S311 - no secret
        pause = min(2.0 ** (self._failures - 1), _LONGEST_PAUSE) * spread
        return min(max(pause, asked or 0.0), _LONGEST_PAUSE)

    def _end(self, reason: str) -> None:
        self._ended = True
        is_time = self._ends is not None and time.monotonic() >= self._ends
        self.is_over = reason == "time-over" and is_time
        # Whatever else it says, asking again tells: 401 of a token, 410 of events that have left.

    def _behind(self, message: Message) -> None:
        if message.cursor and message.cursor != self.after:
            self.after = message.cursor
            self.keep(message.cursor)

    def _is_new(self, event_id: str) -> bool:
        if event_id in self._known:
            return False
        while len(self._known) >= _REMEMBERED:
            del self._known[next(iter(self._known))]
        self._known[event_id] = None
        return True


def _is_of_the_moment(error: Exception, *, has_begun: bool) -> bool:
    """Whether another attempt may come out otherwise.

    The first is not made again: who begins is told at once that it does not go.
    """
    if isinstance(error, ApiError):
        busy = error.status in {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}
        return busy or (has_begun and error.status >= HTTPStatus.INTERNAL_SERVER_ERROR)
    return has_begun and isinstance(error, httpx.TransportError | UnexpectedAnswerError)


def _event(message: Message) -> Event:
    found = _object(message.data)
    try:
        device, data = found["device"], found["data"]
        if not isinstance(data, dict) or not isinstance(device, str | None):
            raise UnexpectedAnswerError("an event is of another form")
        return Event(
            cursor=message.cursor,
            id=str(found["id"]),
            type=str(found["type"]),
            timestamp=str(found["timestamp"]),
            device=device,
            data=cast("dict[str, Any]", data),
        )
    except LookupError as error:
        raise UnexpectedAnswerError("an event is of another form") from error


def _object(text: str) -> dict[str, Any]:
    try:
        found: Any = json.loads(text)
    except ValueError as error:
        raise UnexpectedAnswerError("an event is no JSON") from error
    if not isinstance(found, dict):
        raise UnexpectedAnswerError("an event is no JSON object")
    return cast("dict[str, Any]", found)
