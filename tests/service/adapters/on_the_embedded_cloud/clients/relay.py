"""A relay of TCP between a program and the service, whose connections a test cuts."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from infra.local.cloud.ports import listen

if TYPE_CHECKING:
    from collections.abc import Generator


@dataclass
class Relay:
    """Hands bytes on between a port of its own and the service's.

    Attributes:
        target: URL of the service.
        most_up: bytes that it takes of a connection before it cuts that one; ``None``: any number.
        cuts: connections that were cut.
    """

    target: str
    most_up: int | None = None
    cuts: int = 0
    url: str = ""
    _open: set[socket.socket] = field(default_factory=set[socket.socket])
    _threads: list[threading.Thread] = field(default_factory=list[threading.Thread])
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def running(self) -> Generator[Self]:
        """Until the test is over."""
        with listen(purpose="a relay", wanted=0, remembered=0) as listener:
            listener.setblocking(True)
            self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            accepting = threading.Thread(target=self._accept, args=(listener,), daemon=True)
            accepting.start()
            try:
                yield self
            finally:
                listener.shutdown(socket.SHUT_RDWR)
                accepting.join()
                self.cut()
                for one in self._threads:
                    one.join()

    def cut(self) -> None:
        """Cut what is open now."""
        with self._lock:
            known = list(self._open)
        for one in known:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        self.cuts += bool(known)

    def _accept(self, listener: socket.socket) -> None:
        split = urlsplit(self.target)
        with suppress(OSError):
            while True:
                near, _ = listener.accept()
                far = socket.create_connection((split.hostname, split.port), timeout=20)
                far.settimeout(None)
                with self._lock:
                    self._open |= {near, far}
                one = threading.Thread(target=self._serve, args=(near, far), daemon=True)
                self._threads.append(one)
                one.start()

    def _serve(self, near: socket.socket, far: socket.socket) -> None:
        down = threading.Thread(target=self._hand_on, args=(far, near, None), daemon=True)
        down.start()
        self._hand_on(near, far, self.most_up)
        down.join()
        with self._lock:
            self._open -= {near, far}
        near.close()
        far.close()

    def _hand_on(self, source: socket.socket, sink: socket.socket, most: int | None) -> None:
        taken = 0
        with suppress(OSError):
            while piece := source.recv(65_536):
                taken += len(piece)
                if most is not None and taken > most:
                    self.cuts += 1
                    break
                sink.sendall(piece)
        for one in (source, sink):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
