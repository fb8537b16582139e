"""What a request claims about its signer, read from headers and query; nothing is verified here."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_SCOPE = (
    r"(?P<key>A[A-Z0-9]{15,127})/\d{8}/(?P<region>[a-z0-9-]+)/(?P<service>[a-z0-9-]+)/aws4_request"
)
_HEADER = re.compile(
    rf"AWS4-HMAC-SHA256 Credential={_SCOPE},\s*SignedHeaders=[^,\s]+,\s*Signature=[0-9a-f]{{64}}"
)
_CREDENTIAL = re.compile(_SCOPE)


@dataclass(frozen=True, kw_only=True)
class ClaimedSignature:
    """The credential scope of a Signature Version 4 request."""

    access_key_id: str
    region: str
    service: str


def header_values(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> list[str]:
    """Every value of a header, in order."""
    return [value.decode("latin-1") for key, value in headers if key.lower() == name]


def claimed_signature(
    headers: Iterable[tuple[bytes, bytes]], query: bytes
) -> ClaimedSignature | None:
    """The one well-formed SigV4 signature of a request, in its header or else in its query.

    A key that is no ``A...`` of at least 16 characters is refused: the emulator takes blank and
    numeric keys for root.
    """
    authorization = header_values(headers, b"authorization")
    if authorization:
        match = _HEADER.fullmatch(authorization[0]) if len(authorization) == 1 else None
    else:
        match = _query_scope(query)
    if match is None:
        return None
    return ClaimedSignature(
        access_key_id=match["key"], region=match["region"], service=match["service"]
    )


def covers_body(headers: Mapping[str, str], body: bytes, *, service: str) -> bool:
    """Whether the body's hash under a signature is that of this body.

    Signers and verifiers take it from ``x-amz-content-sha256`` where that header stands, signed or
    not, so a false one leaves the body open to change. ``UNSIGNED-PAYLOAD`` and ``STREAMING-...``
    are for S3 alone (Amazon S3 API reference, "Authenticating Requests: Using the Authorization
    Header").

    Args:
        headers: lower-case names.
        body: as it arrived.
        service: of the credential scope.
    """
    stated = headers.get("x-amz-content-sha256")
    if stated is None:
        return True  # the verifier hashes the body itself
    if (
        service == "s3"
        and "x-amz-target" not in headers
        and stated.startswith(("UNSIGNED-PAYLOAD", "STREAMING-"))
    ):
        return True
    return stated == hashlib.sha256(body).hexdigest()  # fail closed


def _query_scope(query: bytes) -> re.Match[str] | None:
    members = parse_qs(query.decode("latin-1"), keep_blank_values=True)
    if (
        members.get("X-Amz-Algorithm") != ["AWS4-HMAC-SHA256"]
        or len(members.get("X-Amz-Signature", ())) != 1
    ):
        return None
    credential = members.get("X-Amz-Credential", [])
    return _CREDENTIAL.fullmatch(credential[0]) if len(credential) == 1 else None
