"""Groups that are made at run time: their rows, and what the tenant's policies make of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infra.local.people import add_person

if TYPE_CHECKING:
    from tests.service.adapters.on_the_embedded_cloud.conftest import DeployedService

PATH = "/v1/devices/press-02"


def answers(deployed: DeployedService) -> tuple[bool, bool]:
    """Whether a technician of the press line may look at the device, and maintain it."""
    command = {"name": "run-diagnostics", "if_offline": "queue"}
    asked = (("GET", PATH, None), ("POST", f"{PATH}/commands", command))
    statuses = [
        deployed.call(method, path, group="press-technicians", json=body).status_code
        for method, path, body in asked
    ]
    assert set(statuses) <= {200, 202, 403}, statuses
    return statuses[0] == 200, statuses[1] == 202


def test_a_grant_on_a_line_holds_for_a_group_in_it(deployed: DeployedService) -> None:
    """At once, for what the copy decides and for what the store does; and no longer than it is."""
    setup = deployed.setup
    deployed.people["acme"]["press-technicians"] = add_person(
        setup.cloud.client("cognito-idp"),
        setup.stacks["acme"]["user_pool_id"],
        email="press-technician@acme.example",
        groups=["technicians", "certified-line-press"],
        region="eu-central",
    )
    for group, parent in (("cell-9", "line-press"), ("gate-9", "cell-9")):
        made = deployed.call("POST", "/v1/groups", json={"id": group, "parents": [parent]})
        assert made.status_code == 201, made.text
    try:
        assert deployed.call("PUT", f"{PATH}/groups", json={"groups": []}).status_code == 200
        assert answers(deployed) == (False, False)
        rows = {"put_in": ["press-02"]}
        put = deployed.call("POST", "/v1/groups/gate-9/members", json=rows)
        assert put.json()["results"][0]["status"] == "put-in", put.text
        assert answers(deployed) == (True, True)
        assert deployed.call("GET", PATH).json()["groups"] == ["gate-9"]
        for query in ("group=cell-9", "group=line-press&limit=100"):
            listed = deployed.call("GET", f"/v1/devices?{query}").json()["devices"]
            assert "press-02" in [one["id"] for one in listed]
        refused = deployed.call("DELETE", "/v1/groups/gate-9")
        assert (refused.status_code, "`press-02`" in refused.text) == (409, True)
    finally:
        back = deployed.call("PUT", f"{PATH}/groups", json={"groups": ["line-press"]})
    assert back.status_code == 200, back.text
    for group in ("gate-9", "cell-9"):
        assert deployed.call("DELETE", f"/v1/groups/{group}").status_code == 200
    sources = deployed.call("GET", "/v1/groups").json()["groups"]
    assert {one["source"] for one in sources} == {"file"}
    again = deployed.call("POST", "/v1/groups", json={"id": "cell-9"})
    assert again.status_code == 409, "an id is given once"
