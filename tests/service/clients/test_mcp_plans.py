"""What an agent planned: kept for ten minutes, for its own tool, and done once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from cedarfleet.mcp_plans import SECONDS, Plans
from mcp.server.fastmcp.exceptions import ToolError


class Change:
    """Counts how often it was done; fails as often as it is told."""

    def __init__(self, failures: int = 0) -> None:
        self.done = 0
        self.failures = failures

    async def apply(self) -> dict[str, Any]:
        """Do it."""
        if self.failures:
            self.failures -= 1
            raise ToolError("not now")
        self.done += 1
        return {"number": self.done}


def test_a_plan_is_applied_once_and_by_its_own_tool() -> None:
    """Again it is the same answer; another tool's plan, or an invented one, is none."""
    plans, change = Plans(), Change(failures=1)
    shown = plans.keep("command", change.apply, {"device": "press-01"})
    assert shown["device"] == "press-01"
    for kind, plan in (("campaign", shown["plan"]), ("command", "invented")):
        with pytest.raises(ToolError, match="no such plan"):
            asyncio.run(plans.apply(kind, plan))
    with pytest.raises(ToolError, match="not now"):
        asyncio.run(plans.apply("command", shown["plan"]))
    answers = [asyncio.run(plans.apply("command", shown["plan"])) for _ in range(2)]
    assert (answers, change.done) == ([{"number": 1}] * 2, 1)


def test_a_plan_ends_after_ten_minutes() -> None:
    """What nobody remembers to have been shown is planned again; of fifty the first goes."""
    now = [0.0]
    plans, change = Plans(clock=lambda: now[0]), Change()
    last = plans.keep("command", change.apply, {})["plan"]
    plan = plans.keep("command", change.apply, {})["plan"]
    now[0] = SECONDS
    assert asyncio.run(plans.apply("command", last)) == {"number": 1}
    now[0] = SECONDS + 1
    with pytest.raises(ToolError, match="not any more"):
        asyncio.run(plans.apply("command", plan))
    named = [plans.keep("command", change.apply, {})["plan"] for _ in range(51)]
    with pytest.raises(ToolError):
        asyncio.run(plans.apply("command", named[0]))
    assert asyncio.run(plans.apply("command", named[1])) == {"number": 2}
