"""Who does what a job asks for: fetches a file, judges it, installs it, or moves the device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cedarfleet_device.downloads.outcomes import Delivered
    from cedarfleet_device.installs.installation import InstallOutcome
    from cedarfleet_device.wire import DownloadDocument, Manifest, MoveDocument


class Fetcher(Protocol):
    """What ``downloads.Downloader`` does."""

    def fetch(
        self,
        document: DownloadDocument,
        *,
        refresh_url: Callable[[], str],
        progress: Callable[[int, int], None] | None = None,
        cancelled: Callable[[], bool],
        hook: bool = True,
    ) -> Delivered:
        """Bring the file; raises ``DownloadRefusedError`` or ``DownloadFailedError``."""
        ...

    def discard(self, name: str) -> None:
        """Drop what was fetched of a file; raises ``DownloadError``."""
        ...

    def discard_all(self) -> None:
        """Drop what was fetched of every file; nothing waits for any."""
        ...


class Installs(Protocol):
    """What ``installs.Installation`` does."""

    def carry_out(
        self,
        job_id: str,
        manifest: Manifest,
        *,
        fetch: Callable[[], Path],
        tell: Callable[[dict[str, str]], None],
        cancelled: Callable[[], bool],
    ) -> InstallOutcome | None:
        """Begin with an install, or go on with it; None: the agent stops or nobody wants it."""
        ...

    def ended(self, job_id: str) -> None:
        """The cloud has taken the end of this job."""
        ...

    def nothing_wanted(self) -> None:
        """No job waits for this device."""
        ...


class Policy(Protocol):
    """What ``trust.policy.TrustPolicy`` does."""

    def manifest(self, document: DownloadDocument) -> Manifest | None:
        """What the maker says of the file; raises ``TrustError``: it must not come in."""
        ...

    def is_root(self, document: DownloadDocument) -> bool:
        """Whether the file is a new list of keys."""
        ...

    def adopt(self, content: bytes) -> int:
        """Believe a new list of keys; raises ``TrustError`` or ``OSError``."""
        ...


class Mover(Protocol):
    """What ``enrollment.move.Move`` does."""

    def prove(self, job_id: str, document: MoveDocument) -> None:
        """Prove and keep another endpoint; raises ``DeviceError``: the device stays."""
        ...

    def go(self) -> None:
        """Go there; returns at once."""
        ...
