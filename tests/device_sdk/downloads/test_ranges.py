"""Arithmetic of byte ranges, against sets of positions."""

from __future__ import annotations

from itertools import pairwise

from cedarfleet_device.config import DownloadLimits
from cedarfleet_device.downloads.ranges import (
    LARGEST_REQUEST,
    ByteRange,
    checkpoint_step,
    connections_for,
    merged,
    missing,
    parse_content_range,
    request_sizes,
    requests,
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
    assert all(gaps), "a gap of nothing would be asked for"


@given(SPANS, st.integers(1, 8))
def test_requests_cover_the_gaps_in_order(spans: list[ByteRange], count: int):
    """Each missing byte is asked for once, in order, and no request goes over a gap's end."""
    gaps = missing(spans, SIZE)
    parts = requests(gaps, count)
    assert positions(parts) == positions(gaps)
    assert sum(len(part) for part in parts) == len(positions(gaps))
    assert list(parts) == sorted(parts)
    assert all(any(gap.start <= part.start < part.end <= gap.end for gap in gaps) for part in parts)
    assert len(parts) <= len(gaps) + len(request_sizes(len(positions(gaps)), count))


@given(st.integers(0, 2**38), st.integers(2, 16))
def test_requests_are_few_and_bounded(left: int, count: int):
    """The sizes sum up to what is left, none is too large, and each connection asks rarely."""
    sizes = request_sizes(left, count)
    assert sum(sizes) == left
    assert all(0 < size <= LARGEST_REQUEST for size in sizes)
    rounds = -(-left // (count * LARGEST_REQUEST))
    assert len(sizes) <= count * (rounds + 1)


@given(st.integers(0, 2**38), st.integers(2, 16))
def test_the_last_requests_are_a_small_part(left: int, count: int):
    """What arrives last, side by side, is at most a quarter of a share each and falls in size.

    None is tiny.
    """
    sizes = request_sizes(left, count)
    rounds = max(1, -(-left // (count * LARGEST_REQUEST)))
    second = sizes[count * rounds :]
    assert all(4 * MIB <= size <= LARGEST_REQUEST // 4 for size in second)
    assert all(larger >= smaller for larger, smaller in pairwise(second))
    first = sizes[count * (rounds - 1) : count * rounds]
    assert not second or all(smaller <= larger + 1 for smaller, larger in pairwise(first))


def test_sizes_of_requests_by_example():
    """One connection asks once.

    Several in rounds, their last share cut in two where that is worth a round trip.
    """
    assert request_sizes(2**40, 1) == (2**40,)
    assert request_sizes(0, 1) == request_sizes(0, 4) == ()
    assert request_sizes(256 * MIB, 4) == tuple(
        size * MIB for size in (48, 52, 56, 60, 16, 12, 8, 4)
    )
    assert request_sizes(512 * MIB, 4) == tuple(
        size * MIB for size in (64, 64, 64, 64, 48, 52, 56, 60, 16, 12, 8, 4)
    )
    assert request_sizes(16 * MIB, 4) == (4 * MIB,) * 4
    assert request_sizes(3, 4) == (1, 1, 1)


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
    defaults = DownloadLimits()

    def connections(left: int, round_trip: float, *, most: int = 6) -> int:
        return connections_for(
            left,
            round_trip,
            most=most,
            from_bytes=defaults.parallel_from_bytes,
            from_seconds=defaults.parallel_from_seconds,
        )

    assert connections(1024 * MIB, 0.0002) == 1
    assert connections(8 * MIB, 0.2) == 1
    assert connections(1024 * MIB, 0.02) == 6
    assert connections(1024 * MIB, 0.02, most=1) == 1
    from_bytes, from_seconds = defaults.parallel_from_bytes, defaults.parallel_from_seconds
    assert connections(from_bytes, from_seconds) == 4
    assert connections(from_bytes - 1, from_seconds) == 1
    assert connections(from_bytes, from_seconds - 0.001) == 1


def test_a_checkpoint_is_a_small_part_of_the_file():
    """A kill costs at most a 64th of a large file; small files are not synced per buffer."""
    most = DownloadLimits().checkpoint_bytes
    assert checkpoint_step(1 * MIB, most=most) == 256 * 1024
    assert checkpoint_step(256 * MIB, most=most) == 4 * MIB
    assert checkpoint_step(64 * 1024 * MIB, most=most) == most
