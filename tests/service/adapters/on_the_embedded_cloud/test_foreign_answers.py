"""Whatever AWS answers instead of what it says it does: 502 or 503, and well again when AWS is.

The service is a process of its own that speaks to the cloud through a proxy, which puts another
body under 200 in the place of one operation's answer: another program's, or half of AWS's own.
"""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import httpx
import pytest

from tests.service.adapters.aws.client.faulty_cloud import FaultyCloud

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from tests.service.adapters.on_the_embedded_cloud.conftest import DeployedService

_WELL_AGAIN_SECONDS: Final = 60.0
# Fewer than a breaker counts in a row, before it answers instead of AWS.
_OTHERS: Final = (b"<html>no AWS</html>", b"null", b"[]", b"")
# An object is what these operations answer: one without what they say is another shape too.
_EMPTY: Final = (
    b"",
    b"\xff\xfe{\x00}\x00",
    b"{}",
    b'{"decision": "PERHAPS", "determiningPolicies": 1}',
)
PRESS: Final = "/v1/devices/press-01"
RECIPE: Final = {"device": "press-01", "artifact": "recipes/steel.json"}


class Asks(NamedTuple):
    """A request that needs the operation."""

    method: str
    path: str
    body: dict[str, Any] | None = None


LOOK: Final = Asks("GET", PRESS)
COMMAND: Final = Asks("POST", f"{PRESS}/commands", {"name": "reboot"})
DOWNLOAD: Final = Asks("POST", "/v1/downloads", RECIPE)
CHANGE: Final = Asks("PATCH", PRESS, {"region": "eu-central"})
# What an operation's request holds, who needs it, and what is put in the place of its answer.
# Of a write DynamoDB answers an empty object itself, and of a read of nothing too.
CASES: Final = {
    "devices": (b"DynamoDB_20120810.Query", LOOK, _OTHERS),
    "audit": (b"DynamoDB_20120810.PutItem", CHANGE, _OTHERS),
    "records": (b"DynamoDB_20120810.TransactWriteItems", COMMAND, _OTHERS),
    "decision": (b"VerifiedPermissions.IsAuthorizedWithToken", COMMAND, _EMPTY),
    "artifact": (b"HEAD ", DOWNLOAD, (b"",)),
    "queue": (b"AmazonSQS.SendMessage", DOWNLOAD, _EMPTY),
}


class Spoilt:
    """A service of its own behind a proxy of its own, and whoever asks it."""

    def __init__(self, cloud: FaultyCloud, http: httpx.Client) -> None:
        self.cloud = cloud
        self.http = http

    def asked(self, asks: Asks) -> httpx.Response:
        """One request, of a manager."""
        return self.http.request(asks.method, asks.path, json=asks.body)

    def refused(self, answer: httpx.Response, said: bytes) -> None:
        """The outage is AWS's: not a fault of ours, and nothing that a client gives up for."""
        problem = answer.json()
        # Of a command that may have been stored nobody knows: that is told too, and its place.
        unconfirmed = (504, "urn:cedarfleet:problem:command-unconfirmed")
        is_unconfirmed = (answer.status_code, problem["type"]) == unconfirmed
        assert is_unconfirmed or answer.status_code in (502, 503), (said, answer.text)
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert problem["status"] == answer.status_code
        assert "no AWS" not in answer.text, "what another program says is nobody's to read"

    def well_again(self, asks: Asks) -> None:
        """The same request is served once AWS answers, whatever was remembered of before."""
        self.cloud.spoilt = b""
        until = time.monotonic() + _WELL_AGAIN_SECONDS
        while (answer := self.asked(asks)).status_code >= 500:
            assert time.monotonic() < until, answer.text
            time.sleep(min(1.0, float(answer.headers.get("Retry-After", "0.1"))))
        assert answer.is_success, answer.text


@contextmanager
def _running(cloud: FaultyCloud) -> Generator[None]:
    """The proxy, on a loop of its own."""
    begun, loop, end = threading.Event(), asyncio.new_event_loop(), asyncio.Event()

    async def serve() -> None:
        async with cloud.serving():
            begun.set()
            await end.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), daemon=True)
    thread.start()
    try:
        assert begun.wait(30)
        yield
    finally:
        loop.call_soon_threadsafe(end.set)
        thread.join(30)
        loop.close()


@pytest.fixture(scope="module")
def spoilt(deployed: DeployedService) -> Iterator[Spoilt]:
    """Nothing is asked of it yet, so that it knows no tenant, no key and no role."""
    setup = deployed.setup
    cloud = FaultyCloud(setup.cloud)
    cloud.fault = "garbage"
    with _running(cloud):
        own = setup.cloud.jwks_url_template.replace(setup.cloud.endpoint_url, cloud.url)
        process, url = setup.start_service(
            "behind-a-proxy", AWS_ENDPOINT_URL=cloud.url, CEDARFLEET_JWKS_URL_TEMPLATE=own
        )
        headers = {"Authorization": f"Bearer {deployed.token('acme', 'managers')}"}
        try:
            with httpx.Client(base_url=url, timeout=60, trust_env=False, headers=headers) as http:
                yield Spoilt(cloud, http)
        finally:
            assert process.stop() == 0


def test_a_foreign_answer_to_what_tells_who_calls_is_no_401(spoilt: Spoilt) -> None:
    """Registry, keys and role, each before anything is known of it: 401 would end a session.

    In the order in which the first request asks for them.
    """
    for said, wanted in (
        (b"<html>no AWS</html>", b"cedarfleet-tenants"),
        (b"null", b"/.well-known/jwks.json"),
        (b"[]", b"Action=AssumeRole"),
    ):
        spoilt.cloud.spoilt, spoilt.cloud.said, met = wanted, said, spoilt.cloud.met
        until = time.monotonic() + _WELL_AGAIN_SECONDS
        while spoilt.cloud.met == met:  # a failure before is remembered for a moment
            spoilt.refused(spoilt.asked(LOOK), said)
            assert time.monotonic() < until, wanted
            time.sleep(0.1)
    spoilt.well_again(LOOK)


@pytest.mark.parametrize("case", CASES)
def test_a_foreign_answer_is_an_outage(spoilt: Spoilt, case: str) -> None:
    """Of each operation that a request waits for: 502 or 503, and nothing of it is remembered."""
    operation, asks, answers = CASES[case]
    spoilt.well_again(asks)
    for said in answers:
        spoilt.cloud.spoilt, spoilt.cloud.said, met = operation, said, spoilt.cloud.met
        spoilt.refused(spoilt.asked(asks), said)
        assert spoilt.cloud.met > met, "the operation was asked for"
    spoilt.well_again(asks)
