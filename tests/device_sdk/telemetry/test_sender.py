"""Telemetry on its way: in order, at its rate, with a bound on what is under way."""

from __future__ import annotations

import asyncio
import random
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

import pytest
from cedarfleet_device.backoff import Backoff
from cedarfleet_device.errors import CloudError
from cedarfleet_device.store.store import Store
from cedarfleet_device.telemetry.limits import TelemetryConfig
from cedarfleet_device.telemetry.queue import TelemetryQueue
from cedarfleet_device.telemetry.rate import TokenBucket
from cedarfleet_device.telemetry.sender import TelemetrySender
from cedarfleet_device.wire import TelemetryMessage, telemetry_topic

from tests.device_sdk.test_idle_cpu import MOST_PART, busiest
from tests.seed import new_seed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

THING = "acme--press-07"


class Broker:
    """Takes publishes and settles them when the test says so; at once with ``willing``.

    Attributes:
        taken: topic and message of each, in order of arrival.
    """

    def __init__(self, *, willing: bool = True) -> None:
        self.taken: list[tuple[str, TelemetryMessage]] = []
        self.willing = willing
        self.refuses: frozenset[int] = frozenset()
        self._open: list[Future[None]] = []
        self.news = threading.Condition()

    def publish(self, topic: str, payload: bytes) -> Future[None]:
        """As ``MqttConnection.publish``."""
        answer: Future[None] = Future()
        with self.news:
            self.taken.append((topic, TelemetryMessage.decode(payload)))
            number = len(self.taken)
            self._open.append(answer)
            self.news.notify_all()
        if number in self.refuses:
            answer.set_exception(CloudError("refused"))
        elif self.willing:
            answer.set_result(None)
        return answer

    def until(self, count: int) -> list[int]:
        """The numbers of all that came, once there are so many."""
        with self.news:
            assert self.news.wait_for(lambda: len(self.taken) >= count, 30), self.taken
            return [message.sequence for _, message in self.taken]

    def settle(self) -> None:
        """Acknowledge what is under way."""
        with self.news:
            settled, self._open = self._open, []
        for each in settled:
            each.set_result(None)


class Setting:
    """A queue, a broker and a sender between them."""

    def __init__(
        self, folder: Path, broker: Broker, rate: TokenBucket, *, backoff: Backoff | None = None
    ) -> None:
        self.store = Store(folder / "agent.db", sync=lambda _: None)
        self.broker = broker
        self.online = True
        self.queue = TelemetryQueue(
            self.store, limits=TelemetryConfig(), clock=lambda: 1, dropped=lambda _: None
        )
        self.sender = TelemetrySender(
            queue=self.queue,
            tenant="acme",
            thing=THING,
            publish=broker.publish,
            online=lambda: self.online,
            rate=rate,
            backoff=backoff or Backoff(0.001, 0.001),
        )

    def put(self, *values: Any) -> None:
        """Publish."""
        for value in values:
            self.queue.put("speed", value)
        self.sender.wake()

    def close(self) -> None:
        """End."""
        self.sender.stop()
        self.store.close()


def quick() -> TokenBucket:
    """A rate that holds up nobody."""
    return TokenBucket(per_second=1e6, burst=1e6)


@pytest.fixture
def setting(tmp_path: Path) -> Iterator[Setting]:
    """A sender at work for a broker that takes all."""
    made = Setting(tmp_path, Broker(), quick())
    made.sender.start()
    yield made
    made.close()


def test_telemetry_leaves_in_order_for_its_tenants_rule(setting: Setting):
    """Each under the rule of the tenant, the thing and the topic; then nothing waits any more."""
    setting.put(*range(30))
    assert setting.broker.until(30) == list(range(1, 31))
    topic = telemetry_topic("acme", THING, "speed")
    assert topic == f"$aws/rules/cedarfleet_telemetry_acme/fleet/{THING}/telemetry/speed"
    assert {each for each, _ in setting.broker.taken} == {topic}
    setting.sender.stop()
    assert setting.queue.oldest(after=0, limit=10) == []


def test_what_is_refused_comes_again_in_order(tmp_path: Path):
    """Whatever is refused: each arrives, first arrivals in order, none is given up."""
    chance = random.Random(new_seed())  # noqa: S311 - which, not a secret
    broker = Broker()
    broker.refuses = frozenset(chance.sample(range(1, 60), 10))
    made = Setting(tmp_path, broker, quick())
    made.sender.start()
    made.put(*range(40))
    # A refusal is followed by all that was not acknowledged, so more come than were published.
    with broker.news:
        taken = broker.taken
        assert broker.news.wait_for(lambda: {m.sequence for _, m in taken} >= set(range(1, 41)), 30)
    first = list(dict.fromkeys(message.sequence for _, message in broker.taken))
    assert first == sorted(first)
    made.close()


