"""The table ``[installs]``: who installs, and what each step may take."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path  # noqa: TC003 - read by get_type_hints

from cedarfleet_device.bounds import between
from cedarfleet_device.errors import ConfigError
from cedarfleet_device.installs.window import Window


@dataclass(frozen=True, kw_only=True)
class InstallConfig:
    """How new versions are installed.

    Attributes:
        program: carries out each step (``installs.programs``).
        rauc: name or path of the ``rauc`` command, which then carries them out; empty: not used.
        limit_seconds: of one step.
        reboot_seconds: from the reboot that was asked for until this process must be gone.
        confirm_seconds: from the start of the new version until it must be confirmed.
        confirm_online: whether the new version must reach the cloud in that time.
        defer_seconds: how long "not now" and the window may put an install off; then it fails. The
            platform gives a job twelve hours from its beginning.
        tries: starts that an install gets which is cut off.
        window: when installs may begin, ``HH:MM-HH:MM``; empty: at any time.
        time_zone: of the window; empty: UTC.
    """

    program: Path | None = None
    rauc: str = ""
    limit_seconds: float = between(0.01, 86_400, 1800.0)
    reboot_seconds: float = between(0.01, 86_400, 300.0)
    confirm_seconds: float = between(0.01, 86_400, 600.0)
    confirm_online: bool = True
    defer_seconds: float = between(0, 604_800, 28_800.0)
    tries: int = between(1, 100, 3)  # pyright: ignore[reportAssignmentType]
    window: str = ""
    time_zone: str = ""

    def __post_init__(self) -> None:
        """Check what a type cannot say.

        Raises:
            ConfigError: a value that is not of its form.
        """
        if self.program is not None and self.rauc:
            raise ConfigError("`installs.program` and `installs.rauc` exclude each other")
        _ = self.when

    @property
    def when(self) -> Window | None:
        """The window; None: at any time.

        Raises:
            ConfigError: it is not of its form.
        """
        try:
            return Window.read(self.window, self.time_zone) if self.window else None
        except ValueError as error:
            raise ConfigError(f"`installs.window` or `installs.time_zone`: {error}") from error
