"""The process of a device that publishes: `FOLDER FIRST MOST`; its standard output is the cloud.

A line ``kept N`` says that ``publish`` returned, ``sent SEQUENCE N`` that a message reached the
cloud, whose acknowledgement comes a moment later. A line that was written survives the process.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
import time
from concurrent.futures import Future
from pathlib import Path

from cedarfleet_device.store.store import Store
from cedarfleet_device.telemetry.limits import TelemetryConfig
from cedarfleet_device.telemetry.queue import TelemetryQueue
from cedarfleet_device.telemetry.rate import TokenBucket
from cedarfleet_device.telemetry.sender import TelemetrySender
from cedarfleet_device.wire import TelemetryMessage


class Cloud:
    """Takes messages, and acknowledges each in its turn."""

    def __init__(self) -> None:
        self._waiting: queue.SimpleQueue[Future[None]] = queue.SimpleQueue()
        threading.Thread(target=self._acknowledge, daemon=True).start()

    def publish(self, _topic: str, payload: bytes) -> Future[None]:
        """As ``MqttConnection.publish``."""
        message = TelemetryMessage.decode(payload)
        tell(f"sent {message.sequence} {message.read()}")
        answer: Future[None] = Future()
        self._waiting.put(answer)
        return answer

    def _acknowledge(self) -> None:
        while True:
            answer = self._waiting.get()
            time.sleep(0.001)  # the way back
            answer.set_result(None)


def tell(line: str) -> None:
    """One line, whole, at once."""
    os.write(1, f"{line}\n".encode())


def main() -> None:
    """Publish ``MOST`` values from ``FIRST`` on, and end once the cloud has all."""
    folder, first, most = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    store = Store(folder / "agent.db")
    waiting = TelemetryQueue(
        store,
        limits=TelemetryConfig(),
        clock=lambda: 1,
        dropped=lambda count: tell(f"lost {count}"),
    )
    sender = TelemetrySender(
        queue=waiting,
        tenant="acme",
        thing="acme--press-07",
        publish=Cloud().publish,
        online=lambda: True,
        rate=TokenBucket(per_second=100_000, burst=100_000),
    )
    sender.start()
    for number in range(first, first + most):
        waiting.put("speed", number)
        tell(f"kept {number}")
        sender.wake()
    while waiting.count():
        time.sleep(0.005)  # until the cloud has all
    sender.stop()
    store.close()


if __name__ == "__main__":
    main()
