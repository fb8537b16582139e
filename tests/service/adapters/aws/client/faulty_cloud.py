"""A proxy between the door and the embedded cloud, which spoils the requests of one tenant."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from infra.local.cloud import EmbeddedCloud

_GARBAGE: Final = b"<html>no AWS</html>"
_THROTTLED: Final = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/x-amz-json-1.0\r\n"
    b"X-Amzn-ErrorType: ThrottlingException\r\nContent-Length: 35\r\n\r\n"
    b'{"__type":"ThrottlingException"}   '
)
_NO_ROLE_NOW: Final = (
    b"<ErrorResponse><Error><Code>Throttling</Code><Message>Rate exceeded</Message></Error>"
    b"<RequestId>1</RequestId></ErrorResponse>"
)
# As S3 says it to a HEAD, whose answer has no body (source: Amazon S3 API reference, "HeadObject").
_SLOW_DOWN: Final = b"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\n\r\n"


class FaultyCloud:
    """Requests that hold ``spoilt`` meet ``fault``, all others the cloud.

    Attributes:
        spoilt: bytes of a request; those of one tenant hold its name.
        fault: ``down``, ``hanging``, ``slow``, ``throttling``, ``garbage``, ``cut`` in its middle,
            ``cut late``, or none: "".
        said: the body of what is garbage.
        met: requests that met a fault so far.
        cut_off: answers that were cut, whole.
        released: what is slow is answered then.
    """

    def __init__(self, cloud: EmbeddedCloud) -> None:
        parts = urlsplit(cloud.endpoint_url)
        self._cloud = parts.hostname or "", parts.port or 80
        self.spoilt, self.fault, self.said = b"", "", _GARBAGE
        self.released = asyncio.Event()
        self.url, self.met = "", 0
        self.cut_off: list[bytes] = []
        self._connections: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def serving(self) -> AsyncGenerator[None]:
        """Listen on a free port, named by ``url``."""
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield
        finally:
            self.released.set()
            server.close()
            for connection in tuple(self._connections):
                connection.cancel()
            await asyncio.gather(*self._connections, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.ensure_future(self._serve(reader, writer))
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection: kept, as AWS keeps it, until a fault ends it."""
        try:
            fault = ""
            while fault not in {"down", "cut", "cut late"}:
                request = await _message(reader)
                fault = self.fault if self.spoilt and self.spoilt in request else ""
                self.met += bool(fault)
                if fault != "down":
                    writer.write(await self._answer(request, fault))
                    await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # whoever asked has left
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def _answer(self, request: bytes, fault: str) -> bytes:
        is_head = request.startswith(b"HEAD")
        match fault:
            case "hanging" | "slow":
                await self.released.wait()
            case "throttling" if b"Action=AssumeRole" in request:
                return b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/xml\r\n" + (
                    b"Content-Length: %d\r\n\r\n" % len(_NO_ROLE_NOW) + _NO_ROLE_NOW
                )
            case "throttling":
                return _SLOW_DOWN if is_head else _THROTTLED
            case "garbage" if is_head:
                return b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
            case "garbage":
                return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (
                    len(self.said),
                    self.said,
                )
            case _:
                pass
        reader, writer = await asyncio.open_connection(*self._cloud)
        writer.write(request)
        answer = await _message(reader, is_head=is_head)
        writer.close()
        await writer.wait_closed()
        if fault not in {"cut", "cut late"}:
            return answer
        self.cut_off.append(answer)
        return answer[: len(answer) // 2 if fault == "cut" else -10]


async def _message(reader: asyncio.StreamReader, *, is_head: bool = False) -> bytes:
    """Head and body of a request or an answer, as they came."""
    head = await reader.readuntil(b"\r\n\r\n")
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
    size = 0 if is_head else int(fields.get(b"content-length", b"0"))
    chunks = b""
    if not is_head and fields.get(b"transfer-encoding") == b"chunked":
        while not chunks.endswith(b"\r\n0\r\n\r\n") and chunks != b"0\r\n\r\n":
            chunks += await reader.readuntil(b"\r\n")
    return head + await reader.readexactly(size) + chunks
