"""A file from a page to the tenant's bucket: which pages the bucket's rule lets send."""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING, Any

from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import FilePayload

    from tests.service.adapters.on_the_embedded_cloud.conftest import DeployedService
    from tests.service.adapters.on_the_embedded_cloud.console.conftest import Visitor


def test_no_other_page_can_send_to_the_bucket(deployed: DeployedService) -> None:
    """The bucket's rule names the origin of the console: another one's preflight is not granted."""
    asked = {"name": "recipes/mine.bin", "size": 5, "sha256": hashlib.sha256(b"12345").hexdigest()}
    made = deployed.call("POST", "/v1/files", json=asked).json()
    body = {"parts": [{"number": 1, "sha256": made["sha256"]}]}
    answer: Any = deployed.call("POST", f"/v1/files/{made['id']}/parts", json=body).json()
    url = answer["parts"][0]["url"]
    ours = f"http://localhost:{deployed.http.base_url.port}"

    def granted(origin: str) -> str | None:
        preflight = {
            "Origin": origin,
            "Access-Control-Request-Method": "PUT",
            "Access-Control-Request-Headers": "x-amz-checksum-sha256",
        }
        return deployed.http.options(url, headers=preflight).headers.get(
            "access-control-allow-origin"
        )

    deployed.setup.open_console("acme", api=str(deployed.http.base_url))
    assert granted(ours) == ours
    assert granted("https://elsewhere.example") is None
    assert granted(ours.replace("localhost", "127.0.0.1")) is None


def test_a_file_goes_from_the_page_to_the_bucket(visit: Callable[..., Visitor]) -> None:
    """What somebody chose is digested, sent and verified: its version has that digest."""
    manager = visit()
    manager.open("files")
    page = manager.sign_in("managers")
    content = f"speed: {time.time_ns()}".encode()
    name = f"recipes/console-{time.time_ns() % 10**9}.yaml"
    chosen: FilePayload = {"name": "mine.yaml", "mimeType": "text/yaml", "buffer": content}
    page.get_by_label("Upload a file").set_input_files(chosen)
    page.get_by_label("As devices get it").fill(name)
    page.get_by_role("button", name="Upload", exact=True).click()
    expect(page.get_by_text("mine.yaml was sent.")).to_be_visible()
    row = page.get_by_role("row", name=name)
    expect(row).to_contain_text("available", timeout=60_000)
    [kept] = manager.deployed.call("GET", f"/v1/files?prefix={name}").json()["files"]
    assert (kept["sha256"], kept["size"]) == (hashlib.sha256(content).hexdigest(), len(content))
    row.get_by_role("button", name="Retire").click()
    expect(page.get_by_text("is delivered no more")).to_be_visible()
