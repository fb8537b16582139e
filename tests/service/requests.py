"""Signing requests of devices, and what a device sends to come in."""

from __future__ import annotations

from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID


def signing_request(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | None = None) -> str:
    """A request of a key of its own, or of this one."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "press-91")])
    made = x509.CertificateSigningRequestBuilder().subject_name(name)
    signed = made.sign(key or ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    return signed.public_bytes(Encoding.PEM).decode()


@cache
def rsa_key(bits: int) -> rsa.RSAPrivateKey:
    """A key of so many bits."""
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)
