"""The door as it was before there was one: boto3 in a pool of threads, a session for each tenant.

Kept to measure beside: the adapters run on either.
"""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import boto3
from botocore import xform_name
from botocore.config import Config
from botocore.credentials import DeferredRefreshableCredentials
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError
from botocore.session import Session as BotocoreSession

from service.adapters.aws.client.credentials import SESSION_SECONDS
from service.adapters.aws.client.door import AwsDoor, Calls
from service.adapters.aws.client.failures import AwsRefusalError, NoAnswerError

if TYPE_CHECKING:
    from service.domain.tenants import Tenant
    from service.settings import AwsSettings

THREADS: Final = 32


@dataclass(frozen=True, slots=True)
class BotoCalls(Calls):
    """Calls by a client of boto3."""

    async def call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """As ``Calls.call``."""
        if not isinstance(self.door, Boto3Door):
            raise TypeError("a door of boto3's calls")
        return await self.door.run(self, operation, parameters)


class Boto3Door(AwsDoor):
    """Answers as ``AwsDoor`` does."""

    def __init__(
        self, settings: AwsSettings, *, max_tenants: int, session: boto3.Session | None = None
    ) -> None:
        super().__init__(settings, max_tenants=max_tenants)
        self._aws = settings
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="aws")
        self._own_session = session or boto3.Session(region_name=settings.region)
        self._sessions: dict[str, boto3.Session] = {}
        self._clients: dict[tuple[str, str, float | None], Any] = {}
        self._lock = threading.Lock()

    def own(self, service: str) -> Calls:
        """As ``AwsDoor.own``."""
        return BotoCalls(self, service, None, None)

    def tenant(
        self, tenant: Tenant, service: str, *, patience_seconds: float | None = None
    ) -> Calls:
        """As ``AwsDoor.tenant``."""
        return BotoCalls(self, service, tenant, patience_seconds)

    async def close(self) -> None:
        """Wait for no thread."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def run(self, asked: Calls, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        """One call in a thread.

        Raises:
            AwsRefusalError: AWS said no.
            NoAnswerError: nobody answered.
        """
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._pool, self._ask, asked, operation, parameters)
        except ClientError as error:
            told: Any = error.response
            raise AwsRefusalError(
                operation,
                code=told["Error"]["Code"],
                status=told["ResponseMetadata"]["HTTPStatusCode"],
                members=told,
            ) from error
        except (BotoCoreError, ResponseParserError, OSError) as error:
            raise NoAnswerError(type(error).__name__, is_lost=True) from error

    def _ask(self, asked: Calls, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        return getattr(self._client(asked), xform_name(operation))(**parameters)

    def _client(self, asked: Calls) -> Any:
        role = "" if asked.who is None else asked.who.role_arn
        key = role, asked.service, asked.patience_seconds
        # Making a client is not thread-safe in boto3, using it is.
        with self._lock:
            if key not in self._clients:
                session = self._own_session if asked.who is None else self._of(asked.who)
                self._clients[key] = self._make(session, asked.service, asked.patience_seconds)
            return self._clients[key]

    def _make(self, session: boto3.Session, service: str, patience: float | None) -> Any:
        aws = self._aws
        attempts = aws.max_attempts if patience is None else 1
        style = "path" if aws.endpoint_url else "virtual"
        config = Config(
            connect_timeout=aws.connect_seconds,
            read_timeout=aws.read_seconds if patience is None else patience,
            retries={"mode": "standard", "total_max_attempts": attempts},
            max_pool_connections=THREADS,
            signature_version="s3v4" if service == "s3" else "v4",
            s3={"addressing_style": style},
        )
        url = aws.iot_data_url if service == "iot-data" else aws.endpoint_url
        make: Any = session.client  # typed for literal names of services only
        return make(service, endpoint_url=url, config=config)

    def _of(self, tenant: Tenant) -> boto3.Session:
        if tenant.role_arn not in self._sessions:
            self._sessions[tenant.role_arn] = self._assumed(tenant)
        return self._sessions[tenant.role_arn]

    def _assumed(self, tenant: Tenant) -> boto3.Session:
        def refresh() -> dict[str, str]:
            answer = self._make(self._own_session, "sts", None).assume_role(
                RoleArn=tenant.role_arn,
                RoleSessionName=f"service-{tenant.id}",
                DurationSeconds=SESSION_SECONDS,
            )
            credentials = answer["Credentials"]
            return {
                "access_key": credentials["AccessKeyId"],
                "secret_key": credentials["SecretAccessKey"],
                "token": credentials["SessionToken"],
                "expiry_time": credentials["Expiration"].isoformat(),
            }

        session: Any = BotocoreSession()
        # botocore has no public setter for credentials that refresh themselves.
        session._credentials = DeferredRefreshableCredentials(refresh, "assume-role")
        return boto3.Session(botocore_session=session, region_name=self._aws.region)
