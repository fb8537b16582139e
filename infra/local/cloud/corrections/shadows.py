"""Device shadows: how large one may become, how often a thing's are asked, and which it has."""

# ruff: noqa: SLF001 - the emulator is untyped, and private names are all that it has

from __future__ import annotations

import copy
import json
import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from infra.local.cloud.limits.table import CALLS_OF_A_THINGS_SHADOWS, SHADOW_BYTES

if TYPE_CHECKING:
    from infra.local.cloud.emulator import Emulator

_IOT: Final = "services.iot"
_DATA: Final = "services.iot_data"
_NAMED: Final = re.compile(r"/api/things/shadow/ListNamedShadowsForThing/([^/]+)")
_PAGE: Final = 25
_TOO_LARGE: Final = 413  # AWS IoT developer guide, "Device Shadow error messages"
_TOO_MANY: Final = 429


def shadows_are_limited(emulator: Emulator) -> None:
    """Refuse what makes a shadow larger than 8 KB, and requests by MQTT beyond a thing's rate.

    Those by HTTP are counted as every call is (``calls.rates_hold``).
    """
    iot = emulator.module(_IOT)

    def bounded(original: Any) -> Any:
        def update(thing: str, shadow: str, request: Any) -> Any:
            held = (iot._shadows.get((thing, shadow)) or {}).get("state") or {}
            asked = request.get("state") if isinstance(request, dict) else None
            if isinstance(asked, dict) and _size(_merged(iot, held, asked)) > SHADOW_BYTES:
                return iot._shadow_error(_TOO_LARGE, "The payload exceeds the maximum size allowed")
            return original(thing, shadow, request)

        return update

    def counted(original: Any) -> Any:
        async def handle(  # noqa: PLR0917 - the emulator's
            account: str, region: str, thing: str, verb: str, name: str | None, payload: bytes
        ) -> None:
            if emulator.limits.take(CALLS_OF_A_THINGS_SHADOWS, thing):
                await original(account, region, thing, verb, name, payload)
                return
            base = f"{iot.SHADOW_TOPIC_PREFIX}{thing}/shadow"
            base += "" if name is None else f"/name/{name}"
            refusal = iot._shadow_rejected(_TOO_MANY, "Too many requests", _token(payload))
            await iot.broker_publish(
                account, region, f"{base}/{verb}/rejected", json.dumps(refusal).encode(), qos=1
            )

        return handle

    emulator.replace(_IOT, "update_thing_shadow", bounded)
    emulator.replace(_IOT, "_handle_shadow_publish", counted)


def named_shadows_are_listed(emulator: Emulator) -> None:
    """Answer ListNamedShadowsForThing, page by page (source: AWS IoT API reference)."""
    iot = emulator.module(_IOT)

    def correction(original: Any) -> Any:
        async def handle(
            method: str, path: str, headers: Any, body: bytes, query: dict[str, Any]
        ) -> Any:
            found = _NAMED.fullmatch(path)
            if method != "GET" or found is None:
                return await original(method, path, headers, body, query)
            thing = unquote(found[1])
            # Of one that was deleted its version stays, as on AWS.
            shadows = sorted(
                name
                for (of, name), held in iot._shadows.items()
                if of == thing and name and not held.get("deleted")
            )
            try:
                size, begin = (
                    int(_first(query, "pageSize") or _PAGE),
                    int(_first(query, "nextToken") or 0),
                )
            except ValueError:
                words = "pageSize or nextToken is not valid"
                return iot.error_response_json("InvalidRequestException", words, 400)
            page: dict[str, Any] = {"results": shadows[begin : begin + size]}
            if begin + size < len(shadows):
                page["nextToken"] = str(begin + size)
            return iot.json_response(page)

        return handle

    emulator.replace(_DATA, "handle_request", correction)


def _first(query: dict[str, Any], name: str) -> str | None:
    value: Any = query.get(name)
    return str(value[0] if isinstance(value, list) else value) if value else None


def _merged(iot: Any, held: dict[str, Any], asked: dict[str, Any]) -> dict[str, Any]:
    state = copy.deepcopy(held)
    for section in ("desired", "reported"):
        if isinstance(asked.get(section), dict):
            iot._deep_merge(state.setdefault(section, {}), asked[section])
        elif section in asked:
            state[section] = {}
    return state


def _size(state: dict[str, Any]) -> int:
    return len(json.dumps(state, separators=(",", ":")).encode())


def _token(payload: bytes) -> str | None:
    try:
        request: Any = json.loads(payload or b"{}")
    except ValueError:
        return None
    token = request.get("clientToken") if isinstance(request, dict) else None
    return token if isinstance(token, str) else None
