"""Checks a request's Signature Version 4 by making it again with botocore's own signer."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from .call import Caller
from .errors import AccessDenied

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_AUTHORIZATION: Final = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/]+)/(?P<date>\d{8})/(?P<region>[a-z0-9-]+)"
    r"/(?P<service>[a-z0-9-]+)"
    r"/aws4_request, ?SignedHeaders=(?P<signed>[a-z0-9;-]+), ?Signature=(?P<signature>[0-9a-f]{64})"
)
_SKEW_SECONDS: Final = 15 * 60  # as AWS
_MUST_BE_SIGNED: Final = frozenset({"host", "x-amz-date", "x-amz-target"})


@dataclass(frozen=True, kw_only=True)
class AccessKey:
    """One access key that may do everything in one account; fresh and random unless given."""

    access_key_id: str = field(default_factory=lambda: "AKIA" + secrets.token_hex(8).upper())
    secret_access_key: str = field(default_factory=lambda: secrets.token_urlsafe(30), repr=False)
    account_id: str = "123456789012"
    clock: Callable[[], float] = time.time

    def authenticate(
        self, headers: Mapping[str, str], body: bytes, _action: str, _resource: str | None
    ) -> Caller:
        """The account, when the request is signed with this key for this service.

        Raises:
            AccessDenied: unsigned, another key, another service, too old, or changed on the way.
        """
        match = _AUTHORIZATION.fullmatch(headers.get("authorization", ""))
        if match is None:
            raise AccessDenied(
                "MissingAuthenticationTokenException", "The request is not signed.", 403
            )
        if match["key"] != self.access_key_id or "x-amz-security-token" in headers:
            raise AccessDenied(
                "UnrecognizedClientException", "The access key is not known here.", 403
            )
        signed = match["signed"].split(";")
        date = headers.get("x-amz-date", "")
        if not _MUST_BE_SIGNED.issubset(signed) or not date.startswith(match["date"]):
            raise AccessDenied(
                "IncompleteSignatureException", "host, date and target must be signed.", 403
            )
        if match["service"] != "verifiedpermissions":
            raise AccessDenied(
                "SignatureDoesNotMatch", "The request is signed for another service.", 403
            )
        if abs(self.clock() - _seconds(date)) > _SKEW_SECONDS:
            raise AccessDenied(
                "SignatureDoesNotMatch", "The signature is expired or not yet current.", 403
            )
        # The signer takes the body's hash from this header when it is there: UNSIGNED-PAYLOAD and
        # false hashes too.
        stated = headers.get("x-amz-content-sha256")
        if stated is not None and stated != hashlib.sha256(body).hexdigest():  # fail closed
            raise AccessDenied(
                "SignatureDoesNotMatch", "x-amz-content-sha256 is not the SHA-256 of the body.", 403
            )
        expected = self._signature(headers, body, signed, date, match["region"])
        if not hmac.compare_digest(expected, match["signature"]):
            raise AccessDenied(
                "SignatureDoesNotMatch", "The signature does not match the request.", 403
            )
        return Caller(account_id=self.account_id, region=match["region"])

    def _signature(
        self, headers: Mapping[str, str], body: bytes, signed: list[str], date: str, region: str
    ) -> str:
        signer = SigV4Auth(
            Credentials(self.access_key_id, self.secret_access_key), "verifiedpermissions", region
        )
        request = AWSRequest(
            method="POST",
            url=f"http://{headers.get('host', '')}/",
            data=body,
            headers={name: headers.get(name, "") for name in signed},
        )
        request.context["timestamp"] = date
        return signer.signature(
            signer.string_to_sign(request, signer.canonical_request(request)), request
        )


def _seconds(date: str) -> float:
    try:
        return datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    except ValueError as error:
        raise AccessDenied(
            "IncompleteSignatureException", "X-Amz-Date is not of its form.", 403
        ) from error
