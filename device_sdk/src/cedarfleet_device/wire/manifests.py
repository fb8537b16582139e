"""What a file is: package, version, for which devices; whoever made it says so and may sign it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, cast

from cedarfleet_device.wire import form

if TYPE_CHECKING:
    from typing import Self

MAX_SIGNATURES: Final = 8
MAX_SIGNED_BYTES: Final = 2048
_PACKAGE: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_VERSION: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z._+-]{0,63}")
_KIND: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_KEY_ID: Final = re.compile(r"[0-9a-f]{64}")
_SIGNATURE: Final = re.compile(r"[A-Za-z0-9+/]{1,128}={0,2}")
_MOST: Final = 16  # names in a list


def is_package(text: object) -> bool:
    """Whether ``text`` may name a package, e.g. ``firmware``."""
    return _is(text, _PACKAGE)


def is_version(text: object) -> bool:
    """Whether ``text`` may be a version, e.g. ``1.4.2``."""
    return _is(text, _VERSION)


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """A file as its maker describes it.

    Attributes:
        name: the artifact's name in the tenant.
        size: bytes.
        sha256: 64 lower-case hex digits.
        package: what it is a version of, e.g. ``firmware``.
        version: of that package; dotted numbers, as in semantic versioning.
        requires: least versions of packages that must be installed, by package.
        kinds: kinds of device that it is for; empty: any.
        downgrade: whether it may take the place of a later version.
        expires_at: milliseconds since the epoch, from when on it is not installed; None: never.
    """

    name: str
    size: int
    sha256: str
    package: str
    version: str
    requires: dict[str, str] = field(default_factory=dict[str, str])
    kinds: tuple[str, ...] = ()
    downgrade: bool = False
    expires_at: int | None = None

    def encode(self) -> bytes:
        """UTF-8 JSON: what is signed."""
        return form.encode(vars(self) | {"kinds": list(self.kinds)})

    @classmethod
    def decode(cls, text: bytes) -> Self:
        """Read and check the JSON that was signed.

        Raises:
            WrongVersionError: another wire version.
            WireError: anything else that is not of the form.
        """
        data = form.decode(text, frozenset(cls.__dataclass_fields__))
        form.require(isinstance(data["name"], str) and data["name"] != "", "name", "a name")
        form.require(type(data["size"]) is int and data["size"] >= 0, "size", "bytes")
        form.require(_is(data["sha256"], _SHA256), "sha256", "64 hex digits")
        form.require(_is(data["package"], _PACKAGE), "package", "a-z, 0-9 and `._-`")
        form.require(_is(data["version"], _VERSION), "version", "e.g. 1.4.2")
        requires, kinds = data["requires"], data["kinds"]
        form.require(
            isinstance(requires, dict)
            and len(cast("dict[Any, Any]", requires)) <= _MOST
            and all(
                _is(name, _PACKAGE) and _is(least, _VERSION)
                for name, least in cast("dict[Any, Any]", requires).items()
            ),
            "requires",
            "least versions by package",
        )
        form.require(
            isinstance(kinds, list)
            and len(cast("list[Any]", kinds)) <= _MOST
            and all(_is(each, _KIND) for each in cast("list[Any]", kinds)),
            "kinds",
            "a list of kinds of device",
        )
        form.require(type(data["downgrade"]) is bool, "downgrade", "true or false")
        form.require(
            data["expires_at"] is None or form.is_instant(data["expires_at"]),
            "expires_at",
            "milliseconds since the epoch, or null",
        )
        data["kinds"] = tuple(cast("list[str]", kinds))
        return cls(**data)


@dataclass(frozen=True, kw_only=True)
class Signed:
    """A text and who signed it.

    Attributes:
        text: exactly what was signed.
        signatures: ECDSA over its SHA-256 on P-256, DER in base64, by the key's id.
    """

    text: str
    signatures: dict[str, str] = field(default_factory=dict[str, str])

    @classmethod
    def of(cls, given: object, *, most: int = MAX_SIGNED_BYTES) -> Self:
        """Read and check it as it stands in a job document or a file.

        Args:
            given: JSON that was parsed.
            most: characters of the text.

        Raises:
            WireError: it is not of the form.
        """
        data = cast("dict[str, Any]", given) if isinstance(given, dict) else {}
        form.require(
            set(data) == {"text", "signatures"}
            and isinstance(data["text"], str)
            and len(data["text"]) <= most
            and form.is_unicode(data["text"])
            and isinstance(data["signatures"], dict),
            "manifest",
            f"an object of `text`, at most {most} characters of Unicode, and `signatures`",
        )
        signatures = cast("dict[Any, Any]", data["signatures"])
        form.require(
            len(signatures) <= MAX_SIGNATURES
            and all(_is(key, _KEY_ID) and _is(sig, _SIGNATURE) for key, sig in signatures.items()),
            "signatures",
            f"at most {MAX_SIGNATURES} in base64, by the key's SHA-256",
        )
        return cls(text=data["text"], signatures=signatures)


def _is(value: object, pattern: re.Pattern[str]) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None
