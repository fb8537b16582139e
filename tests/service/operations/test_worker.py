"""The worker: a message is done and gone, or it comes again; nothing else becomes of it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from service.adapters.memory.metrics import MemoryMetrics
from service.adapters.memory.tenants import MemoryTenantRegistry
from service.adapters.memory.user_pool import MemoryUserPool
from service.adapters.memory.work import MemoryWorkQueue
from service.domain.instants import milliseconds
from service.domain.work import LAST_ATTEMPT, ReceivedWork, UnreadableWorkError, Work, WorkKind
from service.errors import UnavailableError
from service.operations.worker import Worker
from service.ports.metrics import WORK, WORK_IN_HAND, WORK_SECONDS, WORK_WAITED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.domain.tenants import Tenant


@dataclass
class Doing:
    """A handler that remembers what it was given, and raises what it is told to."""

    done: list[Work] = field(default_factory=list[Work])
    raises: Exception | None = None
    stop: asyncio.Event | None = None

    async def __call__(self, tenant: Tenant, work: Work) -> None:
        """Remember, raise, and say that it was enough."""
        assert tenant.id == work.tenant
        self.done.append(work)
        if self.stop is not None:
            self.stop.set()
        if self.raises is not None:
            raise self.raises


@dataclass
class Stage:
    """A worker with one handler, over a queue."""

    worker: Worker
    queue: MemoryWorkQueue
    doing: Doing
    work: Work

    def handle(self, text: str, *, attempt: int = 1) -> None:
        """Give it one message."""

        async def scenario() -> None:
            received = ReceivedWork(receipt="1", text=text, attempt=attempt)
            self.queue.given_out["1"] = received
            await self.worker.handle(received)

        asyncio.run(scenario())


@pytest.fixture(scope="module")
def acme() -> Tenant:
    """The tenant that work is for."""
    return MemoryUserPool("acme").tenant


@pytest.fixture
def stage(acme: Tenant) -> Stage:
    """A worker that makes jobs, and knows acme."""
    queue, doing = MemoryWorkQueue(), Doing()
    registry = MemoryTenantRegistry(rows={acme.issuer: acme})
    worker = Worker(queue=queue, tenants=registry, handlers={WorkKind.MAKE_JOB: doing})
    about = {"download": "01JD0000000000000000000000", "job": "07"}
    work = Work(kind=WorkKind.MAKE_JOB, issuer=acme.issuer, tenant="acme", about=about)
    return Stage(worker=worker, queue=queue, doing=doing, work=work)


def test_a_message_says_what_it_said(stage: Stage) -> None:
    """What is encoded is decoded to the same."""
    assert Work.decode(stage.work.encode()) == stage.work


def test_a_rules_message_finds_its_tenant_by_name(stage: Stage) -> None:
    """It is one level deep, and knows no issuer."""
    text = '{"version": 1, "kind": "make-job", "tenant": "acme", "thing": "acme--press-07"}'
    stage.handle(text)
    [done] = stage.doing.done
    assert (done.tenant, done.about) == ("acme", {"thing": "acme--press-07"})
    stage.handle(text.replace("acme", "nobody"))
    assert len(stage.doing.done) == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no",
        "[]",
        "{}",
        '{"version": 2, "kind": "make-job", "issuer": "i", "tenant": "t", "about": {}}',
        '{"version": 1, "kind": "else", "issuer": "i", "tenant": "t", "about": {}}',
        '{"version": 1, "kind": "make-job", "issuer": 1, "tenant": "t", "about": {}}',
        '{"version": 1, "kind": "make-job", "issuer": "i", "tenant": "t", "about": {"job": 7}}',
        '{"version": 1, "kind": "make-job", "issuer": "i", "tenant": "t"}',
        "[" * 100_000,
    ],
)
def test_what_is_no_work_of_ours_is_left_alone(stage: Stage, text: str) -> None:
    """It is neither done nor lost: it comes again, and in the end lies among the dead letters."""
    with pytest.raises(UnreadableWorkError):
        Work.decode(text)
    stage.handle(text)
    assert (stage.doing.done, list(stage.queue.postponed)) == ([], ["1"])


def test_done_is_gone(stage: Stage) -> None:
    """Only once it is done; then nobody is given it any more."""
    stage.handle(stage.work.encode())
    assert stage.doing.done == [stage.work]
    assert (stage.queue.given_out, stage.queue.waiting) == ({}, [])


def test_a_fault_of_ours_takes_no_message_along(stage: Stage) -> None:
    """An error that nobody foresaw is logged, and the message comes again."""
    stage.doing.raises = KeyError("job")
    stage.handle(stage.work.encode())
    assert list(stage.queue.postponed) == ["1"]


def test_what_fails_comes_again_later_each_time(stage: Stage) -> None:
    """The pauses double, up to a quarter of an hour."""
    stage.doing.raises = UnavailableError("the jobs service")
    pauses: list[int] = []
    for attempt in (1, 2, 3, 10):
        stage.handle(stage.work.encode(), attempt=attempt)
        pauses.append(stage.queue.postponed["1"])
    assert pauses == [5, 10, 20, 900]


@pytest.mark.parametrize(
    "changes",
    [{"tenant": "globex"}, {"issuer": "https://nobody"}, {"kind": WorkKind.CANCEL_JOB}],
)
def test_a_message_proves_nothing(stage: Stage, changes: dict[str, str]) -> None:
    """The registry says whose issuer it is; a kind that nobody handles is not done either."""
    told = {"kind": stage.work.kind, "issuer": stage.work.issuer, "tenant": "acme"} | changes
    stage.handle(Work(**told).encode())  # pyright: ignore[reportArgumentType]
    assert (stage.doing.done, list(stage.queue.postponed)) == ([], ["1"])


def test_the_worker_ends_what_it_has_begun(stage: Stage) -> None:
    """Told to stop in the middle, it does all that it was given, and takes nothing more."""

    async def scenario() -> None:
        stage.queue.at_once = 3
        stage.doing.stop = asyncio.Event()
        await stage.queue.send([stage.work] * 5)
        await asyncio.wait_for(stage.worker.run(stage.doing.stop), 10)

    asyncio.run(scenario())
    assert (len(stage.doing.done), len(stage.queue.waiting)) == (3, 2)


def test_the_worker_outlives_its_queue(stage: Stage) -> None:
    """A queue that does not answer for once is asked again, and the work is done."""

    @dataclass
    class Away(MemoryWorkQueue):
        """Does not answer the first time."""

        asked: int = 0

        async def receive(self) -> Sequence[ReceivedWork]:
            self.asked += 1
            if self.asked == 1:
                raise UnavailableError("the work queue")
            return await super().receive()

    async def scenario() -> None:
        queue, stop = Away(), asyncio.Event()
        stage.doing.stop = stop
        await queue.send([stage.work])
        worker = Worker(
            queue=queue, tenants=stage.worker.tenants, handlers=stage.worker.handlers, pause=0
        )
        await asyncio.wait_for(worker.run(stop), 10)

    asyncio.run(scenario())
    assert stage.doing.done == [stage.work]


@dataclass
class Slow:
    """A handler that takes as long as the test says, unless its message is of another download."""

    slow: str
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    ended: list[str] = field(default_factory=list[str])
    ended_one: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, tenant: Tenant, work: Work) -> None:
        """Wait, or do it at once."""
        assert tenant.id == work.tenant
        if work.about["download"] == self.slow:
            await self.go_on.wait()
        self.ended.append(work.about["download"])
        self.ended_one.set()


def slowly(stage: Stage, *names: str) -> tuple[Slow, list[Work]]:
    """A slow handler, and a message of each download, the first of which is the slow one."""
    work = [
        Work(
            kind=WorkKind.MAKE_JOB,
            issuer=stage.work.issuer,
            tenant="acme",
            about={"download": name, "job": "07"},
        )
        for name in names
    ]
    return Slow(slow=names[0]), work


def test_nobody_waits_for_the_slowest(stage: Stage) -> None:
    """Messages that come while one takes hours are done meanwhile."""

    async def scenario() -> None:
        slow, work = slowly(stage, "hours", "second")
        stop = asyncio.Event()
        stage.queue.at_once = 1
        await stage.queue.send(work)
        worker = Worker(
            queue=stage.queue,
            tenants=stage.worker.tenants,
            handlers={WorkKind.MAKE_JOB: slow},
            patience=0.01,
        )
        running = asyncio.ensure_future(worker.run(stop))
        await asyncio.wait_for(slow.ended_one.wait(), 10)
        assert slow.ended == ["second"]
        slow.go_on.set()
        stop.set()
        await asyncio.wait_for(running, 10)
        assert slow.ended == ["second", "hours"]

    asyncio.run(scenario())


def test_so_much_is_in_hand_and_no_more(stage: Stage) -> None:
    """What a process takes is bounded, and told; the rest waits in the queue for any of them."""
    most, waiting = 32, 40

    @dataclass
    class Counting:
        """Holds each message until it may go on."""

        go_on: asyncio.Event = field(default_factory=asyncio.Event)
        full: asyncio.Event = field(default_factory=asyncio.Event)
        begun: int = 0

        async def __call__(self, tenant: Tenant, work: Work) -> None:
            """Wait with the others."""
            del tenant, work
            self.begun += 1
            if self.begun == most:
                self.full.set()
            await self.go_on.wait()

    async def scenario() -> None:
        counting, metrics, stop = Counting(), MemoryMetrics(), asyncio.Event()
        stage.queue.at_once = 1
        await stage.queue.send([stage.work] * waiting)
        worker = Worker(
            queue=stage.queue,
            tenants=stage.worker.tenants,
            handlers={WorkKind.MAKE_JOB: counting},
            metrics=metrics,
            patience=0,
        )
        running = asyncio.ensure_future(worker.run(stop))
        await asyncio.wait_for(counting.full.wait(), 10)
        for _ in range(200):  # turns of the loop, in which a worker that takes more would
            await asyncio.sleep(0)
        assert (counting.begun, len(stage.queue.waiting)) == (most, waiting - most)
        assert metrics.gauges[WORK_IN_HAND, ()] == most
        counting.go_on.set()
        stop.set()
        await asyncio.wait_for(running, 10)

    asyncio.run(scenario())


def test_a_message_is_held_as_long_as_it_takes(stage: Stage) -> None:
    """The queue gives it to nobody else meanwhile; once it is done it is held no more."""

    @dataclass
    class Held(MemoryWorkQueue):
        """Lets the handler go on once its message was held twice."""

        go_on: asyncio.Event = field(default_factory=asyncio.Event)

        async def hold(self, received: ReceivedWork) -> None:
            await super().hold(received)
            if len(self.held) == 2:
                self.go_on.set()

    async def scenario() -> None:
        slow, [work] = slowly(stage, "hours")
        queue = Held(go_on=slow.go_on)
        worker = Worker(
            queue=queue,
            tenants=stage.worker.tenants,
            handlers={WorkKind.MAKE_JOB: slow},
            held_seconds=0.01,
        )
        await queue.send([work])
        [received] = await queue.receive()
        await asyncio.wait_for(worker.handle(received), 10)
        assert (queue.held, queue.given_out) == (["1", "1"], {})

    asyncio.run(scenario())


def test_what_takes_too_long_is_given_up_at_the_end(stage: Stage) -> None:
    """Told to stop, the worker ends in time; the message is not done, and comes again."""

    async def scenario() -> None:
        slow, work = slowly(stage, "hours", "second")
        stop = asyncio.Event()
        await stage.queue.send(work)
        worker = Worker(
            queue=stage.queue,
            tenants=stage.worker.tenants,
            handlers={WorkKind.MAKE_JOB: slow},
            grace=0.01,
        )
        running = asyncio.ensure_future(worker.run(stop))
        await asyncio.wait_for(slow.ended_one.wait(), 10)
        stop.set()
        await asyncio.wait_for(running, 10)
        assert (slow.ended, list(stage.queue.given_out)) == (["second"], ["1"])

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("raises", "attempt", "outcome"),
    [
        (None, 1, "done"),
        (UnavailableError("the jobs service"), 1, "failed"),
        (KeyError("a fault of ours"), 1, "broken"),
        (UnavailableError("the jobs service"), LAST_ATTEMPT, "dead"),
    ],
)
def test_each_message_is_measured(
    stage: Stage, raises: Exception | None, attempt: int, outcome: str
) -> None:
    """By its kind and what became of it; its age as it is taken for the first time, alone."""
    metrics = MemoryMetrics()
    now = datetime.now(UTC)
    stage.worker = replace(stage.worker, metrics=metrics, clock=lambda: now)
    stage.doing.raises = raises
    sent_at = milliseconds(now) - 7_000
    received = ReceivedWork(receipt="1", text=stage.work.encode(), attempt=attempt, sent_at=sent_at)
    stage.queue.given_out["1"] = received
    asyncio.run(stage.worker.handle(received))
    assert metrics.counts[WORK, ("make-job", outcome)] == 1
    assert metrics.labels_of(WORK_SECONDS) == {("make-job",)}
    assert bool(metrics.labels_of(WORK_WAITED)) is (attempt == 1)


def test_a_message_that_nobody_can_read_is_measured(stage: Stage) -> None:
    """Under no kind: its text may say anything."""
    metrics = MemoryMetrics()
    stage.worker = replace(stage.worker, metrics=metrics)
    stage.handle("no work")
    assert metrics.counts[WORK, ("none", "unreadable")] == 1
