"""Takes out of lines of a log what nobody but the device should know.

The agent's own log holds no secret; what a maker's program writes, nobody here knows. Known forms
are replaced, and what is in doubt goes: a line that says less is better than a key that is read.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

REDACTED: Final = "[redacted]"
_MOST_CHARACTERS: Final = 16 * 1024  # of one line
_PART: Final = "[A-Za-z0-9_.-]{0,40}"
_SECRET: Final = (
    rf"(?:{_PART}(?:password|passwd|passphrase|secret|token|api[_-]?key|private[_-]?key|credential"
    rf"|signature|authorization|cookie){_PART}|pin|pwd)"
)
_VALUE: Final = r"""(?:bearer|basic|digest)\s+\S+|\\?"[^"]*"?|'[^']*'?|[^\s,;&}]+"""
_PATTERNS: Final = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"""(?P<keep>\\?["']?\b{_SECRET}\\?["']?\s*[:=]\s*)(?P<gone>{_VALUE})""",
        r"(?P<keep>\b(?:bearer|basic)\s+)(?P<gone>[A-Za-z0-9._~+/=-]{8,})",
        # User and password of a URL, and its query: presigned ones end with their signature.
        r"(?P<keep>\b[a-z][a-z0-9+.-]{0,20}://)(?P<gone>[^\s/@]+)(?=@)",
        r"""(?P<keep>\bhttps?://[^\s?"']+\?)(?P<gone>[^\s"']+)""",
        r"(?P<keep>)\b(?P<gone>eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*)",  # JWT
        r"(?P<keep>)\b(?P<gone>(?:AKIA|ASIA)[A-Z0-9]{16})\b",  # id of a key of AWS
    )
)
_BEGIN: Final = re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----")
_END: Final = re.compile(r"-----END [A-Z0-9 ]*PRIVATE KEY-----")


def redacted(lines: Iterable[str]) -> Iterator[str]:
    """The lines, with secrets of known forms replaced.

    A private key is left out from its first line to its last, or to the end of the log.
    """
    inside = False
    for line in lines:
        if inside:
            inside = _END.search(line) is None
            continue
        found = _BEGIN.search(line)
        if found is None:
            yield _redacted(line)
            continue
        inside = _END.search(line, found.end()) is None
        yield f"{_redacted(line[: found.start()])}{REDACTED}"


def _redacted(line: str) -> str:
    for pattern in _PATTERNS:
        line = pattern.sub(_without, line[:_MOST_CHARACTERS])
    return line


def _without(found: re.Match[str]) -> str:
    # A line of JSON stays one.
    quote = '"' if found["gone"].startswith('"') else ""
    return f"{found['keep']}{quote}{REDACTED}{quote}"
