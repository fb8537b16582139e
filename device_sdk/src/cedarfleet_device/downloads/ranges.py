"""Which bytes are there, which are missing, and who fetches them: arithmetic without I/O."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cedarfleet_device.downloads.limits import DownloadLimits

_KIB: Final = 1024
_MIB: Final = 1024 * _KIB
SMALLEST_STEP: Final = 256 * _KIB

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
    """What a ``Content-Range`` header says: the bytes and the whole size (None: `*`); None when it is malformed."""
    match = _CONTENT_RANGE.fullmatch(text.strip())
    if match is None:
        return None
    found = ByteRange(int(match[1]), int(match[2]) + 1)
    return (found, None if match[3] == "*" else int(match[3])) if len_or_negative(found) > 0 else None


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


def segments(gaps: Iterable[ByteRange], largest: int) -> tuple[ByteRange, ...]:
    """``gaps`` cut into requests of at most ``largest`` bytes, in the file's order, so that the hash can follow."""
    return tuple(
        ByteRange(start, min(start + largest, gap.end)) for gap in gaps for start in range(gap.start, gap.end, largest)
    )


def connections_for(left: int, round_trip: float, limits: DownloadLimits) -> int:
    """How many connections to use for ``left`` bytes.

    Args:
        left: bytes still missing.
        round_trip: seconds that the TCP handshake took.
        limits: the device's.
    """
    if left < limits.parallel_from_bytes or round_trip < limits.parallel_from_seconds:
        return 1
    return min(limits.connections, max(1, left * 4 // limits.parallel_from_bytes))


def segment_size(left: int, connections: int) -> int:
    """Bytes of one request: all for one connection; else small enough that the hash, which goes in order, keeps up."""
    return max(1, left) if connections == 1 else min(64 * _MIB, max(4 * _MIB, left // (connections * 2)))


def checkpoint_step(size: int, limits: DownloadLimits) -> int:
    """Bytes between two checkpoints: a 64th of the file, so that a kill never costs more than some percent of it."""
    return min(limits.checkpoint_bytes, max(SMALLEST_STEP, size // 64))
