"""What a request's one line in the log says of it, as it becomes known while it is served.

Outside a request, as in the worker, each thing is a line of its own.
"""

from __future__ import annotations

import contextvars
from typing import Any, Final

import structlog

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()
MOST_DECISIONS: Final = 20
"""Told one by one of one request; of further ones it is told how many there were."""
_said: contextvars.ContextVar[dict[str, Any] | None] = contextvars.ContextVar("said", default=None)


def begin() -> dict[str, Any]:
    """What is said of the request of this context from now on, for whoever writes its line."""
    said: dict[str, Any] = {}
    _said.set(said)
    return said


def decided(**decision: Any) -> None:
    """Say what the policies decided: action, resource, whether allowed, by which policies and whom.

    Identifiers only: no token, no content.
    """
    said = _said.get()
    if said is None:
        log.info("access.decided", **decision)
        return
    told: list[dict[str, Any]] = said.setdefault("decisions", [])
    if len(told) < MOST_DECISIONS:
        told.append(decision)
    else:
        said["more_decisions"] = said.get("more_decisions", 0) + 1


def unauthenticated(reason: str) -> None:
    """Say why a token proves nothing, for the operator: its sender is told less."""
    said = _said.get()
    if said is None:
        log.warning("request.unauthenticated", reason=reason)
        return
    said["unauthenticated"] = reason
