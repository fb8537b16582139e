"""Encrypts secrets in the state, in the form of Pulumi's passphrase provider.

Form (pulumi pkg/secrets/passphrase and sdk/go/common/resource/config/crypt.go): AES-256-GCM under
PBKDF2-HMAC-SHA256(passphrase, 8-byte salt, 1,000,000 rounds); a value is ``v1:<b64 nonce>:<b64
ciphertext and tag>``; the salt is kept as ``v1:<b64 salt>:<value that decrypts to "pulumi">``.
"""

from __future__ import annotations

import functools
import json
import os
import secrets
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

from infra.local.engine.errors import StateError
from infra.local.engine.values import SECRET, SIGNATURE, Value, rewrite

if TYPE_CHECKING:
    from pathlib import Path

_ROUNDS: Final = 1_000_000
_CHECK: Final = b"pulumi"


@functools.lru_cache(maxsize=64)
def _cipher(passphrase: str, salt: bytes) -> AESGCM:
    return AESGCM(
        PBKDF2HMAC(algorithm=SHA256(), length=32, salt=salt, iterations=_ROUNDS).derive(
            passphrase.encode()
        )
    )


class Crypter:
    """Encrypts and decrypts under one passphrase and one salt."""

    def __init__(self, passphrase: str, salt_state: str | None = None) -> None:
        """Take up the salt of a state, or make a new one.

        Raises:
            StateError: The passphrase is not the one that the state was written with.
        """
        salt = b64decode(salt_state.split(":")[1]) if salt_state else secrets.token_bytes(8)
        self._aes = _cipher(passphrase, salt)
        if salt_state is None:
            salt_state = f"v1:{b64encode(salt).decode()}:{self.encrypt(_CHECK.decode())}"
        elif self.decrypt(salt_state.split(":", 2)[2]) != _CHECK.decode():
            raise StateError("the passphrase does not belong to this state")  # fail closed
        self.salt_state = salt_state

    def encrypt(self, text: str) -> str:
        """Encrypt under a fresh nonce."""
        nonce = secrets.token_bytes(12)
        sealed = self._aes.encrypt(nonce, text.encode(), None)
        return f"v1:{b64encode(nonce).decode()}:{b64encode(sealed).decode()}"

    def decrypt(self, value: str) -> str:
        """Decrypt.

        Raises:
            StateError: Not of the form, or written under another passphrase.
        """
        try:
            nonce, ciphertext = value.removeprefix("v1:").split(":")
            return self._aes.decrypt(b64decode(nonce), b64decode(ciphertext), None).decode()
        except (ValueError, InvalidTag) as error:
            raise StateError(
                "a secret cannot be decrypted: wrong passphrase or damaged state"
            ) from error

    def seal(self, value: Value) -> Value:
        """Replace every secret in a wire value by its ciphertext."""
        return rewrite(
            value,
            SECRET,
            lambda item: {SIGNATURE: SECRET, "ciphertext": self.encrypt(json.dumps(item["value"]))},
        )

    def open(self, value: Value) -> Value:
        """Turn what ``seal`` made back into wire values."""

        def unsealed(item: dict[str, Any]) -> dict[str, Any]:
            return {SIGNATURE: SECRET, "value": json.loads(self.decrypt(item["ciphertext"]))}

        return rewrite(value, SECRET, unsealed)


class Keyring:
    """The passphrase of one state folder: made on first use, kept beside the state, mode 0600."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "passphrase.json"

    def crypter(self, salt_state: str | None = None) -> Crypter:
        """Return the crypter for a state that names its salt, or for a new one.

        Raises:
            StateError: The state has a salt but the passphrase file is missing, or is not the right
                one.
        """
        if not self._file.exists():
            if salt_state is not None:
                # Fail closed.
                raise StateError(
                    f"{self._file} is missing: the secrets of the state cannot be read"
                )
            self._make()
        kept = json.loads(self._file.read_text())
        return Crypter(kept["passphrase"], salt_state or kept["salt"])

    def _make(self) -> None:
        passphrase = secrets.token_urlsafe(32)
        draft = self._file.with_name(f"{self._file.name}.{secrets.token_hex(4)}")
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as stream:
            json.dump({"passphrase": passphrase, "salt": Crypter(passphrase).salt_state}, stream)
            stream.flush()
            os.fsync(stream.fileno())
        try:
            # Of two processes that start at once, one makes the key and both use it.
            os.link(draft, self._file)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
