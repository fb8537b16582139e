"""Desired and reported state: members of one named shadow, as service and device write them.

A member of the desired state is what somebody asked for; the device answers in the reported state
under the same key. Values travel as JSON in a text: the shadow would merge an object into the one
that it holds, and takes ``null`` for "remove" (docs: AWS IoT "Device Shadow service documents").
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from cedarfleet_device.wire import form

if TYPE_CHECKING:
    from typing import Self

STATE_SHADOW: Final = "state"
MAX_STATE_VALUE: Final = 1024
"""Bytes of a value: of a shadow's 8 KB, both of its sections (AWS IoT Core quota, "Maximum size of
a JSON state document"), and so room for several keys."""
MAX_STATE_WORDS: Final = 200  # characters of the reason why something was not done
MAX_STATE_VERSION: Final = 9999
_KEY: Final = re.compile(r"[a-z][a-z0-9-]{0,39}")


def is_state_key(text: str) -> bool:
    """Whether ``text`` may name a part of the state, e.g. ``speed-limit``."""
    return _KEY.fullmatch(text) is not None


def state_value(value: object) -> str:
    """A value as a text.

    Raises:
        WireError: it is no JSON, or too large.
    """
    try:
        text = form.dump(value).decode()
    except (TypeError, ValueError, RecursionError) as error:
        raise form.WireError(f"the value is no JSON: {str(error)[:200]}") from error
    size = len(text.encode())
    form.require(size <= MAX_STATE_VALUE, "value", f"at most {MAX_STATE_VALUE} bytes of JSON")
    return text


@dataclass(frozen=True, kw_only=True)
class DesiredState:
    """What somebody asked of one key.

    Attributes:
        version: of the handler that it is meant for: another one must not read it.
        value: JSON as a text.
        asked_at: milliseconds since the epoch, by the service; asked again, it is another one.
    """

    version: int
    value: str
    asked_at: int

    def members(self) -> dict[str, Any]:
        """As it stands in the shadow."""
        return {"wire": form.WIRE_VERSION, **vars(self)}

    @classmethod
    def of(cls, given: object) -> Self:
        """Read and check it.

        Raises:
            WrongVersionError: another wire version.
            WireError: anything else that is not of the form.
        """
        data = form.checked(given, frozenset(cls.__dataclass_fields__))
        form.require(_is_version(data["version"]), "version", f"1 to {MAX_STATE_VERSION}")
        form.require(_is_value(data["value"]), "value", f"{MAX_STATE_VALUE} bytes of JSON")
        form.require(form.is_instant(data["asked_at"]), "asked_at", "milliseconds")
        return cls(**data)

    def read(self) -> Any:
        """The value."""
        return json.loads(self.value)


@dataclass(frozen=True, kw_only=True)
class ReportedState:
    """What the device answered of one key.

    Attributes:
        version: of its handler.
        value: what holds now, JSON as a text; None: nothing is known.
        asked_at: of what was asked for, which this answers.
        failed: why it was not done; None: it was.
        at: milliseconds since the epoch, by the device.
    """

    version: int
    value: str | None
    asked_at: int
    failed: str | None
    at: int

    def members(self) -> dict[str, Any]:
        """As it stands in the shadow; ``null`` removes what stood there."""
        return {"wire": form.WIRE_VERSION, **vars(self)}

    @classmethod
    def of(cls, given: object) -> Self:
        """Read and check it; a shadow leaves out what is ``null``.

        Raises:
            WrongVersionError: another wire version.
            WireError: anything else that is not of the form.
        """
        held = cast("dict[str, Any]", given) if isinstance(given, dict) else {}
        data = form.checked(
            {"value": None, "failed": None, **held}, frozenset(cls.__dataclass_fields__)
        )
        form.require(_is_version(data["version"]), "version", f"1 to {MAX_STATE_VERSION}")
        value, failed = data["value"], data["failed"]
        form.require(value is None or _is_value(value), "value", f"{MAX_STATE_VALUE} bytes of JSON")
        form.require(
            failed is None or (isinstance(failed, str) and len(failed) <= MAX_STATE_WORDS),
            "failed",
            f"at most {MAX_STATE_WORDS} characters",
        )
        for name in ("asked_at", "at"):
            form.require(form.is_instant(data[name]), name, "milliseconds")
        return cls(**data)


def _is_version(value: object) -> bool:
    return type(value) is int and 0 < value <= MAX_STATE_VERSION


def _is_value(value: object) -> bool:
    if not isinstance(value, str):
        return False
    try:
        # Said again it may have other escapes, but no other content: both have to fit.
        size = max(len(value.encode()), len(form.dump(form.parse(value))))
    except (ValueError, RecursionError):
        return False
    return size <= MAX_STATE_VALUE
