"""The form of every message: one JSON object with the wire's version, read strictly."""

from __future__ import annotations

import json
from typing import Any, Final

WIRE_VERSION: Final = 1
MAX_MESSAGE_BYTES: Final = 128 * 1024  # AWS IoT Core quota: MQTT payload


class WireError(ValueError):
    """A name or a message is not of the wire's form; ``str(error)`` says what was wrong."""


class WrongVersionError(WireError):
    """The message is of a wire version that this code does not speak."""


def dump(data: object) -> bytes:
    """JSON in its shortest form, as UTF-8; a detail is measured by it."""
    return json.dumps(data, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def encode(data: dict[str, Any]) -> bytes:
    """A message of these members, with the wire's version.

    Raises:
        WireError: larger than ``MAX_MESSAGE_BYTES``.
    """
    payload = dump({"wire": WIRE_VERSION, **data})
    require(len(payload) <= MAX_MESSAGE_BYTES, "message", f"at most {MAX_MESSAGE_BYTES} bytes")
    return payload


def decode(payload: bytes, keys: frozenset[str]) -> dict[str, Any]:
    """The members of a message, which must be exactly ``keys``; what they hold is not checked.

    Raises:
        WrongVersionError: another wire version.
        WireError: too large, or no JSON that every parser reads alike.
    """
    require(len(payload) <= MAX_MESSAGE_BYTES, "message", f"at most {MAX_MESSAGE_BYTES} bytes")
    try:
        document = parse(payload)
        encodable = dump(document)  # refuses what JSON cannot say again: 1e999, a lone surrogate
    except (ValueError, RecursionError) as error:
        raise WireError(f"message is not JSON: {str(error)[:200]}") from error
    require(len(encodable) <= MAX_MESSAGE_BYTES, "message", f"at most {MAX_MESSAGE_BYTES} bytes")
    return checked(document, keys)


def parse(text: bytes | str) -> Any:
    """JSON that every parser reads alike.

    Raises:
        ValueError: it is none, a member stands twice, or a number is none.
        RecursionError: it is nested too deep.
    """
    return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)


def checked(document: object, keys: frozenset[str]) -> dict[str, Any]:
    """The same of a document that was parsed elsewhere.

    Raises:
        WrongVersionError: another wire version.
        WireError: no object, or other members than ``keys``.
    """
    if not isinstance(document, dict):
        raise WireError("message is not a JSON object")
    data: dict[str, Any] = dict(document)  # pyright: ignore[reportUnknownArgumentType]
    version = data.pop("wire", None)
    if type(version) is not int or version != WIRE_VERSION:
        raise WrongVersionError(f"wire version `{str(version)[:20]}` is not {WIRE_VERSION}")
    if wrong := keys.symmetric_difference(data):
        raise WireError(
            f"missing or unknown member: {', '.join(sorted(str(key)[:40] for key in wrong)[:8])}"
        )
    return data


def is_instant(value: object) -> bool:
    """Whether ``value`` is milliseconds since the epoch that every JSON parser can hold."""
    return type(value) is int and 0 <= value < 2**53


def is_unicode(text: str) -> bool:
    """Whether ``text`` can be written as UTF-8: JSON may escape half of a pair of surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def require(holds: bool, member: str, form: str) -> None:
    """Refuse a message whose ``member`` is not of the ``form``.

    Raises:
        WireError: it does not hold.
    """
    if not holds:
        raise WireError(f"`{member}` is not of its form: {form}")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) != len(pairs):
        raise ValueError("a member stands twice")
    return data


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")
