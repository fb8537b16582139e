"""The errors of the SDK, split by who must act.

::

    DeviceError
    |- ConfigError          the installer: file, paths or machine are not as they must be
    |  `- StateInUseError   another agent of this identity runs on this machine
    |- CloudError           the operator: the cloud refused this identity, or is not reached
    `- CommandFailedError   raised by a maker's handler: the command ends FAILED with this reason

A maker needs ``ConfigError``, ``CloudError`` and ``CommandFailedError``; downloads heal or fail by
themselves and report their reason as the outcome of the job.
"""

from __future__ import annotations

from typing import Any


class DeviceError(Exception):
    """Whatever the SDK raises of its own accord."""


class ConfigError(DeviceError):
    """The configuration or the machine is not as it must be.

    The message names file, key and what would be right.
    """


class StateInUseError(ConfigError):
    """Another process holds the state folder: one identity runs once."""


class CloudError(DeviceError):
    """The cloud refused, or could not be reached.

    The message says which address and what it answered.
    """


class CommandFailedError(DeviceError):
    """Raise it in a handler to end the command FAILED with a reason that people will read.

    Args:
        reason: lower-case sentence without a full stop.
        detail: JSON members that are reported beside ``reason``.
    """

    def __init__(self, reason: str, **detail: Any) -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail: dict[str, Any] = detail
