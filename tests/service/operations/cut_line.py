"""A line between operations and their ports that is cut before a call arrives, or behind it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from service.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


def cut(where: str, number: int) -> Line:
    """A line that is cut before a call arrives, or behind it."""
    return Line(before=number) if where == "before" else Line(behind=number)


@dataclass
class Line:
    """Every call of the wrapped ports, in order.

    Attributes:
        before: the call that never arrives.
        behind: the call whose answer is lost.
        turns: whether each call lets another task run first.
    """

    before: int | None = None
    behind: int | None = None
    turns: bool = False
    calls: list[str] = field(default_factory=list[str])

    async def carry(self, name: str, call: Callable[..., Awaitable[Any]], *given: Any) -> Any:
        """One call."""
        self.calls.append(name)
        number = len(self.calls)
        if self.turns:
            await asyncio.sleep(0)
        if number == self.before:
            raise UnavailableError(name)
        answer = await call(*given)
        if number == self.behind:
            raise UnavailableError(name)
        return answer


class Wrapped:
    """A port behind a line."""

    def __init__(self, name: str, port: object, line: Line) -> None:
        self._name, self._port, self._line = name, port, line

    def __getattr__(self, method: str) -> Callable[..., Awaitable[Any]]:
        call = getattr(self._port, method)
        return lambda *given: self._line.carry(f"{self._name}.{method}", call, *given)
