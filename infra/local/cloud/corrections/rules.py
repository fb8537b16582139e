"""The SQL of IoT rules: functions of AWS that the emulator reads as Undefined."""

# ruff: noqa: PLR0917, SLF001 - the emulator is untyped, and private names are all that it has

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from infra.local.cloud.emulator import Emulator

_IOT: Final = "services.iot"


def length_is_known(emulator: Emulator) -> None:
    """Know `length(text)`; Undefined, a rule that bounds what devices write never fires."""
    iot = emulator.module(_IOT)

    def length(value: Any) -> Any:
        text = iot._sql_as_string(value)
        return iot._MISSING if text is None else len(text)

    _add_function(emulator, "length", length)


def floor_is_known(emulator: Emulator) -> None:
    """Know `floor(number)`, which is Undefined: no rule could make seconds of `timestamp()`."""
    iot = emulator.module(_IOT)

    def floor(value: Any) -> Any:
        number = iot._sql_as_number(value)
        return iot._MISSING if number is None else math.floor(number)

    _add_function(emulator, "floor", floor)


def _add_function(emulator: Emulator, name: str, function: Callable[[Any], Any]) -> None:
    """Let rules call ``function`` by its name with one argument."""
    iot = emulator.module(_IOT)

    def correction(original: Any) -> Any:
        def evaluate(
            called: str,
            args: list[str],
            topic: str,
            payload: bytes,
            message: Any,
            client_id: str | None = None,
        ) -> Any:
            if called != name or len(args) != 1:
                return original(called, args, topic, payload, message, client_id)
            return function(iot._eval_select_expr(args[0], topic, payload, message, client_id))

        return evaluate

    emulator.replace(_IOT, "_eval_select_function", correction)
    emulator.replace(_IOT, "_IMPLEMENTED_SQL_FUNCS", lambda known: known | {name})
