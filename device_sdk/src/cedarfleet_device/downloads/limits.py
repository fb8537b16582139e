"""What a download may cost the device: bytes, disk, bandwidth, time and tries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

KIB: Final = 1024
MIB: Final = 1024 * KIB


@dataclass(frozen=True, kw_only=True)
class DownloadLimits:
    """Every bound of one download; the defaults suit a device with some 100 MB of free disk and a mobile link.

    Attributes:
        max_bytes: largest file that is accepted.
        disk_reserve_bytes: stays free on the file system, whatever is fetched.
        connections: most connections at once; size and round trip decide how many are used (``connections_for``).
        parallel_from_bytes: below it one connection is used.
        parallel_from_seconds: round trip below which one connection is used: it fills the link, and more only cost CPU.
        bytes_per_second: bandwidth limit over all connections; None: no limit.
        connect_seconds: to reach the server, for each address tried.
        stall_seconds: window in which a connection must bring ``stall_bytes``, else it is cut and tried again.
        stall_bytes: smallest progress in that window; a server that trickles below it counts as dead.
        attempts: tries in a row that bring no noteworthy progress before the download fails.
        backoff_seconds: upper bound of the first pause; doubles each time; the pause is drawn from 0 to the bound.
        backoff_cap_seconds: largest pause, also for a server's ``Retry-After``.
        checkpoint_bytes: largest step between two fsynced journal entries, which is what a kill costs; small files use
            smaller steps (``ranges.checkpoint_step``).
        ca_file: PEM bundle that signs the server; None: the system's.
        allow_http: accept plain HTTP from any host; else only from this machine's loopback. The SHA-256 arrives over
            the device's own TLS connection, so plain HTTP risks who reads the file, not what is delivered.
        file_mode: permission bits of the delivered file.
    """

    max_bytes: int = 4096 * MIB
    disk_reserve_bytes: int = 64 * MIB
    connections: int = 4
    parallel_from_bytes: int = 32 * MIB
    parallel_from_seconds: float = 0.004
    bytes_per_second: int | None = None
    connect_seconds: float = 10.0
    stall_seconds: float = 30.0
    stall_bytes: int = 4 * KIB
    attempts: int = 8
    backoff_seconds: float = 1.0
    backoff_cap_seconds: float = 300.0
    checkpoint_bytes: int = 16 * MIB
    ca_file: Path | None = None
    allow_http: bool = False
    file_mode: int = 0o640

    def __post_init__(self) -> None:
        """Refuse limits under which nothing could ever be downloaded.

        Raises:
            ValueError: names the limit and what would be right.
        """
        for name in (
            "max_bytes",
            "connections",
            "parallel_from_bytes",
            "connect_seconds",
            "stall_seconds",
            "attempts",
            "backoff_seconds",
            "backoff_cap_seconds",
            "checkpoint_bytes",
        ):
            if getattr(self, name) <= 0:
                raise ValueError(f"`{name}` is {getattr(self, name)}: it must be above 0")
        for name in ("disk_reserve_bytes", "stall_bytes", "parallel_from_seconds"):
            if getattr(self, name) < 0:
                raise ValueError(f"`{name}` is {getattr(self, name)}: it must be 0 or more")
        slowest = self.stall_bytes / self.stall_seconds * self.connections
        if self.bytes_per_second is not None and self.bytes_per_second <= 2 * slowest:
            raise ValueError(
                f"`bytes_per_second` is {self.bytes_per_second}: it must be above {2 * slowest:.0f}, or every"
                " connection would count as stalled (`stall_bytes` in `stall_seconds`)"
            )
