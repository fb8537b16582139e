"""States on their way from the outbox to the broker."""

from __future__ import annotations

import asyncio
import itertools
import queue
import random
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING

import pytest
from cedarfleet_device.backoff import Backoff
from cedarfleet_device.commands.outbox import Publisher
from cedarfleet_device.errors import CloudError
from cedarfleet_device.store.store import Store
from cedarfleet_device.wire import CommandState, StatusMessage

from tests.device_sdk.devices import new_command
from tests.device_sdk.store.store_doubles import StoredCommands
from tests.seed import new_seed

if TYPE_CHECKING:
    from pathlib import Path

    from cedarfleet_device.commands.inbox import Ending
    from cedarfleet_device.wire import CommandMessage

COMMANDS = 150


class WillingDecider:
    """Runs every command, at most once."""

    def decide(self, _: CommandMessage) -> Ending | None:
        """Run it."""
        return None

    def may_repeat(self, _: str) -> bool:
        """Never."""
        return False


class FaultyBroker:
    """Takes publishes in their order and settles each from a thread of its own; some it refuses.

    Args:
        refuses: which publishes, by their number in order of arrival.

    Attributes:
        taken: the states in order of arrival.
        senders: names of the threads that handed them over.
        accepted: the states that were not refused.
    """

    def __init__(self, refuses: frozenset[int] = frozenset()) -> None:
        self.taken: list[tuple[str, int]] = []
        self.senders: list[str] = []
        self.accepted: set[tuple[str, int]] = set()
        self.refused = 0
        self._refuses = refuses
        self._open: queue.SimpleQueue[tuple[tuple[str, int], Future[None]] | None] = (
            queue.SimpleQueue()
        )
        self._news = threading.Condition()
        self._thread = threading.Thread(target=self._settle, daemon=True)
        self._thread.start()

    def publish(self, topic: str, payload: bytes) -> Future[None]:
        """As ``MqttConnection.publish``."""
        state = topic.split("/")[3], StatusMessage.decode(payload).sequence
        answer: Future[None] = Future()
        self.taken.append(state)
        self.senders.append(threading.current_thread().name)
        self._open.put((state, answer))
        return answer

    def await_accepted(self, count: int) -> None:
        """Wait until so many different states were accepted."""
        with self._news:
            assert self._news.wait_for(lambda: len(self.accepted) >= count, 60), len(self.accepted)

    def end(self) -> None:
        """End the thread."""
        self._open.put(None)
        self._thread.join()

    def _settle(self) -> None:
        for number in itertools.count():
            if (one := self._open.get()) is None:
                return
            if number in self._refuses:
                self.refused += 1
                one[1].set_exception(CloudError("quota"))
                continue
            with self._news:
                self.accepted.add(one[0])
                self._news.notify_all()
            one[1].set_result(None)


class PatientBroker:
    """Takes publishes and settles none by itself."""

    def __init__(self) -> None:
        self.taken: list[int] = []
        self.most_open = 0
        self._open: list[Future[None]] = []
        self._news = threading.Condition()

    def publish(self, _topic: str, payload: bytes) -> Future[None]:
        """As ``MqttConnection.publish``."""
        answer: Future[None] = Future()
        with self._news:
            self.taken.append(StatusMessage.decode(payload).sequence)
            self._open.append(answer)
            self.most_open = max(self.most_open, len(self._open))
            self._news.notify_all()
        return answer

    def await_taken(self, count: int) -> None:
        """Wait until so many have arrived."""
        with self._news:
            assert self._news.wait_for(lambda: len(self.taken) >= count, 60), self.taken

    def settle(self, *, refused: bool = False) -> None:
        """The oldest that is open."""
        with self._news:
            oldest = self._open.pop(0)
        if refused:
            oldest.set_exception(CloudError("quota"))
        else:
            oldest.set_result(None)


