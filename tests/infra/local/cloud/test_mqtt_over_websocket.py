"""The broker is reached through the gateway by whoever signs the upgrade, and nobody else."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import pytest
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.infra.local.cloud.conftest import QUERY, ROOTLIKE, SIGNED

if TYPE_CHECKING:
    from infra.local.cloud import EmbeddedCloud


def _upgrade(address: Any, path: str, headers: str) -> bytes:
    """The first line of the answer to an MQTT-over-WebSocket upgrade."""
    with socket.create_connection(address, timeout=5) as client:
        client.sendall(
            f"GET {path} HTTP/1.1\r\nHost: x-ats.iot.eu-central-1.localhost\r\nUpgrade: "
            "websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Key: "
            "dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Protocol: mqtt\r\n{headers}\r\n".encode()
        )
        return client.recv(4096).split(b"\r\n")[0]


@pytest.mark.parametrize(
    ("query", "headers"),
    [
        ("", ""),
        ("", "Authorization: Bearer x\r\n"),
        ("", f"Authorization: {SIGNED.replace('dynamodb', 'iotdevicegateway')}\r\n"),
        (QUERY + "test/20261122/eu-central-1/iotdevicegateway/aws4_request", ""),
        (QUERY + "123456789012/20261122/eu-central-1/iotdevicegateway/aws4_request", ""),
        (QUERY + f"{ROOTLIKE}/20261122/eu-central-1/iotdevicegateway/aws4_request", ""),
        (QUERY + "root/20261122/eu-central-1/iotdevicegateway/aws4_request", ""),
    ],
)
def test_unsigned_mqtt_over_websocket_is_refused(
    query: str, headers: str, embedded_cloud: EmbeddedCloud
) -> None:
    """The broker cannot be entered through the gateway without a valid signature."""
    key = embedded_cloud.environment()["AWS_ACCESS_KEY_ID"]
    address = ("127.0.0.1", int(embedded_cloud.endpoint_url.rsplit(":", 1)[1]))
    path = "/mqtt?" + query.replace("root/", f"{key}/")
    assert b" 403" in _upgrade(address, path, headers)


def test_signed_mqtt_over_websocket_is_served(embedded_cloud: EmbeddedCloud) -> None:
    """An upgrade signed by the root is accepted: the door is closed to forgers only."""
    environment = embedded_cloud.environment()
    credentials = Credentials(
        environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"]
    )
    request = AWSRequest(method="GET", url="http://x-ats.iot.eu-central-1.localhost/mqtt")
    SigV4QueryAuth(credentials, "iotdevicegateway", embedded_cloud.region).add_auth(request)
    path = str(request.url).removeprefix("http://x-ats.iot.eu-central-1.localhost")
    address = ("127.0.0.1", int(embedded_cloud.endpoint_url.rsplit(":", 1)[1]))
    assert b" 101" in _upgrade(address, path, "")
