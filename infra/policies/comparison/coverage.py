"""Keeps account of which changed policies some request matched, and names the others."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from service.cedar.statement import statement_est

if TYPE_CHECKING:
    from collections.abc import Iterable

    from infra.policies.store.update_order import Step


# A comment, a string and an annotation stand first, so that the word inside them is left alone.
_FORBID: Final = re.compile(
    r'//[^\n]*|"(?:[^"\\]|\\.)*"|@\s*\w+|[.:]\s*\w+|(?P<effect>\bforbid\b)(?=\s*\()'
)


class Reached:
    """Which steps' policies some question matched, and which changes some question told apart."""

    def __init__(self, steps: tuple[Step, ...]) -> None:
        found = {(step.piece.name, step.piece.effect, step.verb): step for step in steps}
        pairs = {
            f"change of {effect} {name}": (step, found[name, effect, "create"])
            for (name, effect, verb), step in found.items()
            if verb == "delete" and (name, effect, "create") in found
        }
        self._changes = {words: (str(old), str(new)) for words, (old, new) in pairs.items()}
        self._reworded = {words for words, (old, new) in pairs.items() if _says(old) == _says(new)}
        changed = {name for pair in self._changes.values() for name in pair}
        self._single = [str(step) for step in steps if str(step) not in changed]
        self._seen: set[str] = set()

    def note(self, matched: Iterable[tuple[str, ...]]) -> None:
        """Of some questions, the names of the policies that each matched."""
        for names in set(matched):
            self._seen.update(names)
            self._seen.update(
                words
                for words, (old, new) in self._changes.items()
                if (old in names) is not (new in names)
            )

    def missing(self) -> tuple[str, ...]:
        """What no question reached; a policy whose new form says the same is not meant."""
        return tuple(
            words
            for words in (*self._single, *self._changes)
            if words not in self._seen and words not in self._reworded
        )


def as_permit(statement: str) -> str:
    """The policy or template as a permit, to ask what it matches."""
    return _FORBID.sub(lambda match: "permit" if match["effect"] else match[0], statement)


def _says(step: Step) -> tuple[Any, ...]:
    est = {
        key: value
        for key, value in statement_est(step.piece.statement).items()
        if key != "annotations"
    }
    return est, step.piece.principal, step.piece.resource
