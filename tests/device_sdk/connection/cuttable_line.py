"""A TCP proxy whose directions can be cut while the connections stay open."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import Self


class CuttableLine:
    """Forward a loopback port to ``port``; ``deaf`` drops what comes back, ``mute`` what goes out.

    ``refuse`` closes new connections at once.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._stop = asyncio.Event()
        self.port = 0
        self.deaf = False
        self.mute = False
        self.refuse = False

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._forward, "127.0.0.1", 0)
        self.port = int(server.sockets[0].getsockname()[1])
        self._ready.set()
        await self._stop.wait()
        server.close()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refuse:
            writer.close()
            return
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        ways = (
            self._pump(reader, far_writer, out=True),
            self._pump(far_reader, writer, out=False),
        )
        with suppress(OSError, asyncio.CancelledError):
            await asyncio.wait(
                [asyncio.ensure_future(way) for way in ways], return_when=asyncio.FIRST_COMPLETED
            )
        writer.close()
        far_writer.close()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, out: bool
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                if not (self.mute if out else self.deaf):
                    writer.write(data)
                    await writer.drain()
