"""Changes to a group's devices, to a tenant, to all tenants end in seconds; reading goes on."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from infra.commands import freezing
from infra.commands.suspension import Tenant
from infra.policies import load
from infra.policies.store.deployed import granted, read
from infra.stacks.config.tenants import of_tenant
from service.cedar.freezes import GOES_ON
from service.cedar.granted import is_granted
from service.cedar.statement import statement_est
from service.domain.permissions import READING, Permission
from tests.infra.conftest import ROOT
from tests.service.adapters.on_the_embedded_cloud.conftest import ATTRIBUTES
from tests.service.adapters.on_the_embedded_cloud.test_policy_copies import await_copy, decided
from tests.service.adapters.on_the_embedded_cloud.waiting import within

if TYPE_CHECKING:
    from infra.commands.suspension import Aws
    from tests.service.adapters.on_the_embedded_cloud.conftest import DeployedService

REBOOT = {"name": "reboot"}
SECONDS = 10
"""From the command to its effect, here: the store of the embedded cloud lags as AWS's does."""


def operator(deployed: DeployedService, *words: str) -> subprocess.CompletedProcess[str]:
    """`python -m infra tenants` as an operator of this cloud."""
    return subprocess.run(
        [sys.executable, "-m", "infra", "tenants", *words],
        cwd=ROOT,
        env=os.environ | deployed.setup.cloud.environment(),
        capture_output=True,
        text=True,
        check=False,
    )


def reboots(deployed: DeployedService, device: str, tenant: str = "acme") -> int:
    """How a manager's command is answered."""
    path = f"/v1/devices/{device}/commands"
    body = REBOOT if tenant == "acme" else {"name": "self-test"}
    return deployed.call("POST", path, tenant=tenant, json=body).status_code


@pytest.fixture
def presses(deployed: DeployedService) -> tuple[str, str]:
    """A device in the group that is frozen, and one that is in none."""
    iot, saw = deployed.setup.cloud.client("iot"), "/v1/devices/saw-01"
    iot.create_thing(thingName="acme--saw-01")
    iot.add_thing_to_thing_group(thingGroupName="acme", thingName="acme--saw-01")
    facts = ATTRIBUTES | {"kind": "press", "region": "eu-central"}
    within(SECONDS, lambda: deployed.call("PATCH", saw, json=facts).status_code == 200)
    return "press-01", "saw-01"


def test_a_group_is_frozen_and_nothing_else(
    deployed: DeployedService, aws: Aws, presses: tuple[str, str]
) -> None:
    """Its devices are not changed, but read and stopped; others are; thawed, all is as it was."""
    frozen, free = presses
    within(SECONDS, lambda: reboots(deployed, frozen) == 202)
    row = Tenant.find(aws, "acme")
    before = freezing._digest(row)
    done = operator(deployed, "freeze", "acme", "--group", "line-press", "--reason", "a recall")
    assert (done.returncode, done.stderr) == (0, "")
    took = within(SECONDS, lambda: reboots(deployed, frozen) == 403)
    print(f"frozen {took:.1f} s after the command")
    answer = deployed.call("POST", f"/v1/devices/{frozen}/commands", json=REBOOT)
    (forbid,) = answer.json()["policies"]
    names = Tenant.find(aws, "acme").row["policy_names"]["M"]
    # What the service has read of the tenant is half a minute old at most; then it says the name.
    assert names.get(forbid, {"S": forbid})["S"] == "frozen-line-press"
    assert deployed.call("GET", f"/v1/devices/{frozen}").status_code == 200
    stop = deployed.call("POST", f"/v1/devices/{frozen}/commands", json={"name": "stop"})
    assert stop.status_code == 202, stop.text
    file = {"group": "line-press", "artifact": "recipes/steel.json"}
    assert deployed.call("POST", "/v1/downloads", json=file).status_code == 403
    assert reboots(deployed, free) == 202
    again = operator(deployed, "freeze", "acme", "--group", "line-press", "--reason", "again")
    assert again.returncode == 0
    assert len(list(freezing.frozen(row))) == 1

    assert operator(deployed, "thaw", "acme").returncode == 0
    within(SECONDS, lambda: reboots(deployed, frozen) == 202)
    assert freezing._digest(row) == before
    assert Tenant.find(aws, "acme").row == row.row
    await_copy(deployed, "acme")
    assert decided(deployed, deployed.call("GET", f"/v1/devices/{frozen}"))[0] == "copy"
    nothing = operator(deployed, "thaw", "acme")
    assert (nothing.returncode, nothing.stdout) == (1, "")
    assert "nothing of that is frozen" in nothing.stderr


