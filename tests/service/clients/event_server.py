"""A server of events over a real socket, which ends and cuts its answers as a test says."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence


def event(number: int, text: str = "") -> str:
    """A message with an event of this number."""
    told = {
        "id": f"evt_{number}",
        "type": "command.state",
        "timestamp": "2026-11-30T06:00:00Z",
        "device": "press-01",
        "data": {"text": text},
    }
    return f"id: 7-{number}\nevent: command.state\ndata: {json.dumps(told, ensure_ascii=False)}\n\n"


def end(reason: str, cursor: str = "7-9") -> str:
    """The last message of a stream."""
    return f'id: {cursor}\nevent: end\ndata: {{"reason":"{reason}"}}\n\n'


@dataclass
class EventServer:
    """Answers each connection with the next of ``answers``; the last one stays open.

    Attributes:
        answers: text of a stream; or a status, of a problem.
        asked: of each connection its ``Last-Event-ID``, parameters and token.
        ends: set by a test that has seen enough.
    """

    answers: Sequence[str | int]
    stays: bool = False
    kind: str = "text/event-stream"
    asked: list[tuple[str | None, dict[str, str], str]] = field(default_factory=list[Any])
    ends: threading.Event = field(default_factory=threading.Event)
    url: str = ""

    @contextmanager
    def running(self) -> Generator[Self]:
        """Until the test is over."""
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.answer(self)

            def do_POST(self) -> None:
                server.give_token(self)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ARG002 - silent
                return

        httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{httpd.server_port}"
        thread = threading.Thread(target=httpd.serve_forever, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.ends.set()
            httpd.shutdown()
            httpd.server_close()
            thread.join()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """One connection."""
        number = len(self.asked)
        asked = {name: one[0] for name, one in parse_qs(urlsplit(request.path).query).items()}
        self.asked.append(
            (request.headers["Last-Event-ID"], asked, request.headers["Authorization"])
        )
        answer = self.answers[min(number, len(self.answers) - 1)]
        if isinstance(answer, int):
            body = json.dumps({"type": "urn:cedarfleet:problem:events-gone", "title": "gone"})
            request.send_response(answer)
            request.send_header("Content-Type", "application/problem+json")
            request.send_header("Content-Length", str(len(body)))
            request.end_headers()
            request.wfile.write(body.encode())
            return
        request.send_response(200)
        request.send_header("Content-Type", self.kind)
        request.end_headers()
        request.wfile.write(f"retry: 1000\n{answer}".encode())
        request.wfile.flush()
        if self.stays and number == len(self.answers) - 1:
            self.ends.wait(20)
        # Cut: with bytes of the request unread, or not, the peer sees its end.
        request.connection.shutdown(socket.SHUT_RDWR)

    def give_token(self, request: BaseHTTPRequestHandler) -> None:
        """The token endpoint: a new one for any refresh token."""
        request.rfile.read(int(request.headers["Content-Length"]))
        body = json.dumps({"id_token": "renewed", "access_token": "a", "expires_in": 3600}).encode()
        request.send_response(200)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)
