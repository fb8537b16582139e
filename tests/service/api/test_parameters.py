"""What routes of several nouns take in the same form: instants, reasons."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from service.api.parameters import Emergency, emergency_reason, instant, stated_reason, utc
from service.errors import InvalidRequestError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, None),
        ("1970-01-01T00:00:00Z", 0),
        ("2026-11-30T06:00:00Z", 1_796_018_400_000),
        ("2026-11-30T07:00:00.250+01:00", 1_796_018_400_250),
        ("9999-12-31T23:59:59-23:59", 253_402_387_139_000),
    ],
)
def test_an_instant_is_of_rfc_3339(text: str | None, expected: int | None) -> None:
    """Of any zone, in milliseconds; to the last year it fits into the 48 bits of an id."""
    found = instant("since", text)
    assert found == expected
    assert found is None or found < 2**48


@pytest.mark.parametrize(
    "text", ["", "now", "1796018400", "2026-11-30T06:00:00", "2026-13-30T06:00:00Z"]
)
def test_what_is_no_instant_is_refused(text: str) -> None:
    """Nor is one of no zone, or of before the epoch; the parameter is named."""
    for given in (text, "1969-12-31T23:59:59.999Z", "0001-01-01T00:00:00+23:59"):
        with pytest.raises(InvalidRequestError, match="must be a time like") as caught:
            instant("before", given)
        assert caught.value.field == "before"


def test_an_instant_is_told_if_it_can_be() -> None:
    """A device's clock may say anything: then nothing is told, and the answer stands."""
    assert utc(1_796_018_400_250) == datetime(2026, 11, 30, 6, 0, 0, 250_000, UTC)
    assert [utc(None), utc(2**63), utc(-(2**63))] == [None, None, None]


def test_a_reason_is_told_without_the_blanks_around_it() -> None:
    """None was given: there is none, and no emergency."""
    assert emergency_reason(Emergency(reason=" fire ")) == "fire"
    assert stated_reason(" by the book\n") == "by the book"
    assert (emergency_reason(None), stated_reason(None)) == (None, None)
