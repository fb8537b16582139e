"""Webhooks as they are recorded, their secrets, and the way to their targets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from service.domain.tenants import Tenant
    from service.domain.webhooks import Delivery, Webhook


class WebhookRecords(Protocol):
    """One record a webhook, and one a delivery, which leaves after a week."""

    async def put(self, tenant: Tenant, webhook: Webhook) -> Webhook | None:
        """Store a webhook one revision higher than it was read (0: a new one).

        ``None``: somebody changed it since, or it is there already.
        """
        ...

    async def every(self, tenant: Tenant) -> Sequence[Webhook]:
        """All webhooks, the ended ones too, the oldest first."""
        ...

    async def note(self, tenant: Tenant, webhook_id: str, delivery: Delivery) -> None:
        """Store a delivery."""
        ...

    async def deliveries(
        self, tenant: Tenant, webhook_id: str, *, before: str | None, most: int
    ) -> Sequence[Delivery]:
        """Deliveries, the newest first, behind an id."""
        ...


class WebhookSecrets(Protocol):
    """Seals secrets, so that what is stored is of no use without the worker's own rights."""

    async def seal(self, tenant: Tenant, webhook_id: str, secret: str) -> str:
        """Ciphertext, bound to tenant and webhook; base64."""
        ...

    async def open(self, tenant: Tenant, webhook_id: str, sealed: str) -> str:
        """The secret.

        Raises:
            UpstreamError: it is bound to something else, or KMS does not answer.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Sent:
    """What came of sending.

    Attributes:
        outcome: status of HTTP, or a word: ``not-public``, ``no-address``, ``no-connection``,
            ``tls``, ``too-slow``, ``no-http``.
        milliseconds: that it took.
    """

    delivered: bool
    outcome: str
    milliseconds: int


class WebhookSender(Protocol):
    """Sends to targets of tenants, and never to anything that is not of the public Internet."""

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Sent:
        """POST once; whatever goes wrong is an outcome."""
        ...
