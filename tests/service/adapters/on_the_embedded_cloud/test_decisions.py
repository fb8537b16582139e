"""The tenant's policy store decides, names policies by our files, and decides as the twin does."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from litestar.testing import TestClient

from infra.local.setup import GROUPS, ROOT
from infra.policies import load
from infra.stacks.config.tenants import of_tenant
from service.adapters.memory.authorizer import CedarAuthorizer
from service.adapters.memory.memory_ports import MemoryPorts
from service.adapters.memory.user_pool import MemoryUserPool
from service.api.app import create_app
from service.domain.artifacts import Artifact
from service.domain.audit_entries import Entry, PersonKey
from service.domain.devices import Device
from service.domain.permissions import Permission
from service.operations.operations import Operations
from service.settings import HttpSettings, TokenSettings
from tests.service.adapters.on_the_embedded_cloud.conftest import ATTRIBUTES, LISTED

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx
    from litestar import Litestar

    from tests.service.adapters.on_the_embedded_cloud.conftest import DeployedService

FIRE = {"reason": "fire in the ward"}
REQUESTS: list[tuple[str, str, dict[str, Any] | None]] = [
    ("GET", "/v1/devices", None),
    ("GET", "/v1/devices/pump-01", None),
    ("PATCH", "/v1/devices/pump-01", {"criticality": "high"}),
    *(
        (
            "POST",
            "/v1/devices/pump-01/commands",
            {"name": name} | ({"emergency": FIRE} if emergency else {}),
        )
        for name in ("pause-infusion", "self-test")
        for emergency in (False, True)
    ),
    *(
        ("POST", "/v1/downloads", target | {"artifact": artifact})
        for target in ({"device": "pump-01"}, {"group": "all"})
        for artifact in ("recipes/dose.json", "firmware/pump.bin")
    ),
]


@dataclass
class Twin:
    """Globex in memory, with the device and files that it has on the cloud."""

    http: TestClient[Litestar]
    pool: MemoryUserPool

    def call(self, method: str, path: str, *, group: str, **request: Any) -> httpx.Response:
        """One request."""
        headers = {"Authorization": f"Bearer {self.pool.id_token(group, [group])}"}
        return self.http.request(method, path, headers=headers, **request)


@pytest.fixture
def twin(deployed: DeployedService) -> Iterator[Twin]:
    """The same service over the twins and the policy files; globex has the same on the cloud."""
    commands = {"pause-infusion": Permission.STOP_DEVICE, "self-test": Permission.MAINTAIN_DEVICE}
    pool = MemoryUserPool("globex", commands=commands, groups={"ward-3": (), "ward-5": ()})
    bundle = load(ROOT / "policies", of_tenant(ROOT, "globex"))
    authorizer = CedarAuthorizer(ROOT / "policies", {"globex": bundle.policy_set})
    ports = MemoryPorts.around(authorizer)
    pool.join(ports)
    ports.devices.add(
        Device(tenant="globex", id="pump-01", attributes=ATTRIBUTES | LISTED["globex"])
    )
    for name in ("recipes/dose.json", "firmware/pump.bin"):
        deployed.setup.upload("globex", name, b"1")
        ports.artifacts.add(
            Artifact(tenant="globex", name=name, size=1, sha256="0" * 64, etag='"e"')
        )
    operations = Operations(ports, TokenSettings())
    with TestClient(create_app(operations, HttpSettings(body_max_bytes=4096))) as http:
        yield Twin(http=http, pool=pool)


def verdict(answer: httpx.Response) -> tuple[int, str | None, list[str] | None]:
    """What the policies made of a request."""
    document = answer.json()
    return answer.status_code, document.get("reason"), document.get("policies")


def test_a_denial_names_the_policy_and_is_audited(deployed: DeployedService) -> None:
    """The policy store's ids are answered as the names of our files; the trail holds the denial."""
    forged = {"X-Forwarded-For": "203.0.113.9"}
    answer = deployed.call(
        "POST",
        "/v1/devices/press-01/commands",
        group="operators",
        json={"name": "reboot"},
        headers=forged,
    )
    assert answer.status_code == 403
    assert answer.json()["policies"] == ["operators-view-only"]
    pages = (
        deployed.setup.cloud.client("dynamodb")
        .get_paginator("scan")
        .paginate(TableName=deployed.setup.stacks["platform"]["audit_table"])
    )
    trail = [item for page in pages for item in page["Items"]]
    [(denial, row)] = [
        (entry, item)
        for item in trail
        if "entry" in item
        for entry in [Entry.read(item["entry"]["S"])]
        if entry.document.get("request_id") == answer.json()["request_id"]
    ]
    said = denial.document
    assert row["partition"]["S"].startswith("acme--audit#")
    assert (said["decision"], said["policies"]) == ("DENY", ["operators-view-only"])
    keys = [
        PersonKey(person=item["sk"]["S"], secret=base64.b64decode(item["secret"]["S"]))
        for item in trail
        if "secret" in item and item["partition"]["S"] == "acme--people"
    ]
    [key] = [one for one in keys if one.pseudonym == said["who"]]
    opened = denial.opened(key)
    assert opened["source_ip"] == "127.0.0.1", "a caller cannot write its own address"
    assert opened["claims"]["cognito:groups"] == ["operators"]


def test_the_twin_decides_as_the_policy_store_does(deployed: DeployedService, twin: Twin) -> None:
    """Each persona of globex with each kind of request: same status, reason and policies."""
    different: list[object] = []
    for group in GROUPS:
        for method, path, body in REQUESTS:
            real = verdict(deployed.call(method, path, tenant="globex", group=group, json=body))
            ours = verdict(twin.call(method, path, group=group, json=body))
            if real != ours:
                different.append((group, method, path, body, real, ours))
    assert different == []
