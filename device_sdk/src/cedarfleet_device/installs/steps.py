"""What a device maker writes to have new versions installed: the steps of one install."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Update:
    """A new version.

    Attributes:
        file: verified; after a reboot it may lie elsewhere, or be gone.
        package: what it is a version of.
        version: the new one.
        former: the version that is installed now, as far as it is known.
        sha256: of the file, 64 lower-case hex digits.
        size: of the file, bytes.
    """

    file: Path
    package: str
    version: str
    former: str | None
    sha256: str
    size: int


class Installer:
    """Carries out the steps; override ``install`` and what else your device needs.

    Each step may raise whatever it likes: the install then fails with its words, and ``roll_back``
    is called. Each has a limit (``[installs]``), and each may be called again after a power cut.
    """

    def installed(self, package: str) -> str | None:
        """The version that runs now; None: the agent's own record counts."""
        del package
        return None

    def not_now(self, update: Update) -> str | None:
        """Why it must not begin at the moment, e.g. ``pressing``; None: it may.

        Asked again every minute, for ``defer_seconds`` at most; the reason is reported.
        """
        del update

    def install(self, update: Update) -> bool:
        """Put the new version beside the one that runs, or in its place.

        Returns:
            Whether the device must reboot before it runs.
        """
        raise NotImplementedError

    def reboot(self, update: Update) -> None:
        """Have the device start again, into the new version; returning is fine."""
        raise NotImplementedError(f"`install` of `{update.package}` asked for a reboot")

    def works(self, update: Update) -> bool:
        """Whether the new version, which runs now, does what it should.

        Asked again every few seconds, for ``confirm_seconds`` at most.
        """
        del update
        return True

    def commit(self, update: Update) -> None:
        """The new version is to stay: it was confirmed."""

    def roll_back(self, update: Update) -> bool:
        """Bring the former version back.

        Returns:
            Whether the device must reboot before it runs; the agent then calls ``reboot``.
        """
        del update
        return False


class FunctionInstaller(Installer):
    """A maker's ``install(path)``: one step, without a reboot and without a way back.

    Args:
        function: gets the file; what it raises fails the install.
    """

    def __init__(self, function: Callable[[Path], object]) -> None:
        self._function = function

    def install(self, update: Update) -> bool:
        """Call it."""
        self._function(update.file)
        return False
