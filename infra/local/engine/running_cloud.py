"""The embedded cloud of another process, as that process describes it in ``.cedarfleet/cloud.json``."""

from __future__ import annotations

import json
import os
import socket
import threading
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import boto3
import botocore.session
from botocore.config import Config

from infra.local.engine.errors import EngineError

if TYPE_CHECKING:
    from pathlib import Path

_CONNECTIONS: Final = 16  # kept open per client: as many steps as the engine has under way at once


class CloudNotRunningError(EngineError):
    """There is no embedded cloud to deploy to."""


class RunningCloud:
    """A ``Cloud`` with the root credentials that the description names; this machine's own AWS files are not read."""

    def __init__(self, description: Path) -> None:
        """Read the description and see that somebody listens.

        Raises:
            CloudNotRunningError: No description, an unreadable one, or nobody listens there.
        """
        try:
            data: dict[str, Any] = json.loads(description.read_text())
            self.region: str = data["region"]
            self.account_id: str = data["account_id"]
            self.endpoint_url: str = data["endpoint_url"]
            keys = data["environment"]
            access_key, secret_key = keys["AWS_ACCESS_KEY_ID"], keys["AWS_SECRET_ACCESS_KEY"]
        except FileNotFoundError as error:
            raise CloudNotRunningError(
                f"{description} does not exist: run `make up` first"
            ) from error
        except (ValueError, KeyError, TypeError) as error:
            raise CloudNotRunningError(
                f"{description} does not describe an embedded cloud: {error!r}"
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
        no_files = {
            "config_file": (None, None, os.devnull, None),
            "credentials_file": (None, None, os.devnull, None),
        }
        self._session = boto3.Session(
            botocore_session=botocore.session.Session(
                session_vars={"profile": (None, None, None, None), **no_files}
            ),
            region_name=self.region,
            aws_access_key_id=access_key,
            aws_secret_access_key=secret_key,
        )
        self._clients: dict[str, Any] = {}
        self._mutex = threading.Lock()

    def client(self, service: str, /) -> Any:
        """Return the client of a service."""
        with self._mutex:  # making clients is not thread-safe, using them is
            if service not in self._clients:
                config = Config(
                    signature_version="s3v4" if service == "s3" else None,
                    s3={"addressing_style": "path"},
                    max_pool_connections=_CONNECTIONS,
                )
                self._clients[service] = self._session.client(
                    service,  # pyright: ignore[reportCallIssue, reportArgumentType] - known at run time
                    endpoint_url=self.endpoint_url,
                    config=config,
                )
            return self._clients[service]

    def close(self) -> None:
        """Close every client's connections."""
        for client in self._clients.values():
            client.close()
