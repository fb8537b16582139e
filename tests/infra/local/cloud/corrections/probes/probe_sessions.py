"""Holes of persistent sessions."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

from raw_mqtt import PUBLISH, RawDevice

if TYPE_CHECKING:
    from rig import Identity, Rig

QUEUED = 60
_SILENT_SECONDS = 6.0  # more than the 5 s that the broker gives a line to take a message
_FLOOD = bytes(100_000)
_MOST_FLOODS = 200  # 20 MB: more than the kernel's buffers of a connection hold


def persistent_session_loses_nothing(rig: Rig) -> bool:
    """A device comes back and breaks off while its queue is replayed; the next time most of the queue is gone."""
    identity = _queue(rig)
    with _Watcher(rig, _gone(identity)) as watcher:
        rig.connect(identity, clean=False).reset()
        watcher.read()
    return _misses_some(rig, identity)


def session_is_taken_over(rig: Rig) -> bool:
    """A device comes back over a new line while its queue is replayed to a dead one; the rest of the queue is gone."""
    identity = _queue(rig)
    with rig.connect(identity, clean=False):
        return _misses_some(rig, identity)


def ending_session_is_kept(rig: Rig) -> bool:
    """A message is lost that comes while the will of a device's first session is published."""
    return _loses_during_will(rig, resumes_first=False)


def ending_session_is_resumed(rig: Rig) -> bool:
    """A device that comes back while its will is published is told that its session stands, and hears nothing."""
    return _loses_during_will(rig, resumes_first=True)


def _queue(rig: Rig) -> Identity:
    """A device for which ``QUEUED`` messages wait."""
    identity = rig.device()
    topic = f"t/{identity.thing}"
    with rig.connect(identity, clean=False) as device:
        device.subscribe(topic)
    for number in range(QUEUED):
        rig.cloud.client("iot-data").publish(
            topic=topic, qos=1, payload=f"{number:04}".encode() + _FLOOD
        )
    return identity


def _misses_some(rig: Rig, identity: Identity) -> bool:
    """Whether the device, back again, receives less than was queued."""
    arrived: set[bytes] = set()
    with rig.connect(identity, clean=False) as device:
        news = time.monotonic()
        try:
            # What came is sent again for ever.
            while len(arrived) < QUEUED and time.monotonic() - news < _SILENT_SECONDS:
                packet = device.read(seconds=_SILENT_SECONDS)
                if packet.kind == PUBLISH and packet.payload[:4] not in arrived:
                    arrived.add(packet.payload[:4])
                    news = time.monotonic()
        except (TimeoutError, ConnectionResetError):
            pass
    return len(arrived) < QUEUED


def _loses_during_will(rig: Rig, *, resumes_first: bool) -> bool:
    """Whether a message is lost that is published while the will of the device is, which a slow subscriber holds up.

    Args:
        rig: the cloud.
        resumes_first: the device comes back before the message is published, else after all is
            over.
    """
    identity = rig.device()
    topic, will, flood = (
        f"t/{identity.thing}",
        f"will/{identity.thing}/last",
        f"flood/{identity.thing}",
    )
    with ExitStack() as stack:
        watcher = stack.enter_context(
            _Watcher(rig, f"will/{identity.thing}/+", topic, _gone(identity))
        )
        slow = stack.enter_context(rig.connect(rig.device()))
        for wanted in (flood, will):  # the will reaches the watcher first, whose filter is older
            slow.subscribe(wanted, qos=0)
        rig.connect(identity).close()  # clean: no session of before
        assert b"disconnected" in watcher.read()
        device = rig.connect(identity, clean=False, will_topic=will)
        device.subscribe(topic)
        _stall(stack.enter_context(rig.connect(rig.device())), flood)
        device.reset()
        assert watcher.read() == b"gone"
        if resumes_first:
            device = stack.enter_context(rig.connect(identity, clean=False))
        rig.cloud.client("iot-data").publish(topic=topic, qos=1, payload=b"meanwhile")
        assert watcher.read() == b"meanwhile"
        slow.reset()
        if not resumes_first:
            assert b"disconnected" in watcher.read(), (
                "the will was out before the message came: nothing is proved"
            )
            device = stack.enter_context(rig.connect(identity, clean=False))
        try:
            while (packet := device.read(seconds=_SILENT_SECONDS)).kind != PUBLISH:
                pass
        except TimeoutError:
            return True
        return packet.payload != b"meanwhile"


def _stall(publisher: RawDevice, topic: str) -> None:
    """Publish until the broker waits for the subscriber of ``topic``, who does not read."""
    for _ in range(_MOST_FLOODS):
        publisher.publish(topic, _FLOOD)
        try:
            publisher.ping(seconds=0.5)
        except TimeoutError:
            return
    raise AssertionError("the broker waits for nobody")


def _gone(identity: Identity) -> str:
    """The topic that tells when the broker has put the device's connection away."""
    return f"$aws/events/presence/disconnected/{identity.thing}"


class _Watcher:
    """Hears the topics, in the order of publication."""

    def __init__(self, rig: Rig, *topics: str) -> None:
        self._device = rig.connect(rig.device())
        for topic in topics:
            self._device.subscribe(topic, qos=0)

    def read(self) -> bytes:
        """The next message."""
        return self._device.read(seconds=10).payload

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._device.close()
