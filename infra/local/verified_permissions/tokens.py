"""Checks a token as Verified Permissions does: signature, issuer, client, expiry and use.

Not checked, as on AWS: revocation, and whether the user still exists.
Source: Amazon Cognito developer guide and Verified Permissions user guide, "Validating tokens".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, NewType, cast

import jwt

from .errors import Field, InvalidInputError
from .identity_sources import issuer_of

if TYPE_CHECKING:
    from .call import Call
    from .records import IdentitySource

VerifiedClaims = NewType("VerifiedClaims", dict[str, Any])
Use = Literal["identityToken", "accessToken"]

_TOKEN_USE: Final = {"identityToken": "id", "accessToken": "access"}
_COGNITO_ALGORITHMS: Final = ("RS256",)
_OIDC_ALGORITHMS: Final = ("RS256", "RS384", "RS512", "ES256", "ES384", "ES512")


def verify(call: Call, source: IdentitySource, token: str, use: Use) -> VerifiedClaims:
    """The claims of a token that the identity source vouches for.

    Raises:
        InvalidInputError: any check fails; nothing of the token is in the message.
    """
    issuer = issuer_of(source.configuration)
    cognito = source.configuration.get("cognitoUserPoolConfiguration")
    algorithms = _COGNITO_ALGORITHMS if cognito is not None else _OIDC_ALGORITHMS
    try:
        key_id = jwt.get_unverified_header(token).get("kid")
        unverified: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    except jwt.PyJWTError as error:
        raise _refused(use, "is not a JSON web token") from error
    if unverified.get("iss") != issuer:
        raise _refused(use, "was not issued by the identity source of the policy store")
    try:
        key = call.decider.key_ring.key(call.signing_keys, issuer, str(key_id))
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=[name for name in algorithms if name == key.algorithm_name],
            issuer=issuer,
            options={
                "require": ["exp", "iss"],
                "verify_aud": False,
                "verify_exp": False,
                "verify_iat": False,
            },
        )
    except (LookupError, jwt.PyJWTError) as error:
        raise _refused(use, "has no valid signature of the identity source") from error
    if not isinstance(claims["exp"], (int, float)) or claims["exp"] <= call.at:
        raise _refused(use, "is expired")
    not_before = claims.get("nbf", 0)
    if not isinstance(not_before, (int, float)) or not_before > call.at:
        raise _refused(use, "is not valid yet")
    if cognito is not None:
        _check_cognito(claims, cognito, use)
    else:
        _check_oidc(claims, source.configuration["openIdConnectConfiguration"], use)
    return VerifiedClaims(claims)


def _check_cognito(claims: dict[str, Any], configuration: dict[str, Any], use: Use) -> None:
    if claims.get("token_use") != _TOKEN_USE[use]:
        raise _refused(use, f"must have the token_use `{_TOKEN_USE[use]}`")
    allowed = configuration.get("clientIds") or []
    client = claims.get("aud") if use == "identityToken" else claims.get("client_id")
    # An empty list allows every client of the pool, as on AWS.
    if allowed and client not in allowed:
        raise _refused(use, "was not issued to a client of the identity source")


def _check_oidc(claims: dict[str, Any], configuration: dict[str, Any], use: Use) -> None:
    selection = configuration["tokenSelection"]
    if use == "identityToken":
        chosen = selection.get("identityTokenOnly")
        if chosen is None:
            raise _refused(use, "is not accepted: the identity source takes access tokens only")
        allowed = chosen.get("clientIds") or []
        named = _audiences(claims.get("aud"))
    else:
        chosen = selection.get("accessTokenOnly")
        if chosen is None:
            raise _refused(use, "is not accepted: the identity source takes identity tokens only")
        allowed = chosen.get("audiences") or []
        named = _audiences(claims.get("aud")) or _audiences(
            claims.get("client_id", claims.get("cid"))
        )
    if allowed and not named.intersection(allowed):
        raise _refused(use, "was not issued to a client of the identity source")


def _audiences(claim: Any) -> set[str]:
    listed = cast("list[Any]", claim) if isinstance(claim, list) else [claim]
    return {item for item in listed if isinstance(item, str)}


def _refused(use: Use, why: str) -> InvalidInputError:
    return InvalidInputError(Field(f"/{use}", f"The token {why}."))
