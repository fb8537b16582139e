"""Names of artifacts: what becomes a path on the device and what never does."""

from __future__ import annotations

import os
from pathlib import PurePosixPath, PureWindowsPath

import pytest
from cedarfleet_device.downloads.names import components, same_file_elsewhere
from cedarfleet_device.downloads.outcomes import DownloadRefusedError, Reason
from hypothesis import example, given
from hypothesis import strategies as st

PIECES = st.sampled_from(
    [
        "a",
        "..",
        ".",
        "/",
        "\\",
        "\0",
        "CON",
        "nul.txt",
        "é",
        "e\u0301",
        " ",
        "\u202e",
        "\uff0e",
        "x" * 60,
        ":",
    ]
)


def test_a_name_ends_where_its_bounds_are():
    """200 bytes of a component, 1,024 of the whole, 16 levels."""
    whole = "/".join(["x" * 200] * 5) + "/" + "y" * 19
    assert len(whole) == 1024
    assert "/".join(components(whole)) == whole
    assert len(components("/".join("a" * 16))) == 16
    for longer in (whole + "y", "x" * 201, "é" * 101, "/".join("a" * 17)):
        with pytest.raises(DownloadRefusedError) as refused:
            components(longer)
        assert refused.value.reason is Reason.NAME


@pytest.mark.parametrize(
    "name",
    ["a", "recipes/steel.json", "firmware/2026/press-07_v1.2.bin", "größe/日本.bin", "con1/x"],
)
def test_ordinary_names_pass_as_they_are(name: str):
    """A name without traps keeps its components."""
    assert "/".join(components(name)) == name


@pytest.mark.parametrize(
    "name",
    [
        "", "/", "/etc/passwd", "..", "../x", "a/../../x", "a/..", "./a", "a//b", "a/",
        ".ssh/keys", "a\\..\\b",
        "C:/x", "a\0b", "a\nb", "NUL", "nul.txt", "Con", "con .txt", "lpt9.bin", "com¹", "a.",
        "a ", " a", "x" * 201,
        "é" * 101, "/".join("abcdefghijklmnopq"), "y/" * 512 + "y", "e\u0301", "\uff0e\uff0e/x",
        "a\u202eb", "a\u200bb",
        "\ud800", "a?b", "a|b", "\u2028", "\ufb01le", "\ufeffa", "a*",
    ],
)  # fmt: skip
def test_traps_are_refused_with_a_reason(name: str):
    """Whatever could leave the folder, hide, or mean another file is refused as a name."""
    with pytest.raises(DownloadRefusedError, match="is refused: ") as caught:
        components(name)
    assert caught.value.reason is Reason.NAME
    assert "\0" not in str(caught.value)
    assert "\n" not in str(caught.value)


@given(st.one_of(st.text(max_size=300), st.lists(PIECES, max_size=12).map("".join)))
@example("\u1680")  # Ogham space mark: a space that no rule about spaces knows
@example("a/\u2024\u2024/b")
def test_an_accepted_name_stays_inside_under_every_reading(name: str):
    """Joined to a folder, an accepted name is below it for POSIX and Windows, and fits."""
    try:
        parts = components(name)
    except DownloadRefusedError:
        return
    joined = os.path.normpath("/folder/" + "/".join(parts))
    assert joined.startswith("/folder/")
    assert joined == "/folder/" + name
    assert not PurePosixPath(name).is_absolute()
    windows = PureWindowsPath(name)
    assert not windows.is_absolute()
    assert not windows.drive
    assert not windows.is_reserved()
    assert list(windows.parts) == list(parts)
    assert all(0 < len(part.encode()) <= 255 and part.isprintable() for part in parts)


@given(st.text(min_size=1, max_size=20))
def test_two_accepted_names_that_fold_alike_are_found(name: str):
    """The upper-case form of a name is the same file; the name itself is not reported."""
    other = name.upper()
    found = same_file_elsewhere(name, [name, other])
    assert found is None or found == other
    if other.casefold() == name.casefold() and other != name:
        assert found == other
