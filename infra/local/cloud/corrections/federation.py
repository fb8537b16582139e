"""Cognito: sign-in by an OpenID Connect provider; else whoever answers as it is anybody.

What AWS does stands in the Cognito developer guide, "OIDC user pool IdP authentication flow": the
pool checks the provider's ID token by the keys of its `jwks_uri`, and by issuer, audience and time,
and writes the attributes that are mapped. Discovery by plain HTTP is taken on loopback alone.
"""

# ruff: noqa: SLF001 - the emulator is untyped, and private names are all that it has

from __future__ import annotations

import json
import time
import urllib.request
from contextvars import ContextVar
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, urlsplit

import jwt

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.local.cloud.emulator import Emulator

_COGNITO: Final = "services.cognito"
_ALGORITHMS: Final = ("RS256", "RS384", "RS512", "ES256", "ES384", "ES512")
_SECONDS: Final = 10.0
_CODE_SECONDS: Final = 300.0  # as those of the sign-in page
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost"})


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """A sign-in that is at the provider."""

    provider: Mapping[str, Any]
    challenge: str
    method: str


_checking: ContextVar[_Asked] = ContextVar("checking")


def provider_is_checked(emulator: Emulator) -> None:
    """Let in by a provider of the client's alone, by its signature, with PKCE, as mapped."""

    def decode(original: Any) -> Any:
        # The pool's own refresh tokens are read by it too.
        return lambda token: _verified(token) if _checking.get(None) else original(token)

    emulator.replace(_COGNITO, "_decode_id_token_unverified", decode)
    _beginning_is_checked(emulator)
    _end_is_checked(emulator)


def _beginning_is_checked(emulator: Emulator) -> None:
    cognito = emulator.module(_COGNITO)

    def authorize(original: Any) -> Any:
        def begin(query: Any) -> Any:
            _, pool, client = cognito._find_pool_by_client_id(cognito._qp(query, "client_id"))
            name = cognito._qp(query, "identity_provider")
            provider = (pool or {}).get("_identity_providers", {}).get(name)
            if provider is None or name not in (client or {}).get("SupportedIdentityProviders", ()):
                return cognito._oauth2_error("invalid_request", f"no provider `{name}` here")
            challenge = cognito._qp(query, "code_challenge")
            method = cognito._qp(query, "code_challenge_method")
            refused = cognito._pkce_error_redirect(
                cognito._qp(query, "redirect_uri"), challenge, method, cognito._qp(query, "state")
            )
            if refused:
                return refused
            answer = original(query)
            if answer[0] == HTTPStatus.FOUND:
                state = parse_qs(urlsplit(answer[1]["Location"]).query)["state"][0]
                cognito._auth_codes[state] |= {
                    "code_challenge": challenge,
                    "code_challenge_method": method,
                }
            return answer

        return begin

    emulator.replace(_COGNITO, "_oauth2_authorize_federation", authorize)


def _end_is_checked(emulator: Emulator) -> None:
    cognito = emulator.module(_COGNITO)

    def respond(original: Any) -> Any:
        def end(method: str, body: bytes, query: Any) -> Any:
            relay = cognito._auth_codes.get(cognito._qp(query, "state")) or {}
            pool = cognito._get_pool_unscoped(relay.get("pool_id")) or {}
            provider = pool.get("_identity_providers", {}).get(relay.get("provider_name"))
            if provider is None:
                return cognito._oauth2_error("invalid_request", "nobody began this sign-in")
            client = pool.get("_clients", {}).get(relay["client_id"]) or {}
            writes, mapped = client.get("WriteAttributes"), provider.get("AttributeMapping", {})
            if writes and not mapped.keys() <= set(writes):
                words = "the app client may not write every attribute that is mapped"
                return cognito._oauth2_error("invalid_request", words)
            token = _checking.set(
                _Asked(
                    provider=provider,
                    challenge=relay.get("code_challenge", ""),
                    method=relay.get("code_challenge_method", ""),
                )
            )
            try:
                answer = original(method, body, query)
                if answer[0] == HTTPStatus.FOUND:
                    _as_page_does(cognito, answer[1]["Location"], _checking.get())
            finally:
                _checking.reset(token)
            return answer

        return end

    emulator.replace(_COGNITO, "_oauth2_idp_response", respond)


def _as_page_does(cognito: Any, location: str, asked: _Asked) -> None:
    """Make the code one of the sign-in page: PKCE is asked for, groups stand in the tokens."""
    code = parse_qs(urlsplit(location).query)["code"][0]
    made = cognito._auth_codes.pop(code)
    cognito._authorization_codes[code] = {
        **{key: made[key] for key in ("client_id", "pool_id", "redirect_uri", "username", "nonce")},
        "scope": made["scopes"],
        "code_challenge": asked.challenge,
        "code_challenge_method": asked.method,
        "expires_at": time.time() + _CODE_SECONDS,
    }


def _verified(id_token: str) -> dict[str, Any]:
    """Subject and mapped claims of the provider's ID token.

    Raises:
        ValueError: it is not signed by the provider, or for another client, or over.
    """
    provider = _checking.get().provider
    details = provider["ProviderDetails"]
    issuer = details["oidc_issuer"]
    try:
        found = _read(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
        keys = jwt.PyJWKSet.from_dict(_read(found["jwks_uri"]))
        claims: dict[str, Any] = jwt.decode(
            id_token,
            keys[jwt.get_unverified_header(id_token)["kid"]],
            algorithms=_ALGORITHMS,
            issuer=issuer,
            audience=details["client_id"],
            options={"require": ["sub", "iss", "aud", "exp", "iat"]},
        )
    except (OSError, KeyError, ValueError, jwt.PyJWTError) as error:
        raise ValueError(f"the provider's ID token does not verify: {error}") from error
    mapped = {"sub", *provider.get("AttributeMapping", {}).values()}
    return {name: value for name, value in claims.items() if name in mapped}


def _read(url: str) -> dict[str, Any]:
    at = urlsplit(url)
    if at.scheme != "https" and not (at.scheme == "http" and at.hostname in _LOOPBACK):
        raise ValueError(f"`{url}` is not https")
    with urllib.request.urlopen(url, timeout=_SECONDS) as answer:  # noqa: S310 - checked above
        return json.loads(answer.read())
