"""Routes of webhooks: where a tenant's events are sent, and what became of each attempt."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from litestar import Response, delete, get, post
from litestar.params import FromPath, JSONBody
from msgspec import Meta, Struct

from service.api.guard import needs
from service.api.parameters import Accepted, Caller, Cursor, Limit, Ops, utc
from service.domain.events import NOUNS
from service.domain.features import Feature
from service.domain.permissions import Permission
from service.domain.webhooks import MOST_URL, Delivery, Webhook, WebhookState


class NewWebhookBody(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A webhook to be."""

    url: Annotated[
        str,
        Meta(
            max_length=MOST_URL,
            description="https, to a name on port 443, whose addresses are all public;"
            " a redirect is a failure",
        ),
    ]
    nouns: Annotated[
        list[str],
        Meta(min_length=1, max_length=20, description=f"of the events: {', '.join(NOUNS)}"),
    ]


class WebhookOut(Struct, frozen=True, kw_only=True):
    """A webhook as it stands."""

    id: str
    url: str
    nouns: list[str]
    state: str
    why: str | None
    """It is disabled."""
    created_by: str
    created_at: datetime | None
    attempt: int
    """How often the next event failed; 0: all went well."""
    next_attempt_at: datetime | None
    former_secret_until: datetime | None
    """Until then what is sent is signed by two secrets."""

    @classmethod
    def of(cls, webhook: Webhook) -> "WebhookOut":
        """A webhook for the answer."""
        ends = [one.ends_at for one in webhook.secrets if one.ends_at is not None]
        return cls(
            id=webhook.webhook_id,
            url=webhook.url,
            nouns=list(webhook.nouns),
            state=webhook.state,
            why=webhook.why,
            created_by=webhook.created_by,
            created_at=utc(webhook.created_at),
            attempt=webhook.attempt,
            next_attempt_at=utc(webhook.due_at) if webhook.attempt else None,
            former_secret_until=utc(ends[0]) if ends else None,
        )


class WebhookSecretOut(Struct, frozen=True, kw_only=True):
    """A webhook with its new secret, which nobody is told again."""

    webhook: WebhookOut
    secret: str


class WebhookPageOut(Struct, frozen=True):
    """Webhooks, the oldest first; ``cursor`` asks for the next page."""

    webhooks: list[WebhookOut]
    cursor: str | None


class WebhookDeliveryOut(Struct, frozen=True, kw_only=True):
    """One attempt to send one event."""

    id: str
    event: str
    """Its id, which is `webhook-id` of each attempt."""
    type: str
    at: datetime | None
    attempt: int
    delivered: bool
    outcome: str
    """Status of HTTP, or why there was none: `not-public`, `no-address`, `no-connection`, `tls`,
    `too-slow`, `no-http`, `no-target`."""
    milliseconds: int
    manual: bool

    @classmethod
    def of(cls, delivery: Delivery) -> "WebhookDeliveryOut":
        """A delivery for the answer."""
        return cls(
            id=delivery.delivery_id,
            event=delivery.event_id,
            type=delivery.type,
            at=utc(delivery.at),
            attempt=delivery.attempt,
            delivered=delivery.delivered,
            outcome=delivery.outcome,
            milliseconds=delivery.milliseconds,
            manual=delivery.is_manual,
        )


class WebhookDeliveryPageOut(Struct, frozen=True):
    """Deliveries of the last days, the newest first; ``cursor`` asks for the next page."""

    deliveries: list[WebhookDeliveryOut]
    cursor: str | None

    @classmethod
    def of(cls, found: Sequence[Delivery], cursor: str | None) -> "WebhookDeliveryPageOut":
        """A page for the answer."""
        return cls(deliveries=[WebhookDeliveryOut.of(one) for one in found], cursor=cursor)


@get("/webhooks", opt=needs(Permission.MANAGE_WEBHOOKS))
async def list_webhooks(
    access: Caller, operations: Ops, limit: Limit = 50, cursor: Cursor = None
) -> WebhookPageOut:
    """The tenant's webhooks, those that were ended left out."""
    found, behind = await operations.webhooks.page(access, limit=limit, cursor=cursor)
    return WebhookPageOut(webhooks=[WebhookOut.of(one) for one in found], cursor=behind)


