"""Which port the device dials: that of its endpoint or, where nobody is reached there, 443.

Many sites let out 443 alone. A port that answers is kept in ``route.json`` of the state folder and
dialled first for a day, also after a restart; then the endpoint's own is tried once more, whenever
the line is made anew. A broker that refuses has answered: no other port would change its mind.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from cedarfleet_device.connection.endpoints import is_of_aws
from cedarfleet_device.files import DISK, Disk, write_atomically
from cedarfleet_device.log import event
from cedarfleet_device.proxies import is_this_machine

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cedarfleet_device.config import DeviceConfig

_FILE: Final = "route.json"
_TRIES: Final = 3
_REMEMBERED_SECONDS: Final = 86_400.0
_LONGEST_FIRST_PAUSE_SECONDS: Final = 60.0
_HTTPS: Final = 443
# docs: AWS IoT developer guide, "Device communication protocols": on 443, MQTT with a client
# certificate is told from HTTPS by this name; with a domain configuration that says SECURE_MQTT and
# AWS_X509 it needs none, and there a name would be one more thing to be refused for.
_MQTT_BY_CERTIFICATE: Final = "x-amzn-mqtt-ca"


def application_protocols(config: DeviceConfig) -> list[str]:
    """What TLS must announce (ALPN), so that the endpoint speaks MQTT on the port that is dialled.

    Args:
        config: with the port that is dialled.
    """
    of_aws = is_of_aws(config.endpoint)
    return [_MQTT_BY_CERTIFICATE] if config.port == _HTTPS and of_aws else []


class Route:
    """The way to one endpoint; each call is short, save ``keep``.

    Args:
        config: with the endpoint that is dialled (``endpoints.dialled``).
        wall: seconds since the epoch; a jump costs a try of the other port, no more.
        disk: makes what is kept durable.
    """

    def __init__(
        self,
        config: DeviceConfig,
        *,
        wall: Callable[[], float] = time.time,
        disk: Disk = DISK,
    ) -> None:
        self._config = config
        self._wall = wall
        self._disk = disk
        fallback = config.connection.fallback_port
        # In front of a broker of this machine stands no site that lets out one port alone.
        alone = fallback in (0, config.port) or is_this_machine(config.endpoint)
        self._ports = [config.port] if alone else [config.port, fallback]
        kept = self._read()
        self._port = config.port if kept is None else kept[0]
        self._until = 0.0 if kept is None else kept[1]
        self._lock = threading.Lock()
        self._failures = self._rounds = 0

    @property
    def config(self) -> DeviceConfig:
        """What is dialled now: the port, and how long the first pause is.

        A client that is made anew would begin with short pauses again: they stay long while nobody
        is reached, however often the port changes.
        """
        with self._lock:
            port, rounds = self._port, self._rounds
        longest = min(_LONGEST_FIRST_PAUSE_SECONDS, self._config.last_pause_seconds)
        pause = min(longest, self._config.first_pause_seconds * 2.0 ** min(rounds * _TRIES, 10))
        connection = replace(
            self._config.connection,
            reconnect_min_seconds=pause,
            reconnect_max_seconds=self._config.last_pause_seconds,
        )
        return replace(self._config, port=port, connection=connection)

    def failed(self, *, answered: bool) -> bool:
        """No line was made; whether another port is to be dialled from now on.

        Args:
            answered: whether the broker itself has refused.
        """
        with self._lock:
            self._failures = 0 if answered else self._failures + 1
            if self._failures < _TRIES or len(self._ports) == 1:
                return False
            self._failures, self._rounds = 0, self._rounds + 1
            self._turn()
            return True

    def stands(self) -> bool:
        """The port that is dialled has let the device in; whether that is news to ``keep``."""
        with self._lock:
            self._failures = self._rounds = 0
            if self._port == self._config.port:
                return self._until > 0
            return self._wall() >= self._until

    def keep(self) -> None:
        """Dial this port first from now on, durably."""
        with self._lock:
            port, now = self._port, self._wall()
            self._until = 0.0 if port == self._config.port else now + _REMEMBERED_SECONDS
        told = {"of": self._address, "port": port, "at": int(now)}
        try:
            if port == self._config.port:
                self._file.unlink(missing_ok=True)
            else:
                write_atomically(self._file, json.dumps(told).encode(), disk=self._disk)
        except OSError as error:  # it is found again after a restart, which takes a moment
            event("route.unwritten", level=logging.WARNING, error=error)

    def is_old(self) -> bool:
        """The line was lost; whether the endpoint's own port is tried again from now on."""
        with self._lock:
            if self._port == self._config.port or self._wall() < self._until:
                return False
            self._turn()
            return True

    def _turn(self) -> None:
        first, second = self._ports
        self._port = second if self._port == first else first
        endpoint = self._config.endpoint
        event("route.changed", level=logging.WARNING, endpoint=endpoint, port=self._port)

    def _read(self) -> tuple[int, float] | None:
        """The port that is kept, if it is of this endpoint and not old, and until when."""
        try:
            told = json.loads(self._file.read_bytes())
            of, port, at = str(told["of"]), int(told["port"]), float(told["at"])
        except (OSError, ValueError, KeyError, TypeError):  # it is found anew
            return None
        fresh = 0 <= self._wall() - at < _REMEMBERED_SECONDS
        known = fresh and of == self._address and port in self._ports[1:]
        return (port, at + _REMEMBERED_SECONDS) if known else None

    @property
    def _file(self) -> Path:
        return self._config.state_dir / _FILE

    @property
    def _address(self) -> str:
        return f"{self._config.endpoint}:{self._config.port}"
