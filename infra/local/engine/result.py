"""What a run did, as data and as plain lines."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from infra.local.engine.urns import kind_and_name

if TYPE_CHECKING:
    from collections.abc import Iterator


class Op(StrEnum):
    """What happened to a resource."""

    SAME = "same"
    CREATE = "create"
    UPDATE = "update"
    REPLACE = "replace"
    DELETE = "delete"
    READ = "read"


_MOST_SHOWN: Final = 4  # entries of an output among a run's lines
_SIGN: Final = {
    Op.CREATE: "+",
    Op.UPDATE: "~",
    Op.REPLACE: "+-",
    Op.DELETE: "-",
    Op.READ: ">",
    Op.SAME: " ",
}


@dataclass(frozen=True, kw_only=True)
class Change:
    """One resource that was (or, in a preview, would be) touched.

    Attributes:
        keys: Inputs that differ; of a replacement, those that force it come first; of a refresh,
            the outputs.
        recorded: Nothing stands behind it in this cloud: the engine only wrote it down.
    """

    op: Op
    urn: str
    keys: tuple[str, ...] = ()
    recorded: bool = False

    def __str__(self) -> str:
        keys = f" [{', '.join(self.keys)}]" if self.keys else ""
        what = f"{_SIGN[self.op]:>2} {self.op:<7} {kind_and_name(self.urn)}{keys}"
        return f"{what} (only recorded)" if self.recorded else what


@dataclass(frozen=True, kw_only=True)
class Result:
    """The outcome of a run.

    Attributes:
        changes: What changed, in the order in which it happened.
        same: How many resources stayed as they were.
        outputs: The stack's outputs, secrets in clear: never print it, print ``lines()``.
        secret_outputs: Which outputs are secret.
        recorded: URNs of resources in the stack that are only recorded.
        warnings: What the operator should know, e.g. operations that an earlier run left
            unfinished.
        preview: Whether nothing was really done.
    """

    changes: tuple[Change, ...] = ()
    same: int = 0
    outputs: dict[str, Any] = field(default_factory=dict[str, Any], repr=False)
    secret_outputs: frozenset[str] = frozenset()
    recorded: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    preview: bool = False

    def count(self, op: Op) -> int:
        """How many resources had this operation."""
        return self.same if op is Op.SAME else sum(change.op is op for change in self.changes)

    def lines(self) -> Iterator[str]:
        """Say it in plain lines, secrets hidden."""
        yield from (f"warning: {warning}" for warning in self.warnings)
        yield from (str(change) for change in self.changes)
        counts = Counter(change.op for change in self.changes)
        words = [f"{number} {op}" for op, number in counts.items()] + [f"{self.same} unchanged"]
        yield f"{'would be: ' if self.preview else ''}{', '.join(words)}"
        if self.recorded:
            yield (
                f"{len(self.recorded)} resources are only recorded: nothing stands behind them here"
            )
        for name, value in sorted(self.outputs.items()):
            yield f"  {name}: {self._brief(name, value)}"

    def _brief(self, name: str, value: Any) -> str:
        if name in self.secret_outputs:
            return "[secret]"
        if isinstance(value, (dict, list)) and len(value) > _MOST_SHOWN:
            return f"{len(value)} entries, see `outputs`"
        return str(value)
