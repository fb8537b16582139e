"""What a token proves: its signature by PyJWT's RS256, its claims by RFC 7519 section 4.1.

``jwt.decode`` would take the token apart once more (`UnverifiedToken.read` has, and takes one
spelling only), which costs as much as all else together. A test holds both against each other.
"""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Final

from jwt.algorithms import RSAAlgorithm

from service.domain.identities import VerifiedClaims
from service.errors import TokenFault, UnauthenticatedError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    from service.domain.identities import UnverifiedToken

CLOCK_SKEW_SECONDS: Final = 5  # for `iat` and `nbf` only; `exp` is exact
_REQUIRED: Final = ("exp", "iat", "iss", "sub", "token_use")
_RS256: Final = RSAAlgorithm(RSAAlgorithm.SHA256)


def proved(token: UnverifiedToken, key: RSAPublicKey, *, issuer: str, now: float) -> VerifiedClaims:
    """The claims of a token that the key signed, that is the issuer's, and whose time is now.

    Audience or client id are the caller's to look at, by the token's use.

    Args:
        token: as it was read.
        key: of the issuer, by the token's key id.
        issuer: whose token it must be.
        now: seconds since the epoch.

    Raises:
        UnauthenticatedError: it proves nothing.
    """
    # Fail closed: nothing of the claims is looked at before the signature holds.
    if not _RS256.verify(token.signed, key, token.signature):
        raise _refused("another key signed it")
    claims = token.claims
    for name in _REQUIRED:
        if claims.get(name) is None:
            raise _refused(f"it has no `{name}`")
    for name in ("sub", "jti"):
        if not isinstance(claims.get(name, ""), str):
            raise _refused(f"its `{name}` is no text")
    if claims["iss"] != issuer:
        raise _refused("it is of another issuer")
    if _seconds(claims, "exp") <= now:
        raise UnauthenticatedError("token expired", TokenFault.EXPIRED)
    for name in ("iat", "nbf"):
        if name in claims and _seconds(claims, name) > now + CLOCK_SKEW_SECONDS:
            raise _refused(f"its `{name}` is to come")
    return VerifiedClaims(claims)


def _seconds(claims: Mapping[str, Any], name: str) -> float:
    found = claims[name]
    # Fail closed: a text is no time, and what JSON has no word for (NaN, infinity) is in no order.
    if not isinstance(found, int | float) or (isinstance(found, float) and not isfinite(found)):
        raise _refused(f"its `{name}` is no number")
    return found


def _refused(why: str) -> UnauthenticatedError:
    return UnauthenticatedError(f"token refused: {why}", TokenFault.NOT_PROVED)
