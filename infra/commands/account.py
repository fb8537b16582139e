"""One account and region as its operator has it, and what there is a tenant's by its name."""

from __future__ import annotations

import os
import re
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import boto3
from botocore.config import Config
from cedarfleet_device import wire

from infra import names
from infra.commands.policies import TABLE
from infra.commands.suspension import Aws, Tenant
from infra.stacks.config.tenants import region

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path

    from infra.commands.stack_run import Engine

# The control planes' rates are the account's: wait for them, and leave something to the service.
_PATIENT: Final = Config(retries={"mode": "adaptive", "max_attempts": 10})
_PAGED_BY_HAND: Final = 50


@dataclass(frozen=True, kw_only=True)
class Account:
    """One account and region.

    Attributes:
        client: of a service by its name, always the same one; may be asked by threads.
        region: e.g. `eu-central-1`.
    """

    client: Callable[[str], Any]
    region: str

    @classmethod
    def of(cls, session: boto3.Session, *, endpoint_url: str | None = None) -> Account:
        """With the operator's credentials, at the pace that AWS gives.

        Args:
            session: with credentials and region.
            endpoint_url: of an embedded cloud; ``None``: AWS, or what AWS_ENDPOINT_URL says.
        """
        made: dict[str, Any] = {}
        # boto3 makes clients in one thread at a time, and gives them to any; one may ask another's.
        making = threading.RLock()
        any_client: Any = session.client  # of any service, which the stubs do not know

        def client(service: str) -> Any:
            with making:
                return made[service] if service in made else make(service)

        def make(service: str) -> Any:
            more: dict[str, Any] = {"endpoint_url": endpoint_url} if endpoint_url else {}
            # The account's own data plane; the embedded cloud is one address for all.
            elsewhere = endpoint_url or os.environ.get("AWS_ENDPOINT_URL")
            if service == "iot-data" and not elsewhere:
                own = client("iot").describe_endpoint(endpointType="iot:Data-ATS")
                more["endpoint_url"] = f"https://{own['endpointAddress']}"
            made[service] = any_client(service, config=_PATIENT, **more)
            return made[service]

        return cls(client=client, region=session.region_name)

    @classmethod
    def stamped_by(cls, engine: Engine, root: Path) -> Account:
        """The account to which an engine stamps.

        Raises:
            ConfigError: the laptop's engine has no cloud.
        """
        cloud = engine.cloud()
        if cloud is None:
            name = os.environ.get("AWS_REGION") or region(root, names.PLATFORM_STACK)
            return cls.of(boto3.Session(region_name=name))
        session = boto3.Session(
            aws_access_key_id=cloud.environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=cloud.environment["AWS_SECRET_ACCESS_KEY"],
            region_name=cloud.region,
        )
        return cls.of(session, endpoint_url=cloud.endpoint_url)

    @property
    def caller(self) -> str:
        """The operator's ARN."""
        return str(self.client("sts").get_caller_identity()["Arn"])

    def tenant(self, tenant: str) -> Tenant:
        """The tenant's row of the registry.

        Raises:
            SuspensionError: the registry has none.
        """
        aws = Aws(
            dynamodb=self.client("dynamodb"),
            permissions=self.client("verifiedpermissions"),
            cognito=self.client("cognito-idp"),
            iot=self.client("iot"),
            data=self.client("iot-data"),
            table=os.environ.get(TABLE, names.TENANTS_TABLE),
        )
        return Tenant.find(aws, tenant)

    def pages(self, service: str, operation: str, key: str, **asked: Any) -> Iterator[Any]:
        """What a call lists, page by page to the end.

        Raises:
            botocore.exceptions.ClientError: AWS refused; of a list that was not read to its end
                nobody knows what is in it.
        """
        client = self.client(service)
        if client.can_paginate(operation):
            for page in client.get_paginator(operation).paginate(**asked):
                yield from page.get(key, ())
            return
        yield from self._by_hand(client, operation, key, asked)

    @staticmethod
    def _by_hand(client: Any, operation: str, key: str, asked: dict[str, Any]) -> Iterator[Any]:
        """Two calls for which botocore has no pages: the data plane's shadows, Firehose's streams.

        Sources: AWS IoT API reference, ListNamedShadowsForThing (`nextToken`); Firehose API
        reference, ListDeliveryStreams (`HasMoreDeliveryStreams`, `ExclusiveStart…Name`).
        """
        token: str | None = None
        while True:
            if operation == "list_named_shadows_for_thing":
                more = {} if token is None else {"nextToken": token}
                page = client.list_named_shadows_for_thing(**asked, pageSize=_PAGED_BY_HAND, **more)
                yield from page[key]
                token = page.get("nextToken")
            else:
                more = {} if token is None else {"ExclusiveStartDeliveryStreamName": token}
                page = client.list_delivery_streams(**asked, Limit=_PAGED_BY_HAND, **more)
                yield from page[key]
                token = page[key][-1] if page["HasMoreDeliveryStreams"] else None
            if not token:
                return


@dataclass(frozen=True, kw_only=True)
class Belongings:
    """What is a tenant's: by its name, or because it is one of the ids that were written down.

    Of two tenants one may be called as the other begins (`acme`, `acme-two`), so names are compared
    as a whole, or by `<tenant>--`, which no other tenant's begin with.

    Attributes:
        tenant: its id.
        ids: of what AWS names itself: user pool, policy store, certificates.
    """

    tenant: str
    ids: Collection[str] = ()

    @property
    def names(self) -> frozenset[str]:
        """What the program calls its resources, of this release and of 0.1.0."""
        return frozenset(
            {
                names.thing_group(self.tenant),
                names.device_policy(self.tenant),
                names.tenant_role(self.tenant),
                names.presign_role(self.tenant),
                names.telemetry_role(self.tenant),
                names.telemetry_stream(self.tenant),
                names.onboarding_row(self.tenant),
                names.tier_move_row(self.tenant),
                wire.telemetry_rule(self.tenant),
                f"cedarfleet {self.tenant}",  # how its policy store is described
                f"{self.tenant}-devices",
                f"{self.tenant}-claim",
                f"cedarfleet-{self.tenant}-provisioning",
            }
        )

    def has(self, name: str) -> bool:
        """Whether something of this name or id is the tenant's."""
        return (
            name in self.names
            or name in self.ids
            or name.startswith(names.thing_prefix(self.tenant))
            or re.fullmatch(f"{re.escape(self.tenant)}-artifacts-[0-9a-f]+", name) is not None
        )

    def is_in(self, text: str) -> bool:
        """Whether a text that is longer than a name, as a key of the registry, has such an id."""
        return any(one in text for one in self.ids)
