"""Desired and reported state of a device: what was asked of each key, and what it answered."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from cedarfleet_device import wire

from service.domain.json_limits import problem_of
from service.domain.preconditions import entity_tag
from service.errors import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_KEYS: Final = 10
"""Of one change."""


@dataclass(frozen=True, kw_only=True)
class StateEntry:
    """One key; of both sides what is not of its form counts as nothing."""

    key: str
    desired: wire.DesiredState | None
    reported: wire.ReportedState | None

    @property
    def settled(self) -> bool:
        """Whether the device has answered what was asked last, with success or not."""
        return self.desired is None or (
            self.reported is not None and self.reported.asked_at == self.desired.asked_at
        )


@dataclass(frozen=True, kw_only=True)
class DeviceState:
    """All keys, and the version that stands for them; 0: there is nothing yet."""

    version: int
    entries: tuple[StateEntry, ...] = ()

    def tag(self, tenant_id: str, device_id: str) -> str:
        """The entity tag; the device's own answers change it too, as they do a shadow's version."""
        return entity_tag("state", tenant_id, device_id, self.version)

    @classmethod
    def of(
        cls, version: int, *, desired: Mapping[str, object], reported: Mapping[str, object]
    ) -> DeviceState:
        """Of the two sections of a shadow, by key; names that are no key of ours are left out."""
        keys = sorted(filter(wire.is_state_key, {*desired, *reported}))
        return cls(
            version=version,
            entries=tuple(
                StateEntry(
                    key=key,
                    desired=_read(wire.DesiredState, desired.get(key)),
                    reported=_read(wire.ReportedState, reported.get(key)),
                )
                for key in keys
            ),
        )


def wanted(
    changes: Mapping[str, tuple[int, Any] | None], *, now_ms: int
) -> dict[str, wire.DesiredState | None]:
    """What shall be desired: version and value by key, ``None`` to ask for nothing any more.

    Raises:
        InvalidRequestError: no key, too many, or one that is not of its form.
    """
    if not 0 < len(changes) <= MAX_KEYS:
        raise InvalidRequestError("desired", f"give 1 to {MAX_KEYS} keys")
    found: dict[str, wire.DesiredState | None] = {}
    for key, change in changes.items():
        where = f"desired.{key[:40]}"
        if not wire.is_state_key(key):
            raise InvalidRequestError(where, "must be a-z, then up to 39 of a-z, 0-9 and `-`")
        if change is None:
            found[key] = None
            continue
        version, value = change
        if problem := problem_of(value):
            raise InvalidRequestError(f"{where}.value", problem)
        try:
            text = wire.state_value(value)
        except wire.WireError as error:
            raise InvalidRequestError(f"{where}.value", str(error)) from error
        found[key] = wire.DesiredState(version=version, value=text, asked_at=now_ms)
    return found


def readable(text: str | None) -> Any:
    """A value; of a device that is not our agent it may be odd, and is then ``None``."""
    if text is None:
        return None
    value = json.loads(text)
    return None if problem_of(value) else value


def _read(kind: Any, given: object) -> Any:
    try:
        return None if given is None else kind.of(given)
    except wire.WireError:
        return None
