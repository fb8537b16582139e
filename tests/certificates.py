"""A certificate of a test's device, over a key that is made at once: an RSA key is not.

The cloud signs a request as it does one of ``enroll``, whose key is of this curve as well.
"""

from __future__ import annotations

from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def certified(iot: Any) -> dict[str, Any]:
    """An active certificate and its key, in the form of an answer of CreateKeysAndCertificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "device")])
    request = (
        x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    private = key.private_bytes(
        encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    made = iot.create_certificate_from_csr(
        certificateSigningRequest=request.public_bytes(encoding).decode(), setAsActive=True
    )
    return made | {"keyPair": {"PrivateKey": private.decode()}}
