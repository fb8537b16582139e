"""The door to the embedded cloud as the account's root, for adapters that are tested alone."""

from __future__ import annotations

import asyncio
import http.client
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from service.adapters.aws.client.credentials import OwnCredentials
from service.adapters.aws.client.door import AwsDoor, Calls
from service.adapters.aws.client.failures import NoAnswerError
from service.adapters.aws.client.line import Line, Reply, Request
from service.adapters.aws.client.signing import AwsCredentials
from service.settings import AwsSettings

if TYPE_CHECKING:
    from infra.local.cloud import EmbeddedCloud
    from service.domain.tenants import Tenant


class RootCredentials(OwnCredentials):
    """The root's, as the cloud gives them to a process."""

    def __init__(self, cloud: EmbeddedCloud) -> None:
        super().__init__()
        environment = cloud.environment()
        self._root = AwsCredentials(
            access_key=environment["AWS_ACCESS_KEY_ID"],
            secret_key=environment["AWS_SECRET_ACCESS_KEY"],
        )

    async def get(self) -> AwsCredentials:
        """Always the same."""
        return self._root


class BlockingLine(Line):
    """A connection for each request, in a thread: for tests that run many event loops."""

    async def send(self, request: Request, *, seconds: float) -> Reply:
        """The cloud's reply."""
        return await asyncio.to_thread(self._send, request, seconds)

    def _send(self, request: Request, seconds: float) -> Reply:
        parts = urlsplit(request.url)
        connection = http.client.HTTPConnection(
            parts.hostname or "", parts.port or 80, timeout=seconds
        )
        try:
            path = request.url.partition(parts.netloc)[2] or "/"
            connection.request(request.method, path, request.body, dict(request.headers))
            with connection.getresponse() as answer:
                body = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise NoAnswerError(type(error).__name__, is_lost=True) from error
        finally:
            connection.close()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        return Reply(status=answer.status, headers=headers, body=body)

    async def close(self) -> None:
        """None is kept open."""


class RootDoor(AwsDoor):
    """Asks everything as the root, whoever's it is."""

    def __init__(self, cloud: EmbeddedCloud) -> None:
        super().__init__(
            AwsSettings(region=cloud.region, endpoint_url=cloud.endpoint_url, deadline_seconds=10),
            max_tenants=1,
            line=BlockingLine(),
            own=RootCredentials(cloud),
        )

    def tenant(
        self, tenant: Tenant, service: str, *, patience_seconds: float | None = None
    ) -> Calls:
        """As the root too."""
        del tenant, patience_seconds
        return self.own(service)
