"""A fault of the agent's own in the middle of a job: an end with words, and nothing left behind."""

from __future__ import annotations

import queue
import secrets
from typing import TYPE_CHECKING

from cedarfleet_device.clock import Clock
from cedarfleet_device.config import DeviceConfig
from cedarfleet_device.connection.client import device_connection, tls_context
from cedarfleet_device.downloads.downloader import Downloader
from cedarfleet_device.downloads.jobs import JobListener
from cedarfleet_device.identity.credentials import load_credentials
from cedarfleet_device.trust.policy import TrustPolicy

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cedarfleet_device.downloads import Delivered
    from cedarfleet_device.wire import DownloadDocument

    from tests.device_sdk.devices import Tenant
    from tests.device_sdk.downloads.object_server import ObjectServer


class FaultyFetcher:
    """The downloader, with a fault of the agent's own in the middle of a file."""

    def __init__(self, config: DeviceConfig) -> None:
        self._downloader = Downloader(
            folder=config.download_dir, state_dir=config.state_dir, limits=config.downloads
        )
        self.discard = self._downloader.discard
        self.discard_all = self._downloader.discard_all

    def fetch(
        self,
        document: DownloadDocument,
        *,
        refresh_url: Callable[[], str],
        progress: Callable[[int, int], None] | None = None,  # noqa: ARG002 - its own one
        cancelled: Callable[[], bool],
        hook: bool = True,
    ) -> Delivered:
        """As the downloader does, until the first bytes are there."""

        def broken(received: int, _size: int) -> None:
            if received:
                raise MemoryError("in the agent's own code")

        return self._downloader.fetch(
            document, refresh_url=refresh_url, progress=broken, cancelled=cancelled, hook=hook
        )


def test_what_an_agent_s_own_fault_left_leaves_too(
    tenant: Tenant, server: ObjectServer, tmp_path: Path
):
    """The job ends FAILED with words, and no byte of its file stays: nobody would come for it."""
    device = tenant.device(tmp_path)
    config = DeviceConfig.load(device.config_file)
    iot, job_id = tenant.cloud.client("iot"), f"workshop--fault-{secrets.token_hex(4)}"
    thing = iot.describe_thing(thingName=device.thing)["thingArn"]
    iot.create_job(jobId=job_id, targets=[thing], document=server.document().encode())
    ended: queue.SimpleQueue[str] = queue.SimpleQueue()
    tls = tls_context(*load_credentials(config))
    with device_connection(config, tls=tls, seconds=30) as client:
        listener = JobListener(
            client=client,
            thing=device.thing,
            fetcher=FaultyFetcher(config),
            policy=TrustPolicy(None, kind="", clock=Clock().latest),
            clock=Clock(),
            ended=ended.put,
        )
        listener.start()
        listener.look()
        assert ended.get(timeout=30) == "FAILED"
        listener.stop()
    listener.close()
    execution = iot.describe_job_execution(jobId=job_id, thingName=device.thing)["execution"]
    told = execution["statusDetails"]["detailsMap"]
    assert (execution["status"], told["reason"]) == (
        "FAILED",
        "MemoryError in the device's agent",
    )
    left = [each.name for each in tmp_path.rglob("*") if each.is_file()]
    assert [each for each in left if each.endswith((".part", ".json", ".bin"))] == []
