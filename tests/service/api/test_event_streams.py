"""Streams of events over sockets: how many, how fast, and how each ends or goes on."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, cast

import uvloop

from service.adapters.memory.events import MemoryEventLog
from service.adapters.memory.metrics import MemoryMetrics
from service.api.app import create_app
from service.bounded_server import BoundedServer
from service.domain.events import MOST_EVENTS, OF_DEVICES, Event, EventPage, event_id
from service.operations.authorization import RequestFacts
from service.operations.event_streams import LOOK_SECONDS, OF_PERSON, OF_TENANT_MOST
from service.operations.operations import Operations
from service.ports.metrics import REFUSED_BY_SERVER
from service.settings import HttpSettings, TokenSettings

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Coroutine, Sequence

    from service.domain.tenants import Tenant
    from service.http_protocol import BoundedProtocol
    from tests.service.conftest import ServiceUnderTest

LONG_SECONDS: Final = 20  # what is awaited must be there long before
WHOLE_SECONDS: Final = 200  # and a whole test over
WORDS: Final = "x" * 900  # an event of a kilobyte
DECLARED: Final = frozenset(OF_DEVICES.values())
BUFFERED: Final = 128 * 1024  # bytes: what a transport holds before it pauses, and a message


@dataclass
class CountedLog(MemoryEventLog):
    """A log that counts the pages that it was asked for, and tells of each question."""

    read: int = 0
    asked: asyncio.Event = field(default_factory=asyncio.Event)

    async def since(self, tenant: Tenant, *, number: int, most: int) -> Sequence[EventPage]:
        """Tell of it."""
        found = await super().since(tenant, number=number, most=most)
        self.read += len(found)
        self.asked.set()
        return found


class ToldMetrics(MemoryMetrics):
    """Metrics of which each count is told."""

    def __init__(self) -> None:
        super().__init__()
        self.counted = asyncio.Event()

    def count(self, what: Any, *labels: str, by: int = 1) -> None:
        """Tell of it."""
        super().count(what, *labels, by=by)
        self.counted.set()


@dataclass
class Answer:
    """One request that is answered as it goes on."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    status: int
    headers: dict[str, str]

    async def message(self) -> dict[str, str]:
        """The next message (WHATWG HTML, 9.2.6); an empty one: the answer is over."""
        fields: dict[str, str] = {}
        async with asyncio.timeout(LONG_SECONDS):
            while chunk := await self._chunk():
                for line in chunk.decode().split("\n"):
                    name, _, text = line.partition(": ")
                    fields |= {name: text} if line else {}
                if chunk.endswith(b"\n\n"):
                    return fields
        return fields

    async def rest(self) -> list[dict[str, str]]:
        """All messages until the answer is over."""
        found: list[dict[str, str]] = []
        while message := await self.message():
            found.append(message)
        return found

    async def body(self) -> dict[str, Any]:
        """What a problem says."""
        body = self.reader.readexactly(int(self.headers["content-length"]))
        return json.loads(await asyncio.wait_for(body, LONG_SECONDS))

    def take(self, size: int) -> None:
        """Have the reader's own system take so many bytes more."""
        connection: socket.socket = self.writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)

    async def close(self) -> None:
        """Go away."""
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await asyncio.wait_for(self.writer.wait_closed(), LONG_SECONDS)

    async def _chunk(self) -> bytes:
        size = int(await self.reader.readline(), 16)
        chunk = await self.reader.readexactly(size)
        assert await self.reader.readexactly(2) == b"\r\n"
        return chunk


