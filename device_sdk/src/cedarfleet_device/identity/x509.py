"""The little of X.509 that a device needs: its key, a request, a certificate's key and last day.

The runtime that does our TLS also makes elliptic-curve keys and signatures; what is left is DER
(ITU-T X.690), PKCS #10 (RFC 2986) and the validity of RFC 5280. The tests hold it against OpenSSL
and the ``cryptography`` package.
"""

from __future__ import annotations

import base64
import hashlib
from datetime import datetime
from typing import Final

from awscrt.crypto import EC, ECExportFormat, ECType

from cedarfleet_device.wire.pythons import UTC

_INTEGER, _BITS, _OID, _UTF8, _SEQUENCE, _SET = 0x02, 0x03, 0x06, 0x0C, 0x30, 0x31
_ATTRIBUTES: Final = 0xA0
_UTC_TIME: Final = 0x17
_COMMON_NAME: Final = bytes.fromhex("550403")  # 2.5.4.3
_ECDSA_SHA256: Final = bytes.fromhex("2a8648ce3d040302")  # 1.2.840.10045.4.3.2
_LONG: Final = 0x80
_WHOLE_KEY: Final = bytes.fromhex("020101 0420")  # version 1, and 32 octets of key
_VALIDITY, _PUBLIC_KEY = 3, 5  # places among the fields of a certificate
_REQUESTED_KEY: Final = 2  # and of a request


def new_key() -> EC:
    """A private key on the curve P-256, which AWS IoT accepts; ``read_key`` reads its PEM again."""
    while True:
        key = EC.new_generate(ECType.P_256)
        # The runtime leaves out the leading zeros of one key in 256, which RFC 5915 (3) wants, and
        # then cannot read what it wrote itself.
        if key.export_key(ECExportFormat.SEC1).startswith(_WHOLE_KEY, 2):
            return key


def read_key(pem: bytes) -> EC:
    """The key that ``key_pem`` wrote.

    Raises:
        ValueError: it is no such PEM.
    """
    try:
        return EC.new_key_from_der_data(base64.b64decode(b"".join(pem.splitlines()[1:-1])))
    except (RuntimeError, ValueError) as error:
        raise ValueError(f"no private key in PEM: {error}") from error


def key_pem(key: EC) -> bytes:
    """The private key as PEM (RFC 5915, which every TLS library of the runtime reads)."""
    return _pem("EC PRIVATE KEY", key.export_key(ECExportFormat.SEC1))


def request_pem(key: EC, common_name: str) -> str:
    """A certificate signing request for ``common_name`` (1 to 64 characters)."""
    name = _der(_SEQUENCE, _der(_OID, _COMMON_NAME) + _der(_UTF8, common_name.encode()))
    subject = _der(_SEQUENCE, _der(_SET, name))
    public_key = key.export_key(ECExportFormat.SPKI)
    info = _der(_SEQUENCE, _der(_INTEGER, b"\0") + subject + public_key + _der(_ATTRIBUTES, b""))
    signature = key.sign(hashlib.sha256(info).digest())
    algorithm = _der(_SEQUENCE, _der(_OID, _ECDSA_SHA256))
    request = _der(_SEQUENCE, info + algorithm + _der(_BITS, b"\0" + signature))
    return _pem("CERTIFICATE REQUEST", request).decode()


def valid_until(certificate: bytes) -> datetime:
    """When the (first) certificate of a PEM text expires.

    Raises:
        ValueError: no certificate.
    """
    try:
        kind, text = _children(_fields(certificate)[_VALIDITY][1])[1]
        years = "%y" if kind == _UTC_TIME else "%Y"
        return datetime.strptime(text.decode("ascii"), f"{years}%m%d%H%M%SZ").replace(tzinfo=UTC)
    except (IndexError, ValueError) as error:
        raise ValueError("no X.509 certificate in PEM") from error


def public_key(certificate: bytes) -> bytes:
    """The public key of the (first) certificate of a PEM text, as DER of SubjectPublicKeyInfo.

    Raises:
        ValueError: no certificate.
    """
    try:
        return _der(*_fields(certificate)[_PUBLIC_KEY])
    except (IndexError, ValueError) as error:
        raise ValueError("no X.509 certificate in PEM") from error


def requested_key(request: bytes) -> bytes:
    """The public key of a signing request in PEM (RFC 2986, 4.1), as ``public_key`` gives it.

    Raises:
        ValueError: no such request.
    """
    try:
        body = request.split(b"-----BEGIN CERTIFICATE REQUEST-----", 1)[1].split(
            b"-----END CERTIFICATE REQUEST-----", 1
        )[0]
        info = _children(_children(base64.b64decode(body))[0][1])[0][1]
        return _der(*_children(info)[_REQUESTED_KEY])
    except (IndexError, ValueError) as error:
        raise ValueError("no certificate signing request in PEM") from error


def _fields(certificate: bytes) -> list[tuple[int, bytes]]:
    """Serial, algorithm, issuer, validity, subject, public key and so on (RFC 5280, 4.1)."""
    body = certificate.split(b"-----BEGIN CERTIFICATE-----", 1)[1].split(
        b"-----END CERTIFICATE-----", 1
    )[0]
    fields = _children(_children(_children(base64.b64decode(body))[0][1])[0][1])
    return fields[1:] if fields[0][0] == _ATTRIBUTES else fields  # the version is optional


def _der(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < _LONG:
        return bytes([tag, size]) + content
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, _LONG | len(octets)]) + octets + content


def _children(content: bytes) -> list[tuple[int, bytes]]:
    found: list[tuple[int, bytes]] = []
    position = 0
    while position < len(content):
        tag, size = content[position], content[position + 1]
        position += 2
        if size & _LONG:
            octets = size & ~_LONG
            size = int.from_bytes(content[position : position + octets], "big")
            position += octets
        if position + size > len(content):
            raise IndexError("truncated DER")
        found.append((tag, content[position : position + size]))
        position += size
    return found


def _pem(label: str, content: bytes) -> bytes:
    text = base64.encodebytes(content).replace(b"\n", b"")
    lines = [text[start : start + 64] for start in range(0, len(text), 64)]
    begin, end = f"-----BEGIN {label}-----".encode(), f"-----END {label}-----".encode()
    return b"\n".join([begin, *lines, end, b""])
