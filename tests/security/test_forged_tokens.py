"""Forged tokens: what the public key, a key of one's own or another pool lets an attacker make."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import RSAAlgorithm

from service.adapters.memory.user_pool import MemoryUserPool
from service.errors import UnauthenticatedError
from tests.security.accepted import accepted

if TYPE_CHECKING:
    from service.operations.authentication import Authenticate


def _segment(document: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).rstrip(b"=").decode()


def _made(header: dict[str, Any], claims: dict[str, Any], secret: bytes | None) -> str:
    """A token signed with HMAC, or not at all."""
    signed = f"{_segment(header)}.{_segment(claims)}"
    if secret is None:
        return f"{signed}."
    digest = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}.get(
        header["alg"], hashlib.sha256
    )
    mac = hmac.new(secret, signed.encode(), digest).digest()
    return f"{signed}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def test_no_other_algorithm_is_accepted(authenticate: Authenticate, acme: MemoryUserPool) -> None:
    """Unsigned in every spelling, and HMAC keyed with every public form of the pool's key."""
    public = acme.key.public_key()
    secrets = [
        public.public_bytes(encoding, form)
        for encoding in (Encoding.PEM, Encoding.DER)
        for form in (PublicFormat.SubjectPublicKeyInfo, PublicFormat.PKCS1)
    ]
    secrets += [RSAAlgorithm.to_jwk(public).encode(), b"", acme.key_id.encode()]
    claims = acme.claims("alice", ["managers"])
    algorithms = [
        "none",
        "None",
        "nOnE",
        "NONE",
        "",
        "HS256",
        "HS384",
        "HS512",
        "RS384",
        "PS256",
        "ES256",
        "rs256",
        "RS256",
    ]
    tokens = [
        _made({"alg": algorithm, "kid": acme.key_id, "typ": "JWT"}, claims, secret)
        for algorithm in algorithms
        for secret in (None, *secrets)
    ]
    tokens += [
        _made({"kid": acme.key_id}, claims, None),
        _made({"alg": None, "kid": acme.key_id}, claims, None),
    ]
    count, through = accepted(authenticate, tokens)
    print(f"{count} tokens of other algorithms refused")
    assert through == []


def test_no_foreign_key_is_accepted(
    authenticate: Authenticate, acme: MemoryUserPool, globex: MemoryUserPool
) -> None:
    """Not with the right key id, a key that the header brings along, or the key of another pool."""
    thief = MemoryUserPool("acme")
    claims = acme.claims("alice", ["managers"])
    brought = json.loads(RSAAlgorithm.to_jwk(thief.key.public_key()))
    headers: list[dict[str, Any]] = [
        {},
        {"jwk": brought},
        {"jku": "https://attacker.test/jwks.json"},
        {"x5u": "https://attacker.test/cert.pem"},
        {"x5c": ["MIIB"]},
        {"kid": "../../../../dev/null"},
        {"kid": "https://attacker.test/key"},
        {"kid": globex.key_id},
        {"kid": ""},
    ]
    tokens = [thief.sign(claims, **header) for header in headers]
    tokens += [
        globex.sign(claims),
        globex.sign(claims, kid=acme.key_id),
    ]  # acme's issuer, globex's key
    tokens += [acme.sign(globex.claims("alice", ["managers"]))]  # globex's issuer, acme's key
    tokens += [acme.sign(claims, crit=["exp"]), acme.sign(claims, crit=["b64"], b64=False)]
    assert accepted(authenticate, tokens) == (len(tokens), [])


def test_no_wrong_claim_is_accepted(
    authenticate: Authenticate, acme: MemoryUserPool, globex: MemoryUserPool
) -> None:
    """Signed by the right pool, but expired, early, for another client or use, or incomplete."""
    now = int(time.time())
    elsewhere = "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_nobody"
    wrong: list[dict[str, Any]] = [
        {"exp": now},
        {"exp": now - 1},
        {"exp": str(now + 60)},
        {"exp": now + 60.5},
        {"exp": True},
        {"exp": "never"},
        {"exp": float("1e400")},
        {"nbf": now + 60},
        {"iat": now + 60},
        {"aud": globex.client_id},
        {"aud": [acme.client_id]},
        {"aud": [acme.client_id, globex.client_id]},
        {"aud": ""},
        {"aud": None, "client_id": acme.client_id},
        {"token_use": "access"},
        {"token_use": "access", "client_id": globex.client_id},
        {"token_use": "refresh"},
        {"token_use": ["id"]},
        {"token_use": {}},
        {"iss": elsewhere},
        {"iss": acme.tenant.issuer + "/"},
        {"iss": acme.tenant.issuer.upper()},
        {"iss": "http" + acme.tenant.issuer.removeprefix("https")},
        {"iss": "https://attacker.test/eu-central-1_acme"},
        {"iss": [acme.tenant.issuer]},
        {"iss": globex.tenant.issuer},
        {"sub": ""},
        {"sub": 7},
        *({claim: None} for claim in ("exp", "iat", "iss", "sub", "aud", "token_use")),
    ]
    for change in wrong:
        token = acme.id_token("alice", ["managers"], **change)
        assert accepted(authenticate, [token]) == (1, []), change


def test_no_access_token_of_a_person_is_accepted(
    authenticate: Authenticate, acme: MemoryUserPool
) -> None:
    """A machine's is taken; with one mark of a person in it, even an empty one, it is refused."""
    machine = acme.access_token("plc", "fleet/view")
    assert accepted(authenticate, [machine]) == (1, [machine])
    claims = acme.claims("plc", aud=None, email=None, token_use="access", scope="fleet/view")
    claims |= {"sub": acme.client_id, "client_id": acme.client_id}
    marks: list[dict[str, Any]] = [
        {"username": "alice"},
        {"username": ""},
        {"username": None},
        {"cognito:groups": ["managers"]},
        {"cognito:groups": []},
        {"cognito:groups": None},
        {"sub": "4f1c7d2a-0000-4000-8000-000000000001"},
    ]
    for mark in marks:
        bare = {name: value for name, value in claims.items() if not name.startswith("cognito:")}
        token = acme.sign(bare | mark)
        assert accepted(authenticate, [token]) == (1, []), mark


def test_a_double_member_is_refused(authenticate: Authenticate, acme: MemoryUserPool) -> None:
    """Two readers of one token must not see two different ones."""
    claims = json.dumps(acme.claims("alice", ["managers"]))
    payload = claims[:-1] + f', "iss": {json.dumps(acme.tenant.issuer)}}}'
    header = _segment({"alg": "RS256", "kid": acme.key_id})
    body = base64.urlsafe_b64encode(payload.encode()).rstrip(b"=").decode()
    signature = acme.key.sign(f"{header}.{body}".encode(), PKCS1v15(), SHA256())
    token = f"{header}.{body}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"
    assert accepted(authenticate, [token]) == (1, [])


def test_headers_that_are_no_bearer_token_are_refused(
    authenticate: Authenticate, acme: MemoryUserPool
) -> None:
    """Another scheme, no scheme, two tokens, a token that is too long."""
    token = acme.id_token("alice")
    headers = [
        None,
        "",
        "Bearer",
        "Bearer ",
        token,
        f"Basic {token}",
        f"Bearer  {token}",
        f"Bearer {token} {token}",
    ]
    headers.append(f"Bearer {acme.id_token('alice', filler='x' * 16_384)}")
    for header in headers:
        with pytest.raises(UnauthenticatedError):
            asyncio.run(authenticate(header))