@pytest.mark.parametrize(
    "why", ["nothing", "unanswered", "refused", "offline", "no token", "no store"]
)
def test_a_sender_that_waits_sleeps(tmp_path: Path, why: str):
    """Whatever it waits for, and whoever wakes it in vain, it uses no processor."""
    broker = Broker(willing=why not in ("unanswered", "refused"))
    if why == "refused":
        broker.refuses = frozenset(range(1, 10_000))
    rate = TokenBucket(per_second=0.001, burst=3, clock=lambda: 0.0)
    made = Setting(
        tmp_path, broker, rate if why == "no token" else quick(), backoff=Backoff(600, 600)
    )
    made.online = why != "offline"
    made.sender.start()
    if why == "no store":
        made.store.close()
    elif why != "nothing":
        made.put(*range(50))
    broker.until({"unanswered": 8, "refused": 1, "no token": 3}.get(why, 0))
    made.sender.wake()
    name, part = busiest()
    assert part < MOST_PART, name
    assert len(broker.taken) <= 8
    made.close()
    assert "cedarfleet-telemetry" not in [each.name for each in threading.enumerate()]


def test_what_a_line_raises_is_a_refusal(tmp_path: Path):
    """No message is left behind, nor a place among the eight that may be under way."""
    raised = 0

    class Raising(Broker):
        def publish(self, topic: str, payload: bytes) -> Future[None]:
            nonlocal raised
            if raised < 20:
                raised += 1
                raise RuntimeError("closed") if raised % 2 else asyncio.CancelledError
            return super().publish(topic, payload)

    broker = Raising()
    made = Setting(tmp_path, broker, quick())
    made.sender.start()
    made.put(*range(10))
    assert list(dict.fromkeys(broker.until(10))) == list(range(1, 11))
    made.close()
    assert (raised, made.queue.count()) == (20, 0)


@pytest.mark.parametrize(
    ("value", "most"), [("x", 8), ("x" * 50_000, 2)], ids=["messages", "bytes"]
)
def test_little_is_under_way_at_once(tmp_path: Path, value: str, most: int):
    """Eight messages or 128 KB: what a command's state may have to wait behind."""
    broker = Broker(willing=False)
    made = Setting(tmp_path, broker, quick())
    made.put(*[value] * 20)
    made.sender.start()
    assert len(broker.until(most)) == most
    while len(broker.taken) < 20:
        before = len(broker.taken)
        broker.settle()
        broker.until(min(20, before + 1))
        assert len(broker.taken) - before <= most
    broker.settle()
    made.close()


def test_a_device_that_is_away_keeps_what_it_measures(tmp_path: Path):
    """Nothing leaves while the line is down, and all of it once somebody says that it stands."""
    broker = Broker()
    made = Setting(tmp_path, broker, quick())
    made.online = False
    made.sender.start()
    made.put(1, 2, 3)
    assert broker.taken == []
    made.online = True
    made.sender.wake()
    assert broker.until(3) == [1, 2, 3]
    made.close()


def test_a_bucket_gives_a_burst_and_then_its_rate():
    """Five at once after a rest, then one each half second, and never more than five."""
    now = [0.0]
    bucket = TokenBucket(per_second=2, burst=5, clock=lambda: now[0])
    assert [bucket.take() for _ in range(6)] == [True] * 5 + [False]
    assert bucket.wait_seconds() == 0.5
    now[0] = 0.5
    assert bucket.wait_seconds() == 0
    assert (bucket.take(), bucket.take()) == (True, False)
    now[0] = 1000.0
    assert sum(bucket.take() for _ in range(10)) == 5


def test_a_flood_leaves_at_the_rate_of_the_device(tmp_path: Path):
    """Of a flood the burst leaves, and the rest waits for its tokens."""
    now = [0.0]
    broker = Broker()
    rate = TokenBucket(per_second=0.001, burst=3, clock=lambda: now[0])
    made = Setting(tmp_path, broker, rate)
    made.sender.start()
    made.put(*range(50))
    assert broker.until(3) == [1, 2, 3]
    made.close()
    assert len(broker.taken) == 3
    assert made.queue.count() >= 47
