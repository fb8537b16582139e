"""A file from a page to the tenant's bucket: which pages the bucket's rule lets send."""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import FilePayload, Route

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


def test_an_upload_that_is_cut_goes_on(visit: Callable[..., Visitor], tmp_path: Path) -> None:
    """A part whose connection breaks is sent again; no other one is."""
    manager = visit()
    manager.open("files")
    page = manager.sign_in("managers")
    name, source, sha256 = large(tmp_path)
    sent: list[str] = []

    def break_the_second_once(route: Route) -> None:
        sent.append(part_of(route))
        if sent.count("2") == 1 and sent[-1] == "2":
            route.abort("connectionreset")
        else:
            route.continue_()

    page.route(is_part, break_the_second_once)
    page.get_by_label("Upload a file").set_input_files(source)
    page.get_by_label("As devices get it").fill(name)
    page.get_by_role("button", name="Upload", exact=True).click()
    expect(page.get_by_text("large.bin was sent.")).to_be_visible(timeout=30_000)
    assert sent == ["1", "2", "2"]
    expect(page.get_by_role("row", name=name)).to_contain_text("available", timeout=60_000)
    [kept] = manager.deployed.call("GET", f"/v1/files?prefix={name}").json()["files"]
    assert kept["sha256"] == sha256


def test_a_reload_in_an_upload_says_how_to_go_on(
    visit: Callable[..., Visitor], tmp_path: Path
) -> None:
    """What is there is not sent again, once the person has chosen the same file again."""
    manager = visit()
    manager.open("files")
    page = manager.sign_in("managers")
    name, source, sha256 = large(tmp_path)
    sent: list[str] = []

    def break_the_second(route: Route) -> None:
        sent.append(part_of(route))
        if sent[-1] == "2":
            route.abort("connectionreset")
        else:
            route.continue_()

    page.route(is_part, break_the_second)
    page.get_by_label("Upload a file").set_input_files(source)
    page.get_by_label("As devices get it").fill(name)
    page.get_by_role("button", name="Upload", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("The upload was cut off", timeout=30_000)
    page.reload()
    expect(page.get_by_text("1 of 2 parts are there")).to_be_visible()
    expect(page.get_by_text(f"Choose the same file again, as {name}")).to_be_visible()
    page.unroute(is_part)
    page.on("request", lambda one: sent.append("again") if is_part(one.url) else None)
    sent.clear()
    page.get_by_label("Upload a file").set_input_files(source)
    page.get_by_label("As devices get it").fill(name)
    page.get_by_role("button", name="Upload", exact=True).click()
    expect(page.get_by_text("large.bin was sent.")).to_be_visible(timeout=30_000)
    expect(page.get_by_text("parts are there")).to_have_count(0)
    assert sent == ["again"], "the first part was there"
    expect(page.get_by_role("row", name=name)).to_contain_text("available", timeout=60_000)
    [kept] = manager.deployed.call("GET", f"/v1/files?prefix={name}").json()["files"]
    assert kept["sha256"] == sha256


def large(folder: Path) -> tuple[str, Path, str]:
    """A file of two parts: its name for devices, where it is, and its digest."""
    content = f"{time.time_ns():020}".encode() * 450_000
    source = folder / "large.bin"
    source.write_bytes(content)
    return f"apps/large-{time.time_ns()}.bin", source, hashlib.sha256(content).hexdigest()


def is_part(url: str) -> bool:
    """Whether a part of a file is sent to this address."""
    return "partNumber=" in url


def part_of(route: Route) -> str:
    """Which part a request sends."""
    return parse_qs(urlsplit(route.request.url).query)["partNumber"][0]
