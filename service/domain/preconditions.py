"""What a change expects of the thing that it changes: entity tags, compared to the letter.

A tag names what can be changed of a thing, and what it is the thing of: a change of another kind (a
device connects) leaves it, so that nobody's change fails for it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from service.errors import PreconditionFailedError

_CHARACTERS: Final = 20


def entity_tag(*parts: object) -> str:
    """The tag of a thing in a state; the parts are told to nobody.

    Args:
        *parts: which thing it is, and the number of its change.
    """
    text = "\n".join(map(str, parts))
    return hashlib.sha256(text.encode()).hexdigest()[:_CHARACTERS]


@dataclass(frozen=True, kw_only=True)
class Expected:
    """The states in which a thing may be changed.

    Attributes:
        tags: of these states; ``None``: any, as long as there is the thing.
    """

    tags: frozenset[str] | None = None

    def check(self, tag: str) -> None:
        """Go on only if the thing is in such a state.

        Args:
            tag: of the thing as it is now.

        Raises:
            PreconditionFailedError: it is in another one.
        """
        # Fail closed: no tag is expected, so none fits.
        if self.tags is not None and tag not in self.tags:
            raise PreconditionFailedError(tag)


ANY_STATE: Final = Expected()
"""Of who expects nothing."""
