"""What an agent has planned: kept for ten minutes, applied as it was shown, and once."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from mcp.server.fastmcp.exceptions import ToolError

from cedarfleet.mcp_answers import answered

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

SECONDS: Final = 600.0
_MOST: Final = 50


@dataclass(kw_only=True)
class Planned:
    """A change that was planned.

    Attributes:
        kind: of the tool that planned it; another's applies it not.
        apply: does exactly it.
        done: what came of it, once it was applied.
    """

    kind: str
    apply: Callable[[], Awaitable[dict[str, Any]]]
    made_at: float = field(default_factory=time.monotonic)
    done: dict[str, Any] | None = None


@dataclass(kw_only=True)
class Plans:
    """The plans of one session."""

    clock: Callable[[], float] = time.monotonic
    _known: dict[str, Planned] = field(default_factory=dict[str, Planned])

    def keep(
        self, kind: str, apply: Callable[[], Awaitable[dict[str, Any]]], shown: dict[str, Any]
    ) -> dict[str, Any]:
        """Keep a plan; gives what is shown of it, with its id."""
        while len(self._known) >= _MOST:
            del self._known[next(iter(self._known))]
        plan = secrets.token_urlsafe(12)
        self._known[plan] = Planned(kind=kind, apply=apply, made_at=self.clock())
        return {"plan": plan, **shown, "expires_in_seconds": SECONDS}

    async def apply(self, kind: str, plan: str) -> dict[str, Any]:
        """Do exactly what was planned; again it is the same, and done once.

        Raises:
            ToolError: there is no such plan, or the API did not do it.
        """
        planned = self._known.get(plan)
        # Fail closed: what was not planned here a moment ago, nobody has seen.
        is_old = planned is None or self.clock() - planned.made_at > SECONDS
        if planned is None or is_old or planned.kind != kind:
            raise ToolError("there is no such plan, or not any more: plan it again")
        if planned.done is None:
            planned.done = await answered(planned.apply())
        return planned.done
