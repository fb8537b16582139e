"""Collects what one run does, from all its threads."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from infra.local.engine.errors import Failure, GuardedError, ProgramError
from infra.local.engine.result import Change, Op, Result
from infra.local.engine.urns import STACK_TYPE, kind_and_name
from infra.local.engine.values import is_secret, is_unknown, reveal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from infra.local.engine.guarding import Asked, Guard
    from infra.local.engine.handler import Handler
    from infra.local.engine.snapshot import Snapshot


class Run:
    """One preview, up, refresh or destroy.

    Attributes:
        preview: Whether nothing is really done.
        missing: Resource type -> first URN, of types that have no handler.
        asked: What the guard was asked about.
        refusals: What it refused, as (resource, what is wrong).
    """

    def __init__(self, handlers: Mapping[str, Handler], *, preview: bool) -> None:
        self.preview = preview
        self.missing: dict[str, str] = {}
        self.asked: list[Asked] = []
        self.refusals: list[tuple[str, str]] = []
        self._handlers = handlers
        self._changes: list[Change] = []
        self._same = 0
        self._warnings: list[str] = []
        self._failures: list[Failure] = []
        self._stopped = False
        self._mutex = threading.Lock()

    @property
    def failures(self) -> tuple[Failure, ...]:
        """Steps that failed so far."""
        return tuple(self._failures)

    @property
    def is_ending(self) -> bool:
        """Whether a step failed or the operator interrupted: no other step begins."""
        return self._stopped or bool(self._failures)

    def stop(self) -> None:
        """Begin no other step."""
        self._stopped = True

    def handler(self, kind: str, urn: str) -> Handler | None:
        """Look up the handler of a type; a type without one is remembered as missing."""
        found = self._handlers.get(kind)
        if found is None:
            with self._mutex:
                self.missing.setdefault(kind, urn)
        return found

    def refuse_missing(self) -> None:
        """Fail closed where a type without handler was met.

        Raises:
            ProgramError: names each.
        """
        if self.missing:
            types = "; ".join(f"{kind} (of {urn})" for kind, urn in sorted(self.missing.items()))
            raise ProgramError(f"no resource handler for {types}")

    def refuse_unguarded(self, guard: Guard) -> None:
        """Fail closed where a resource, or all of them together, break a rule.

        Raises:
            GuardedError: names each.
        """
        together = [(kind_and_name(one.urn), wrong) for one, wrong in guard.of_stack(self.asked)]
        if refusals := sorted({*self.refusals, *together}):
            raise GuardedError(tuple(refusals))

    def note(self, op: Op, urn: str, kind: str, keys: Iterable[str] = ()) -> None:
        """Note what happened to a resource."""
        with self._mutex:
            if op is Op.SAME:
                self._same += 1
            else:
                recorded = kind in self._handlers and self._handlers[kind].recorded
                self._changes.append(Change(op=op, urn=urn, keys=tuple(keys), recorded=recorded))

    def warn(self, text: str) -> None:
        """Note what the operator should know."""
        with self._mutex:
            self._warnings.append(text)

    def fail(self, urn: str, operation: str, error: Exception) -> None:
        """Note a step that failed."""
        with self._mutex:
            self._failures.append(Failure(urn, operation, f"{type(error).__name__}: {error}"))

    def result(self, snapshot: Snapshot) -> Result:
        """Sum up; outputs that are not known yet are left out."""
        resources = snapshot.resources()
        outputs = next((item.outputs for item in resources if item.type == STACK_TYPE), {})
        known = {name: value for name, value in outputs.items() if not is_unknown(value)}
        return Result(
            changes=tuple(self._changes),
            same=self._same,
            outputs={name: reveal(value) for name, value in known.items()},
            secret_outputs=frozenset(name for name, value in known.items() if is_secret(value)),
            recorded=tuple(
                item.urn
                for item in resources
                if item.type in self._handlers and self._handlers[item.type].recorded
            ),
            warnings=tuple(self._warnings),
            preview=self.preview,
        )
