"""Requests made of the API's own description, each leading to the next: writes come through."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.seed import new_seed

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.service.conftest import ServiceUnderTest

CHECKS: Final = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
WALKED: Final = (
    "list_devices",
    "configure_device",
    "send_command",
    "read_command",
    "start_download",
    "read_download",
)
ALL_HEALTH_CHECKS: Any = list(HealthCheck)  # no test asserts how fast the machine is
ROUNDS: Final = 40  # at most, until each write was asked for some times
WRITES: Final = {"send_command": 202, "configure_device": 200, "start_download": 202}


def as_the_tenant_knows_it(document: dict[str, Any]) -> dict[str, Any]:
    """The description with what an app of the tenant knows beside it: its commands and files.

    Members that exclude one another, or must name something of the world, are left out of bodies:
    no description can say it, and what is wrong with them has tests of its own.
    """
    schemas = document["components"]["schemas"]
    schemas["CommandBody"]["properties"]["name"]["enum"] = ["reboot", "stop", "set-parameters"]
    schemas["CommandBody"]["properties"]["if_offline"] = {"enum": ["queue"]}
    files = ["recipes/steel.json", "firmware/press-2.bin"]
    schemas["DownloadBody"]["properties"]["artifact"]["enum"] = files
    for member in ("group", "file", "plan"):
        del schemas["DownloadBody"]["properties"][member]
    schemas["DownloadBody"]["required"] = ["artifact", "device"]
    known = {"type": "string", "enum": ["press-01", "press-02", "press-03"]}
    schemas["DownloadBody"]["properties"]["device"] = known
    for member in ("time_zone", "utc_offset", "window", "security_patch"):
        del schemas["DevicePatch"]["properties"][member]
    for item in document["paths"].values():
        for operation in item.values():
            parameters = operation.get("parameters", [])
            # What a page is filtered by has tests of its own, and a cursor comes from a page.
            operation["parameters"] = [
                {**one, "schema": known} if one["name"] == "device" else one
                for one in parameters
                if one["in"] != "query"
            ]
    return document


@pytest.mark.soak
def test_writes_of_the_description_come_through(
    service: ServiceUnderTest, faults: Callable[[int, int], int]
) -> None:
    """Most commands, patches and downloads that the description allows are done, and are found."""
    document = as_the_tenant_knows_it(service.client.get("/v1/openapi").json())
    config = SchemathesisConfig.from_dict({"generation": {"mode": "positive"}})
    schema = schemathesis.openapi.from_dict(document, config=config)
    token = service.acme.id_token("managers", ["managers"])
    seen: Counter[tuple[str, int]] = Counter()

    class Walk(schema.include(operation_id=list(WALKED)).as_state_machine()):
        def call(self, case: Any, **_: Any) -> Any:
            given = case.as_transport_kwargs(base_url=str(service.client.base_url))
            body: Any = _in_whole_numbers(given["json"]) if "json" in given else None
            headers = {**given["headers"], "Authorization": f"Bearer {token}"}
            answer = service.client.request(
                given["method"], given["url"], headers=headers, json=body
            )
            return schemathesis.Response.from_any(answer)

        def validate_response(self, response: Any, case: Any, *_: Any, **__: Any) -> None:
            name = case.operation.definition.raw["operationId"]
            seen[name, int(response.status_code)] += 1
            case.validate_response(response, checks=CHECKS)

    first, rounds = new_seed(), faults(ROUNDS, 100)
    asked: Counter[str] = Counter()
    for number in range(rounds):
        run_state_machine_as_test(
            seed(first + number)(Walk),
            settings=settings(
                max_examples=2,
                stateful_step_count=8,
                phases=[Phase.generate],
                suppress_health_check=ALL_HEALTH_CHECKS,
                database=None,
            ),
        )
        asked = Counter(name for name, _ in seen.elements())
        if rounds == ROUNDS and all(asked[name] >= 3 for name in WRITES):
            break
    told = f"CEDARFLEET_SEED={first}: {seen}"
    done = {name: seen[name, status] for name, status in WRITES.items()}
    assert all(done.values()), told
    assert sum(done.values()) > sum(asked[name] for name in WRITES) / 2, told
    # What a write answered led to what it made.
    assert seen["read_command", 200] + seen["read_download", 200] > 0, told


def _in_whole_numbers(body: dict[str, Any]) -> dict[str, Any]:
    """JSON Schema takes `60.0` for a whole number, and the API does not."""
    return {
        name: int(value) if isinstance(value, float) and value.is_integer() else value
        for name, value in body.items()
    }
