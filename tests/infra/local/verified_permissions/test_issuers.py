"""Where an endpoint that runs alone finds the keys of issuers: named places, read once a minute."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from infra.local.verified_permissions.issuers import Issuers, IssuersError

if TYPE_CHECKING:
    from pathlib import Path

ISSUER = "https://issuer.test"


@pytest.mark.parametrize("argument", ["", ISSUER, f"{ISSUER}=", "http://issuer.test=keys.json"])
def test_an_argument_of_another_form_is_refused(argument: str) -> None:
    """An issuer is https, and has a place."""
    with pytest.raises(IssuersError, match="ISSUER=FILE-OR-URL"):
        Issuers.parse([argument])


def test_a_place_may_hold_an_equals_sign() -> None:
    """The first one ends the issuer."""
    assert Issuers.parse([f"{ISSUER}=a=b"]).places == {ISSUER: "a=b"}


def test_keys_are_read_again_after_a_minute(tmp_path: Path) -> None:
    """So that keys may be rotated; not for each token."""
    place, now = tmp_path / "keys.json", [1000.0]
    place.write_text(json.dumps({"keys": [1]}))
    issuers = Issuers({ISSUER: str(place)}, clock=lambda: now[0])
    assert issuers.signing_keys(ISSUER) == {"keys": [1]}
    place.write_text(json.dumps({"keys": [2]}))
    now[0] = 1060.0
    assert issuers.signing_keys(ISSUER) == {"keys": [1]}
    now[0] = 1060.1
    assert issuers.signing_keys(ISSUER) == {"keys": [2]}


@pytest.mark.parametrize("text", ["", "no JSON", "[]", "{}", '{"keys": {}}', None])
def test_a_place_without_a_key_set_has_no_keys(tmp_path: Path, text: str | None) -> None:
    """The issuer is as unknown as one that was not named."""
    place = tmp_path / "keys.json"
    if text is not None:
        place.write_text(text)
    issuers = Issuers({ISSUER: str(place)})
    with pytest.raises(LookupError):
        issuers.signing_keys(ISSUER)
    with pytest.raises(LookupError, match="another"):
        issuers.signing_keys("https://another.test")


def test_a_url_is_asked_and_no_file_of_its_name_read() -> None:
    """Nobody listens there: that is an outage of the keys."""
    with pytest.raises(LookupError, match="no keys at `http"):
        Issuers({ISSUER: "http://127.0.0.1:1/keys"}).signing_keys(ISSUER)
