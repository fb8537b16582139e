"""The client as a program of the tenant imports it, sync and async, against the running service."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from cedarfleet import AsyncFleet, Fleet, NotFoundError, RefusedError, UploadError
from cedarfleet.generated.api.default import list_groups, read_device
from cedarfleet.generated.models import GroupPageOut

if TYPE_CHECKING:
    from pathlib import Path

    from tests.service.adapters.on_the_embedded_cloud.conftest import DeployedService


def api(deployed: DeployedService) -> str:
    """Of the service."""
    return str(deployed.http.base_url).rstrip("/")


def test_pages_are_one_iterator(deployed: DeployedService) -> None:
    """However short a page is, the iterator goes on; the async one gives the same."""
    token = deployed.token("acme", "managers")
    with Fleet(api(deployed), token, proxies=False) as fleet:
        whole = [device.id for device in fleet.devices()]
        by_ones = [device.id for device in fleet.devices(limit=1)]

    async def awaited() -> list[str]:
        async with AsyncFleet(api(deployed), token, proxies=False) as fleet:
            return [device.id async for device in fleet.devices(limit=1)]

    assert {"press-01", "press-02"} <= set(whole)
    assert by_ones == whole == asyncio.run(awaited())


def test_errors_have_the_problems_fields(deployed: DeployedService) -> None:
    """A refusal says which action, by which policies and why; a generated operation raises too."""
    with Fleet(api(deployed), deployed.token("acme", "operators"), proxies=False) as fleet:
        with pytest.raises(RefusedError) as refused:
            fleet.send("press-01", "stop")
        assert (refused.value.action, refused.value.policies) == (
            "StopDevice",
            ["operators-view-only"],
        )
        assert refused.value.request_id
        with pytest.raises(NotFoundError) as missing:
            read_device.sync("no-such", client=fleet.http)
        assert (missing.value.status, missing.value.slug) == (404, "not-found")
        found = list_groups.sync(client=fleet.http)
        assert isinstance(found, GroupPageOut)


def test_a_command_is_sent_and_awaited(deployed: DeployedService, press: str) -> None:
    """Sync and async wait until the device has told its outcome."""
    token = deployed.token("acme", "managers")

    async def awaited() -> str:
        async with AsyncFleet(api(deployed), token, proxies=False) as fleet:
            sent = await fleet.send(press, "reboot")
            return (await fleet.wait_for_command(sent.id, seconds=60)).state

    assert asyncio.run(awaited()) == "succeeded"
    with Fleet(api(deployed), token, proxies=False) as fleet:
        key = "one-and-the-same"
        sent = [fleet.send(press, "reboot", idempotency_key=key).id for _ in range(2)]
        assert sent[0] == sent[1]
        assert fleet.wait_for_command(sent[0], seconds=60).state == "succeeded"


def test_a_file_that_changes_is_no_upload(deployed: DeployedService, tmp_path: Path) -> None:
    """Written to while it is sent, it is not what its digest says; nothing of it is delivered."""
    file = tmp_path / "changing.bin"
    file.write_bytes(bytes(8 * 2**20) + b"the rest")
    told: list[tuple[int, int]] = []

    def progress(sent: int, size: int) -> None:
        told.append((sent, size))
        if sent == 8 * 2**20:
            file.write_bytes(bytes(8 * 2**20) + b"changed!")

    token = deployed.token("acme", "managers")
    with (
        Fleet(api(deployed), token, proxies=False) as fleet,
        pytest.raises(UploadError, match="refused"),
    ):
        fleet.upload(file, "recipes/changing.bin", progress=progress)
    size = 8 * 2**20 + 8
    assert told == [(0, size), (8 * 2**20, size), (size, size)]
