"""The audit trail through real processes: how soon each entry has its place in the chain."""

from __future__ import annotations

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from tests.service.adapters.on_the_embedded_cloud.conftest import DeployedService

LINKED_MS: Final = 10_000
"""From the decision to the link that holds it (docs/audit.md)."""
MANY: Final = int(os.environ.get("CEDARFLEET_TEST_DECISIONS", "40"))  # of each tenant
DEVICES: Final = {"acme": "press-02", "globex": "pump-01"}
COMMANDS: Final = {"acme": "reboot", "globex": "self-test"}


def decide(deployed: DeployedService, tenant: str) -> list[str]:
    """Ask for what policies allow and refuse, one after the other; ids of what was allowed."""
    path = f"/v1/devices/{DEVICES[tenant]}/commands"
    allowed: list[str] = []
    for _ in range(MANY // 2):
        sent = deployed.call("POST", path, tenant=tenant, json={"name": COMMANDS[tenant]})
        assert sent.status_code == 202, sent.text
        allowed.append(sent.json()["id"])
        refused = deployed.call(
            "POST", path, tenant=tenant, group="operators", json={"name": COMMANDS[tenant]}
        )
        assert refused.status_code == 403, refused.text
    return allowed


def lines(deployed: DeployedService, tenant: str, first: int) -> list[dict[str, Any]]:
    """The trail from a link on, as the tenant takes it away."""
    answer = deployed.call("GET", "/v1/audit/export", tenant=tenant, params={"first": first})
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.text.splitlines()]


def waits(told: list[dict[str, Any]]) -> dict[str, int]:
    """Milliseconds from each entry's decision until the link was made that holds it, by its id."""
    entries = {one["body"]["id"]: one["body"] for one in told if one["line"] == "entry"}
    return {
        entry_id: link["body"]["made_at"] - entries[entry_id]["at"]
        for link in told
        if link["line"] == "link"
        for entry_id, _ in link["body"]["entries"]
    }


def test_each_decision_is_in_the_chain_in_ten_seconds(deployed: DeployedService) -> None:
    """Of two tenants at once, allowed and refused; until then the check counts it as open."""
    before: dict[str, int] = {}
    for tenant in DEVICES:
        chain = deployed.call("GET", "/v1/audit/chain", tenant=tenant).json()
        before[tenant] = chain["links"]
        deployed.token(tenant, "operators")
    with ThreadPoolExecutor(len(DEVICES)) as pool:
        sent = dict(zip(DEVICES, pool.map(lambda one: decide(deployed, one), DEVICES), strict=True))
    found: dict[str, list[int]] = {}
    for tenant, commands in sent.items():
        open_ = deployed.call("GET", "/v1/audit/chain", tenant=tenant).json()["open_entries"]
        # The looking is an entry too, which is in no link yet.
        assert open_ >= 1
        until = time.monotonic() + 2 * LINKED_MS / 1000
        while True:
            told = lines(deployed, tenant, before[tenant] + 1)
            linked = waits(told)
            decided = [
                one["body"]
                for one in told
                if one["line"] == "entry" and one["body"]["kind"] == "decision"
            ]
            mine = {one.get("about", {}).get("command") for one in decided}
            refused = [one for one in decided if one["decision"] == "DENY"]
            if set(commands) <= mine and len(refused) >= MANY // 2:
                break
            assert time.monotonic() < until, "not all of them are in the chain"
            time.sleep(0.5)  # between two looks, as a tenant's program would
        found[tenant] = sorted(linked[one["id"]] for one in decided)
    for tenant, took in found.items():
        print(
            f"{tenant}: {len(took)} decisions, in the chain after {took[len(took) // 2]} ms"
            f" (half of them), {took[-1]} ms (the last)"
        )
        assert took[-1] < LINKED_MS
