"""Names of files that are accepted, and identifiers that are made."""

from __future__ import annotations

import pytest
from cedarfleet_device.wire import is_command_id
from hypothesis import given
from hypothesis import strategies as st

from service.domain.artifacts import Artifact, is_artifact_name, permission_for
from service.domain.instants import first_ulid, new_ulid, time_of
from service.domain.permissions import Permission


@given(st.integers(0, 2**48 - 1), st.integers(0, 2**48 - 1))
def test_ids_sort_by_time(first: int, second: int) -> None:
    """A later instant gives a greater id; every id is a ULID of the wire."""
    ids = new_ulid(first), new_ulid(second)
    assert all(map(is_command_id, ids))
    if first != second:
        assert (ids[0] < ids[1]) == (first < second)
    assert (first_ulid(first) <= ids[1]) == (first <= second)


@given(st.integers(0, 2**48 - 1))
def test_an_id_says_when_it_was_made(at_ms: int) -> None:
    """To the millisecond; what has another length or letter says nothing."""
    made = new_ulid(at_ms)
    assert time_of(made) == at_ms
    for other in (made[:-1], f"{made}0", "", f"U{made[1:]}"):
        with pytest.raises(ValueError, match=r"no ULID|substring"):
            time_of(other)


@given(st.text(max_size=40))
def test_an_accepted_file_name_has_plain_segments_only(text: str) -> None:
    """An accepted name has plain segments, and nothing that a URL or job document could read."""
    if is_artifact_name(text):
        assert all(segment not in ("", ".", "..") for segment in text.split("/"))
        assert text.isascii()
        assert not set(text) & set("\\%?#&${}\"' \n\x00:*")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", True),
        ("recipes/steel.json", True),
        (".hidden/file", True),
        ("a" * 512, True),
        ("a" * 513, False),
        ("", False),
        ("/a", False),
        ("a/", False),
        ("a//b", False),
        ("a/../b", False),
        ("..", False),
        ("a/.", False),
        ("-a", False),
    ],
)
def test_a_file_name_is_accepted_up_to_its_bounds(text: str, expected: bool) -> None:
    """Of 512 characters at most, relative, and without a way up."""
    assert is_artifact_name(text) is expected


@pytest.mark.parametrize(
    ("name", "permission", "kind"),
    [
        ("firmware/press.bin", Permission.UPDATE_FIRMWARE, "firmware"),
        ("recipes/firmware/press.bin", Permission.DOWNLOAD_FILE, "file"),
        ("firmware", Permission.DOWNLOAD_FILE, "file"),
    ],
)
def test_firmware_is_what_stands_in_its_folder(
    name: str, permission: Permission, kind: str
) -> None:
    """The permission that is asked for and what policies see of the file agree."""
    assert permission_for(name) is permission
    artifact = Artifact(tenant="acme", name=name, size=7, sha256=None, etag='"e"')
    assert artifact.entity().attributes["kind"] == kind


def test_reading_changes_nothing_and_all_else_does() -> None:
    """What changes something is audited also when it is allowed."""
    reading = {action for action in Permission if not action.changes_something}
    assert reading == {
        Permission.LIST_DEVICES,
        Permission.VIEW_FILE,
        Permission.VIEW_DEVICE,
        Permission.VIEW_COMMAND,
        Permission.VIEW_DOWNLOAD,
    }
