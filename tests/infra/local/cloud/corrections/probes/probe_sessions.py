"""Holes of persistent sessions."""

from __future__ import annotations

import socket
import struct
import time
from typing import TYPE_CHECKING

from raw_mqtt import PUBLISH, RawDevice

if TYPE_CHECKING:
    from rig import Identity, Rig

QUEUED = 60
_LINE_BREAKS = struct.pack("ii", 1, 0)  # SO_LINGER: closing resets the connection


def persistent_session_loses_nothing(rig: Rig) -> bool:
    """A device comes back and breaks off while its queue is replayed; the next time most of the queue is gone."""
    identity = rig.device()
    topic = f"t/{identity.thing}"
    with _resume(rig, identity) as device:
        device.subscribe(topic)
    for number in range(QUEUED):
        payload = f"{number:04}".encode() + bytes(100_000)
        rig.cloud.client("iot-data").publish(topic=topic, qos=1, payload=payload)
    with _resume(rig, identity) as device:
        device._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINE_BREAKS)
    time.sleep(1)  # nothing tells when the broker has noticed
    arrived: set[bytes] = set()
    with _resume(rig, identity) as device:
        try:
            while len(arrived) < QUEUED:
                packet = device.read(seconds=4)
                if packet.kind == PUBLISH:
                    arrived.add(packet.payload[:4])
        except (TimeoutError, ConnectionResetError):
            return True
    return False


def _resume(rig: Rig, identity: Identity) -> RawDevice:
    device = RawDevice(
        port=rig.cloud.mqtt_port, ca_file=rig.cloud.ca_file, certificate=identity.certificate, key=identity.key
    )
    name = identity.thing.encode()
    device._send(0x10, b"\0\4MQTT\4\0" + struct.pack("!HH", 60, len(name)) + name)  # clean session 0
    device.read(seconds=10)
    return device