def test_a_manager_freezes_a_group_by_the_api(
    deployed: DeployedService, presses: tuple[str, str]
) -> None:
    """Nobody changes its devices, the copy of the policies decides reads; thawed, it is as it was.

    An `up` meanwhile leaves it, and the registry's own digest is never touched.
    """
    (frozen, free), url = presses, "/v1/groups/line-press/freeze"
    within(SECONDS, lambda: reboots(deployed, frozen) == 202)
    await_copy(deployed, "acme")
    store = deployed.setup.stacks["acme"]["policy_store_id"]
    table, permissions = (
        deployed.setup.cloud.client("dynamodb"),
        deployed.setup.cloud.client("verifiedpermissions"),
    )
    before = granted(table, "acme")
    body = {"reason": "a recall"}
    assert deployed.call("PUT", url, group="operators", json=body).status_code == 403
    answer = deployed.call("PUT", url, json=body)
    assert (answer.status_code, answer.json()["state"]) == (200, "frozen"), answer.text
    try:
        took = within(SECONDS, lambda: reboots(deployed, frozen) == 403)
        print(f"frozen {took:.1f} s after the answer")
        refused = deployed.call("POST", f"/v1/devices/{frozen}/commands", json=REBOOT)
        assert refused.json()["policies"] == [answer.json()["policy"]]
        stop = deployed.call("POST", f"/v1/devices/{frozen}/commands", json={"name": "stop"})
        assert stop.status_code == 202, stop.text
        assert reboots(deployed, free) == 202
        await_copy(deployed, "acme")
        assert decided(deployed, deployed.call("GET", f"/v1/devices/{frozen}"))[0] == "copy"
        deployed.setup.stamp("acme")
        marks = granted(table, "acme")
        assert len(marks - before) == 1
        assert not any(map(is_granted, read(permissions, store, grants=marks).static.values()))
        assert reboots(deployed, frozen) == 403
    finally:
        thawed = deployed.call("DELETE", url)
    assert (thawed.status_code, thawed.json()["state"]) == (200, "thawed"), thawed.text
    within(SECONDS, lambda: reboots(deployed, frozen) == 202)
    assert granted(table, "acme") == before
    await_copy(deployed, "acme")


def test_the_platform_is_read_only_and_back(deployed: DeployedService) -> None:
    """Nobody of any tenant changes anything; one that cannot be frozen is said, others are."""
    began = time.monotonic()
    done = operator(deployed, "freeze", "--all", "--reason", "an incident")
    assert (done.returncode, done.stderr) == (0, "")
    try:
        within(SECONDS, lambda: reboots(deployed, "press-01") == 403)
        within(SECONDS, lambda: reboots(deployed, "pump-01", "globex") == 403)
        print(f"read-only {time.monotonic() - began:.1f} s after the command was given")
        group = {"id": "new", "description": "none", "parents": []}
        assert deployed.call("POST", "/v1/groups", json=group).status_code == 403
        assert deployed.call("GET", "/v1/devices").status_code == 200
    finally:
        assert operator(deployed, "thaw", "--all").returncode == 0
    within(SECONDS, lambda: reboots(deployed, "press-01") == 202)
    within(SECONDS, lambda: reboots(deployed, "pump-01", "globex") == 202)


def test_an_unknown_group_is_not_frozen(deployed: DeployedService) -> None:
    """A forbid of a group that nobody is in would look like a switch that works."""
    done = operator(deployed, "freeze", "acme", "--group", "line-pres", "--reason", "a recall")
    assert (done.returncode, done.stdout) == (1, "")
    assert "has no group `line-pres`; there are " in done.stderr


def test_what_goes_on_is_reading_and_taking_back() -> None:
    """Every action that reads is let through, of those that change only what ends something."""
    schema = load(ROOT / "policies", of_tenant(ROOT, "acme")).schema_json
    groups = {name for name in GOES_ON if name not in set(Permission)}
    assert groups == {"View"}
    assert '"View"' in schema
    leaves = {Permission(name) for name in GOES_ON if name in set(Permission)}
    assert {one for one in leaves if not one.startswith("View")} == {
        Permission.STOP_DEVICE,
        Permission.CANCEL_DOWNLOAD,
        Permission.REVOKE_GRANT,
    }
    viewing = {one for one in Permission if one.startswith(("View", "List"))}
    assert viewing == READING | {one for one in leaves if one.startswith("View")}
    for group in (None, "line-press"):
        assert statement_est(freezing.statement(group))["effect"] == "forbid"
