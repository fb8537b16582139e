"""The keys that a device believes: two roles with a threshold each, replaced version by version.

The keys of the role ``root`` name all keys, and stay in a safe; those of ``release`` sign files. A
new list counts where it is the next version, and signed by enough keys of the former list *and* of
its own (source: TUF specification, 5.3.4 and 5.3.5). So a stolen release key is replaced by the
root's, and a lost root key by the others.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from cedarfleet_device.errors import ConfigError, DeviceError
from cedarfleet_device.files import DISK, Disk, write_atomically
from cedarfleet_device.trust.keys import is_signed, key_id
from cedarfleet_device.wire import Signed, WireError, form

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from typing import Self

    from cedarfleet_device.config import DeviceConfig

MAX_ROOT_BYTES: Final = 16 * 1024
_MOST_KEYS: Final = 16


class TrustError(DeviceError):
    """Something is not signed as it must be; the message says what is missing."""


@dataclass(frozen=True, kw_only=True)
class Role:
    """Some of the keys, of which so many must have signed.

    Attributes:
        keys: their ids.
        threshold: of different keys.
    """

    keys: frozenset[str]
    threshold: int


@dataclass(frozen=True, kw_only=True)
class Root:
    """One version of the list.

    Attributes:
        version: 1 and up.
        keys: public keys in DER by their id.
        root: who signs the next version.
        release: who signs files.
        signed: as it was signed.
    """

    version: int
    keys: dict[str, bytes]
    root: Role
    release: Role
    signed: Signed

    @classmethod
    def read(cls, content: bytes) -> Self:
        """Read a list and check that it is signed by enough of its own root keys.

        Raises:
            TrustError: it is not of its form or not signed so.
        """
        if len(content) > MAX_ROOT_BYTES:
            raise TrustError(f"a list of keys has at most {MAX_ROOT_BYTES} bytes")
        try:
            signed = Signed.of(json.loads(content), most=MAX_ROOT_BYTES)
            data = form.decode(
                signed.text.encode(), frozenset(("version", "keys", "root", "release"))
            )
            keys = {key_id(public): public for public in map(_decoded, data["keys"])}
            root, release = (_role(data[name], keys) for name in ("root", "release"))
            form.require(type(data["version"]) is int and data["version"] > 0, "version", "1 or up")
        except (WireError, ValueError, TypeError, KeyError, RecursionError) as error:
            raise TrustError(f"no list of keys: {error}") from error
        read = cls(version=data["version"], keys=keys, root=root, release=release, signed=signed)
        if (missing := read.missing(read.root, signed)) is not None:
            raise TrustError(f"the list of keys is not signed by its own root keys: {missing}")
        return read

    def missing(self, role: Role, signed: Signed) -> str | None:
        """What a text lacks to be signed by this role; None: nothing."""
        good = sum(
            is_signed(self.keys[each], signed.text, signature)
            for each, signature in signed.signatures.items()
            if each in role.keys
        )
        if good >= role.threshold:
            return None
        return f"{good} of {role.threshold} signatures needed are of keys that this device believes"

    def succeeded_by(self, later: Root) -> None:
        """Check that ``later`` may take its place.

        Raises:
            TrustError: it is not the next version, or not signed by enough of this one's root keys.
        """
        # Fail closed: exactly the next, so that no list that was withdrawn is left out or repeated.
        if later.version != self.version + 1:
            raise TrustError(
                f"the list of keys has version {later.version}; after {self.version} comes"
                f" {self.version + 1}"
            )
        if (missing := self.missing(self.root, later.signed)) is not None:
            raise TrustError(f"the new list of keys is not signed by the former one's: {missing}")


class Trusted:
    """The list that a device believes: the pinned one, or what took its place by its own word.

    Args:
        pinned: the file that the installer gave.
        kept: where the newest list is kept.
        disk: makes it durable.

    Raises:
        TrustError: neither can be read as a list of keys.
    """

    def __init__(self, pinned: Path, kept: Path, *, disk: Disk = DISK) -> None:
        self._kept, self._disk = kept, disk
        try:
            self.root = Root.read(pinned.read_bytes())
        except OSError as error:
            raise TrustError(f"`trust_file` `{pinned}` cannot be read: {error.strerror}") from error
        try:
            later = Root.read(kept.read_bytes())
        except FileNotFoundError:
            return
        except OSError as error:  # fail closed: withdrawn keys would be believed again
            raise TrustError(f"`{kept}` cannot be read: {error.strerror}") from error
        # A list that the installer pinned anew has the last word where it is as new.
        if later.version > self.root.version:
            self.root = later

    def adopt(self, content: bytes) -> int:
        """Believe this list from now on, durably; its version.

        The same list again is no change.

        Raises:
            TrustError: it must not take the place of the one that is believed.
            OSError: it cannot be kept; then the former one is believed.
        """
        later = Root.read(content)
        if later.signed.text == self.root.signed.text:
            return later.version
        self.root.succeeded_by(later)
        write_atomically(self._kept, content, disk=self._disk)
        self.root = later
        return later.version


def _decoded(text: Any) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError("a key is not base64") from error


def _role(data: Any, keys: dict[str, bytes]) -> Role:
    listed: Iterable[str] = data["keys"]
    role = Role(keys=frozenset(listed), threshold=data["threshold"])
    form.require(
        len(keys) <= _MOST_KEYS
        and role.keys <= keys.keys()
        and type(role.threshold) is int
        and 1 <= role.threshold <= len(role.keys),
        "threshold",
        "1 to as many as the role has keys, each in `keys`",
    )
    return role


def pinned(config: DeviceConfig) -> Trusted | None:
    """The keys that the installer has pinned; None: none are.

    Raises:
        ConfigError: their file cannot be read, or is no such list.
    """
    if config.trust_file is None:
        return None
    try:
        return Trusted(config.trust_file, config.state_dir / "trust.json")
    except TrustError as error:
        raise ConfigError(f"`trust_file` `{config.trust_file}`: {error}") from error
