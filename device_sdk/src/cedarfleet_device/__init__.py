"""The Cedarfleet device SDK: commands and files that survive power and network loss.

Names are loaded when first used, so that ``import cedarfleet_device.wire`` costs a service nothing
of the agent.
"""

from __future__ import annotations

import importlib
import platform
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from cedarfleet_device.agent import Agent
    from cedarfleet_device.commands.handlers import Command, Result
    from cedarfleet_device.config import DeviceConfig
    from cedarfleet_device.errors import CloudError, CommandFailedError, ConfigError
    from cedarfleet_device.installs.steps import Installer, Update

__all__ = [
    "Agent",
    "CloudError",
    "Command",
    "CommandFailedError",
    "ConfigError",
    "DeviceConfig",
    "Installer",
    "Result",
    "Update",
]

_HOME: Final = {
    "Agent": "agent",
    "Command": "commands.handlers",
    "Result": "commands.handlers",
    "DeviceConfig": "config",
    "CloudError": "errors",
    "CommandFailedError": "errors",
    "ConfigError": "errors",
    "Installer": "installs.steps",
    "Update": "installs.steps",
}


def no_runtime(error: ImportError) -> ImportError:
    """What to say where the AWS common runtime is missing, or is of another machine."""
    if (error.name or "").partition(".")[0] not in ("awscrt", "_awscrt", "awsiot"):
        return error
    return ImportError(
        f"the AWS common runtime cannot be loaded on this machine ({platform.machine()},"
        f" Python {platform.python_version()}): {error}. `awscrt` has wheels for x86_64 and aarch64"
        " (glibc and musl); elsewhere `pip install awscrt` builds it, with a C compiler and CMake",
        name=error.name,
    )


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module `{__name__}` has no attribute `{name}`")
    try:
        return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    except ImportError as error:
        raise no_runtime(error) from error


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
