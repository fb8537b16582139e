"""Property values on Pulumi's wire, and how they become what a handler gets.

Secrets, unknowns and assets are objects on the wire.

A *wire value* here is JSON as in the protocol's Struct. The signatures are Pulumi's
(sdk/go/common/resource/sig): an object whose key ``SIGNATURE`` names what it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

Value: TypeAlias = Any  # JSON

SIGNATURE: Final = "4dabf18193072939515e22adb298388d"
SECRET: Final = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - a type tag of the protocol
ASSET: Final = "c44067f5952c0a294b673a41bacd8c17"
ARCHIVE: Final = "0def7320c3a5731c473e5ecbe6d01bc7"
REFERENCE: Final = "5cf8f73096256a8f31e491e813e4eb8e"
UNKNOWN: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
# Input that lists what the provider filled in, as Pulumi's Terraform bridge keeps it.
DEFAULTS: Final = "__defaults"


def rewrite(value: Value, signature: str, change: Callable[[dict[str, Any]], Any]) -> Value:
    """Replace every object of one signature, outermost first, by what ``change`` returns for it."""
    if isinstance(value, dict):
        if value.get(SIGNATURE) == signature:
            return change(value)
        return {key: rewrite(item, signature, change) for key, item in value.items()}
    return (
        [rewrite(item, signature, change) for item in value] if isinstance(value, list) else value
    )


def secret(value: Value) -> dict[str, Any]:
    """Wrap a wire value as a secret."""
    return {SIGNATURE: SECRET, "value": value}


def reveal(value: Value) -> Value:
    """Drop the secret wrappers at every depth."""
    return rewrite(value, SECRET, lambda wrapped: reveal(wrapped["value"]))


def holds(value: Value, test: Callable[[Any], bool]) -> bool:
    """Whether ``test`` is true of the value or of anything inside it."""
    if test(value):
        return True
    if isinstance(value, dict):
        return any(holds(item, test) for item in value.values())
    return isinstance(value, list) and any(holds(item, test) for item in value)


def is_secret(value: Value) -> bool:
    """Whether the value is or holds a secret."""
    return holds(value, lambda item: isinstance(item, dict) and item.get(SIGNATURE) == SECRET)


def is_unknown(value: Value) -> bool:
    """Whether the value is or holds something that only an update will tell."""
    return holds(value, lambda item: item == UNKNOWN)


def hide(properties: Mapping[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    """Wrap the named properties as secrets, unless they hold one already."""
    wanted = frozenset(keys)
    return {
        key: secret(item) if key in wanted and not is_secret(item) else item
        for key, item in properties.items()
    }


def for_handler(properties: Mapping[str, Any]) -> dict[str, Any]:
    """Turn wire values into what a handler gets: no wrappers, references as ids, assets as sent."""
    return {
        key: _native(item)
        for key, item in properties.items()
        if key != DEFAULTS and item is not None
    }


def _native(value: Value) -> Value:
    if isinstance(value, list):
        return [_native(item) for item in value]
    if not isinstance(value, dict):
        return value
    convert = _CONVERSIONS.get(value.get(SIGNATURE, ""))
    return convert(value) if convert else {key: _native(item) for key, item in value.items()}


_CONVERSIONS: Final[dict[str, Callable[[dict[str, Any]], Value]]] = {
    SECRET: lambda value: _native(value["value"]),
    REFERENCE: lambda value: value.get("id") or value["urn"],
}


def from_handler(properties: Mapping[str, Any]) -> dict[str, Any]:
    """Turn a handler's outputs into wire values.

    Raises:
        TypeError: An output is not JSON (a ``bytes`` or a ``datetime``, say); names the output.
    """
    return {key: _wire(item, key) for key, item in properties.items() if item is not None}


def _wire(value: Value, where: str) -> Value:
    if isinstance(value, dict):
        return {str(key): _wire(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_wire(item, where) for item in value]
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    raise TypeError(f"output `{where}` is a {type(value).__name__}: a handler returns JSON values")
