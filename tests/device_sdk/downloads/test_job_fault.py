"""A fault of the agent's own in the middle of a job: an end with words, and nothing left behind."""

from __future__ import annotations

import asyncio
import queue
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn

import pytest
from cedarfleet_device.clock import Clock
from cedarfleet_device.config import DeviceConfig
from cedarfleet_device.connection.client import device_connection, tls_context
from cedarfleet_device.downloads.downloader import Downloader
from cedarfleet_device.downloads.job_details import fitting, plainer
from cedarfleet_device.downloads.jobs import JobListener
from cedarfleet_device.identity.credentials import load_credentials
from cedarfleet_device.installs.installation import InstallOutcome
from cedarfleet_device.trust.policy import TrustPolicy
from cedarfleet_device.wire import Manifest, MoveDocument, Signed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cedarfleet_device.downloads import Delivered
    from cedarfleet_device.downloads.job_parts import Fetcher, Installs, Mover, Policy
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


class FaultyPolicy(TrustPolicy):
    """A policy with a fault of the agent's own, each time."""

    def manifest(self, document: DownloadDocument) -> Manifest | None:
        """Fail for one file."""
        if document.name == "odd.bin":
            raise RuntimeError("in the agent's own code")
        return super().manifest(document)


class FaultyMover:
    """A mover with a fault of the agent's own, each time."""

    def prove(self, job_id: str, document: MoveDocument) -> NoReturn:
        """Fail."""
        raise asyncio.CancelledError(job_id, document)

    def go(self) -> NoReturn:
        """Nobody gets here."""
        raise AssertionError("it has proved nothing")


class Listening:
    """A listener of jobs on a connection of its own, and who orders of its device."""

    def __init__(self, tenant: Tenant, folder: Path) -> None:
        self.device = tenant.device(folder)
        self.config = DeviceConfig.load(self.device.config_file)
        self._iot = tenant.cloud.client("iot")
        self._thing = self._iot.describe_thing(thingName=self.device.thing)["thingArn"]

    def order(self, document: str) -> str:
        """Make a job; its id."""
        job_id = f"workshop--fault-{secrets.token_hex(4)}"
        self._iot.create_job(jobId=job_id, targets=[self._thing], document=document)
        return job_id

    def ended(self, job_id: str) -> tuple[str, str | None]:
        """Status and reason of what has ended."""
        told = self._iot.describe_job_execution(jobId=job_id, thingName=self.device.thing)
        details = told["execution"]["statusDetails"].get("detailsMap", {})
        return told["execution"]["status"], details.get("reason")

    def until_ended(
        self,
        count: int,
        *,
        fetcher: Fetcher | None = None,
        policy: Policy | None = None,
        mover: Mover | None = None,
        installs: Installs | None = None,
    ) -> None:
        """Listen until so many jobs have ended."""
        ended: queue.SimpleQueue[str] = queue.SimpleQueue()
        config = self.config
        tls = tls_context(*load_credentials(config))
        with device_connection(config, tls=tls, seconds=30) as client:
            listener = JobListener(
                client=client,
                thing=self.device.thing,
                fetcher=fetcher or downloader(config),
                policy=policy or TrustPolicy(None, kind="", clock=Clock().latest),
                clock=Clock(),
                ended=ended.put,
                mover=mover,
                installs=installs,
            )
            listener.start()
            listener.look()
            for _ in range(count):
                ended.get(timeout=30)
            listener.stop()
        listener.close()


def downloader(config: DeviceConfig) -> Downloader:
    """The one of an agent."""
    return Downloader(
        folder=config.download_dir, state_dir=config.state_dir, limits=config.downloads
    )


def test_what_an_agent_s_own_fault_left_leaves_too(
    tenant: Tenant, server: ObjectServer, tmp_path: Path
):
    """The job ends FAILED with words, and no byte of its file stays: nobody would come for it."""
    listening = Listening(tenant, tmp_path)
    job_id = listening.order(server.document().encode())
    listening.until_ended(1, fetcher=FaultyFetcher(listening.config))
    assert listening.ended(job_id) == ("FAILED", "MemoryError in the device's agent")
    left = [each.name for each in tmp_path.rglob("*") if each.is_file()]
    assert [each for each in left if each.endswith((".part", ".json", ".bin"))] == []


def test_a_fault_that_comes_each_time_keeps_no_other_job(
    tenant: Tenant, server: ObjectServer, tmp_path: Path
):
    """Of a policy, of a move: the job ends in words, else the device were given it for ever."""
    listening = Listening(tenant, tmp_path)
    odd = listening.order(server.document("odd.bin").encode())
    move = listening.order(MoveDocument(endpoint="two.devices.example").encode())
    good = listening.order(server.document("good.bin").encode())
    policy = FaultyPolicy(None, kind="", clock=Clock().latest)
    listening.until_ended(3, policy=policy, mover=FaultyMover())
    assert listening.ended(odd) == ("FAILED", "RuntimeError in the device's agent")
    assert listening.ended(move) == ("FAILED", "CancelledError in the device's agent")
    assert listening.ended(good)[0] == "SUCCEEDED"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("no room \N{ZERO WIDTH JOINER} at all", "no room   at all"),
        ("\N{ZERO WIDTH NO-BREAK SPACE}", " "),
        ("a\n\tb\x7f", "a  b "),
        ("\ud800", " "),
        ("20 °C, 温度, مرحبا", "20 °C, 温度, مرحبا"),
        ("", "-"),
        ("x" * 2000, "x" * 1024),
    ],
)
def test_what_a_maker_says_is_told_as_jobs_takes_it(said: str, told: str):
    """In its characters and length, or the cloud would refuse the job's end for ever."""
    assert fitting({"reason": said}) == {"reason": told}


def test_what_is_refused_after_all_is_said_with_less():
    """First in ASCII, since what is assigned differs from one Unicode to the next, then not."""
    detail = {"reason": "at 20 °C", "state": "failed"}
    plain = plainer(detail)
    assert plain == {"reason": "at 20 ?C", "state": "failed"}
    assert plainer(plain) == {}


class OddInstalls:
    """An install that ends with details that the cloud refuses, whatever the agent makes of them.

    As would be a character that the cloud's Unicode does not know yet.
    """

    def carry_out(self, *_: object, **__: object) -> InstallOutcome:
        """End."""
        return InstallOutcome(status="FAILED", detail={"no key of Jobs": "at 20 °C"})

    def ended(self, job_id: str) -> None:
        """The cloud has it."""

    def nothing_wanted(self) -> None:
        """No job waits."""


def test_an_end_that_is_refused_is_told_without_words(
    tenant: Tenant, server: ObjectServer, tmp_path: Path
):
    """The job ends, and the next one comes."""
    listening = Listening(tenant, tmp_path)
    document = server.document("firmware/a.img")
    manifest = Manifest(
        name=document.name,
        size=document.size,
        sha256=document.sha256,
        package="firmware",
        version="2",
    )
    odd = listening.order(
        replace(document, manifest=Signed(text=manifest.encode().decode())).encode()
    )
    good = listening.order(server.document("good.bin").encode())
    listening.until_ended(2, installs=OddInstalls())
    assert listening.ended(odd) == ("FAILED", None)
    assert listening.ended(good)[0] == "SUCCEEDED"
