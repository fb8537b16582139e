r"""Details of a job's execution, in words that IoT Jobs takes.

Source: AWS IoT API reference, "JobExecutionState": a value is ``[^\p{C}]+``, of at most 1,024
characters. ``\p{C}`` is more than control characters: what joins and turns others and is not seen
(in emoji, in Arabic, at the begin of files), halves of pairs, what nobody assigned.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_MOST_CHARACTERS: Final = 1024


def fitting(detail: Mapping[str, str]) -> dict[str, str]:
    """The same, with a space for each character that is refused."""
    return {key: _visible(value)[:_MOST_CHARACTERS] or "-" for key, value in detail.items()}


def plainer(detail: Mapping[str, str]) -> dict[str, str]:
    """What to say where ``detail`` was refused after all: it in ASCII; nothing, where it is.

    Which characters are assigned grows with each version of Unicode, and the cloud's may be older.
    """
    plain = {key: value.encode("ascii", "replace").decode() for key, value in detail.items()}
    return plain if plain != detail else {}


def _visible(value: str) -> str:
    return "".join(" " if unicodedata.category(each)[0] == "C" else each for each in value)
