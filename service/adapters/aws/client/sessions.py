"""AWS clients: the service's own, and each tenant's by the role that the tenant's stack made."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final

import boto3
from botocore.config import Config
from botocore.credentials import DeferredRefreshableCredentials
from botocore.session import Session as BotocoreSession

if TYPE_CHECKING:
    from service.domain.tenants import Tenant
    from service.settings import AwsSettings

# AWS's longest for a role assumed by a role (docs: IAM "role chaining").
SESSION_SECONDS: Final = 3600
_SERVICES: Final = frozenset({"dynamodb", "iot", "iot-data", "s3", "verifiedpermissions"})


class AwsSessions:
    """Clients by service; every method may block and is called on the pool of ``AwsCalls``.

    Args:
        settings: region, endpoint and bounds of every client.
        max_tenants: sessions kept; the least recently used one is dropped.
    """

    def __init__(self, settings: AwsSettings, *, max_tenants: int) -> None:
        self._region = settings.region
        self._endpoint_url = settings.endpoint_url
        self._iot_data_url = settings.iot_data_url
        self._config = Config(
            connect_timeout=settings.connect_seconds,
            read_timeout=settings.read_seconds,
            retries={"mode": "standard", "total_max_attempts": settings.max_attempts},
            max_pool_connections=settings.threads,
            signature_version="v4",
        )
        self._own = _Clients(self, boto3.Session(region_name=self._region))
        self._tenants: OrderedDict[str, _Clients] = OrderedDict()
        self._max_tenants = max_tenants
        self._lock = threading.Lock()

    def own(self, service: str) -> Any:
        """A client with the credentials of the service itself."""
        return self._own.client(service)

    def tenant(self, tenant: Tenant, service: str, *, patience_seconds: float | None = None) -> Any:
        """A client that can reach nothing but the tenant's things: its role says so, not we.

        Args:
            tenant: whose role is assumed.
            service: as boto3 names it.
            patience_seconds: for calls that wait for somebody else: try once, for so long.

        Raises:
            botocore.exceptions.ClientError: the role cannot be assumed.
        """
        if service not in _SERVICES:
            raise ValueError(f"no tenant session for `{service}`")
        with self._lock:
            clients = self._tenants.get(tenant.role_arn)
            if clients is None:
                clients = _Clients(self, self._assumed(tenant))
                self._tenants[tenant.role_arn] = clients
            self._tenants.move_to_end(tenant.role_arn)
            while len(self._tenants) > self._max_tenants:
                self._tenants.popitem(last=False)
        return clients.client(service, patience_seconds)

    def make(
        self, session: boto3.Session, service: str, patience_seconds: float | None = None
    ) -> Any:
        """A bounded client of ``session``."""
        config = self._config
        if patience_seconds is not None:
            once = Config(
                read_timeout=patience_seconds,
                retries={"mode": "standard", "total_max_attempts": 1},
            )
            config = config.merge(once)
        if service == "s3":
            style = "path" if self._endpoint_url else "virtual"
            config = config.merge(Config(signature_version="s3v4", s3={"addressing_style": style}))
        url = self._iot_data_url if service == "iot-data" else self._endpoint_url
        make: Any = session.client  # typed for literal names of services only
        return make(service, endpoint_url=url, config=config)

    def _assumed(self, tenant: Tenant) -> boto3.Session:
        def refresh() -> dict[str, str]:
            answer = self.own("sts").assume_role(
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
        credentials = DeferredRefreshableCredentials(refresh, "assume-role")
        # botocore has no public setter for credentials that refresh themselves.
        session._credentials = credentials  # noqa: SLF001 - see above
        return boto3.Session(botocore_session=session, region_name=self._region)


class _Clients:
    """The clients of one session; making a client is not thread-safe in boto3, using it is."""

    def __init__(self, sessions: AwsSessions, session: boto3.Session) -> None:
        self._sessions = sessions
        self._session = session
        self._clients: dict[tuple[str, float | None], Any] = {}
        self._lock = threading.Lock()

    def client(self, service: str, patience_seconds: float | None = None) -> Any:
        key = service, patience_seconds
        with self._lock:
            if key not in self._clients:
                self._clients[key] = self._sessions.make(self._session, service, patience_seconds)
            return self._clients[key]
