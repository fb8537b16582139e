"""Names of files that are accepted, and identifiers that are made."""

from __future__ import annotations

from cedarfleet_device.wire import is_command_id
from hypothesis import given
from hypothesis import strategies as st

from service.domain.artifacts import is_artifact_name
from service.domain.instants import new_ulid


@given(st.integers(0, 2**48 - 1), st.integers(0, 2**48 - 1))
def test_ids_sort_by_time(first: int, second: int) -> None:
    """A later instant gives a greater id; every id is a ULID of the wire."""
    ids = new_ulid(first), new_ulid(second)
    assert all(map(is_command_id, ids))
    if first != second:
        assert (ids[0] < ids[1]) == (first < second)


@given(st.text(max_size=40))
def test_an_accepted_file_name_has_plain_segments_only(text: str) -> None:
    """An accepted name has plain segments, and nothing that a URL or job document could read."""
    if is_artifact_name(text):
        assert all(segment not in ("", ".", "..") for segment in text.split("/"))
        assert text.isascii()
        assert not set(text) & set("\\%?#&${}\"' \n\x00:*")
