"""The embedded cloud of another process, as described in ``.cedarfleet/cloud.json``."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from infra.local.clients import RootClients, RootKeys

if TYPE_CHECKING:
    from pathlib import Path

    from infra.local.cloud import EmbeddedCloud


class CloudNotRunningError(Exception):
    """There is no embedded cloud in another process to deploy to."""


def description(cloud: EmbeddedCloud) -> dict[str, Any]:
    """What other programs need to find the cloud; the file is private, for root keys are in it."""
    return {
        "endpoint_url": cloud.endpoint_url,
        "region": cloud.region,
        "account_id": cloud.account_id,
        "mqtt_host": cloud.mqtt_host,
        "mqtt_port": cloud.mqtt_port,
        "ca_file": str(cloud.ca_file),
        "jwks_url_template": cloud.jwks_url_template,
        "environment": cloud.environment(),
    }


class RunningCloud:
    """A cloud to deploy to, with the root keys that its description names.

    This machine's own AWS configuration is not read.

    Attributes:
        environment: variables with which a program of AWS finds this cloud, root keys included.
    """

    environment: dict[str, str]

    def __init__(self, file: Path) -> None:
        """Read the description and see that somebody listens.

        Args:
            file: holds a ``description``.

        Raises:
            CloudNotRunningError: no description, an unreadable one, or nobody listens there.
        """
        try:
            data: dict[str, Any] = json.loads(file.read_text())
            self.region: str = data["region"]
            self.account_id: str = data["account_id"]
            self.endpoint_url: str = data["endpoint_url"]
            keys = self.environment = {
                str(name): str(value) for name, value in data["environment"].items()
            }
            root = RootKeys(
                access_key_id=keys["AWS_ACCESS_KEY_ID"],
                secret_access_key=keys["AWS_SECRET_ACCESS_KEY"],
            )
        except FileNotFoundError as error:
            raise CloudNotRunningError(f"{file} does not exist: run `make up` first") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise CloudNotRunningError(
                f"{file} does not describe an embedded cloud: {error!r}"
            ) from error
        address = urlsplit(self.endpoint_url)
        try:
            socket.create_connection(
                (address.hostname or "", address.port or 80), timeout=5
            ).close()
        except OSError as error:
            raise CloudNotRunningError(
                f"nobody listens on {self.endpoint_url}: run `make up` first"
            ) from error
        self._clients = RootClients(endpoint_url=self.endpoint_url, region=self.region, root=root)

    def client(self, service: str, /) -> Any:
        """The client of a service."""
        return self._clients.get(service)

    def close(self) -> None:
        """Close every client's connections."""
        self._clients.close()
