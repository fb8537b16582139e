"""The embedded cloud: AWS on loopback, in this process, for laptops and tests; not for production.

Inside is the emulator ministack, pinned, behind a front door of our own (``front_door``) and with
the corrections of ``corrections``; Verified Permissions is answered by
``infra.local.verified_permissions``.
"""

from infra.local.cloud.embedded import EmbeddedCloud
from infra.local.cloud.errors import (
    EmbeddedCloudError,
    EmulatorChangedError,
    PortTakenError,
    StateDamagedError,
    StateInUseError,
)

__all__ = [
    "EmbeddedCloud",
    "EmbeddedCloudError",
    "EmulatorChangedError",
    "PortTakenError",
    "StateDamagedError",
    "StateInUseError",
]