@post("/webhooks", opt=needs(Permission.MANAGE_WEBHOOKS, begins=Feature.WEBHOOKS))
async def make_webhook(
    access: Caller, operations: Ops, data: JSONBody[NewWebhookBody]
) -> Response[WebhookSecretOut]:
    """Have events of some nouns sent from now on, of every device of the tenant.

    The answer alone has the secret: whoever lost it rotates it.
    """
    webhook, secret = await operations.webhooks.make(access, url=data.url, nouns=data.nouns)
    return Response(
        WebhookSecretOut(webhook=WebhookOut.of(webhook), secret=secret),
        status_code=201,
        headers={"Location": f"/v1/webhooks/{webhook.webhook_id}"},
    )


@get("/webhooks/{webhook:str}", opt=needs(Permission.MANAGE_WEBHOOKS))
async def read_webhook(access: Caller, operations: Ops, webhook: FromPath[str]) -> WebhookOut:
    """One webhook."""
    return WebhookOut.of(await operations.webhooks.read(access, webhook))


@post("/webhooks/{webhook:str}/rotate", opt=needs(Permission.MANAGE_WEBHOOKS), status_code=200)
async def rotate_webhook_secret(
    access: Caller, operations: Ops, webhook: FromPath[str]
) -> WebhookSecretOut:
    """A new secret; what is sent in the next day is signed with the former too."""
    changed, secret = await operations.webhooks.rotate(access, webhook)
    return WebhookSecretOut(webhook=WebhookOut.of(changed), secret=secret)


@post("/webhooks/{webhook:str}/disable", opt=needs(Permission.MANAGE_WEBHOOKS), status_code=200)
async def disable_webhook(access: Caller, operations: Ops, webhook: FromPath[str]) -> WebhookOut:
    """Send nothing more until it is enabled."""
    return WebhookOut.of(await operations.webhooks.switch(access, webhook, WebhookState.DISABLED))


@post("/webhooks/{webhook:str}/enable", opt=needs(Permission.MANAGE_WEBHOOKS), status_code=200)
async def enable_webhook(access: Caller, operations: Ops, webhook: FromPath[str]) -> WebhookOut:
    """Go on where it stopped, with the events that are kept still."""
    return WebhookOut.of(await operations.webhooks.switch(access, webhook, WebhookState.ACTIVE))


@delete("/webhooks/{webhook:str}", opt=needs(Permission.MANAGE_WEBHOOKS), status_code=200)
async def end_webhook(access: Caller, operations: Ops, webhook: FromPath[str]) -> WebhookOut:
    """End a webhook for good."""
    return WebhookOut.of(await operations.webhooks.switch(access, webhook, WebhookState.ENDED))


@get("/webhooks/{webhook:str}/deliveries", opt=needs(Permission.MANAGE_WEBHOOKS))
async def list_webhook_deliveries(
    access: Caller,
    operations: Ops,
    webhook: FromPath[str],
    limit: Limit = 50,
    cursor: Cursor = None,
) -> WebhookDeliveryPageOut:
    """What became of each attempt in the last days."""
    found, behind = await operations.webhooks.deliveries(
        access, webhook, limit=limit, cursor=cursor
    )
    return WebhookDeliveryPageOut.of(found, behind)


@post(
    "/webhooks/{webhook:str}/deliveries/{delivery_id:str}/redeliver",
    opt=needs(Permission.MANAGE_WEBHOOKS),
    status_code=202,
)
async def redeliver_webhook_event(
    access: Caller, operations: Ops, webhook: FromPath[str], delivery_id: FromPath[str]
) -> Response[Accepted]:
    """Send the event of a delivery once more, as a further delivery; asked again, again."""
    found = await operations.webhooks.redeliver(access, webhook, delivery_id)
    url = f"/v1/webhooks/{webhook}/deliveries"
    return Accepted(id=found.delivery_id, url=url, state="queued").answer()