@dataclass
class Served:
    """The application over twins, behind the server that it has on AWS."""

    service: ServiceUnderTest
    operations: Operations
    log: CountedLog
    server: BoundedServer
    metrics: ToldMetrics
    address: tuple[str, int]
    answers: list[Answer] = field(default_factory=list[Answer])

    async def ask(
        self, token: str, *, after: str | None = None, seconds: int = 3600, receive: int = 0
    ) -> Answer:
        """Ask for events; ``receive``: bytes that the reader's own system takes unread."""
        connection = socket.socket()
        if receive:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
        connection.connect(self.address)
        connection.setblocking(False)
        reader, writer = await asyncio.open_connection(sock=connection, limit=2048)
        head = {"Host": "x", "Authorization": f"Bearer {token}"}
        head |= {"Last-Event-ID": after} if after else {}
        lines = [f"GET /v1/events?seconds={seconds} HTTP/1.1", *map(": ".join, head.items())]
        writer.write("\r\n".join((*lines, "", "")).encode())
        answered = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), LONG_SECONDS)
        status, *fields = answered.decode().splitlines()
        named = (one.split(": ", 1) for one in fields if one)
        headers = {name.lower(): text for name, text in named}
        self.answers.append(Answer(reader, writer, int(status.split()[1]), headers))
        return self.answers[-1]

    async def follow(self, token: str, **asked: Any) -> Answer:
        """A stream that has begun."""
        answer = await self.ask(token, **asked)
        assert answer.status == 200
        assert (await answer.message()).keys() == {"retry", "id"}
        return answer

    def person(self, name: str, group: str = "managers", **claims: object) -> str:
        """A token of somebody of acme."""
        return self.service.acme.id_token(name, [group], **claims)

    async def tell(self, number: int, count: int = 1, device: str = "press-01") -> None:
        """Have a page of events stand in the log of acme."""
        events = tuple(
            Event(
                event_id=event_id(str(number), str(place)),
                type="device.connected",
                at=1_790_000_000_000,
                device=device,
                data={"connection": f"{number}-{place}", "words": WORDS},
            )
            for place in range(count)
        )
        page = EventPage(number=number, made_at=number, events=events, is_first=number == 1)
        assert await self.log.append(self.service.acme.tenant, page)

    def sending(self) -> list[int]:
        """How many bytes each connection holds that its other end did not take."""
        open_ = cast("set[BoundedProtocol]", self.server.server_state.connections)
        return [one.transport.get_write_buffer_size() for one in open_]

    async def until_counted(self, reason: str) -> None:
        """Wait until the server has refused or given up somebody for it."""
        async with asyncio.timeout(LONG_SECONDS):
            while not self.metrics.counts[REFUSED_BY_SERVER, (reason,)]:
                self.metrics.counted.clear()
                await self.metrics.counted.wait()

    async def until_free(self, token: str, **asked: Any) -> Answer:
        """Ask until a place is free: a stream that has begun."""
        async with asyncio.timeout(LONG_SECONDS):
            while (answer := await self.ask(token, **asked)).status != 200:
                assert answer.status == 429
                await answer.close()
        assert (await answer.message()).keys() == {"retry", "id"}
        return answer


@contextlib.asynccontextmanager
async def served(
    service: ServiceUnderTest, *, heartbeat_seconds: float = 15.0, write_seconds: float = 30.0
) -> AsyncGenerator[Served]:
    """The service behind sockets of this loop."""
    log = CountedLog()
    operations = Operations(replace(service.ports, event_log=log), TokenSettings())
    operations.event_streams.heartbeat_seconds = heartbeat_seconds
    operations.event_streams.feeds.poll_seconds = 0.05
    http = HttpSettings(write_seconds=write_seconds, drain_seconds=0.1, shutdown_seconds=5)
    metrics = ToldMetrics()
    server = BoundedServer(create_app(operations, http), http, metrics)
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    # What the system takes for a reader that takes nothing is of a known size.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16 * 1024)
    serving = asyncio.ensure_future(server._serve([listener]))
    await asyncio.wait_for(server.listening.wait(), LONG_SECONDS)
    one = Served(service, operations, log, server, metrics, listener.getsockname()[:2])
    try:
        yield one
    finally:
        for answer in one.answers:
            await answer.close()
        server.should_exit = True
        await asyncio.wait_for(serving, LONG_SECONDS)


def run(scenario: Coroutine[Any, Any, None]) -> None:
    """Run it on the loop that the service runs on.

    It ends before the limit of a test does: that one's signal comes in the middle of the loop,
    which then was seen never to close.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(asyncio.wait_for(scenario, WHOLE_SECONDS))


def test_a_person_and_a_tenant_have_so_many_streams(service: ServiceUnderTest) -> None:
    """One more is 429 with a time to wait; a reader that leaves gives their place to the next."""

    async def scenario() -> None:
        async with served(service) as one:
            people = [one.person(f"p{number}") for number in range(OF_TENANT_MOST // OF_PERSON)]
            open_ = {token: [await one.follow(token)] for token in people}
            for token in people:
                open_[token] += [await one.follow(token) for _ in range(OF_PERSON - 1)]
            for token, whose in (people[0], "the caller"), (one.person("late"), "the tenant"):
                refused = await one.ask(token)
                assert (refused.status, refused.headers["retry-after"]) == (429, "5")
                problem = await refused.body()
                assert problem["type"] == "urn:cedarfleet:problem:too-many-streams"
                assert problem["detail"].startswith(whose)
                await refused.close()
            # The places are the tenant's own.
            await one.follow(service.globex.id_token("ann", ["managers"]))
            await open_[people[1]].pop().close()
            await one.until_free(one.person("late"))
            # And the caller's: their ten are as many as before.
            refused = await one.ask(people[0])
            assert refused.status == 429
            for answer in one.answers:
                await answer.close()
            await asyncio.wait_for(one.server.server_state.emptied.wait(), LONG_SECONDS)
            assert not one.operations.event_streams._open

    run(scenario())


def test_a_quiet_stream_says_that_it_lives(service: ServiceUnderTest) -> None:
    """Also far behind in a log of which nothing is for the reader: its id goes on, and counts."""

    async def scenario() -> None:
        async with served(service, heartbeat_seconds=0.1) as one:
            quiet = await one.follow(one.person("ann"))
            assert [await quiet.message(), await quiet.message()] == [{"id": "0-100"}] * 2
        # So slow that it is behind for many heartbeats: with each it has come further.
        async with served(service, heartbeat_seconds=0.0) as one:
            for number in range(1, 40):
                await one.tell(number, MOST_EVENTS)
            far = await one.follow(one.person("eve", "nobody"), after="0-0")
            assert [(await far.message())["id"] for _ in range(39)] == [
                f"{number}-{MOST_EVENTS}" for number in range(1, 40)
            ]

    run(scenario())


def test_a_stream_ends_with_its_token(service: ServiceUnderTest) -> None:
    """Within a second of the token's end, and said; what happens then is told to nobody."""

    async def scenario() -> None:
        async with served(service) as one:
            ends_at = int(time.time()) + 4
            stream = await one.follow(one.person("ann", exp=ends_at))
            await one.tell(1)
            assert (await stream.message())["event"] == "device.connected"
            [end] = await stream.rest()
            assert (end["event"], json.loads(end["data"])) == ("end", {"reason": "token-over"})
            assert 0 <= time.time() - ends_at < 3  # a second, and what a busy machine takes

    run(scenario())


