"""Calls a maker's handlers so that none can end the agent: whatever one does becomes an outcome."""

from __future__ import annotations

import json
import logging
import os
from typing import Any, TypeAlias

from cedarfleet_device import wire
from cedarfleet_device.commands.handlers import Command, Handler, Result
from cedarfleet_device.errors import CommandFailedError
from cedarfleet_device.log import event, places
from cedarfleet_device.wire import CommandState

Outcome: TypeAlias = tuple[CommandState, dict[str, Any], Result | None]


def call_handler(handler: Handler, command: Command) -> Outcome:
    """Run the handler.

    What it raises, also ``SystemExit``, is FAILED; a detail too big to send is replaced.
    """
    process = os.getpid()
    try:
        try:
            given = handler.function(command)
        finally:
            # The handler forked and the child came back: it must not go on as an agent.
            if os.getpid() != process:
                os._exit(0)
    except CommandFailedError as error:
        state, detail, result = CommandState.FAILED, {"reason": error.reason, **error.detail}, None
    except BaseException as error:  # noqa: BLE001 - also SystemExit: a handler never ends the agent
        raised = _worded(error)
        event(
            "command.handler_raised",
            level=logging.WARNING,
            error=raised,
            at=places(error),
            command_id=command.command_id,
        )
        state, detail, result = (
            CommandState.FAILED,
            {"reason": f"{type(raised).__name__}: {str(raised)[:1000]}"},
            None,
        )
    else:
        result = given if isinstance(given, Result) else Result(detail=_detail(given))
        state, detail = CommandState.SUCCEEDED, result.detail
    fitting = as_sent(detail)
    if fitting is None:
        form = f"no JSON object of at most {wire.MAX_DETAIL_BYTES} bytes"
        fitting = {"truncated": f"the handler's detail is {form}"}
        event(
            "command.detail_not_sent",
            level=logging.WARNING,
            command_id=command.command_id,
            name=command.name,
            reason=f"the detail, a {type(detail).__name__}, is {form}",
        )
    return state, fitting, result


def _detail(given: object) -> dict[str, Any]:
    """What the sender reads of a handler's answer: a text or a number stands as ``result``."""
    if given is None:
        return {}
    return given if isinstance(given, dict) else {"result": given}  # pyright: ignore[reportUnknownVariableType]


def as_sent(detail: dict[str, Any]) -> dict[str, Any] | None:
    """The detail as it would arrive; None: no JSON object of at most ``wire.MAX_DETAIL_BYTES``.

    A copy, since a maker's threads may go on changing what was given, and it is stored later.
    """
    try:
        encoded = json.dumps(
            detail, allow_nan=False, ensure_ascii=False, separators=(",", ":")
        ).encode()
    except Exception:  # noqa: BLE001 - a maker's objects raise what they like
        return None
    return (
        json.loads(encoded)
        if encoded.startswith(b"{") and len(encoded) <= wire.MAX_DETAIL_BYTES
        else None
    )


def _worded(error: BaseException) -> BaseException:
    try:
        str(error)
    except Exception:  # noqa: BLE001 - a maker's class
        return RuntimeError(f"a {type(error).__name__}, which fails to say what it is")
    return error
