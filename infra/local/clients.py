"""boto3 clients and environments that point at the embedded cloud, and at nothing else.

Whatever AWS configuration this machine has is neither used nor can it break the start.
"""

from __future__ import annotations

import os
import secrets
import threading
from dataclasses import dataclass, field
from typing import Any, Final, Self

import boto3
import botocore.session
from botocore.config import Config
from botocore.loaders import Loader

MODELS: Final = Loader()
"""AWS's models of its services. To parse one takes up to 0.2 s: once a process, for all uses."""
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


@dataclass(frozen=True, kw_only=True)
class RootKeys:
    """The access key of the account's root; made at random once per state directory."""

    access_key_id: str
    secret_access_key: str = field(repr=False)

    @classmethod
    def random(cls) -> Self:
        """New keys of AWS's form."""
        return cls(
            access_key_id=f"AKIA{secrets.token_hex(8).upper()}",
            secret_access_key=secrets.token_urlsafe(30),
        )


class RootClients:
    """Clients with the root keys, one per service, safe to use from several threads."""

    def __init__(self, *, endpoint_url: str, region: str, root: RootKeys) -> None:
        self._endpoint_url = endpoint_url
        isolated = botocore.session.Session(session_vars=_ISOLATED)
        isolated.register_component("data_loader", MODELS)
        self._session = boto3.Session(
            botocore_session=isolated,
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
                    service,  # pyright: ignore[reportCallIssue, reportArgumentType]
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
