"""The token decides the tenant, the registry what is the tenant's: each sees its own alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from tests.service.adapters.on_the_embedded_cloud.conftest import DeployedService


def test_the_service_is_ready(deployed: DeployedService) -> None:
    """The registry answers."""
    assert deployed.http.get("/health/ready").json() == {"status": "ready"}


def test_two_tokens_are_none(deployed: DeployedService) -> None:
    """A proxy in front might check the one, and we the other: 401 in any order; one is fine."""
    token = f"Bearer {deployed.token('acme', 'managers')}"
    for given in ((token, "Bearer x"), ("Bearer x", token), (token, token), (token,)):
        answer = deployed.http.get("/v1/me", headers=[("Authorization", text) for text in given])
        assert answer.status_code == (200 if len(given) == 1 else 401), given[0][:8]


def test_people_see_their_own_tenant(deployed: DeployedService) -> None:
    """The token's issuer decides the tenant; each sees its devices with groups and attributes."""
    assert deployed.call("GET", "/v1/me").json()["tenant"] == "acme"
    devices = deployed.call("GET", "/v1/devices", group="operators").json()["devices"]
    assert [device["id"] for device in devices] == ["press-01", "press-02"]
    assert devices[0]["groups"] == ["line-press"]
    assert devices[0]["attributes"]["criticality"] == "high"
    assert devices[1]["connectivity"] is None, "it never connected"
    foreign = deployed.call("GET", "/v1/devices", tenant="globex").json()["devices"]
    assert [device["id"] for device in foreign] == ["pump-01"]


def test_a_device_of_another_tenant_is_not_found(deployed: DeployedService) -> None:
    """404 as for any unknown device."""
    assert deployed.call("GET", "/v1/devices/press-01").status_code == 200
    for name in ("pump-01", "press-99"):
        assert deployed.call("GET", f"/v1/devices/{name}").status_code == 404
    assert deployed.call(
        "POST", "/v1/devices/press-01/commands", tenant="globex", json={"name": "reboot"}
    ).status_code in (400, 404)


def test_a_mixed_up_registry_row_opens_nothing(deployed: DeployedService) -> None:
    """If acme's row led to globex's store, role and bucket, the store would refuse acme's token."""
    dynamodb, table = (
        deployed.setup.cloud.client("dynamodb"),
        deployed.setup.stacks["platform"]["tenants_table"],
    )
    rows = {
        row["tenant"]["S"]: row
        for row in dynamodb.scan(TableName=table)["Items"]
        if "tenant" in row
    }
    mixed = {
        name: rows["globex"][name]
        for name in ("policy_store_id", "role_arn", "bucket", "presign_role_arn")
    }
    dynamodb.put_item(TableName=table, Item=rows["acme"] | mixed)
    fresh, url = deployed.setup.start_service()  # a process that has not read the right row
    headers = {"Authorization": f"Bearer {deployed.token('acme', 'managers')}"}
    try:
        with httpx.Client(base_url=url, timeout=30, trust_env=False, headers=headers) as http:
            # Whose tokens were revoked stands behind acme's own role: without it nobody is let in.
            for path in ("/v1/me", "/v1/devices", "/v1/devices/press-01", "/v1/devices/pump-01"):
                assert http.get(path).status_code == 502, path
            body = {"group": "all", "artifact": "recipes/steel.json"}
            assert http.post("/v1/downloads", json=body).status_code == 502
    finally:
        dynamodb.put_item(TableName=table, Item=rows["acme"])
        fresh.stop()
