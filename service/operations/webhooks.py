"""The webhooks of the caller's tenant: who may manage them has the tenant's events sent out.

A webhook sees the events of every device: whom policies let manage webhooks, they let know of all.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from cedarfleet_device import wire

from service.cedar.entities import tenant_entity
from service.domain.events import EventCursor
from service.domain.instants import milliseconds, new_ulid
from service.domain.permissions import Permission
from service.domain.webhooks import (
    MOST_WEBHOOKS,
    SealedSecret,
    Webhook,
    WebhookState,
    check_nouns,
    new_secret,
    target,
)
from service.domain.work import Work, WorkKind
from service.errors import ConflictError, InvalidRequestError, NotFoundError
from service.operations.purpose import Purpose

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from service.domain.instants import Clock
    from service.domain.tenants import Tenant
    from service.domain.webhooks import Delivery
    from service.operations.authorization import Access
    from service.ports.events import EventLog
    from service.ports.webhooks import WebhookRecords, WebhookSecrets
    from service.ports.work import WorkQueue

_TRIES: Final = 5
_NOTICED_SECONDS: Final = 15
"""After which each worker knows of a new webhook (`webhook_delivery`)."""


@dataclass(frozen=True, kw_only=True)
class Webhooks:
    """Makes, shows, changes and ends webhooks."""

    records: WebhookRecords
    secrets: WebhookSecrets
    log: EventLog
    queue: WorkQueue
    clock: Clock

    async def make(self, access: Access, *, url: str, nouns: Sequence[str]) -> tuple[Webhook, str]:
        """A webhook for the events from now on, and its secret, which nobody is told again.

        Raises:
            InvalidRequestError: the target is none that may be called, or a noun is unknown.
            PermissionDeniedError: not allowed.
            ConflictError: there are as many as there may be.
        """
        host, _ = target(url)
        named = check_nouns(nouns)
        tenant = access.principal.tenant
        await self._require(access, f"webhook to {host}")
        known = [one for one in await self.records.every(tenant) if _is_there(one)]
        if len(known) >= MOST_WEBHOOKS:
            raise ConflictError(f"a tenant has {MOST_WEBHOOKS} webhooks at most: end one")
        last, now = await self.log.last(tenant), milliseconds(self.clock())
        webhook_id, secret = new_ulid(now), new_secret()
        stored = await self.records.put(
            tenant,
            Webhook(
                webhook_id=webhook_id,
                tenant=tenant.id,
                url=url,
                nouns=named,
                secrets=(SealedSecret(sealed=await self.secrets.seal(tenant, webhook_id, secret)),),
                cursor=EventCursor(page=last.number if last else 0),
                created_by=access.principal.entity_id,
                created_at=now,
            ),
        )
        if stored is None:
            raise ConflictError("the webhook was made twice at once: look at the list")
        # Whoever writes events does not know of it yet.
        await self._tell(tenant, webhook_id, seconds=_NOTICED_SECONDS)
        return stored, secret

    async def page(
        self, access: Access, *, limit: int, cursor: str | None
    ) -> tuple[Sequence[Webhook], str | None]:
        """Webhooks, the oldest first.

        Raises:
            PermissionDeniedError: not allowed.
        """
        await self._require(access, "webhooks")
        every = await self.records.every(access.principal.tenant)
        behind = [one for one in every if _is_there(one) and one.webhook_id > (cursor or "")]
        shown = behind[:limit]
        return shown, shown[-1].webhook_id if len(behind) > limit else None

    async def read(self, access: Access, webhook_id: str) -> Webhook:
        """One webhook.

        Raises:
            PermissionDeniedError: not allowed.
            NotFoundError: the tenant has no such webhook.
        """
        await self._require(access, f"webhook {webhook_id[:64]}")
        return await self._find(access.principal.tenant, webhook_id)

    async def rotate(self, access: Access, webhook_id: str) -> tuple[Webhook, str]:
        """A new secret; for a day what is sent is signed with the former too.

        Raises:
            PermissionDeniedError: not allowed.
            NotFoundError: the tenant has no such webhook.
            ConflictError: somebody else changed it at this moment.
        """
        tenant = access.principal.tenant
        await self._require(access, f"secret of webhook {webhook_id[:64]}")
        found, secret = await self._find(tenant, webhook_id), new_secret()
        sealed = SealedSecret(sealed=await self.secrets.seal(tenant, webhook_id, secret))
        now = milliseconds(self.clock())
        stored = await self._changed(tenant, found, lambda one: one.rotated(sealed, now_ms=now))
        return stored, secret

    async def switch(self, access: Access, webhook_id: str, state: WebhookState) -> Webhook:
        """Disable it, enable it (it goes on where it stopped), or end it for good.

        Raises:
            PermissionDeniedError: not allowed.
            NotFoundError: the tenant has no such webhook.
            ConflictError: somebody else changed it at this moment, or a later release wrote it.
        """
        tenant = access.principal.tenant
        await self._require(access, f"webhook {webhook_id[:64]}: {state}")
        found = await self._find(tenant, webhook_id)
        if found.state is WebhookState.UNKNOWN:
            raise ConflictError(f"webhook `{webhook_id}` is of a later release of the service")
        why = "by a person" if state is WebhookState.DISABLED else None
        stored = await self._changed(
            tenant, found, lambda one: replace(one, state=state, why=why, attempt=0, due_at=0)
        )
        if state is WebhookState.ACTIVE:
            await self._tell(tenant, webhook_id)
        return stored

    async def deliveries(
        self, access: Access, webhook_id: str, *, limit: int, cursor: str | None
    ) -> tuple[Sequence[Delivery], str | None]:
        """Attempts of the last days, the newest first.

        Raises:
            PermissionDeniedError: not allowed.
            NotFoundError: the tenant has no such webhook.
            InvalidRequestError: the cursor is none of ours.
        """
        tenant = access.principal.tenant
        await self._require(access, f"deliveries of webhook {webhook_id[:64]}")
        await self._find(tenant, webhook_id)
        if cursor is not None and not wire.is_command_id(cursor):
            raise InvalidRequestError("cursor", "must be the `cursor` of an earlier page")
        found = await self.records.deliveries(tenant, webhook_id, before=cursor, most=limit)
        return found, found[-1].delivery_id if len(found) == limit else None

    async def redeliver(self, access: Access, webhook_id: str, delivery_id: str) -> Delivery:
        """Have the worker send the event of a delivery once more, whatever became of it.

        Raises:
            PermissionDeniedError: not allowed.
            NotFoundError: the tenant has no such webhook, or it no such delivery.
            ConflictError: the webhook is disabled.
        """
        tenant = access.principal.tenant
        await self._require(access, f"webhook {webhook_id[:64]}: again {delivery_id[:64]}")
        found = await self._find(tenant, webhook_id)
        known = wire.is_command_id(delivery_id)
        rows = (
            await self.records.deliveries(
                # The first one before the id behind it is itself.
                tenant,
                webhook_id,
                before=f"{delivery_id}~",
                most=1,
            )
            if known
            else ()
        )
        if not rows or rows[0].delivery_id != delivery_id:
            raise NotFoundError("delivery", delivery_id[:64])
        if found.state is not WebhookState.ACTIVE:
            raise ConflictError(f"webhook `{webhook_id}` is {found.state}: enable it first")
        about = {"webhook": webhook_id, "cursor": str(rows[0].cursor)}
        await self.queue.send(
            [
                Work(
                    kind=WorkKind.SEND_EVENT_AGAIN,
                    issuer=tenant.issuer,
                    tenant=tenant.id,
                    about=about,
                )
            ]
        )
        return rows[0]

    async def _find(self, tenant: Tenant, webhook_id: str) -> Webhook:
        for one in await self.records.every(tenant):
            if one.webhook_id == webhook_id and _is_there(one):
                return one
        raise NotFoundError("webhook", webhook_id[:64])

    async def _changed(
        self, tenant: Tenant, found: Webhook, change: Callable[[Webhook], Webhook]
    ) -> Webhook:
        """Store a person's change, beside what the worker notes of its deliveries meanwhile.

        Raises:
            ConflictError: somebody else has changed it, or the worker notes something all the time.
            NotFoundError: somebody has ended it.
        """
        known = found
        for _ in range(_TRIES):
            stored = await self.records.put(tenant, change(known))
            if stored is not None:
                return stored
            known = await self._find(tenant, found.webhook_id)
            # Fail closed: of two that change the same, one is told.
            if (known.secrets, known.state) != (found.secrets, found.state):
                break
        raise ConflictError("the webhook was changed at this moment: try again")

    async def _tell(self, tenant: Tenant, webhook_id: str, *, seconds: int = 0) -> None:
        await self.queue.send([send_work(tenant, webhook_id)], delay_seconds=seconds)

    @staticmethod
    async def _require(access: Access, what: str) -> None:
        tenant = tenant_entity(access.principal.tenant.id)
        await access.require(Permission.MANAGE_WEBHOOKS, (tenant,), Purpose(subject=what))


def send_work(tenant: Tenant, webhook_id: str) -> Work:
    """What the worker is told of a webhook that may have events to send."""
    return Work(
        kind=WorkKind.SEND_EVENTS,
        issuer=tenant.issuer,
        tenant=tenant.id,
        about={"webhook": webhook_id},
    )


def _is_there(webhook: Webhook) -> bool:
    return webhook.state is not WebhookState.ENDED
