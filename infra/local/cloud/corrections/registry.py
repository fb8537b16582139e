"""IoT Core's registry: what the emulator takes and AWS refuses."""

# ruff: noqa: SLF001 - the emulator is untyped, and private names are all that it has

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from infra.local.cloud.limits.refusals import refusal

if TYPE_CHECKING:
    from infra.local.cloud.emulator import Emulator

_IOT: Final = "services.iot"
_CONFLICT: Final = 409


def thing_group_version_is_checked(emulator: Emulator) -> None:
    """Refuse to change a thing group of another version than is expected; all were taken.

    Source: IoT API reference, UpdateThingGroup: `expectedVersion`, "If this does not match the
    version of the thing group being updated, the update will fail".
    """
    iot = emulator.module(_IOT)

    def correction(original: Any) -> Any:
        def update(name: str, payload: dict[str, Any]) -> Any:
            group, expected = iot._thing_groups.get(name), payload.get("expectedVersion")
            if group is not None and expected is not None and expected != group.get("version", 1):
                words = f"The version for thing group {name} does not match the expected version."
                return refusal("iot", "VersionConflictException", words, _CONFLICT)
            return original(name, payload)

        return update

    emulator.replace(_IOT, "_update_thing_group", correction)
