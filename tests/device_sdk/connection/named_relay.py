"""An HTTP proxy on loopback that is all the DNS there is: a name leads to the port it was given."""

from __future__ import annotations

import asyncio
import base64
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from tests.device_sdk.devices import Tenant


def know(tenant: Tenant, *hosts: str) -> None:
    """Have the embedded cloud's broker answer as these names of the platform too."""
    acm, iot = tenant.cloud.client("acm"), tenant.cloud.client("iot")
    with tenant.cloud.limits.changed(figures={"domain-configurations": 1000}):
        for host in hosts:
            made = acm.request_certificate(DomainName=host, ValidationMethod="DNS")
            iot.create_domain_configuration(
                domainConfigurationName=host,
                domainName=host,
                serverCertificateArns=[made["CertificateArn"]],
                applicationProtocol="SECURE_MQTT",
                authenticationType="AWS_X509",
            )


class NamedRelay:
    """Answer CONNECT.

    Attributes:
        leads: `host:port` -> port of this machine; what is not in it is not found.
        asked: each address that was asked for, in order.
        credentials: `user:password` that must be shown (RFC 7617); empty: none.
        port: where it listens.
    """

    def __init__(self, *, credentials: str = "") -> None:
        self.credentials = credentials
        self.leads: dict[str, int] = {}
        self.asked: list[str] = []
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._stop = asyncio.Event()
        self._writers: list[asyncio.StreamWriter] = []

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    @property
    def address(self) -> str:
        """What a device's `connection.proxy` says."""
        return f"127.0.0.1:{self.port}"

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._tunnel, "127.0.0.1", 0)
        self.port = int(server.sockets[0].getsockname()[1])
        self._ready.set()
        await self._stop.wait()
        server.close()
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.gather(
            *(writer.wait_closed() for writer in self._writers), return_exceptions=True
        )

    def _shown(self, head: str) -> bool:
        lines = [line.partition(":") for line in head.splitlines()]
        given = [value.split() for name, _, value in lines if name.lower() == "proxy-authorization"]
        wanted = base64.b64encode(self.credentials.encode()).decode()
        return given == [["Basic", wanted]]

    async def _tunnel(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        with suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            address = head.split()[1].decode()
            if self.credentials and not self._shown(head.decode()):
                writer.write(
                    b"HTTP/1.1 407 Proxy Authentication Required\r\n"
                    b'Proxy-Authenticate: Basic realm="site"\r\nContent-Length: 0\r\n\r\n'
                )
                await writer.drain()
                writer.close()
                return
            self.asked.append(address)
            if address not in self.leads:
                writer.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
                await writer.drain()
                writer.close()
                return
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.leads[address])
            self._writers.append(far_writer)
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            ways = (_pump(reader, far_writer), _pump(far_reader, writer))
            await asyncio.gather(*ways)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()
