"""Which versions hold a component: by bills of materials that were uploaded, as far as they say."""

from __future__ import annotations

import asyncio
import json
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest

from service.domain.materials import MOST_COMPONENTS, Component, Materials
from service.domain.wanted_versions import Running
from tests.service.api.test_files import URL, begin, digest, send, upload, work

if TYPE_CHECKING:
    from tests.service.conftest import ServiceUnderTest

LOG4J = "pkg:maven/org.apache/log4j-core@2.14.1"
COMPONENT = {"group": "org.apache", "name": "log4j-core", "version": "2.14.1", "purl": LOG4J}
BILL = {"bomFormat": "CycloneDX", "components": [COMPONENT]}


def controller(service: ServiceUnderTest, version: str, sbom: dict[str, str]) -> None:
    """Upload a version of the package `controller`, and have the worker verify it."""
    content = f"controller {version}".encode()
    package = {"name": "controller", "version": version}
    named: dict[str, Any] = {"package": package, "sbom": sbom}
    begun = begin(service, content, **named)
    assert begun.status_code == 201, begun.text
    send(service, begun.json()["id"], content)
    done = service.call("POST", f"{URL}/{begun.json()['id']}/complete")
    assert done.is_success, done.text
    work(service)


def bill(service: ServiceUnderTest, said: Any = BILL, name: str = "sbom/a.json") -> dict[str, str]:
    """Upload a bill of materials; how a version names it."""
    content = json.dumps(said).encode()
    return {"sha256": digest(content), "url": f"{URL}/{upload(service, content, name)}"}


def runs(service: ServiceUnderTest, device: str, version: str) -> None:
    """Have a device run a version of it."""
    running = Running(device=device, package="controller", version=version, at=1_000)
    asyncio.run(service.ports.running_versions.tell(service.acme.tenant, running))


def ask(service: ServiceUnderTest, component: str, **asked: Any) -> tuple[Any, list[str]]:
    """Versions that hold it, with their devices and what fits; and those that nobody knows of."""
    answer = service.call("GET", "/v1/versions", params={"component": component}, **asked)
    assert answer.status_code == 200, answer.text
    said = answer.json()
    holding = [
        (one["version"], one["devices"], [it["name"] for it in one["components"]])
        for one in said["versions"]
    ]
    return holding, [one["version"] for one in said["unknown"]]


def test_devices_are_found_by_a_component(service: ServiceUnderTest) -> None:
    """A version whose bill has it, one whose bill has not, and two of which nobody can tell."""
    controller(service, "1", bill(service))
    controller(service, "2", bill(service, {**BILL, "components": []}, "sbom/b.json"))
    controller(service, "3", {"sha256": "ab" * 32, "url": "https://example.com/sbom.json"})
    for device, version in (("press-01", "1"), ("press-02", "2"), ("press-03", "3")):
        runs(service, device, version)
    found = [("1", 1, ["org.apache/log4j-core"])]
    for component in ("log4j-core", "log4j-core@2.14.1", LOG4J, LOG4J.partition("@")[0]):
        assert ask(service, component) == (found, ["3"]), component
    assert ask(service, "log4j-core@2.15.0") == ([], ["3"])
    # A version that nobody runs is no answer.
    runs(service, "press-01", "2")
    answer = service.call("GET", "/v1/versions", params={"package": "controller"}).json()
    assert "unknown" not in answer
    assert "components" not in answer["versions"][0]
    refused = service.call("GET", "/v1/versions", params={"component": "pkg:"})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, "component")


def test_a_bill_of_which_not_all_is_kept_is_not_trusted(service: ServiceUnderTest) -> None:
    """What it holds is told; what it may hold beside that is not known."""
    long = {"name": "x" * 400}
    partly = {**BILL, "components": [COMPONENT, long]}
    controller(service, "1", bill(service, partly))
    runs(service, "press-01", "1")
    assert ask(service, "log4j-core")[0][0][0] == "1"
    assert ask(service, "other") == ([], ["1"])


def test_a_clean_bill_hides_no_other_one(service: ServiceUnderTest) -> None:
    """A version with a second bill that nobody has read, or with more than are looked at."""
    clean = {**BILL, "components": []}
    controller(service, "1", bill(service, clean))
    xml = b"<bom/>"
    named = f"{URL}/{upload(service, xml, 'sbom/bom.xml')}"
    controller(service, "1", {"sha256": digest(xml), "url": named})
    for number in range(5):
        controller(service, "2", bill(service, clean, f"sbom/0{number}.json"))
    runs(service, "press-01", "1")
    runs(service, "press-02", "2")
    assert ask(service, "log4j-core") == ([], ["1"])
    controller(service, "2", bill(service, BILL, "sbom/99.json"))
    assert ask(service, "log4j-core") == ([], ["1", "2"])


@pytest.mark.parametrize(("asked", "versions"), [("absent", 0), ("name-7", 30)])
def test_many_bills_take_little_memory(
    service: ServiceUnderTest, asked: str, versions: int
) -> None:
    """Thirty of the largest, of two hundred that one request may look at: one is open at a time."""

    async def kept() -> None:
        bills, tenant = service.ports.bills_of_materials, service.acme.tenant
        components = tuple(
            Component(name=f"name-{number}", version=f"{number}", purl=f"pkg:npm/name-{number}@1")
            for number in range(MOST_COMPONENTS)
        )
        for number in range(30):
            named = f"{number:026d}"
            bill = Materials(
                file_id=named, name="a", size=1, sha256="s", components=components, is_whole=True
            )
            await bills.store(tenant, bill)
            package = f"package-{number}"
            await bills.link(tenant, package=package, version="1", file_id=named)
            running = Running(device="press-01", package=package, version="1", at=1)
            await service.ports.running_versions.tell(tenant, running)

    asyncio.run(kept())
    tracemalloc.start()
    try:
        answer = service.call("GET", "/v1/versions", params={"component": asked})
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert answer.status_code == 200, answer.text
    assert (len(answer.json()["versions"]), answer.json()["unknown"]) == (versions, [])
    assert peak < 12 * 1024 * 1024, "of one bill, and not of thirty"


def test_another_tenants_bill_tells_nothing(service: ServiceUnderTest) -> None:
    """The same package and version at another tenant: nobody knows there."""
    controller(service, "1", bill(service))
    running = Running(device="pump-01", package="controller", version="1", at=1_000)
    asyncio.run(service.ports.running_versions.tell(service.globex.tenant, running))
    token = service.globex.id_token("ann", ["managers"])
    answer = service.client.get(
        "/v1/versions",
        params={"component": "log4j-core"},
        headers={"Authorization": f"Bearer {token}"},
    )
    assert (answer.json()["versions"], len(answer.json()["unknown"])) == ([], 1)


def test_only_devices_and_bills_that_may_be_viewed_count(service: ServiceUnderTest) -> None:
    """Emergency responders see devices of high criticality; who may view no file learns nothing."""
    controller(service, "1", bill(service))
    runs(service, "press-01", "1")
    runs(service, "press-02", "1")
    change = {"criticality": "low"}
    assert service.call("PATCH", "/v1/devices/press-02", json=change).status_code == 200
    assert ask(service, "log4j-core")[0][0][1] == 2
    # They see the device of high criticality, and no file: a bill that is not theirs is none.
    assert ask(service, "log4j-core", as_="emergency-responders") == ([], ["1"])
    answer = service.call(
        "GET",
        "/v1/versions",
        as_="emergency-responders",
        params={"component": "log4j-core"},
    )
    assert [one["devices"] for one in answer.json()["unknown"]] == [1]
    assert ask(service, "log4j-core", as_="nobody") == ([], [])
