"""How far an install came, durably, and which versions were confirmed: two files of the state."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from cedarfleet_device.files import DISK, Disk, write_atomically
from cedarfleet_device.installs.steps import Update
from cedarfleet_device.log import event
from cedarfleet_device.wire.pythons import StrEnum

if TYPE_CHECKING:
    from typing import Self

    from cedarfleet_device.wire import Manifest

_RECORD: Final = "install.json"
_PACKAGES: Final = "packages.json"


class InstallState(StrEnum):
    """Where an install stands."""

    DOWNLOADED = "downloaded"
    INSTALLING = "installing"
    REBOOTING = "rebooting"
    CONFIRMING = "confirming"
    CONFIRMED = "confirmed"
    ROLLED_BACK = "rolled_back"

    @property
    def is_final(self) -> bool:
        """Whether nothing more happens."""
        return self in (InstallState.CONFIRMED, InstallState.ROLLED_BACK)


@dataclass(frozen=True, kw_only=True)
class InstallRecord:
    """One install.

    Attributes:
        job_id: that asked for it.
        package: what is installed.
        version: the new one.
        former: that was installed before.
        file: where it was delivered.
        sha256: of it.
        size: of it, bytes.
        state: how far it came.
        boot: the start of the machine in which that state began.
        tries: starts of ``install``, or, while confirming, of the machine.
        reason: why it was given up.
    """

    job_id: str
    package: str
    version: str
    former: str | None
    file: str
    sha256: str
    size: int
    state: InstallState
    boot: str
    tries: int = 0
    reason: str = ""

    @classmethod
    def fresh(
        cls, job_id: str, manifest: Manifest, *, former: str | None, file: Path, boot: str
    ) -> Self:
        """An install that begins."""
        return cls(
            job_id=job_id,
            package=manifest.package,
            version=manifest.version,
            former=former,
            file=str(file),
            sha256=manifest.sha256,
            size=manifest.size,
            state=InstallState.DOWNLOADED,
            boot=boot,
        )

    @property
    def update(self) -> Update:
        """As the maker sees it."""
        return Update(
            file=Path(self.file),
            package=self.package,
            version=self.version,
            former=self.former,
            sha256=self.sha256,
            size=self.size,
        )

    def now(self, state: InstallState, *, boot: str, reason: str = "") -> Self:
        """The same, farther."""
        return replace(self, state=state, boot=boot, tries=0, reason=reason)


class InstallFiles:
    """Both files.

    Args:
        folder: of the state.
        disk: makes them durable.
    """

    def __init__(self, folder: Path, *, disk: Disk = DISK) -> None:
        self._record, self._packages = folder / _RECORD, folder / _PACKAGES
        self._disk = disk

    def read(self) -> InstallRecord | None:
        """The install that is under way, or whose end was not told yet.

        Raises:
            OSError: it cannot be read.
        """
        try:
            data: dict[str, Any] = json.loads(self._record.read_bytes())
            data["state"] = InstallState(data["state"])
            return InstallRecord(**data)
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, KeyError) as error:
            # Nobody but us writes it, and whole; a later SDK did, before somebody went back.
            event("install.unreadable", level=logging.ERROR, error=error)
            return None

    def write(self, record: InstallRecord) -> None:
        """Keep it, durably.

        Raises:
            OSError: it cannot be written; then what stood there stands.
        """
        write_atomically(self._record, json.dumps(asdict(record)).encode(), disk=self._disk)

    def clear(self) -> None:
        """Its end was told.

        Raises:
            OSError: it cannot be removed.
        """
        self._record.unlink(missing_ok=True)

    def packages(self) -> dict[str, str]:
        """Confirmed versions by package."""
        try:
            found: dict[str, Any] = json.loads(self._packages.read_bytes())
            return {str(name): str(version) for name, version in found.items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, AttributeError) as error:
            event("packages.unreadable", level=logging.ERROR, error=error)
            return {}

    def confirm(self, package: str, version: str) -> None:
        """Keep what was confirmed, durably.

        Raises:
            OSError: it cannot be written.
        """
        content = json.dumps(self.packages() | {package: version}).encode()
        write_atomically(self._packages, content, disk=self._disk)
