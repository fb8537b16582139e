"""A webhook: where a tenant wants its events sent, how they are signed, and when they come again.

The form is that of Standard Webhooks 1.0 (standard-webhooks on GitHub,
`spec/standard-webhooks.md`): headers `webhook-id`, `webhook-timestamp` and `webhook-signature`, a
signature for each secret that is valid, an exponential schedule of retries.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from service.domain.events import NOUNS, EventCursor
from service.domain.public_addresses import is_public
from service.errors import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - what a secret begins with, as the form says
_SECRET_BYTES: Final = 32  # "between 24 bytes (192 bits) and 64 bytes (512 bits)"
MOST_WEBHOOKS: Final = 10
"""Of a tenant, those that were ended left out."""
MOST_URL: Final = 2_000
OVERLAP_MS: Final = 24 * 3600 * 1000
"""For which the former secret signs too, after a rotation."""
RETRIES: Final = (5, 300, 1800, 7200, 18_000, 36_000, 50_400)
"""Seconds between attempts, as the form proposes them: a day and seven hours in all."""
_PORT: Final = 443
_NAME: Final = re.compile(
    r"(?=.{4,253}\Z)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])"
)
"""Of a host (RFC 1123), in at least two parts, of which the last is no number: a number would be an
address in one of the many spellings that resolvers take."""


class WebhookState(StrEnum):
    """How a webhook stands."""

    ACTIVE = "active"
    DISABLED = "disabled"
    """By somebody, or since an event could not be delivered in all its attempts."""
    ENDED = "ended"
    UNKNOWN = "unknown"
    """What a later release wrote; never written, and sent to, by this one."""


@dataclass(frozen=True, kw_only=True)
class SealedSecret:
    """A secret as it is kept.

    Attributes:
        sealed: ciphertext of KMS, base64.
        ends_at: from when on nothing is signed with it; milliseconds since the epoch.
    """

    sealed: str
    ends_at: int | None = None


@dataclass(frozen=True, kw_only=True)
class Webhook:
    """One webhook, as it is recorded.

    Attributes:
        webhook_id: ULID.
        nouns: of the events that are sent.
        secrets: the newest first.
        cursor: up to where its events are delivered.
        attempt: how often the event behind the cursor was tried.
        due_at: before which it is not tried again; milliseconds since the epoch.
        held_until: before which no other worker touches it; the same.
        why: it is disabled, in words.
        revision: one more with each change; 0: not stored yet.
    """

    webhook_id: str
    tenant: str
    url: str
    nouns: tuple[str, ...]
    secrets: tuple[SealedSecret, ...]
    cursor: EventCursor
    created_by: str
    created_at: int
    state: WebhookState = WebhookState.ACTIVE
    attempt: int = 0
    due_at: int = 0
    held_until: int = 0
    why: str | None = None
    revision: int = 0

    def rotated(self, fresh: SealedSecret, *, now_ms: int) -> Webhook:
        """With a new secret, and the former for a day more; any earlier one ends at once."""
        former = replace(self.secrets[0], ends_at=now_ms + OVERLAP_MS)
        return replace(self, secrets=(fresh, former))

    def valid(self, now_ms: int) -> tuple[SealedSecret, ...]:
        """The secrets that sign now."""
        return tuple(one for one in self.secrets if one.ends_at is None or now_ms < one.ends_at)


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """One attempt to send one event.

    Attributes:
        delivery_id: ULID of its time.
        cursor: by which the event is found again.
        outcome: status of HTTP, or a word of why there was none.
        is_manual: somebody had it sent again.
    """

    delivery_id: str
    event_id: str
    type: str
    cursor: EventCursor
    at: int
    attempt: int
    delivered: bool
    outcome: str
    milliseconds: int
    is_manual: bool = False


def new_secret() -> str:
    """A secret, as its receiver is told it."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def signed_headers(
    keys: Iterable[str], *, event_id: str, timestamp: int, body: bytes
) -> Mapping[str, str]:
    """The headers of a delivery.

    Args:
        keys: the secrets that are valid, as their receiver was told them.
        event_id: the same for each attempt.
        timestamp: of this attempt, in seconds since the epoch.
        body: as it is sent.
    """
    signed = b".".join((event_id.encode(), str(timestamp).encode(), body))
    signatures = [
        base64.b64encode(
            hmac.new(
                base64.b64decode(key.removeprefix(SECRET_PREFIX)), signed, hashlib.sha256
            ).digest()
        ).decode()
        for key in keys
    ]
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{one}" for one in signatures),
    }


def target(url: str) -> tuple[str, str]:
    """Host and path, with its query, of a target that may be called.

    The host is a name in its plain spelling: whether what it resolves to may be called is known
    only as the connection is made.

    Raises:
        InvalidRequestError: it is not https on port 443 to a name, or holds what a target must not.
    """
    problem = "must be like `https://hooks.example.com/path`: https, a name, port 443, no user"
    # What urlsplit drops or takes for white space would be another URL to somebody else.
    if len(url) > MOST_URL or not re.fullmatch(r"[!-~]+", url) or "\\" in url or "#" in url:
        raise InvalidRequestError("url", problem)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise InvalidRequestError("url", problem) from error
    host = parts.netloc.removesuffix(f":{_PORT}")
    if parts.scheme != "https" or port not in {None, _PORT} or not _NAME.fullmatch(host):
        raise InvalidRequestError("url", problem)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return host, path


def check_nouns(nouns: Iterable[str]) -> tuple[str, ...]:
    """The nouns, in their order.

    Raises:
        InvalidRequestError: there is none, or one is unknown.
    """
    named = frozenset(nouns)
    if not named or named - set(NOUNS):
        raise InvalidRequestError("nouns", f"must be some of {', '.join(NOUNS)}")
    return tuple(sorted(named))


def callable_addresses(found: Iterable[str]) -> tuple[str, ...]:
    """The addresses of a name, if each of them may be called; else none.

    One that may not be called makes the whole name suspect: whoever answers so may answer
    otherwise the next time.
    """
    addresses = tuple(dict.fromkeys(found))
    return addresses if addresses and all(map(is_public, addresses)) else ()
