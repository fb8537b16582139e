"""A device is registered and let in by the tenant's own role, and connects with its certificate."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.service.requests import signing_request

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.service.adapters.on_the_embedded_cloud.conftest import DeployedService


@pytest.fixture(autouse=True)
def cleared(deployed: DeployedService) -> Iterator[None]:
    """Other tests know which devices globex has."""
    yield
    iot, table = (deployed.setup.cloud.client(name) for name in ("iot", "dynamodb"))
    for thing in ("globex--pump-91", "globex--pump-92", "globex--pump-93"):
        if thing in [one["thingName"] for one in iot.list_things()["things"]]:
            for principal in iot.list_thing_principals(thingName=thing)["principals"]:
                iot.detach_thing_principal(thingName=thing, principal=principal)
            iot.delete_thing(thingName=thing)
    rows = table.query(
        TableName="cedarfleet-devices",
        KeyConditionExpression="#p = :own AND begins_with(sk, :new)",
        ExpressionAttributeNames={"#p": "partition"},
        ExpressionAttributeValues={":own": {"S": "globex--devices"}, ":new": {"S": "pump-9"}},
    )["Items"]
    for row in rows:
        if row["sk"]["S"].split("#")[1] in {"facts", "enrolment", "retired"}:
            key = {name: row[name] for name in ("partition", "sk")}
            table.delete_item(TableName="cedarfleet-devices", Key=key)


def test_a_registered_device_is_let_in_once(deployed: DeployedService) -> None:
    """Thing, group, certificate and policy are the tenant's; another key gets nothing."""
    made = deployed.call(
        "POST", "/v1/devices", tenant="globex", json={"id": "pump-91", "groups": ["ward-5"]}
    )
    assert made.status_code == 201, made.text
    csr, code = signing_request(), made.json()["code"]
    body = {"tenant": "globex", "device": "pump-91", "code": code, "csr": csr}

    first = deployed.http.post("/v1/enrolments", json=body)
    again = deployed.http.post("/v1/enrolments", json=body)
    stolen = deployed.http.post("/v1/enrolments", json=body | {"csr": signing_request()})

    assert first.status_code == 200, first.text
    assert again.json() == first.json()
    assert (stolen.status_code, stolen.json()["code"]) == (409, "key-differs")
    iot = deployed.setup.cloud.client("iot")
    thing = iot.describe_thing(thingName="globex--pump-91")
    groups = iot.list_thing_groups_for_thing(thingName="globex--pump-91")["thingGroups"]
    assert [group["groupName"] for group in groups] == ["globex"]
    assert thing["thingTypeName"] == "cedarfleet-device"
    (principal,) = iot.list_thing_principals(thingName="globex--pump-91")["principals"]
    policies = iot.list_attached_policies(target=principal)["policies"]
    assert [policy["policyName"] for policy in policies] == ["globex-device"]
    shown = deployed.call("GET", "/v1/devices/pump-91", tenant="globex").json()
    assert (shown["enrolled"], shown["groups"]) == (True, ["ward-5"])
    assert code not in (deployed.setup.state_dir / "service.log").read_text()


def test_a_code_opens_nothing_of_another_tenant(deployed: DeployedService) -> None:
    """Its digest is of its own tenant's device."""
    made = deployed.call("POST", "/v1/devices", tenant="globex", json={"id": "pump-92"})
    csr, code = signing_request(), made.json()["code"]
    for tenant, device in (("acme", "pump-92"), ("globex", "pump-01"), ("nobody", "pump-92")):
        body = {"tenant": tenant, "device": device, "code": code, "csr": csr}
        assert deployed.http.post("/v1/enrolments", json=body).status_code == 401


def test_a_retired_device_has_no_certificate_that_counts(deployed: DeployedService) -> None:
    """By the tenant's own role; its row has its facts, its code is refused, and again is fine.

    The file that waited for it is canceled by the worker, in IoT Jobs too.
    """
    facts = {"id": "pump-93", "groups": ["ward-5"]}
    made = deployed.call("POST", "/v1/devices", tenant="globex", json=facts)
    body = {"tenant": "globex", "device": "pump-93", "code": made.json()["code"]}
    csr = {"csr": signing_request()}
    assert deployed.http.post("/v1/enrolments", json=body | csr).status_code == 200
    deployed.setup.upload("globex", "recipes/waits.bin", b"waits")
    wanted = {"device": "pump-93", "artifact": "recipes/waits.bin"}
    waiting = deployed.call("POST", "/v1/downloads", tenant="globex", json=wanted).json()["url"]
    deployed.watch(waiting, lambda view: view["state"] == "queued", tenant="globex")
    for _ in range(2):
        retired = deployed.call("POST", "/v1/devices/pump-93/retire", tenant="globex")
        assert retired.status_code == 200, retired.text
    ended = deployed.watch(waiting, lambda view: view["state"] == "canceled", tenant="globex")
    assert ended["deliveries"][0]["detail"] == {"reason": "the device was retired"}
    cloud = deployed.setup.cloud
    jobs = cloud.client("iot").list_job_executions_for_thing(thingName="globex--pump-93")
    assert [one["jobExecutionSummary"]["status"] for one in jobs["executionSummaries"]] == [
        "CANCELED"
    ]
    (arn,) = cloud.client("iot").list_thing_principals(thingName="globex--pump-93")["principals"]
    certificate = arn.partition(":cert/")[2]
    described = cloud.client("iot").describe_certificate(certificateId=certificate)
    assert described["certificateDescription"]["status"] == "INACTIVE"
    assert deployed.http.post("/v1/enrolments", json=body | csr).status_code == 401
    rows = cloud.client("dynamodb").query(
        TableName="cedarfleet-devices",
        KeyConditionExpression="#p = :own AND begins_with(sk, :retired)",
        ExpressionAttributeNames={"#p": "partition"},
        ExpressionAttributeValues={
            ":own": {"S": "globex--devices"},
            ":retired": {"S": "pump-93#retired#"},
        },
    )["Items"]
    assert [row["groups"] for row in rows] == [{"L": [{"S": "ward-5"}]}]
