"""The service as a process on one core, over recorded answers of AWS from the other one."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final, Self

from jwt.algorithms import RSAAlgorithm

from infra.local.processes import Child
from service.adapters.memory.user_pool import MemoryUserPool
from tests.benchmarks.recorded_aws import tenants_of

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence

    from service.domain.tenants import Tenant

OUR_SERVICE: Final = ("service",)
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Sent:
    """What a number of requests took.

    Attributes:
        cpu_ms: of the service, for one request.
        latencies: seconds of each.
        seconds: from the first to the last.
    """

    cpu_ms: float
    latencies: list[float] = field(repr=False)
    seconds: float


class Served:
    """A process that serves HTTP, and what it takes."""

    def __init__(self, child: Child, url: str) -> None:
        self.pid = child.pid
        self.host, _, port = url.removeprefix("http://").partition(":")
        self.port = int(port)

    @property
    def cpu_seconds(self) -> float:
        """Of all its threads so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(") ")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    @property
    def resident_bytes(self) -> int:
        """Its memory."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * _PAGE_BYTES

    def send(self, requests: Sequence[bytes], *, connections: int = 16, status: int = 200) -> Sent:
        """Send them, each connection one after the other.

        Raises:
            AssertionError: one is answered with another status.
        """
        before, begun = self.cpu_seconds, time.perf_counter()
        latencies = asyncio.run(self._send(requests, connections, status))
        took = time.perf_counter() - begun
        return Sent((self.cpu_seconds - before) * 1000 / len(requests), latencies, took)

    async def send_paced(
        self, request: bytes, per_second: float, *, seconds: float, status: int | None = 200
    ) -> list[float]:
        """Seconds of each of the requests that come so often, whether others are open or not.

        Raises:
            AssertionError: one is answered with another status, unless ``None`` is expected.
        """
        idle: list[_Connection] = []
        latencies: list[float] = []

        async def one(due: float) -> None:
            connection = idle.pop() if idle else await _Connection.to(self.host, self.port)
            await connection.ask(request, status)
            # From when it was due: who waits for a slow answer before it asks measures none.
            latencies.append(time.perf_counter() - due)
            idle.append(connection)

        begun = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for number in range(int(per_second * seconds)):
                due = begun + number / per_second
                await asyncio.sleep(max(0, due - time.perf_counter()))
                group.create_task(one(due))
        for connection in idle:
            connection.close()
        return latencies

    async def _send(self, requests: Sequence[bytes], connections: int, status: int) -> list[float]:
        left, latencies = iter(requests), list[float]()

        async def one() -> None:
            connection = await _Connection.to(self.host, self.port)
            for request in left:
                begun = time.perf_counter()
                await connection.ask(request, status)
                latencies.append(time.perf_counter() - begun)
            connection.close()

        async with asyncio.TaskGroup() as group:
            for _ in range(connections):
                group.create_task(one())
        return latencies


class _Connection:
    """One connection of the load: a request, its answer, the next request."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def to(cls, host: str, port: int) -> Self:
        return cls(*await asyncio.open_connection(host, port))

    async def ask(self, request: bytes, status: int | None) -> None:
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r", 1)[0])
        body = await self._reader.readexactly(length)
        if status is not None and int(head[9:12]) != status:
            raise AssertionError(f"{head.decode()}{body.decode()}")

    def close(self) -> None:
        self._writer.close()


@dataclass
class RecordedPlatform:
    """Recorded answers for so many tenants, and tokens of their people."""

    url: str
    pool: MemoryUserPool
    tenants: list[Tenant]
    folder: Path
    _tokens: dict[tuple[str, str], str] = field(default_factory=dict[tuple[str, str], str])

    @classmethod
    @contextmanager
    def of(cls, tenants: int, *, hanging: int | None = None) -> Generator[Self]:
        """Start it on the core of the load.

        Args:
            tenants: how many there are.
            hanging: the number of one whose devices table never answers.
        """
        pool = MemoryUserPool("acme")
        key = RSAAlgorithm.to_jwk(pool.key.public_key(), as_dict=True)
        keys = {"keys": [{**key, "kid": pool.key_id, "use": "sig", "alg": "RS256"}]}
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.recorded_aws"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        if process.stdin is None or process.stdout is None:
            raise AssertionError("it was started with pipes")
        try:
            every = tenants_of(pool, tenants)
            told = {
                "tenants": tenants,
                "keys": keys,
                "hanging": None if hanging is None else every[hanging].id,
            }
            process.stdin.write(json.dumps(told) + "\n")
            process.stdin.flush()
            url = json.loads(process.stdout.readline())["url"]
            on_core(process.pid, 1)
            with TemporaryDirectory() as folder:
                yield cls(url, pool, every, Path(folder))
        finally:
            process.communicate(timeout=20)

    def token(self, number: int = 0, name: str = "boss") -> str:
        """A manager's token of one of the tenants."""
        key = str(number), name
        if key not in self._tokens:
            claims = self.pool.claims(name, ["managers"], iss=self.tenants[number].issuer)
            self._tokens[key] = self.pool.sign(claims)
        return self._tokens[key]

    def forget(self) -> None:
        """Sign anew what is asked for from now on."""
        self._tokens.clear()

    def request(
        self, method: str, path: str, *, tenant: int = 0, name: str = "boss", body: Any = None
    ) -> bytes:
        """The bytes of a request."""
        content = b"" if body is None else json.dumps(body).encode()
        kind = f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n"
        return (
            f"{method} {path} HTTP/1.1\r\nHost: api.test\r\nAccept: application/json\r\n"
            f"Authorization: Bearer {self.token(tenant, name)}\r\n{kind if content else ''}\r\n"
        ).encode() + content

    @property
    def settings(self) -> dict[str, str]:
        """What a program that serves as the service does finds in its environment."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": "eu-central-1",
            "AWS_ACCESS_KEY_ID": "AKIARECORDED00000000",
            "AWS_SECRET_ACCESS_KEY": "recorded",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "CEDARFLEET_IOT_DATA_ENDPOINT": self.url.removeprefix("http://"),
            "CEDARFLEET_DEVICE_ENDPOINT": "devices.test",
            "CEDARFLEET_JWKS_URL_TEMPLATE": f"{self.url}/{{pool}}/.well-known/jwks.json",
            "CEDARFLEET_WORK_QUEUE_URL": f"{self.url}/123456789012/work",
            "CEDARFLEET_TIMER_ROLE_ARN": "arn:aws:iam::123456789012:role/timer",
            "CEDARFLEET_PORT": "0",
            # The recorded store names one policy whatever is asked, which no copy agrees with.
            "CEDARFLEET_POLICY_SAMPLE": "0",
        }

    @contextmanager
    def service(self, module: Iterable[str] = OUR_SERVICE, **settings: str) -> Generator[Served]:
        """Run a program that serves as the service does, on the other core."""
        child = Child(
            name="service",
            command=[sys.executable, "-m", *module],
            environment=self.settings | settings,
            log_file=self.folder / "service.log",
        )
        with child:
            url = str(child.await_event("service.listening", seconds=60)["url"])
            on_core(child.pid, 0)
            yield Served(child, url)


def on_core(pid: int, core: int) -> None:
    """Bind a process, with all its threads, to one core."""
    allowed = sorted(os.sched_getaffinity(0))
    for task in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(task.name), {allowed[core % len(allowed)]})
