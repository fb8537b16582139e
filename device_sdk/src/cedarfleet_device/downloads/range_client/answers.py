"""One HTTP answer to a range request, and what it may call for instead of its bytes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

# Source: Amazon S3 API, "Error responses".
_ERROR_CODE: Final = re.compile(rb"<Code>([A-Za-z]{1,60})</Code>")


class TryAgainError(Exception):
    """Something that may pass; ``retry_after`` is what the server asked for, in seconds."""

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class UnreachableError(TryAgainError):
    """No connection was made: the network is gone, or the server is."""


class NoRangesError(TryAgainError):
    """The server answered a range with the whole file; try again with one connection."""


class ExpiredUrlError(Exception):
    """The URL is not, or no longer, good; ask for a fresh one."""


class ChangedObjectError(Exception):
    """The object is another one than at the last range; start over."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """Status line, header and, of a refusal, the beginning of the body.

    Attributes:
        headers: names in lower case; a header that came twice has its values joined by ``, ``.
        excerpt: at most 2 KiB of the body when the status is not 2xx.
    """

    status: int
    headers: Mapping[str, str]
    excerpt: bytes = b""

    @property
    def length(self) -> int | None:
        """``Content-Length`` in bytes; None when absent or not one plain number."""
        text = self.headers.get("content-length", "")
        return int(text) if re.fullmatch(r"\d{1,19}", text) else None

    @property
    def closes(self) -> bool:
        """Whether the connection cannot be used for another request."""
        return "close" in self.headers.get("connection", "").lower()

    @property
    def error_code(self) -> str:
        """S3's word for the refusal, or the empty string."""
        match = _ERROR_CODE.search(self.excerpt)
        return match[1].decode() if match else ""
