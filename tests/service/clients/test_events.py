"""Events are followed without a loss, whatever becomes of the connection; over real sockets."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any

import pytest
from cedarfleet import ApiError, AsyncFleet, Fleet, UnexpectedAnswerError, UnreachableError
from cedarfleet.events import Follower, Messages
from cedarfleet.sign_in import Bearer, Session

from tests.seed import new_seed
from tests.service.clients.event_server import EventServer, end, event

if TYPE_CHECKING:
    from cedarfleet.events import Event


def numbers(events: list[Event]) -> list[str]:
    """Ids of what was told."""
    return [one.id for one in events]


def test_messages_come_in_pieces_of_any_size() -> None:
    """Wherever a network parts them, and whichever line end: they are the same messages."""
    text = "retry: 1000\r\n: a word\r\nid: 1-1\r\rid:2-1\ndata:a\ndata: b\u2028c\n\nid: 3\r\n\r\n"
    whole = list(Messages().take(text))
    assert [(one.cursor, one.data) for one in whole] == [
        ("1-1", ""),
        ("2-1", "a\nb\u2028c"),
        ("3", ""),
    ]
    # Of a blank line nothing is told; an event without an id is told, and nobody goes on behind it.
    assert list(Messages().take("retry: 1000\n\n\n")) == []
    assert [(one.cursor, one.data) for one in Messages().take("data: a\n\n")] == [("", "a")]
    chosen = random.Random(new_seed())  # noqa: S311 - a test's
    for _ in range(200):
        cuts = sorted(chosen.sample(range(len(text)), k=chosen.randrange(1, 12)))
        parts = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
        messages = Messages()
        assert [one for part in parts for one in messages.take(part)] == whole, parts


def test_a_message_without_an_end_is_no_memory_leak() -> None:
    """What is longer than any event is refused before it fills the memory."""
    messages = Messages()
    endless = (one for _ in range(100) for one in messages.take("data: " + "x" * 100_000))
    with pytest.raises(UnexpectedAnswerError, match="too long"):
        next(endless)


def test_a_cut_connection_is_made_again_behind_its_event() -> None:
    """Cut in the middle of an event, told twice: each is given out once, in order."""
    half = event(3)[:40]
    answers = [event(1) + event(2) + half, event(2) + event(3) + end("time-over")]
    told: list[str] = []
    kept: list[str] = []
    with EventServer(answers).running() as server:
        fleet = Fleet(server.url, "token", proxies=False)
        found = list(
            fleet.events(nouns=["command"], seconds=0.2, tell=told.append, keep=kept.append)
        )
    assert numbers(found) == ["evt_1", "evt_2", "evt_3"]
    assert [one[0] for one in server.asked] == [None, "7-2"]
    assert server.asked[0][1] == {"nouns": "command", "seconds": "1"}
    assert kept == ["7-1", "7-2", "7-3"]
    assert told == ["the connection was lost: following on"]


def test_an_event_is_noted_once_it_was_taken() -> None:
    """Whoever stops at the second has the first behind them, and is told the second again."""
    kept: list[str] = []
    with (
        EventServer([event(1) + event(2) + event(3)], stays=True).running() as server,
        Fleet(server.url, "token", proxies=False) as fleet,
    ):
        stream = fleet.events(keep=kept.append)
        assert [next(stream).id, next(stream).id] == ["evt_1", "evt_2"]
    assert kept == ["7-1"]


def test_a_quiet_stream_moves_the_cursor_too() -> None:
    """A message that says the stream lives is noted, and the next connection goes on behind it."""
    answers = ["id: 7-5\n\nid: 7-6\n\n", end("time-over")]
    with EventServer(answers).running() as server:
        assert list(Fleet(server.url, "token", proxies=False).events(seconds=0)) == []
    assert [one[0] for one in server.asked] == [None, "7-6"]


def test_what_ends_for_good_is_raised() -> None:
    """Who nobody answers is told at once; after a connection, once the patience has ended."""
    with pytest.raises(UnreachableError):
        list(Fleet("http://127.0.0.1:9", "token", proxies=False).events())
    with EventServer([event(1), 502]).running() as server:
        stream = Fleet(server.url, "token", proxies=False).events(patience=1.2)
        assert next(stream).id == "evt_1"
        with pytest.raises(UnreachableError, match="nobody has told events"):
            next(stream)
    assert len(server.asked) > 2
    with EventServer([event(1), 410]).running() as server:
        stream = Fleet(server.url, "token", proxies=False).events()
        assert next(stream).id == "evt_1"
        with pytest.raises(ApiError) as gone:
            next(stream)
    assert gone.value.slug == "events-gone"
    with EventServer([403]).running() as server, pytest.raises(ApiError):
        list(Fleet(server.url, "token", proxies=False).events())


def test_another_answer_is_no_stream() -> None:
    """The page of a proxy is refused, not read as a stream in which nothing happens."""
    with (
        EventServer(["<p>Sign in to the network"], kind="text/html").running() as server,
        pytest.raises(UnexpectedAnswerError, match="no stream of events"),
    ):
        list(Fleet(server.url, "token", proxies=False).events(seconds=0))


def test_a_stream_is_read_while_it_is_open() -> None:
    """A bearer that renews its token waits for no end of the answer; sync and async the same."""

    def bearer(url: str) -> Any:
        session = Session(
            api=url, sign_in=url, client_id="c", token="old", expires_at=0, refresh_token="r"
        )
        return Bearer(session)

    async def awaited(url: str) -> str:
        async with AsyncFleet(url, bearer(url), proxies=False) as fleet:
            async for one in fleet.events():
                return one.id
        raise AssertionError

    with EventServer([event(1)], stays=True).running() as server:
        with Fleet(server.url, bearer(server.url), proxies=False) as fleet:
            assert next(fleet.events()).id == "evt_1"
        assert asyncio.run(awaited(server.url)) == "evt_1"
    assert [one[2] for one in server.asked] == ["Bearer renewed"] * 2


def test_pauses_grow_and_are_spread() -> None:
    """Of a service that is away nobody asks faster and faster; all do not ask at once."""
    follower = Follower(patience=10_000)
    follower.request()
    pauses = [follower.lost(None) for _ in range(8)]
    for number, pause in enumerate(pauses):
        assert min(2.0**number, 30.0) / 2 <= pause <= 30.0, pauses
    assert len({round(pause, 6) for pause in pauses}) == len(pauses)
    # A connection that told something was a good one, however soon it was lost.
    follower.request()
    assert [one.id for one in follower.take(event(1))] == ["evt_1"]
    assert follower.lost(None) <= 1.0
    follower.request()
    list(follower.take("id: 7-2\n\n"))
    assert 1.0 <= follower.lost(None) <= 2.0
