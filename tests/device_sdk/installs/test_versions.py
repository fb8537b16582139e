"""Which version is later, and when a window is open."""

from __future__ import annotations

from itertools import pairwise

import pytest
from cedarfleet_device.errors import ConfigError
from cedarfleet_device.installs.limits import InstallConfig
from cedarfleet_device.installs.versions import later_than, same
from cedarfleet_device.installs.window import Window

# Semantic Versioning 2.0.0, item 11, from the earliest on.
ORDER = (
    "0.9",
    "1.0.0-alpha",
    "1.0.0-alpha.1",
    "1.0.0-alpha.beta",
    "1.0.0-beta",
    "1.0.0-beta.2",
    "1.0.0-beta.11",
    "1.0.0-rc.1",
    "1.0.0",
    "1.0.1",
    "1.10",
    "2",
    "2.0.0.1",
    "2026.11.30",
)


def test_later_versions_are_later():
    """In the order of semantic versioning, each pair both ways."""
    for early, late in pairwise(ORDER):
        assert later_than(late, early) is True, (early, late)
        assert later_than(early, late) is False, (early, late)
        assert not same(early, late)


def test_one_version_may_be_written_in_two_ways():
    """Missing numbers are zeros; build data orders nothing, and tells versions apart."""
    assert same("1", "1.0.0")
    assert later_than("1", "1.0.0") is False
    assert not same("1.0.0+a", "1.0.0+b")
    assert later_than("1.0.0+b", "1.0.0+a") is False


@pytest.mark.parametrize("odd", ["black", "1..2", "", "1.0-", "v2", "\u00b9.0"])
def test_what_is_no_version_is_later_than_nothing(odd: str):
    """Whoever asks must decide what cannot be compared."""
    assert later_than(odd, "1.0") is None
    assert later_than("1.0", odd) is None
    assert same(odd, odd)


@pytest.mark.parametrize(
    ("text", "open_at", "closed_at"),
    [
        ("22:00-04:00", ("22:00", "23:59", "00:00", "03:59"), ("04:00", "12:00", "21:59")),
        ("08:00-09:30", ("08:00", "09:29"), ("07:59", "09:30", "00:00")),
        ("08:00-08:00", (), ("08:00", "00:00")),
    ],
)
def test_a_window_is_open_from_its_start_to_its_end(
    text: str, open_at: tuple[str, ...], closed_at: tuple[str, ...]
):
    """Its end is exclusive, it may pass midnight, and equal ends are never."""
    window = Window.read(text, "")

    def at(time: str) -> int:
        hours, minutes = map(int, time.split(":"))
        return (hours * 60 + minutes) * 60_000

    assert [time for time in open_at if not window.is_open(at(time))] == []
    assert [time for time in closed_at if window.is_open(at(time))] == []


def test_a_window_is_in_the_devices_own_time():
    """At 22:00 UTC in summer it is midnight in Berlin."""
    summer = 1_782_856_800_000  # 2026-06-30 22:00 UTC
    assert Window.read("00:00-00:01", "Europe/Berlin").is_open(summer)
    assert not Window.read("00:00-00:01", "").is_open(summer)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"window": "24:00-04:00"}, "must be like `22:00-04:00`"),
        ({"window": "22:00-04:00", "time_zone": "Europe/Bärlin"}, "does not know the time zone"),
        ({"program": "x", "rauc": "rauc"}, "exclude each other"),
    ],
)
def test_a_table_that_says_nonsense_is_refused(fields: dict[str, str], words: str):
    """In words that name the key."""
    with pytest.raises(ConfigError, match=words):
        InstallConfig(**fields)  # pyright: ignore[reportArgumentType]
