"""Keys and signatures of releases: ECDSA on P-256 over SHA-256, as the runtime makes and checks it.

Its version 0.36.1 verifies P-256; its Ed25519 cannot be made of a public key, and another library
would be a second dependency of every device (ADR 0028).
"""

from __future__ import annotations

import base64
import hashlib

from awscrt.crypto import EC, ECExportFormat


def public_of(key: EC) -> bytes:
    """The public key, as DER of SubjectPublicKeyInfo (RFC 5280, 4.1)."""
    return key.export_key(ECExportFormat.SPKI)


def key_id(public: bytes) -> str:
    """What stands for a public key: the SHA-256 of its DER, 64 lower-case hex digits."""
    return hashlib.sha256(public).hexdigest()


def sign(key: EC, text: str) -> str:
    """A signature of the text's UTF-8: DER in base64."""
    return base64.b64encode(key.sign(hashlib.sha256(text.encode()).digest())).decode()


def is_signed(public: bytes, text: str, signature: str) -> bool:
    """Whether the holder of this public key signed the text; what cannot be read is no."""
    try:
        key = EC.new_key_from_der_data(public)
        return key.verify(
            hashlib.sha256(text.encode()).digest(), base64.b64decode(signature, validate=True)
        )
    except Exception:  # noqa: BLE001 - fail closed: the runtime raises what it likes
        return False
