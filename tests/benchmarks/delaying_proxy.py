"""A TCP proxy that adds a round trip to every connection and bounds the bytes under way.

It stands for a long path: one connection brings at most window / round trip. The benchmark runs it
as a process.
"""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
import time
from queue import Queue

_PIECE = 64 * 1024


def _pump(source: socket.socket, sink: socket.socket, delay: float, window: int) -> None:
    """Carry bytes from ``source`` to ``sink``, ``delay`` seconds late, ``window`` under way."""
    under_way: Queue[tuple[float, bytes]] = Queue(maxsize=max(1, window // _PIECE))

    def deliver() -> None:
        with contextlib.suppress(OSError):
            while (item := under_way.get())[1]:
                time.sleep(max(0.0, item[0] - time.monotonic()))
                sink.sendall(item[1])
            sink.shutdown(socket.SHUT_WR)

    sender = threading.Thread(target=deliver, daemon=True)
    sender.start()
    piece = b"-"
    while piece:
        try:
            piece = source.recv(_PIECE)
        except OSError:
            piece = b""
        under_way.put((time.monotonic() + delay, piece))
    sender.join()


def _serve(client: socket.socket, target: tuple[str, int], delay: float, window: int) -> None:
    with client, socket.create_connection(target) as server:
        for end in (
            client,
            server,
        ):  # a path holds nothing back: Nagle's algorithm would, by 40 ms at an answer's end
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        back = threading.Thread(target=_pump, args=(server, client, delay, window), daemon=True)
        back.start()
        _pump(client, server, delay, window)
        back.join()


def main() -> None:
    """Arguments TARGET_PORT ROUND_TRIP_SECONDS WINDOW_BYTES: serve, and print the own port."""
    target_port, round_trip, window = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    print(listener.getsockname()[1], flush=True)
    while True:
        client, _ = listener.accept()
        # The handshake with us takes no time: a connection's first answer carries its round trip.
        threading.Thread(
            target=_serve,
            args=(client, ("127.0.0.1", target_port), round_trip / 2, window),
            daemon=True,
        ).start()


if __name__ == "__main__":
    main()
