"""Arithmetic of byte ranges, against sets of positions."""

from __future__ import annotations

from itertools import pairwise

from cedarfleet_device.downloads.limits import DownloadLimits
from cedarfleet_device.downloads.ranges import (
    ByteRange,
    checkpoint_step,
    connections_for,
    merged,
    missing,
    parse_content_range,
    segment_size,
    segments,
)
from hypothesis import given
from hypothesis import strategies as st

SIZE = 60
SPANS = st.lists(st.tuples(st.integers(0, SIZE - 1), st.integers(1, 12)), max_size=8).map(
    lambda pairs: [ByteRange(start, min(SIZE, start + length)) for start, length in pairs]
)
MIB = 1024 * 1024


def positions(spans: list[ByteRange] | tuple[ByteRange, ...]) -> set[int]:
    """Every position that ``spans`` contain."""
    return {at for span in spans for at in range(span.start, span.end)}


@given(SPANS)
def test_merged_ranges_are_the_same_bytes_without_overlap(spans: list[ByteRange]):
    """Merging neither loses nor adds a byte, and leaves a gap between neighbours."""
    result = merged(spans)
    assert positions(result) == positions(spans)
    assert all(left.end < right.start for left, right in pairwise(result))


@given(SPANS)
def test_missing_ranges_are_the_complement(spans: list[ByteRange]):
    """What is there and what is missing make up the file, once."""
    gaps = missing(spans, SIZE)
    assert positions(gaps) == set(range(SIZE)) - positions(spans)
    assert sum(len(gap) for gap in gaps) == len(positions(gaps))


@given(SPANS, st.integers(1, 20))
def test_segments_cover_the_gaps_in_order(spans: list[ByteRange], largest: int):
    """Requests are bounded, ordered, and ask for every missing byte once."""
    gaps = missing(spans, SIZE)
    parts = segments(gaps, largest)
    assert positions(parts) == positions(gaps)
    assert all(0 < len(part) <= largest for part in parts)
    assert list(parts) == sorted(parts)


@given(st.integers(0, 2**62), st.integers(1, 2**40))
def test_a_content_range_reads_back_what_was_asked(start: int, length: int):
    """The answer to a ``Range`` header, written as RFC 9110 has it, gives the same range."""
    span = ByteRange(start, start + length)
    inclusive = span.header.removeprefix("bytes=")
    assert parse_content_range(f"bytes {inclusive}/{span.end}") == (span, span.end)
    assert parse_content_range(f"bytes {inclusive}/*") == (span, None)


@given(st.text(alphabet="bytes 0123456789-/*=,", max_size=30))
def test_a_malformed_content_range_is_none_or_a_real_range(text: str):
    """Nothing but a range of at least one byte comes out of any text."""
    parsed = parse_content_range(text)
    assert parsed is None or 0 <= parsed[0].start < parsed[0].end


def test_a_content_range_that_ends_before_it_starts_is_malformed():
    """Positions in the wrong order are no range."""
    assert parse_content_range("bytes 5-4/10") is None
    assert parse_content_range("bytes 5-3/10") is None
    assert parse_content_range("bytes */10") is None


def test_connections_grow_with_distance_and_size_only():
    """Small files and near servers get one connection; far ones as many as allowed."""
    limits = DownloadLimits(connections=6)
    assert connections_for(1024 * MIB, 0.0002, limits) == 1
    assert connections_for(8 * MIB, 0.2, limits) == 1
    assert connections_for(1024 * MIB, 0.02, limits) == 6
    assert connections_for(1024 * MIB, 0.02, DownloadLimits(connections=1)) == 1


@given(st.integers(1, 2**40), st.integers(2, 16))
def test_segments_of_several_connections_are_bounded(left: int, count: int):
    """One request is neither tiny nor so large that the hash falls far behind."""
    assert 4 * MIB <= segment_size(left, count) <= 64 * MIB


def test_a_checkpoint_is_a_small_part_of_the_file():
    """A kill costs at most a 64th of a large file, and small files are not synced for every buffer."""
    limits = DownloadLimits()
    assert checkpoint_step(1 * MIB, limits) == 256 * 1024
    assert checkpoint_step(256 * MIB, limits) == 4 * MIB
    assert checkpoint_step(64 * 1024 * MIB, limits) == limits.checkpoint_bytes
