"""Enrolment: a registered device proves a one-time code and its key, and gets a certificate.

The code is for exactly one registration of one device. What is stored of it is a digest of code,
tenant and device together, so a row tells no code, and one row's digest fits no other name.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from typing import Final, Self

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from service.errors import InvalidRequestError

MAX_REQUEST: Final = 4096
"""Characters of a signing request (botocore model: `CertificateSigningRequest`)."""
MIN_RSA_BITS: Final = 2048
MAX_RSA_BITS: Final = 4096
_LETTERS: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32: no I, L, O, U
_BLOCKS, _BLOCK = 8, 4  # 32 letters of 5 bits each: 160 bits
_CODE: Final = re.compile(rf"[{_LETTERS}]{{{_BLOCKS * _BLOCK}}}")
_PEM: Final = re.compile(
    r"\s*-----BEGIN (NEW )?CERTIFICATE REQUEST-----[A-Za-z0-9+/=\s]+"
    r"-----END (NEW )?CERTIFICATE REQUEST-----\s*"
)


@dataclass(frozen=True, kw_only=True)
class Enrolment:
    """How far one registration of a device has come.

    Attributes:
        registration: ULID; the facts of the device name it until they are changed.
        code_digest: of the code that counts, hexadecimal.
        expires_at: from when on the code begins nothing; milliseconds since the epoch.
        tries: wrong codes so far.
        key: SHA-256 of the public key that the code was used with, hexadecimal; empty: not used.
        thing_id: of the thing that was made for this registration; empty: none.
        certificate_id: of the device's first certificate; empty: none.
        enrolled_at: when everything was done, in milliseconds since the epoch.
        version: counted up with each change; 0: not stored yet.
    """

    tenant: str
    device: str
    registration: str
    code_digest: str
    expires_at: int
    tries: int = 0
    key: str = ""
    thing_id: str = ""
    certificate_id: str = ""
    enrolled_at: int | None = None
    version: int = 0

    def is_proved_by(self, code: str) -> bool:
        """Whether this is the code, compared in a time that tells nothing of it."""
        return hmac.compare_digest(self.code_digest, code_digest(self.tenant, self.device, code))


def new_code() -> str:
    """A code of 160 random bits, in blocks that a person can copy."""
    return "-".join(
        "".join(secrets.choice(_LETTERS) for _ in range(_BLOCK)) for _ in range(_BLOCKS)
    )


def code_digest(tenant: str, device: str, code: str) -> str:
    """What is stored of a code: SHA-256 suffices, since 160 random bits cannot be gone through."""
    letters = "".join(code.split()).replace("-", "").upper()
    # Fail closed: what is no code has a digest that no row has.
    form = "code" if _CODE.fullmatch(letters) else "none"
    return hashlib.sha256(f"{form}\n{tenant}\n{device}\n{letters}".encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class SigningRequest:
    """A PKCS #10 request whose signature proves that its sender has the key.

    Attributes:
        pem: as it was sent.
        key: SHA-256 of the public key (SubjectPublicKeyInfo), hexadecimal.
    """

    pem: str
    key: str

    @classmethod
    def read(cls, pem: str) -> Self:
        """Check a request.

        Raises:
            InvalidRequestError: too long, no single PEM request, a key that is neither P-256 nor
                RSA of 2048 to 4096 bits, or a signature that does not prove it.
        """
        if len(pem) > MAX_REQUEST or _PEM.fullmatch(pem) is None:
            raise InvalidRequestError(
                "csr", f"must be one PEM certificate request of at most {MAX_REQUEST} characters"
            )
        try:
            request = x509.load_pem_x509_csr(pem.encode())
            public, proved = request.public_key(), request.is_signature_valid
        except (ValueError, TypeError, UnsupportedAlgorithm, InvalidSignature) as error:
            raise InvalidRequestError("csr", "cannot be read as PKCS #10") from error
        fits = isinstance(public, ec.EllipticCurvePublicKey) and isinstance(
            public.curve, ec.SECP256R1
        )
        if isinstance(public, rsa.RSAPublicKey):
            fits = MIN_RSA_BITS <= public.key_size <= MAX_RSA_BITS
        if not fits:
            raise InvalidRequestError(
                "csr", f"the key must be P-256, or RSA of {MIN_RSA_BITS} to {MAX_RSA_BITS} bits"
            )
        if not proved:
            raise InvalidRequestError("csr", "its signature does not prove its key")
        spki = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return cls(pem=pem, key=hashlib.sha256(spki).hexdigest())


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """A device's certificate in IoT Core.

    Attributes:
        id: SHA-256 of the certificate, hexadecimal.
        arn: what policies and things are attached to.
        active: whether the broker lets it in.
    """

    id: str
    arn: str
    pem: str
    active: bool


@dataclass(frozen=True, kw_only=True)
class DeviceEndpoint:
    """Where devices connect; ``authorities`` is PEM of who signs the host's certificate."""

    host: str
    port: int
    authorities: str
