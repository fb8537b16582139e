"""SQS and EventBridge Scheduler: queues that are fair, and schedules that send to them in time."""

# ruff: noqa: SLF001 - the emulator is untyped, and private names are all that it has

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from infra.local.cloud.emulator import Emulator

_SQS: Final = "services.sqs"
_SCHEDULER: Final = "services.scheduler"
# "more than 10% of in-flight messages in the queue and has at least 30 of its own messages in
# flight" (source: SQS developer guide, "How Amazon SQS fair queues work"); the share of processing
# time, by which AWS tells a slow tenant too, is not rehearsed.
_NOISY_SHARE: Final = 10
_NOISY_LEAST: Final = 30
_FIRED: Final = "CedarfleetFired"
_AHEAD: Final = "CedarfleetAhead"


def queues_are_fair(emulator: Emulator) -> None:
    """Give out messages of quiet groups first; the emulator forgets the group of a message.

    Source: SQS developer guide, "Amazon SQS fair queues".
    """
    sqs = emulator.module(_SQS)

    def correction(original: Any) -> Any:
        def collect(queue: dict[str, Any], most: int, seconds: int) -> Any:
            if not queue["is_fifo"]:
                for message in queue["messages"]:
                    sqs._ensure_msg_fields(message)
                _quiet_ones_first(queue["messages"])
            return original(queue, most, seconds)

        return collect

    emulator.replace(_SQS, "_collect_msgs", correction)


def _quiet_ones_first(messages: list[dict[str, Any]]) -> None:
    """Order messages as a fair queue gives them out; a message without a group is its own."""
    now = time.time()
    in_flight = Counter(
        message.get("group_id") or message["id"]
        for message in messages
        if message["visible_at"] > now and message["receive_count"] > 0
    )
    whole = sum(in_flight.values())
    noisy = {
        group
        for group, count in in_flight.items()
        if count >= _NOISY_LEAST and count * _NOISY_SHARE > whole
    }
    if noisy:
        messages.sort(key=lambda message: message.get("group_id") in noisy)


def schedules_fire(emulator: Emulator) -> None:
    """Send what is due when somebody looks into a queue; the emulator's own clockwork is not run.

    On the clock of the limits, so that tests need not wait: whoever sets a schedule goes by the
    machine's clock, so its time is as far ahead as the limits' clock was then. A schedule of the
    form `at(...)` fires once, and again when it is given another time: the emulator makes it anew.
    """
    scheduler = emulator.module(_SCHEDULER)
    events = emulator.module("services.eventbridge")

    def fire() -> None:
        clock = emulator.limits.clock
        for schedule in list(scheduler._schedules.values()):
            at = scheduler._at_time_epoch(schedule["ScheduleExpression"])
            ahead = schedule.setdefault(_AHEAD, clock.ahead)
            due = at is not None and at + ahead <= clock.now() and not schedule.get(_FIRED)
            if due and schedule["State"] == "ENABLED":
                schedule[_FIRED] = True
                events._invoke_target(schedule["Target"], {"Detail": "{}"}, schedule)

    def correction(original: Any) -> Any:
        def collect(queue: dict[str, Any], most: int, seconds: int) -> Any:
            fire()
            return original(queue, most, seconds)

        return collect

    emulator.replace(_SQS, "_collect_msgs", correction)
