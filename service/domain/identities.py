"""Who calls, as trust grows: ``UnverifiedToken`` -> ``VerifiedClaims`` -> ``Principal``."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, NewType, cast

from service.cedar.request import AGENT, COMMAND_LINE, CONSOLE, TokenBearer
from service.errors import UnauthenticatedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.domain.tenants import Tenant

_GROUPS: Final = "cognito:groups"
_DOTTED: Final = frozenset({"cognito", "custom"})
VerifiedClaims = NewType("VerifiedClaims", "Mapping[str, Any]")
"""The claims of a token whose signature, issuer, audience, use and time were checked."""


class TokenUse(StrEnum):
    """Persons send ID tokens, machines (client credentials) send access tokens."""

    ID = "id"
    ACCESS = "access"


@dataclass(frozen=True, kw_only=True)
class UnverifiedToken:
    """A token that was only read: good for finding out which key to try, and for nothing else.

    Attributes:
        key_id: with which it says that it was signed.
        issuer: that it names.
        claims: what it says, believed by nobody until the signature holds.
        signed: the bytes that the signature is of.
        signature: of the issuer's key, as it says.
    """

    key_id: str
    issuer: str
    claims: Mapping[str, Any] = field(repr=False)
    signed: bytes = field(repr=False)
    signature: bytes = field(repr=False)

    @classmethod
    def read(cls, text: str, *, max_bytes: int) -> UnverifiedToken:
        """Take a compact JWS apart without believing it.

        Each segment must be canonical base64url: other spellings of one token would be other keys
        of the cache.

        Raises:
            UnauthenticatedError: too large, not three canonical segments, not ``RS256`` with a key
                id, or no issuer.
        """
        if len(text) > max_bytes or not text.isascii():
            raise UnauthenticatedError("token too large or not ascii")
        segments = text.split(".")
        if len(segments) != 3:  # noqa: PLR2004 - header, payload, signature: RFC 7515 section 3.1
            raise UnauthenticatedError("token has not three segments")
        header, payload, signature = map(_canonical, segments)
        head, claims = _json_object(header), _json_object(payload)
        # Fail closed: nothing but what Cognito signs with.
        if head.get("alg") != "RS256" or "crit" in head:
            raise UnauthenticatedError("token algorithm is not RS256")
        key_id, issuer = head.get("kid"), claims.get("iss")
        if not isinstance(key_id, str) or not isinstance(issuer, str):
            raise UnauthenticatedError("token without key id or issuer")
        signed = text[: -len(segments[2]) - 1].encode()
        return cls(key_id=key_id, issuer=issuer, claims=claims, signed=signed, signature=signature)


@dataclass(frozen=True, kw_only=True)
class Principal:
    """A verified caller of one tenant.

    Attributes:
        subject: the pool's immutable user id, or the client id of a machine.
        groups: Cognito groups, without the pool's prefix.
        expires_at: seconds since the epoch; the token proves nothing after it.
        claims: for the policies' attributes of the principal.
        token: passed on to the tenant's policy store, which verifies it once more.
    """

    tenant: Tenant
    subject: str
    token_use: TokenUse
    groups: tuple[str, ...]
    email: str | None
    client_id: str
    expires_at: int
    claims: VerifiedClaims = field(repr=False)
    token: str = field(repr=False)

    @property
    def entity_id(self) -> str:
        """The principal's id in the policy store.

        Source: Verified Permissions, "Cognito identity sources".
        """
        return f"{self.tenant.pool_id}|{self.subject}"

    @property
    def via(self) -> str | None:
        """By what a person asks, as the verified token tells it and nobody else."""
        tenant = self.tenant
        # A stack of a release without agents has a schema without it: its store would refuse all.
        if tenant.agent_client_id is None:
            return None
        apps = {
            tenant.console_client_id: CONSOLE,
            tenant.cli_client_id: COMMAND_LINE,
            tenant.agent_client_id: AGENT,
        }
        return apps.get(self.client_id)

    @property
    def issued_at(self) -> float:
        """Seconds since the epoch; 0 of a token that does not say it."""
        found = self.claims.get("iat")
        return found if isinstance(found, int | float) else 0

    def bearer(self, attributes: frozenset[str]) -> TokenBearer:
        """The caller as the policy store makes one of the same token.

        Source: Verified Permissions, "Mapping Amazon Cognito tokens to schema".

        Args:
            attributes: what the schema has of a person's claims; all are texts.

        Raises:
            ValueError: a claim is of another form than Cognito's, so that nobody but the store
                knows what the store makes of it.
        """
        if self.claims.get(_GROUPS, [*self.groups]) != [*self.groups]:
            raise ValueError("the groups of the token are no list of texts")
        # Policies may write `custom.region` for `custom:region`: a claim of that name is refused.
        if not _DOTTED.isdisjoint(self.claims):
            raise ValueError("the token has a claim `custom` or `cognito`")
        if self.token_use is TokenUse.ACCESS:
            return TokenBearer(
                subject=self.subject,
                groups=self.groups,
                scopes=tuple(self._text("scope").split()),
                client_id=self.client_id,
            )
        return TokenBearer(
            subject=self.subject,
            groups=self.groups,
            claims={
                name: self._text(name) for name in (attributes - {_GROUPS}) & self.claims.keys()
            },
        )

    def _text(self, claim: str) -> str:
        found = self.claims.get(claim)
        if not isinstance(found, str):
            raise ValueError(f"the token's claim `{claim}` is no text")  # noqa: TRY004 - as all
        return found


def _canonical(segment: str) -> bytes:
    try:
        data = base64.b64decode(segment + "=" * (-len(segment) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise UnauthenticatedError("token segment is not base64url") from error
    # Fail closed: one spelling only.
    if base64.urlsafe_b64encode(data).rstrip(b"=").decode() != segment:
        raise UnauthenticatedError("token segment is not canonical base64url")
    return data


def _json_object(data: bytes) -> dict[str, Any]:
    try:
        document: object = json.loads(data, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise UnauthenticatedError("token segment is not JSON") from error
    if not isinstance(document, dict):
        raise UnauthenticatedError("token segment is not an object")
    return cast("dict[str, Any]", document)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    # Fail closed: two readers of a double member may see two different tokens.
    if len(data) != len(pairs):
        raise ValueError("a member stands twice")
    return data
