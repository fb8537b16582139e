"""The embedded cloud: AWS on loopback, in this process, for laptops and tests; not for production.

Inside is the emulator ministack, pinned, behind a front door of our own (``front_door``) and with
the corrections of ``corrections``; Verified Permissions is answered by
``infra.local.verified_permissions``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from infra.local.cloud.errors import (
    EmbeddedCloudError,
    EmulatorChangedError,
    PortTakenError,
    StateDamagedError,
    StateInUseError,
)

if TYPE_CHECKING:
    from infra.local.cloud.embedded import EmbeddedCloud

__all__ = [
    "EmbeddedCloud",
    "EmbeddedCloudError",
    "EmulatorChangedError",
    "PortTakenError",
    "StateDamagedError",
    "StateInUseError",
]


def __getattr__(name: str) -> object:
    """``EmbeddedCloud``, once it is asked for.

    Its servers take a quarter of a second to import, which whoever stamps stacks on the cloud of
    another process does without.

    Raises:
        AttributeError: there is nothing of that name.
    """
    if name == "EmbeddedCloud":
        from infra.local.cloud.embedded import EmbeddedCloud  # noqa: PLC0415 - see above

        return EmbeddedCloud
    raise AttributeError(f"module `{__name__}` has no attribute `{name}`")
