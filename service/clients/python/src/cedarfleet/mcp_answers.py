"""What a tool answers: documents of the API, or the API's words for why there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from mcp.server.fastmcp.exceptions import ToolError

from cedarfleet.errors import ApiError, CedarfleetError, RefusedError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

MOST: Final = 200  # of a list


async def document(asked: Callable[[], Awaitable[Any]]) -> dict[str, Any]:
    """A model of the API, in JSON."""
    return (await asked()).to_dict()


async def listed(name: str, rows_of: Callable[[], AsyncIterator[Any]], most: int) -> dict[str, Any]:
    """The first rows of a list, by its name, and whether there are more."""
    rows: list[dict[str, Any]] = []
    async for row in rows_of():
        if len(rows) == min(most, MOST):
            return {name: rows, "more": True}
        rows.append(row.to_dict())
    return {name: rows, "more": False}


async def answered(answer: Awaitable[dict[str, Any]]) -> dict[str, Any]:
    """The answer, or the API's words for why there is none; a token stands in neither."""
    try:
        return await answer
    except RefusedError as error:
        failed = [
            condition["words"] or condition["condition"]
            for policy in error.explained
            for condition in policy["conditions"]
        ]
        by = f" by {', '.join(error.policies)}" if error.policies else ""
        told = f" ({'; '.join(failed)})" if failed else ""
        raise ToolError(f"refused{by}: {error}{told}") from error
    except ApiError as error:
        raise ToolError(f"{error.slug}: {error}") from error
    except CedarfleetError as error:
        raise ToolError(str(error)) from error