def test_a_stream_ends_once_its_bearer_is_signed_out(service: ServiceUnderTest) -> None:
    """Within five seconds, wherever that was done: this process learns it by the row alone."""

    async def scenario() -> None:
        async with served(service) as one:
            gone, stays = one.person("ann"), one.person("bob")
            streams = [await one.follow(token) for token in (gone, stays)]
            claims = service.acme.claims("ann")
            await service.ports.revocations.revoke(
                service.acme.tenant, claims["sub"], int(time.time() * 1000) + 5000
            )
            began = time.monotonic()
            [end] = await streams[0].rest()
            assert json.loads(end["data"]) == {"reason": "token-over"}
            assert time.monotonic() - began < 6  # five, and what a busy machine takes
            await one.tell(1)
            assert (await streams[1].message())["event"] == "device.connected"

    run(scenario())


def test_a_slow_reader_is_told_by_what_is_so_then(service: ServiceUnderTest) -> None:
    """What of a page is not taken yet is decided again: who may not see it now, does not."""

    async def scenario() -> None:
        async with served(service) as one:
            await one.tell(1, MOST_EVENTS)
            streams = one.operations.event_streams
            principal = await one.operations.authenticate(
                f"Bearer {one.person('eve', 'emergency-responders')}"
            )
            access = one.operations.access(
                principal, facts=RequestFacts(request_id="r", source_ip=None), declared=DECLARED
            )
            told = await streams.follow(access, nouns=(), after="0-0", seconds=3600)
            found = [await anext(told) for _ in range(3)]
            assert [one.event is not None for one in found] == [False, True, True]
            low = service.device("press-01")
            attributes = {**low.attributes, "criticality": "low"}
            service.ports.devices.add(replace(low, attributes=attributes))
            # The reader takes its time.
            await asyncio.sleep(2.5 * LOOK_SECONDS)
            await one.tell(2, device="press-02")
            event = (await anext(told)).event
            assert event is not None
            assert event.device == "press-02"
            await told.aclose()

    run(scenario())


def test_who_does_not_read_is_cut_off_and_told(service: ServiceUnderTest) -> None:
    """Of 3 MB of events little is held for who reads nothing; the place is free soon.

    What was sent ends with the reason, and the last id of it goes on without a loss.
    """

    async def scenario() -> None:
        async with served(service, write_seconds=3.0) as one:
            for number in range(1, 31):
                await one.tell(number, MOST_EVENTS)
            token = one.person("ann")
            streams = [await one.follow(token, after="0-0", receive=4096) for _ in range(OF_PERSON)]
            await one.until_counted("answer-not-read")
            assert max(one.sending()) < BUFFERED
            # Of the log no more was read for them than a few pages each.
            assert one.log.read <= OF_PERSON * 9
            streams[0].take(1 << 20)
            *events, end = await streams[0].rest()
            assert end == {"event": "end", "data": '{"reason":"too-slow"}'}
            assert 0 < len(events) < 1000
            # Nine others were cut off with it, and hold no place either.
            rest = await one.until_free(token, after=events[-1]["id"], seconds=0)
            *more, over = await rest.rest()
            assert json.loads(over["data"]) == {"reason": "time-over"}
            found = [json.loads(one["data"])["data"]["connection"] for one in events + more]
            assert found == [
                f"{number}-{place}" for number in range(1, 31) for place in range(MOST_EVENTS)
            ]
            await rest.close()
            # Who reads nothing of that either is let go, whatever was left.
            await asyncio.wait_for(one.server.server_state.emptied.wait(), LONG_SECONDS)

    run(scenario())
