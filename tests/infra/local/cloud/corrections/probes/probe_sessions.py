"""Holes of persistent sessions."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

from raw_mqtt import PUBLISH, RawDevice

if TYPE_CHECKING:
    from collections.abc import Callable

    from probed_cloud import Identity, ProbedCloud

QUEUED = 60
_SILENT_SECONDS = 6.0  # more than the 5 s that the broker gives a line to take a message
_FLOOD = bytes(100_000)
_MOST_TRIES = 8
_MOST_FLOODS = 200  # 20 MB: more than the kernel's buffers of a connection hold


def persistent_session_loses_nothing(probed: ProbedCloud) -> bool:
    """A device breaks off while its queue is replayed; the next time most of it is gone."""
    identity = _queue(probed)
    with _Watcher(probed, _gone(identity)) as watcher:
        probed.connect(identity, clean=False).reset()
        watcher.read()
    return _misses_some(probed, identity)


def session_is_taken_over(probed: ProbedCloud) -> bool:
    """A device comes back while its queue is replayed to a dead line; the rest is gone."""
    identity = _queue(probed)
    with probed.connect(identity, clean=False):
        return _misses_some(probed, identity)


def ending_session_is_kept(probed: ProbedCloud) -> bool:
    """A message is lost that comes while the will of a device's first session is published."""
    return _in_time(lambda: _loses_during_will(probed, resumes_first=False))


def ending_session_is_resumed(probed: ProbedCloud) -> bool:
    """A device back while its will is published has a session, and receives nothing."""
    return _in_time(lambda: _loses_during_will(probed, resumes_first=True))


class _TooLateError(Exception):
    """The will was out before the message came: nothing is proved."""


def _in_time(probe: Callable[[], bool]) -> bool:
    """What the probe finds at the first time that its message comes while the will is held up.

    The broker gives a slow subscriber 5 s, which a loaded machine may take for one publish.
    """
    for _ in range(_MOST_TRIES):
        try:
            return probe()
        except _TooLateError:
            continue
    raise AssertionError(f"{_MOST_TRIES} times the will was out before the message came")


def _queue(probed: ProbedCloud) -> Identity:
    """A device for which ``QUEUED`` messages wait."""
    identity = probed.device()
    topic = f"t/{identity.thing}"
    with probed.connect(identity, clean=False) as device:
        device.subscribe(topic)
    for number in range(QUEUED):
        probed.cloud.client("iot-data").publish(
            topic=topic, qos=1, payload=f"{number:04}".encode() + _FLOOD
        )
    return identity


def _misses_some(probed: ProbedCloud, identity: Identity) -> bool:
    """Whether the device, back again, receives less than was queued."""
    arrived: set[bytes] = set()
    with probed.connect(identity, clean=False) as device:
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


def _loses_during_will(probed: ProbedCloud, *, resumes_first: bool) -> bool:
    """Whether a message is lost that is published while the device's will is.

    A slow subscriber holds the will up.

    Args:
        probed: the cloud.
        resumes_first: the device comes back before the message is published, else after all is
            over.
    """
    identity = probed.device()
    topic, will, flood = (
        f"t/{identity.thing}",
        f"will/{identity.thing}/last",
        f"flood/{identity.thing}",
    )
    with ExitStack() as stack:
        watcher = stack.enter_context(
            _Watcher(probed, f"will/{identity.thing}/+", topic, _gone(identity))
        )
        slow = stack.enter_context(probed.connect(probed.device()))
        for wanted in (flood, will):  # the will reaches the watcher first, whose filter is older
            slow.subscribe(wanted, qos=0)
        probed.connect(identity).close()  # clean: no session of before
        assert b"disconnected" in watcher.read()
        device = probed.connect(identity, clean=False, will_topic=will)
        device.subscribe(topic)
        _stall(stack.enter_context(probed.connect(probed.device())), flood)
        device.reset()
        assert watcher.read() == b"gone"
        if resumes_first:
            device = stack.enter_context(probed.connect(identity, clean=False))
        probed.cloud.client("iot-data").publish(topic=topic, qos=1, payload=b"meanwhile")
        if watcher.read() != b"meanwhile":
            raise _TooLateError
        slow.reset()
        if not resumes_first:
            if b"disconnected" not in watcher.read():
                raise _TooLateError
            device = stack.enter_context(probed.connect(identity, clean=False))
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

    def __init__(self, probed: ProbedCloud, *topics: str) -> None:
        self._device = probed.connect(probed.device())
        for topic in topics:
            self._device.subscribe(topic, qos=0)

    def read(self) -> bytes:
        """The next message."""
        return self._device.read().payload

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._device.close()
