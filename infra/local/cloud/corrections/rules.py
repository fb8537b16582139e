"""The SQL of IoT rules: functions of AWS that the emulator reads as Undefined."""

# ruff: noqa: PLR0917, SLF001 - the emulator is untyped, and private names are all that it has

from __future__ import annotations

import base64
import inspect
import json
import math
import re
from typing import TYPE_CHECKING, Any, Final

from infra.local.cloud.limits.table import RECORDS_OF_A_STREAM

if TYPE_CHECKING:
    from collections.abc import Callable

    from infra.local.cloud.emulator import Emulator

_IOT: Final = "services.iot"
_DONE: Final = 200
_DISPATCH: Final = "_dispatch_rule_action"


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


def streams_are_written_to(emulator: Emulator) -> None:
    """Know the Firehose action: a record and its separator, which the emulator leaves out.

    Here Firehose writes an object for each record at once, where AWS collects them. It keeps none
    of them in memory, as the emulator would for ever.
    """
    iot, firehose = emulator.module(_IOT), emulator.module("services.firehose")

    def correction(original: Any) -> Any:
        async def dispatch(
            account: str, region: str, rule: str, action: dict[str, Any], event: Any
        ) -> None:
            if (spec := action.get("firehose")) is None:
                await original(account, region, rule, action, event)
                return
            stream = str(spec["deliveryStreamName"])
            if not emulator.limits.take(RECORDS_OF_A_STREAM, stream):
                raise RuntimeError(f"{RECORDS_OF_A_STREAM.code}: {stream} is written to too fast")
            text = event if isinstance(event, str) else json.dumps(event)
            data = base64.b64encode((text + spec.get("separator", "")).encode()).decode()
            with iot.request_scope(account, region):
                status, _, body = firehose._put_record(
                    {"DeliveryStreamName": stream, "Record": {"Data": data}}
                )
                for destination in (firehose._streams.get(stream) or {}).get("destinations", ()):
                    destination["records"].clear()
            if status != _DONE:
                raise RuntimeError(f"PutRecord to {stream} failed: {body!r}")

        return dispatch

    emulator.replace(_IOT, _DISPATCH, correction)
    emulator.replace(
        _IOT,
        "_RULE_ACTION_RESOURCE_KEYS",
        lambda known: known | {"firehose": ("deliveryStreamName",)},
    )


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
