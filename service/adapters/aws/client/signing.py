"""Signature Version 4, as AWS wants each request signed, with each day's key derived once.

Source: IAM user guide, "Create a signed AWS API request"; a test holds it against botocore's own
signer. The signing key stands for one day, Region and service, so it is kept as long as they do.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlsplit

from botocore.utils import normalize_url_path

if TYPE_CHECKING:
    from collections.abc import Mapping

_ALGORITHM: Final = "AWS4-HMAC-SHA256"
_NOTHING: Final = hashlib.sha256(b"").hexdigest()
# Not signed, since whoever is on the way may write them (as botocore's signer).
_UNSIGNED: Final = frozenset({"user-agent", "accept-encoding", "content-length"})


@dataclass(frozen=True, kw_only=True)
class AwsCredentials:
    """What a request is signed with; nothing of it but the key's id is ever shown.

    Attributes:
        access_key: the id of the key.
        secret_key: the key.
        token: of a session, if there is one.
        expires_at: seconds since the epoch; ``None``: not known.
    """

    access_key: str
    secret_key: str = field(repr=False)
    token: str | None = field(default=None, repr=False)
    expires_at: float | None = None
    _keys: dict[tuple[str, str], tuple[str, bytes]] = field(
        default_factory=dict[tuple[str, str], tuple[str, bytes]],
        init=False,
        repr=False,
        compare=False,
    )

    def key_of(self, day: str, region: str, service: str) -> bytes:
        """The signing key of a day (``YYYYMMDD``)."""
        known = self._keys.get((region, service))
        if known is not None and known[0] == day:
            return known[1]
        key = f"AWS4{self.secret_key}".encode()
        for part in (day, region, service, "aws4_request"):
            key = hmac.digest(key, part.encode(), "sha256")
        self._keys[region, service] = day, key
        return key


@dataclass(frozen=True, kw_only=True)
class Scope:
    """For which service a request is signed.

    Attributes:
        region: of AWS.
        service: its name in signatures.
        is_s3: S3 wants the body's digest as a header, and its paths as they are.
    """

    region: str
    service: str
    is_s3: bool = False


def signed(
    credentials: AwsCredentials,
    scope: Scope,
    *,
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    at: datetime,
) -> dict[str, str]:
    """The headers with those that sign the request.

    Args:
        credentials: whose request it is.
        scope: for which service.
        method: of HTTP.
        url: with its query, both encoded already.
        headers: all of the request; names in any case.
        body: may be empty.
        at: now, in UTC.
    """
    stamp = _stamp(at)
    day, parts = stamp[:8], urlsplit(url)
    digest = hashlib.sha256(body).hexdigest() if body else _NOTHING
    sent = dict(headers)
    sent["X-Amz-Date"] = stamp
    if credentials.token is not None:
        sent["X-Amz-Security-Token"] = credentials.token
    if scope.is_s3:
        sent["X-Amz-Content-SHA256"] = digest
    names, listed = _names(tuple(sent))
    path = parts.path or "/"
    if not scope.is_s3 and path != "/":
        path = quote(normalize_url_path(path), safe="/~")
    query = parts.query and "&".join(
        "=".join(pair) for pair in sorted(_pair(one) for one in parts.query.split("&") if one)
    )
    values = [parts.netloc if name is None else sent[name] for _, name in names]
    lines = "".join(
        [f"{known}:{_trimmed(value)}\n" for (known, _), value in zip(names, values, strict=True)]
    )
    canonical = f"{method}\n{path}\n{query}\n{lines}\n{listed}\n{digest}"
    where = f"{day}/{scope.region}/{scope.service}/aws4_request"
    text = f"{_ALGORITHM}\n{stamp}\n{where}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = credentials.key_of(day, scope.region, scope.service)
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    sent["Authorization"] = (
        f"{_ALGORITHM} Credential={credentials.access_key}/{where}, "
        f"SignedHeaders={listed}, Signature={signature}"
    )
    return sent


def presigned(
    credentials: AwsCredentials,
    scope: Scope,
    *,
    method: str,
    url: str,
    headers: Mapping[str, str],
    seconds: int,
    at: datetime,
) -> str:
    """The URL of a request of S3 that whoever has it may send, with these headers and any body.

    Source: Amazon S3 API reference, "Authenticating Requests: Using Query Parameters".

    Args:
        credentials: whose request it is; the URL ends with them.
        scope: for which service.
        method: of HTTP.
        url: with its query, both encoded already.
        headers: that must be sent as they are; names in any case.
        seconds: for which the URL lasts.
        at: now, in UTC.
    """
    stamp, parts = _stamp(at), urlsplit(url)
    where = f"{stamp[:8]}/{scope.region}/{scope.service}/aws4_request"
    named = {name.lower(): value for name, value in headers.items()} | {"host": parts.netloc}
    names = sorted(named)
    members = {
        "X-Amz-Algorithm": _ALGORITHM,
        "X-Amz-Credential": f"{credentials.access_key}/{where}",
        "X-Amz-Date": stamp,
        "X-Amz-Expires": str(seconds),
        "X-Amz-SignedHeaders": ";".join(names),
    }
    if credentials.token is not None:
        members["X-Amz-Security-Token"] = credentials.token
    asked = [_pair(one) for one in parts.query.split("&") if one]
    pairs = asked + [(name, quote(text, safe="-_.~")) for name, text in members.items()]
    query = "&".join("=".join(pair) for pair in sorted(pairs))
    lines = "".join(f"{name}:{_trimmed(named[name])}\n" for name in names)
    path = parts.path or "/"
    canonical = f"{method}\n{path}\n{query}\n{lines}\n{';'.join(names)}\nUNSIGNED-PAYLOAD"
    text = f"{_ALGORITHM}\n{stamp}\n{where}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = credentials.key_of(stamp[:8], scope.region, scope.service)
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    return f"{parts.scheme}://{parts.netloc}{path}?{query}&X-Amz-Signature={signature}"


def signed_form(
    credentials: AwsCredentials,
    scope: Scope,
    *,
    bucket: str,
    key: str,
    most_bytes: int,
    seconds: int,
    at: datetime,
) -> dict[str, str]:
    """The fields of a form by which S3 takes one object, under this key and of a bounded size.

    Source: Amazon S3 API reference, "POST Policy" (every field must be in the policy;
    ``content-length-range``: "The minimum and maximum allowable size for the uploaded content") and
    "Authenticating Requests: Browser-Based Uploads Using POST".

    Args:
        credentials: whose form it is; it ends with them.
        scope: for which service.
        bucket: of the object.
        key: of the object; it holds no ``${filename}``.
        most_bytes: of the object.
        seconds: for which the form lasts.
        at: now, in UTC.
    """
    stamp = _stamp(at)
    fields = {
        "key": key,
        "x-amz-algorithm": _ALGORITHM,
        "x-amz-credential": (
            f"{credentials.access_key}/{stamp[:8]}/{scope.region}/{scope.service}/aws4_request"
        ),
        "x-amz-date": stamp,
    }
    if credentials.token is not None:
        fields["x-amz-security-token"] = credentials.token
    until = (at + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    conditions: list[object] = [
        {"bucket": bucket},
        *({name: value} for name, value in fields.items()),
        ["content-length-range", 1, most_bytes],
    ]
    policy = base64.b64encode(json.dumps({"expiration": until, "conditions": conditions}).encode())
    signing_key = credentials.key_of(stamp[:8], scope.region, scope.service)
    signature = hmac.digest(signing_key, policy, "sha256").hex()
    return {**fields, "policy": policy.decode(), "x-amz-signature": signature}


@lru_cache(maxsize=256)
def _names(names: tuple[str, ...]) -> tuple[list[tuple[str, str | None]], str]:
    """What is signed of these headers, in order: each in lower case and as it is, and all as one.

    Of the host, which the line writes, there is no name as it is.
    """
    known: dict[str, str | None] = {name.lower(): name for name in names}
    known["host"] = None
    listed = sorted(known.keys() - _UNSIGNED)
    return [(name, known[name]) for name in listed], ";".join(listed)


def _trimmed(value: str) -> str:
    """A header's value as it is signed: without spaces around it, and with single ones in it."""
    # Nearly none has any.
    return value if " " not in value and value.isprintable() else " ".join(value.split())


def _stamp(at: datetime) -> str:
    """A moment in UTC as AWS writes it, ``20261001T120000Z``."""
    return _stamp_of(int(at.timestamp()))


@lru_cache(maxsize=4)
def _stamp_of(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y%m%dT%H%M%SZ")


def _pair(one: str) -> tuple[str, str]:
    name, _, value = one.partition("=")
    return name, value
