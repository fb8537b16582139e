"""boto3 clients and environments that point at the embedded cloud, whatever AWS configuration this machine has."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any, Final

import boto3
import botocore.session
from botocore.config import Config

if TYPE_CHECKING:
    from infra.local.cloud.state_directory import RootKeys

# The machine's own profiles and files must neither be used nor break the start.
_ISOLATED: Final = {
    "profile": (None, None, None, None),
    "config_file": (None, None, os.devnull, None),
    "credentials_file": (None, None, os.devnull, None),
}
_CONNECTIONS: Final = 16  # kept open per client: as many steps as the engine has under way at once
_NO_MACHINE_CONFIGURATION: Final = {
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}


class RootClients:
    """Clients with the root keys, one per service, safe to use from several threads."""

    def __init__(self, *, endpoint_url: str, region: str, root: RootKeys) -> None:
        self._endpoint_url = endpoint_url
        self._session = boto3.Session(
            botocore_session=botocore.session.Session(session_vars=_ISOLATED),
            region_name=region,
            aws_access_key_id=root.access_key_id,
            aws_secret_access_key=root.secret_access_key,
        )
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()  # making clients is not thread-safe, using them is

    def get(self, service: str) -> Any:
        """The client of a service."""
        with self._lock:
            if service not in self._clients:
                self._clients[service] = self._session.client(
                    service,  # pyright: ignore[reportCallIssue, reportArgumentType] - known at run time
                    endpoint_url=self._endpoint_url,
                    config=Config(
                        signature_version="s3v4" if service == "s3" else None,
                        s3={"addressing_style": "path"},
                        max_pool_connections=_CONNECTIONS,
                    ),
                )
            return self._clients[service]

    def close(self) -> None:
        """Close every client's connections."""
        with self._lock:
            for client in self._clients.values():
                client.close()
            self._clients.clear()


def environment(*, endpoint_url: str, region: str) -> dict[str, str]:
    """What a child process needs to find the cloud, without credentials."""
    return {
        "AWS_ENDPOINT_URL": endpoint_url,
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
    } | _NO_MACHINE_CONFIGURATION
