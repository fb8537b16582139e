"""The running service reads by its copies: as the stores decide, and no longer than they do."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from infra.policies.store.deployed import read
from infra.stacks.tenant_stack.policy_digest import digest_item
from service.cedar.digest import policies_digest
from service.cedar.entities import tenant_entity
from service.domain.devices import Device
from tests.service.adapters.on_the_embedded_cloud.waiting import within

if TYPE_CHECKING:
    import httpx

    from service.cedar.entities import Entity
    from tests.service.adapters.on_the_embedded_cloud.conftest import DeployedService

DEVICES = {"acme": "press-01", "globex": "pump-01"}


def decisions(deployed: DeployedService) -> dict[str, tuple[str, bool, list[str]]]:
    """Who decided each request, how, and by which policies, as the log says."""
    log = (deployed.setup.state_dir / "service.log").read_text().splitlines()
    lines = [json.loads(line) for line in log if '"decisions"' in line]
    told = ((line["request_id"], line["decisions"][-1]) for line in lines)
    return {request: (one["by"], one["allowed"], one["policies"]) for request, one in told}


def decided(deployed: DeployedService, answer: httpx.Response) -> tuple[str, bool, list[str]]:
    """The same of one request, once its line has come out of the process."""
    wanted, found = answer.headers["x-request-id"], dict[str, tuple[str, bool, list[str]]]()

    def is_out() -> bool:
        nonlocal found
        found = decisions(deployed)
        return wanted in found

    within(10, is_out)
    return found[wanted]


def await_copy(deployed: DeployedService, tenant: str) -> None:
    """Read until the copy decides: the first requests find that there is none yet."""

    def copy_decides() -> bool:
        return decided(deployed, deployed.call("GET", "/v1/devices", tenant=tenant))[0] == "copy"

    within(30, copy_decides)


def store_says(
    deployed: DeployedService, tenant: str, group: str, action: str, entities: tuple[Entity, ...]
) -> tuple[bool, list[str]]:
    """What the tenant's policy store itself says to the person's token."""
    outputs = deployed.setup.stacks[tenant]
    now = {"__extn": {"fn": "datetime", "arg": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}}
    client: Any = deployed.setup.cloud.client("verifiedpermissions")
    answer = client.is_authorized_with_token(
        policyStoreId=outputs["policy_store_id"],
        identityToken=deployed.token(tenant, group),
        action={"actionType": "Fleet::Action", "actionId": action},
        resource={"entityType": entities[0].uid.type, "entityId": entities[0].uid.id},
        context={"cedarJson": json.dumps({"now": now, "emergency": False})},
        entities={"cedarJson": json.dumps([entity.json() for entity in entities])},
    )
    names = outputs["policy_names"]
    policies = sorted(names[one["policyId"]] for one in answer["determiningPolicies"])
    return answer["decision"] == "ALLOW", policies


def test_reads_are_decided_as_the_store_decides(deployed: DeployedService) -> None:
    """Each person of both tenants: list and device, yes or no, and by which policies."""
    asked_both: dict[str, tuple[str, bool, list[str]]] = {}
    for tenant, device_id in DEVICES.items():
        await_copy(deployed, tenant)
        facts = deployed.call("GET", f"/v1/devices/{device_id}", tenant=tenant).json()
        device = Device(
            tenant=tenant,
            id=device_id,
            groups=tuple(facts["groups"]),
            attributes=facts["attributes"],
        )
        parents = dict.fromkeys(device.groups, ())
        asked = {
            "/v1/devices": ("ListDevices", (tenant_entity(tenant),)),
            f"/v1/devices/{device_id}": ("ViewDevice", device.entities(parents)),
        }
        for group in deployed.people[tenant]:
            views, _ = store_says(deployed, tenant, group, *asked[f"/v1/devices/{device_id}"])
            for path, (action, entities) in asked.items():
                answer = deployed.call("GET", path, tenant=tenant, group=group)
                allowed, policies = store_says(deployed, tenant, group, action, entities)
                if action == "ViewDevice":
                    assert (answer.status_code == 200) is allowed
                # Where nothing permits the list, it holds what may be viewed.
                elif allowed or not policies:
                    shown = {one["id"] for one in answer.json()["devices"]}
                    assert (device_id in shown) is views
                asked_both[answer.headers["x-request-id"]] = ("copy", allowed, policies)
                decided(deployed, answer)
    log = decisions(deployed)
    assert {one: log[one] for one in asked_both} == asked_both
    assert {allowed for _, allowed, _ in asked_both.values()} == {True, False}


def test_what_is_revoked_ends_within_five_seconds(deployed: DeployedService) -> None:
    """A permission for reads and changes goes as a stack takes it: first told, then deleted."""
    outputs = deployed.setup.stacks["acme"]
    store, issuer = outputs["policy_store_id"], outputs["issuer"]
    client: Any = deployed.setup.cloud.client("verifiedpermissions")
    table: Any = deployed.setup.cloud.client("dynamodb")

    def tell(digest: str) -> None:
        item = json.loads(digest_item(issuer=issuer, digest=digest))
        table.put_item(TableName=deployed.setup.stacks["platform"]["tenants_table"], Item=item)

    new = {"name": "recipes/copies.json", "size": 1, "sha256": "0" * 64}
    file = deployed.call("POST", "/v1/files", json=new).json()["id"]

    def reads() -> httpx.Response:
        return deployed.call("GET", f"/v1/files/{file}", group="quality-inspectors")

    def changes() -> int:
        body = {"name": "reboot"}
        path = "/v1/devices/press-01/commands"
        return deployed.call("POST", path, group="quality-inspectors", json=body).status_code

    before = policies_digest(read(client, store))
    await_copy(deployed, "acme")
    assert (reads().status_code, changes()) == (403, 403)
    group = f'Fleet::Group::"{outputs["user_pool_id"]}|quality-inspectors"'
    actions = '[Fleet::Action::"ViewFile", Fleet::Action::"OperateDevice"]'
    statement = f"permit (principal in {group}, action in {actions}, resource);"
    made = client.create_policy(
        policyStoreId=store, definition={"static": {"statement": statement}}
    )["policyId"]
    try:
        tell(policies_digest(read(client, store)))
        within(30, lambda: decided(deployed, reads())[:2] == ("copy", True))
        assert changes() == 202
        tell(before)
        revoked = time.monotonic()
    finally:
        tell(before)
        client.delete_policy(policyStoreId=store, policyId=made)
    assert changes() == 403, "a change is asked of the store"
    within(revoked + 5 - time.monotonic(), lambda: reads().status_code != 200)
    await_copy(deployed, "acme")
    assert decided(deployed, reads()) == ("copy", False, [])
