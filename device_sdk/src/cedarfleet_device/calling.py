"""Calls a maker's handlers so that none can end the agent: whatever one does becomes an outcome."""

from __future__ import annotations

import json
import logging
import os
from typing import Any, TypeAlias

from cedarfleet_device import wire
from cedarfleet_device.commands import Command, Handler, Result
from cedarfleet_device.errors import CommandFailedError
from cedarfleet_device.log import event
from cedarfleet_device.wire import CommandState

Outcome: TypeAlias = tuple[CommandState, dict[str, Any], Result | None]


def call_handler(handler: Handler, command: Command) -> Outcome:
    """Run the handler; what it raises, also ``SystemExit``, is FAILED, and a detail too big to send is replaced."""
    process = os.getpid()
    try:
        given = handler.function(command)
    except CommandFailedError as error:
        outcome = CommandState.FAILED, {"reason": error.reason, **error.detail}, None
    except BaseException as error:  # noqa: BLE001 - also SystemExit: a handler never ends the agent
        event("command.handler_raised", level=logging.WARNING, error=error, command_id=command.command_id)
        outcome = CommandState.FAILED, {"reason": f"{type(error).__name__}: {str(error)[:1000]}"}, None
    else:
        result = given if isinstance(given, Result) else Result(detail=given or {})
        outcome = CommandState.SUCCEEDED, result.detail, result
    finally:
        if os.getpid() != process:  # the handler forked and the child came back: it must not go on as an agent
            os._exit(0)
    state, detail, result = outcome
    if not fits(detail):
        detail = {"truncated": f"the handler's detail is no JSON object of at most {wire.MAX_DETAIL_BYTES} bytes"}
    return state, detail, result


def fits(detail: dict[str, Any]) -> bool:
    """Whether the detail is a JSON object of at most ``wire.MAX_DETAIL_BYTES``."""
    try:
        encoded = json.dumps(detail, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError):
        return False
    return isinstance(detail, dict) and len(encoded) <= wire.MAX_DETAIL_BYTES  # pyright: ignore[reportUnnecessaryIsInstance]
