"""Which bytes are there, which are missing, and who fetches them: arithmetic without I/O."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_KIB: Final = 1024
_MIB: Final = 1024 * _KIB
SMALLEST_STEP: Final = 256 * _KIB
LARGEST_REQUEST: Final = 64 * _MIB
_SMALLEST_SECOND: Final = 4 * _MIB

_CONTENT_RANGE: Final = re.compile(r"bytes (\d{1,19})-(\d{1,19})/(\d{1,19}|\*)")


@dataclass(frozen=True, order=True, slots=True)
class ByteRange:
    """The bytes ``start`` (inclusive) to ``end`` (exclusive)."""

    start: int
    end: int

    def __len__(self) -> int:
        return self.end - self.start

    @property
    def header(self) -> str:
        """The value of a ``Range`` header (RFC 9110, 14.2: the last position is inclusive)."""
        return f"bytes={self.start}-{self.end - 1}"


def parse_content_range(text: str) -> tuple[ByteRange, int | None] | None:
    """What a ``Content-Range`` header says: the bytes and the whole size (None: `*`).

    None when it is malformed.
    """
    match = _CONTENT_RANGE.fullmatch(text.strip())
    if match is None:
        return None
    found = ByteRange(int(match[1]), int(match[2]) + 1)
    return (
        (found, None if match[3] == "*" else int(match[3])) if len_or_negative(found) > 0 else None
    )


def len_or_negative(span: ByteRange) -> int:
    """The length, also of a range that ends before it starts (``len`` would raise)."""
    return span.end - span.start


def merged(spans: Iterable[ByteRange]) -> tuple[ByteRange, ...]:
    """The same bytes as ``spans``, sorted, without overlap, neighbours joined."""
    result: list[ByteRange] = []
    for span in sorted(spans):
        if result and span.start <= result[-1].end:
            result[-1] = ByteRange(result[-1].start, max(result[-1].end, span.end))
        else:
            result.append(span)
    return tuple(result)


def missing(done: Iterable[ByteRange], size: int) -> tuple[ByteRange, ...]:
    """The bytes of a file of ``size`` that are not in ``done``."""
    gaps: list[ByteRange] = []
    at = 0
    for span in merged(done):
        if span.start > at:
            gaps.append(ByteRange(at, span.start))
        at = max(at, span.end)
    if at < size:
        gaps.append(ByteRange(at, size))
    return tuple(gaps)


def requests(gaps: Sequence[ByteRange], connections: int) -> tuple[ByteRange, ...]:
    """``gaps`` cut into requests in the file's order, of the sizes that ``request_sizes`` gives."""
    sizes = iter(request_sizes(sum(len(gap) for gap in gaps), connections))
    result: list[ByteRange] = []
    room = 0
    for gap in gaps:
        at = gap.start
        while at < gap.end:
            room = room or next(sizes)
            taken = min(room, gap.end - at)
            result.append(ByteRange(at, at + taken))
            at, room = at + taken, room - taken
    return tuple(result)


def request_sizes(left: int, connections: int) -> tuple[int, ...]:
    """Bytes of each request for ``left`` bytes, to be handed out in order to free connections.

    A request costs a connection one idle round trip, so there are few. The hash goes in the file's
    order, so whatever arrives at the same time as bytes before it is hashed later: were the last
    requests large and of one size, most of them would still have to be hashed when the last byte is
    there. Therefore: rounds of equal requests, and each connection's last share is cut in two, the
    first parts growing from connection to connection (each ends a little later than the one before
    it in the file, and the hash is through with that by then), the second parts, a quarter of the
    share and falling, ending all at once. For 256 MiB over 4 connections: 48, 52, 56, 60, 16, 12,
    8, 4 MiB.

    Args:
        left: bytes still missing.
        connections: how many share the work; one asks for everything at once.

    Returns:
        Sizes above 0 whose sum is ``left``, each at most ``LARGEST_REQUEST`` when there are several
        connections.
    """
    if connections == 1:
        return (left,) if left else ()
    count = connections * max(1, -(-left // (connections * LARGEST_REQUEST)))
    shares = [left * (number + 1) // count - left * number // count for number in range(count)]
    rounds, last = shares[:-connections], shares[-connections:]
    second = [
        share * (connections - index) // (4 * connections) for index, share in enumerate(last)
    ]
    # Less is not worth a round trip.
    second = [size if size >= _SMALLEST_SECOND else 0 for size in second]
    first = [share - size for share, size in zip(last, second, strict=True)]
    return tuple(size for size in (*rounds, *first, *second) if size)


def connections_for(
    left: int, round_trip: float, *, most: int, from_bytes: int, from_seconds: float
) -> int:
    """How many connections to use for ``left`` bytes.

    Args:
        left: bytes still missing.
        round_trip: seconds that the TCP handshake took.
        most: connections at once.
        from_bytes: below it one connection is used.
        from_seconds: round trip below which one connection is used.
    """
    if left < from_bytes or round_trip < from_seconds:
        return 1
    return min(most, max(1, left * 4 // from_bytes))


def checkpoint_step(size: int, *, most: int) -> int:
    """Bytes between two checkpoints of a file of ``size``, at most ``most``.

    A 64th of the file, so that a kill never costs more than some percent of it.
    """
    return min(most, max(SMALLEST_STEP, size // 64))
