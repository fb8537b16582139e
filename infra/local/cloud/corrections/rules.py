"""The SQL of IoT rules: functions of AWS that the emulator reads as Undefined."""

# ruff: noqa: PLR0917, SLF001 - the emulator is untyped, and private names are all that it has

from __future__ import annotations

import inspect
import math
import re
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


def regexp_substr_is_known(emulator: Emulator) -> None:
    """Know `regexp_substr(text, pattern)`, the first match; AWS makes Undefined where none is."""
    iot = emulator.module(_IOT)

    def substr(value: Any, pattern: Any) -> Any:
        text = iot._sql_as_string(value)
        found = None if text is None else re.search(str(pattern), text)
        return found[0] if found else iot._MISSING

    _add_function(emulator, "regexp_substr", substr)


def regexp_replace_is_known(emulator: Emulator) -> None:
    """Know `regexp_replace(text, pattern, text)`, which replaces every match."""
    iot = emulator.module(_IOT)

    def replace(value: Any, pattern: Any, replacement: Any) -> Any:
        text = iot._sql_as_string(value)
        if text is None:
            return iot._MISSING
        return re.sub(str(pattern), lambda _: str(replacement), text)

    _add_function(emulator, "regexp_replace", replace)


def get_is_known(emulator: Emulator) -> None:
    """Know `get(array, index)`, from 0; AWS makes Undefined where none is."""
    iot = emulator.module(_IOT)

    def get(value: Any, index: Any) -> Any:
        if not isinstance(value, list) or not isinstance(index, int):
            return iot._MISSING
        members: list[Any] = value
        return members[index] if 0 <= index < len(members) else iot._MISSING

    _add_function(emulator, "get", get)


def _add_function(emulator: Emulator, name: str, function: Callable[..., Any]) -> None:
    """Let rules call ``function`` by its name, with as many arguments as it has."""
    iot = emulator.module(_IOT)
    count = len(inspect.signature(function).parameters)

    def correction(original: Any) -> Any:
        def evaluate(
            called: str,
            args: list[str],
            topic: str,
            payload: bytes,
            message: Any,
            client_id: str | None = None,
        ) -> Any:
            if called != name or len(args) != count:
                return original(called, args, topic, payload, message, client_id)
            return function(
                *(iot._eval_select_expr(each, topic, payload, message, client_id) for each in args)
            )

        return evaluate

    emulator.replace(_IOT, "_eval_select_function", correction)
    emulator.replace(_IOT, "_IMPLEMENTED_SQL_FUNCS", lambda known: known | {name})
