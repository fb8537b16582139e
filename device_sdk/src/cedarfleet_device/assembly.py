"""Makes parts of the agent of its configuration: who fetches, and who installs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cedarfleet_device.downloads import Downloader
from cedarfleet_device.errors import ConfigError
from cedarfleet_device.installs.bounded import bounded
from cedarfleet_device.installs.installation import Installation
from cedarfleet_device.installs.programs import ProgramInstaller
from cedarfleet_device.installs.rauc import RaucInstaller
from cedarfleet_device.installs.record import InstallFiles
from cedarfleet_device.installs.steps import FunctionInstaller, Installer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cedarfleet_device.clock import Clock
    from cedarfleet_device.config import DeviceConfig
    from cedarfleet_device.installs.limits import InstallConfig


def chosen_installation(
    install: Callable[[Path], object] | Installer | None,
    *,
    limits: InstallConfig,
    folder: Path,
    online: Callable[[], bool],
    clock: Clock,
    failed: Callable[[], object],
) -> Installation | None:
    """What carries new versions through their steps; None: nobody does.

    Args:
        install: what the maker gave to the agent, which comes first.
        limits: table ``[installs]``.
        folder: of the agent's state.
        online: whether the cloud is reached.
        clock: the time, and whether it is told.
        failed: told of each failure of a thread that nobody foresaw.
    """
    if isinstance(install, Installer):
        installer = install
    elif limits.program is not None:
        installer = ProgramInstaller(limits.program, limit_seconds=limits.limit_seconds)
    elif limits.rauc:
        installer = RaucInstaller(limits.rauc, limit_seconds=limits.limit_seconds)
    elif install is not None:
        installer = FunctionInstaller(install)
    else:
        return None
    return Installation(
        installer,
        files=InstallFiles(folder),
        limits=limits,
        online=online,
        clock=clock,
        failed=failed,
    )


def configured_downloader(
    config: DeviceConfig, install: Callable[[Path], object] | Installer | None
) -> Downloader:
    """What fetches files, and hands each to the maker's function.

    Raises:
        ConfigError: `downloads.ca_file` or `state_dir` cannot be used.
    """
    hook = None
    if callable(install):
        hook = bounded(install, seconds=config.installs.limit_seconds)
    try:
        return Downloader(
            folder=config.download_dir,
            state_dir=config.state_dir,
            limits=config.downloads,
            on_verified=hook,
        )
    except OSError as error:  # also ssl.SSLError
        file = config.downloads.ca_file
        raise ConfigError(
            f"`downloads.ca_file` `{file}` or `state_dir` `{config.state_dir}` cannot be"
            f" used: {error.strerror or error}"
        ) from error