class WatchedBackoff(Backoff):
    """Pauses that are over at once; writes down which there were, as parts of the first one."""

    def __init__(self) -> None:
        super().__init__(1.0, 60.0, jitter=(1.0, 1.0))
        self.pauses: list[float] = []
        self.anew, self.paused = threading.Event(), threading.Event()

    def next_pause(self) -> float:
        """Nothing."""
        self.pauses.append(super().next_pause())
        self.paused.set()
        return 0.0

    def reset(self) -> None:
        """Say so too."""
        super().reset()
        self.anew.set()


def _run(folder: Path, broker: FaultyBroker) -> None:
    """Commands through all their states, from three threads, while the publisher sends."""
    store = Store(folder / "agent.db")
    commands = StoredCommands(store)
    publisher = Publisher(
        outbox=commands.outbox, thing="acme--a", publish=broker.publish, online=lambda: True
    )
    publisher.start()
    messages = [new_command("acme--a", "x") for _ in range(COMMANDS)]

    def work(part: int) -> None:
        for message in messages[part::3]:
            commands.admission.receive(message)
            taken = commands.inbox.take(WillingDecider())
            if taken is not None:
                commands.inbox.finish(taken.message.command_id, CommandState.SUCCEEDED, {})

    threads = [threading.Thread(target=work, args=(part,)) for part in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    broker.await_accepted(2 * COMMANDS)
    publisher.stop()
    broker.end()
    assert commands.outbox.count() == 0
    store.close()


def test_each_state_is_sent_once_and_in_order(tmp_path: Path):
    """Sent straight or read back from the outbox, no state goes twice or before an older one."""
    broker = FaultyBroker()
    _run(tmp_path, broker)
    assert len(broker.taken) == len(set(broker.taken)) == 2 * COMMANDS
    for command_id in {each for each, _ in broker.taken}:
        assert [sequence for each, sequence in broker.taken if each == command_id] == [1, 2]


def test_with_nothing_older_waiting_a_state_goes_at_once(tmp_path: Path):
    """Whoever has made it durable hands it over: it is not read back from the outbox first."""
    broker = FaultyBroker()
    store = Store(tmp_path / "agent.db")
    commands = StoredCommands(store)
    publisher = Publisher(
        outbox=commands.outbox, thing="acme--a", publish=broker.publish, online=lambda: True
    )
    publisher.start()
    # The publisher may still be reading the outbox when the second one comes, but not for ever.
    for count in range(1, 101):
        commands.admission.receive(new_command("acme--a", "x"))
        broker.await_accepted(count)
        if broker.senders[-1] != "cedarfleet-outbox":
            break
    publisher.stop()
    broker.end()
    store.close()
    assert broker.senders[-1] != "cedarfleet-outbox"
    assert [sequence for _, sequence in broker.taken] == [1] * len(broker.taken)


def test_what_a_broker_refuses_is_sent_again_until_it_is_taken(tmp_path: Path):
    """Nothing is lost over refusals, and a command's states first arrive in their order."""
    chance = random.Random(new_seed())  # noqa: S311 - moments, not secrets
    # At least so many are sent; the first and the last of them are refused in every run.
    refuses = frozenset({0, 2 * COMMANDS - 1, chance.randrange(1, 2 * COMMANDS - 1)})
    broker = FaultyBroker(refuses)
    _run(tmp_path, broker)
    assert broker.refused == len(refuses)
    firsts = list(dict.fromkeys(broker.taken))
    assert len(firsts) == 2 * COMMANDS
    for command_id in {each for each, _ in firsts}:
        assert [sequence for each, sequence in firsts if each == command_id] == [1, 2]


@pytest.mark.parametrize("raised", [RuntimeError("closed"), asyncio.CancelledError()], ids=repr)
@pytest.mark.parametrize("states", [1, 3])
def test_what_a_line_raises_is_a_refusal(tmp_path: Path, raised: BaseException, states: int):
    """No state is left behind, nor a place among those that may be under way; each in its order."""
    broker, store = FaultyBroker(), Store(tmp_path / "agent.db")
    commands, failing = StoredCommands(store), threading.Event()
    failing.set()

    def publish(topic: str, payload: bytes) -> Future[None]:
        if failing.is_set():
            raise raised
        return broker.publish(topic, payload)

    backoff = WatchedBackoff()
    publisher = Publisher(
        outbox=commands.outbox,
        thing="acme--a",
        publish=publish,
        online=lambda: True,
        backoff=backoff,
    )
    publisher.start()
    messages = [new_command("acme--a", "x") for _ in range(states)]
    for message in messages:  # more than may be under way at once, had they been left behind
        commands.admission.receive(message).result()
    while len(backoff.pauses) < 2 * 32:  # each of them raised, again and again
        backoff.paused.wait(30)
        backoff.paused.clear()
    failing.clear()
    broker.await_accepted(states)
    publisher.stop()
    broker.end()
    assert commands.outbox.count() == 0
    store.close()
    assert list(dict.fromkeys(broker.taken)) == [(each.command_id, 1) for each in messages]


def test_so_many_states_are_under_way_and_no_more(tmp_path: Path):
    """The next goes once one of the 32 is acknowledged."""
    store = Store(tmp_path / "agent.db")
    commands = StoredCommands(store)
    for _ in range(40):
        commands.admission.receive(new_command("acme--a", "x")).result()
    broker = PatientBroker()
    publisher = Publisher(
        outbox=commands.outbox, thing="acme--a", publish=broker.publish, online=lambda: True
    )
    publisher.start()
    broker.await_taken(32)
    for count in range(33, 41):
        broker.settle()
        broker.await_taken(count)
    for _ in range(32):
        broker.settle()
    publisher.stop()
    store.close()
    assert broker.most_open == 32


def test_pauses_grow_until_a_state_is_taken(tmp_path: Path):
    """A broker that refuses for long is asked ever more rarely; then all begins anew."""
    store = Store(tmp_path / "agent.db")
    commands = StoredCommands(store)
    broker, backoff = PatientBroker(), WatchedBackoff()
    publisher = Publisher(
        outbox=commands.outbox,
        thing="acme--a",
        publish=broker.publish,
        online=lambda: True,
        backoff=backoff,
    )
    publisher.start()
    for count, refused in enumerate([True, True, True, False, True, False], start=1):
        if count == 5:
            assert backoff.anew.wait(30)
        if count in (1, 5):
            commands.admission.receive(new_command("acme--a", "x")).result()
        broker.await_taken(count)
        broker.settle(refused=refused)
    publisher.stop()
    store.close()
    assert backoff.pauses == [1.0, 2.0, 4.0, 1.0]


def test_the_end_waits_a_moment_for_what_is_under_way(tmp_path: Path):
    """A state that is acknowledged as the agent stops is not sent again at the next start."""
    store = Store(tmp_path / "agent.db")
    commands = StoredCommands(store)
    broker = PatientBroker()
    publisher = Publisher(
        outbox=commands.outbox,
        thing="acme--a",
        publish=broker.publish,
        online=lambda: True,
        last_puback_seconds=60,
    )
    publisher.start()
    commands.admission.receive(new_command("acme--a", "x")).result()
    broker.await_taken(1)
    stopping = threading.Thread(target=publisher.stop)
    stopping.start()
    stopping.join(0.3)  # proves an absence: it does not end
    broker.settle()
    stopping.join(60)
    assert commands.outbox.count() == 0
    store.close()


def test_a_publisher_that_sleeps_can_be_stopped(tmp_path: Path):
    """Without a state to send, and without a line, its thread ends when it is asked to."""
    store = Store(tmp_path / "agent.db")
    commands = StoredCommands(store)
    looked = threading.Event()

    def offline() -> bool:
        looked.set()
        return False

    publisher = Publisher(
        outbox=commands.outbox, thing="acme--a", publish=PatientBroker().publish, online=offline
    )
    publisher.start()
    assert looked.wait(30)  # a moment later it sleeps
    publisher.stop()
    store.close()
    assert [each.name for each in threading.enumerate() if each.name == "cedarfleet-outbox"] == []
