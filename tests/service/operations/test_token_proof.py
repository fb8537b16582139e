"""Our rules for a token's claims, held against PyJWT's own on tokens that hypothesis draws."""

from __future__ import annotations

import json
import time
from functools import cache
from typing import Any

import jwt
import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from service.adapters.memory.user_pool import MemoryUserPool
from service.domain.identities import UnverifiedToken
from service.errors import TokenFault, UnauthenticatedError
from service.operations.token_proof import CLOCK_SKEW_SECONDS, proved

ISSUER = "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_acme"
CLAIMS = ("exp", "iat", "iss", "nbf", "sub", "token_use", "aud", "jti")

ANY = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.lists(st.integers(), max_size=2)
    | st.dictionaries(st.text(max_size=2), st.integers(), max_size=1)
)
# Near to now, so that many tokens come close; never at the second itself, which may pass meanwhile.
NEAR = st.sampled_from([-3600, -CLOCK_SKEW_SECONDS - 3, 1000, 3600]).map(
    lambda away: int(time.time()) + away
)
CHANGES = st.dictionaries(st.sampled_from(CLAIMS), ANY | NEAR | st.just(...), max_size=3)


@cache
def pool() -> MemoryUserPool:
    """One; making an RSA key takes a while."""
    return MemoryUserPool("acme")


def signed(claims: dict[str, Any]) -> str:
    """A token of whatever claims: `jwt.encode` takes no others than good ones."""
    payload, header = json.dumps(claims).encode(), {"kid": "acme-key"}
    return jwt.PyJWS().encode(payload, pool().key, algorithm="RS256", headers=header)


def ours(text: str, **of: Any) -> dict[str, Any] | UnauthenticatedError:
    """What our rules say."""
    told: dict[str, Any] = {"issuer": ISSUER, "now": time.time()} | of
    try:
        token = UnverifiedToken.read(text, max_bytes=100_000)
        return dict(proved(token, pool().key.public_key(), **told))
    except UnauthenticatedError as error:
        return error


def pyjwt(text: str) -> dict[str, Any] | Exception:
    """What PyJWT says, told to ask for what Cognito's tokens have."""
    required = ["exp", "iat", "iss", "sub", "token_use"]
    try:
        return jwt.decode(
            text,
            pool().key.public_key(),
            algorithms=["RS256"],
            issuer=ISSUER,
            leeway=CLOCK_SKEW_SECONDS,
            options={"require": required, "verify_aud": False},
        )
    except (jwt.PyJWTError, OverflowError, TypeError) as error:  # it trips over infinity
        return error


@given(CHANGES)
def test_what_we_accept_pyjwt_accepts(changes: dict[str, Any]) -> None:
    """And what it accepts beyond that are times that are no numbers, or past by its leeway."""
    claims = pool().claims("ann") | changes
    claims = {name: value for name, value in claims.items() if value is not ...}
    text = signed(claims)
    mine, theirs = ours(text), pyjwt(text)
    event(f"ours {type(mine).__name__}, PyJWT {type(theirs).__name__}")
    if isinstance(mine, dict):
        assert json.dumps(mine) == json.dumps(theirs)
    elif isinstance(theirs, dict):
        assert any(
            not isinstance(claims.get(name, 0), int | float)
            or (name == "exp" and claims[name] <= time.time())
            for name in ("exp", "iat", "nbf")
        ), (mine, claims)


@pytest.mark.parametrize("name", ["exp", "iat", "nbf"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), "4000000000", [1], True])
def test_a_time_is_a_finite_number(name: str, value: object) -> None:
    """JSON knows no other; Python's reader does."""
    claims = pool().claims("ann") | {name: value}
    refused = ours(signed(claims))
    if value is True:  # the first second of 1970
        assert isinstance(refused, UnauthenticatedError) == (name == "exp")
    else:
        assert str(refused) == f"token refused: its `{name}` is no number"


def test_a_token_ends_at_its_second_and_begins_a_little_early() -> None:
    """The clocks of two machines differ: for the beginning, some seconds are forgiven."""
    claims = pool().claims("ann") | {"iat": 1_000_000_000, "exp": 1_000_003_600}
    text = signed(claims)
    assert isinstance(ours(text, now=1_000_000_000 - CLOCK_SKEW_SECONDS), dict)
    early = ours(text, now=1_000_000_000 - CLOCK_SKEW_SECONDS - 0.5)
    assert str(early) == "token refused: its `iat` is to come"
    assert isinstance(ours(text, now=1_000_003_599.9), dict)
    late = ours(text, now=1_000_003_600)
    assert isinstance(late, UnauthenticatedError)
    assert late.fault is TokenFault.EXPIRED
    other = ours(text, now=1_000_000_001, issuer=f"{ISSUER}2")
    assert str(other) == "token refused: it is of another issuer"
