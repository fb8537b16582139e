"""A file from a page to the tenant's bucket: which pages the bucket's rule lets send."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.service.adapters.on_the_embedded_cloud.conftest import DeployedService


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
