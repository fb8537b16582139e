"""Twins of webhooks, of what seals their secrets, and of the way to their targets."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from service.errors import UpstreamError
from service.ports.webhooks import Sent

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from service.domain.tenants import Tenant
    from service.domain.webhooks import Delivery, Webhook


@dataclass(kw_only=True)
class MemoryWebhooks:
    """Webhooks by tenant and id, deliveries by webhook."""

    known: dict[str, dict[str, Webhook]] = field(default_factory=dict[str, "dict[str, Webhook]"])
    noted: dict[tuple[str, str], list[Delivery]] = field(
        default_factory=dict[tuple[str, str], "list[Delivery]"]
    )

    async def put(self, tenant: Tenant, webhook: Webhook) -> Webhook | None:
        own = self.known.setdefault(tenant.id, {})
        there = own.get(webhook.webhook_id)
        if (there.revision if there else 0) != webhook.revision:
            return None
        own[webhook.webhook_id] = replace(webhook, revision=webhook.revision + 1)
        return own[webhook.webhook_id]

    async def every(self, tenant: Tenant) -> Sequence[Webhook]:
        return sorted(self.known.get(tenant.id, {}).values(), key=lambda one: one.webhook_id)

    async def note(self, tenant: Tenant, webhook_id: str, delivery: Delivery) -> None:
        self.noted.setdefault((tenant.id, webhook_id), []).append(delivery)

    async def deliveries(
        self, tenant: Tenant, webhook_id: str, *, before: str | None, most: int
    ) -> Sequence[Delivery]:
        found = self.noted.get((tenant.id, webhook_id), [])
        behind = [one for one in found if before is None or one.delivery_id < before]
        return sorted(behind, key=lambda one: one.delivery_id, reverse=True)[:most]


@dataclass(kw_only=True)
class MemoryWebhookSecrets:
    """Seals by writing down whose it is; what is bound to another opens nothing."""

    async def seal(self, tenant: Tenant, webhook_id: str, secret: str) -> str:
        return base64.b64encode(f"{tenant.id} {webhook_id} {secret}".encode()).decode()

    async def open(self, tenant: Tenant, webhook_id: str, sealed: str) -> str:
        owner, of, secret = base64.b64decode(sealed).decode().split(" ")
        if (owner, of) != (tenant.id, webhook_id):
            raise UpstreamError("the webhooks' key refused the call")
        return secret


@dataclass(kw_only=True)
class MemoryWebhookSender:
    """What was sent where; ``answers`` says what comes of it, by default 204."""

    sent: list[tuple[str, Mapping[str, str], bytes]] = field(
        default_factory=list["tuple[str, Mapping[str, str], bytes]"]
    )
    answers: Callable[[str, bytes], str] = lambda _, __: "204"

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Sent:
        self.sent.append((url, headers, body))
        outcome = self.answers(url, body)
        return Sent(delivered=outcome.startswith("2"), outcome=outcome, milliseconds=1)
