"""A token is taken apart without being believed; only what Cognito issues goes any further."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from service.domain.identities import UnverifiedToken
from service.domain.tenants import is_issuer
from service.errors import UnauthenticatedError

HEAD = {"alg": "RS256", "kid": "key-1"}
CLAIMS = {"iss": "https://issuer.test", "sub": "somebody"}


def encoded(part: object) -> str:
    """A segment: of bytes as they are, else of JSON."""
    data = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token(head: object = HEAD, claims: object = CLAIMS, signature: bytes = b"abc") -> str:
    """A compact JWS."""
    return ".".join(map(encoded, (head, claims, signature)))


def test_a_token_tells_which_key_to_try() -> None:
    """Key id and issuer, up to the greatest length."""
    text = token()
    read = UnverifiedToken.read(text, max_bytes=len(text))
    assert (read.key_id, read.issuer) == ("key-1", "https://issuer.test")
    assert read.signed.decode() == text.rpartition(".")[0]
    with pytest.raises(UnauthenticatedError, match="too large"):
        UnverifiedToken.read(text, max_bytes=len(text) - 1)


WHOLE = token()
HEADER, PAYLOAD, SIGNATURE = WHOLE.split(".")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "three segments"),
        (f"{HEADER}.{PAYLOAD}", "three segments"),
        (f"{WHOLE}.{SIGNATURE}", "three segments"),
        (f"{WHOLE}ä", "ascii"),
        (f"{HEADER}.{PAYLOAD}.!!!!", "base64url"),
        (f"{HEADER}=.{PAYLOAD}.{SIGNATURE}", "base64url"),
        (f"{HEADER}.{PAYLOAD}.YWJjZB", "canonical"),  # `YWJjZA` says the same bytes
        (f"{HEADER}.{PAYLOAD}.YQ+/", "base64url"),
        (token(head=b"no JSON"), "not JSON"),
        (token(head=b"[" * 3000), "not JSON"),
        (token(head=[]), "not an object"),
        (token(claims="text"), "not an object"),
        (token(claims=b'{"iss": "a", "iss": "b"}'), "not JSON"),
        (token(head=HEAD | {"alg": "HS256"}), "not RS256"),
        (token(head=HEAD | {"alg": None}), "not RS256"),
        (token(head=HEAD | {"crit": []}), "not RS256"),
        (token(head={"alg": "RS256"}), "without key id or issuer"),
        (token(head=HEAD | {"kid": 7}), "without key id or issuer"),
        (token(claims={}), "without key id or issuer"),
        (token(claims={"iss": ["https://issuer.test"]}), "without key id or issuer"),
    ],
)
def test_what_is_no_token_of_cognitos_is_refused(text: str, words: str) -> None:
    """Other forms, spellings, algorithms and double members prove nothing."""
    with pytest.raises(UnauthenticatedError, match=words):
        UnverifiedToken.read(text, max_bytes=100_000)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_AbC123", True),
        ("https://cognito-idp.us-gov-west-1.amazonaws.com/us-gov-west-1_a", True),
        ("https://cognito-idp.eu-central-1.amazonaws.com/eu-west-1_AbC123", False),
        ("https://cognito-idp.eu-central-1.amazonaws.com.attacker.test/eu-central-1_a", False),
        ("http://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_AbC123", False),
        ("https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_AbC123/x", False),
    ],
)
def test_an_issuer_is_a_user_pool_of_cognito(text: str, expected: Any) -> None:
    """Of any region, with the pool's id in the same region, and nothing behind it."""
    assert is_issuer(text) is expected
