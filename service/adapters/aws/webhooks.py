"""Webhooks in DynamoDB, and their secrets sealed by KMS.

Rows of the commands table::

    thing                                 sk          written by
    <tenant>--webhooks                    <ulid>      service and worker: the webhook
    <tenant>--webhook-deliveries#<ulid>   <ulid>      the worker: one attempt; leaves by ``ttl``
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from service.adapters.aws.client.failures import asks
from service.adapters.aws.conditional_rows import ABSENT, at, put
from service.domain.events import EventCursor
from service.domain.webhooks import Delivery, SealedSecret, Webhook, WebhookState
from service.errors import UnavailableError, UpstreamError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from service.adapters.aws.client.door import AwsDoor
    from service.domain.tenants import Tenant
    from service.settings import RecordSettings

_TABLE: Final = "the commands table"
_KEY: Final = "the webhooks' key"


@dataclass(frozen=True, kw_only=True)
class DynamoWebhooks:
    """Answers ``ports.WebhookRecords`` with the tenant's own session; every read is consistent."""

    aws: AwsDoor
    settings: RecordSettings

    @asks(_TABLE)
    async def put(self, tenant: Tenant, webhook: Webhook) -> Webhook | None:
        stored = replace(webhook, revision=webhook.revision + 1)
        condition = at("revision", webhook.revision) if webhook.revision else ABSENT
        calls = self.aws.tenant(tenant, "dynamodb")
        is_stored = await put(
            calls, self.settings.commands_table, webhook_item(stored), **condition
        )
        return stored if is_stored else None

    @asks(_TABLE)
    async def every(self, tenant: Tenant) -> Sequence[Webhook]:
        rows = await self._rows(tenant, f"{tenant.id}--webhooks", "0")
        return [_webhook(tenant, row) for row in rows]

    @asks(_TABLE)
    async def note(self, tenant: Tenant, webhook_id: str, delivery: Delivery) -> None:
        item = {
            **delivery_item(tenant, webhook_id, delivery),
            "ttl": {"N": str(delivery.at // 1000 + self.settings.event_seconds)},
        }
        await self.aws.tenant(tenant, "dynamodb").call(
            "PutItem", TableName=self.settings.commands_table, Item=item
        )

    @asks(_TABLE)
    async def deliveries(
        self, tenant: Tenant, webhook_id: str, *, before: str | None, most: int
    ) -> Sequence[Delivery]:
        rows = await self._rows(
            tenant,
            f"{tenant.id}--webhook-deliveries#{webhook_id}",
            before or "~",
            backward=most,
        )
        return [_delivery(row) for row in rows]

    async def _rows(
        self, tenant: Tenant, partition: str, bound: str, *, backward: int | None = None
    ) -> list[dict[str, Any]]:
        """Rows from a key on, or so many before it, the last first."""
        return await self.aws.tenant(tenant, "dynamodb").rows(
            "Query",
            most=backward,
            **({"Limit": backward} if backward else {}),
            TableName=self.settings.commands_table,
            KeyConditionExpression=f"thing = :own AND sk {'<' if backward else '>='} :bound",
            ExpressionAttributeValues={":own": {"S": partition}, ":bound": {"S": bound}},
            ConsistentRead=True,
            ScanIndexForward=not backward,
        )


@dataclass(frozen=True, kw_only=True)
class KmsWebhookSecrets:
    """Answers ``ports.WebhookSecrets``: the service seals, the worker alone opens.

    Bound by the encryption context to tenant and webhook, so what is moved to another row opens
    nothing (source: KMS developer guide, "Encryption context"; a key of the kind
    ``SYMMETRIC_DEFAULT`` takes at most 4,096 bytes: KMS API reference, Encrypt).
    """

    aws: AwsDoor
    key: str

    @asks(_KEY)
    async def seal(self, tenant: Tenant, webhook_id: str, secret: str) -> str:
        # Fail closed: a platform of the release before has no such key.
        if not self.key:
            raise UnavailableError(_KEY, is_lost=False)
        answer = await self.aws.own("kms").call(
            "Encrypt",
            KeyId=self.key,
            Plaintext=secret.encode(),
            EncryptionContext=_bound(tenant, webhook_id),
        )
        return base64.b64encode(bytes(answer["CiphertextBlob"])).decode()

    @asks(_KEY)
    async def open(self, tenant: Tenant, webhook_id: str, sealed: str) -> str:
        answer = await self.aws.own("kms").call(
            "Decrypt",
            KeyId=self.key,
            CiphertextBlob=base64.b64decode(sealed, validate=True),
            EncryptionContext=_bound(tenant, webhook_id),
        )
        return bytes(answer["Plaintext"]).decode()


def _bound(tenant: Tenant, webhook_id: str) -> dict[str, str]:
    return {"tenant": tenant.id, "webhook": webhook_id}


def webhook_item(webhook: Webhook) -> dict[str, Any]:
    """The row of a webhook."""
    return {
        "thing": {"S": f"{webhook.tenant}--webhooks"},
        "sk": {"S": webhook.webhook_id},
        "url": {"S": webhook.url},
        "nouns": {"S": ",".join(webhook.nouns)},
        "secrets": {"S": json.dumps([[one.sealed, one.ends_at] for one in webhook.secrets])},
        "cursor": {"S": str(webhook.cursor)},
        "created_by": {"S": webhook.created_by},
        "created_at": {"N": str(webhook.created_at)},
        "state": {"S": str(webhook.state)},
        "attempt": {"N": str(webhook.attempt)},
        "due_at": {"N": str(webhook.due_at)},
        "held_until": {"N": str(webhook.held_until)},
        **({"why": {"S": webhook.why}} if webhook.why else {}),
        "revision": {"N": str(webhook.revision)},
    }


def delivery_item(tenant: Tenant, webhook_id: str, delivery: Delivery) -> dict[str, Any]:
    """The row of a delivery, without its end."""
    return {
        "thing": {"S": f"{tenant.id}--webhook-deliveries#{webhook_id}"},
        "sk": {"S": delivery.delivery_id},
        "event": {"S": delivery.event_id},
        "type": {"S": delivery.type},
        "cursor": {"S": str(delivery.cursor)},
        "at": {"N": str(delivery.at)},
        "attempt": {"N": str(delivery.attempt)},
        "delivered": {"BOOL": delivery.delivered},
        "outcome": {"S": delivery.outcome},
        "milliseconds": {"N": str(delivery.milliseconds)},
        "is_manual": {"BOOL": delivery.is_manual},
    }


def _webhook(tenant: Tenant, row: Mapping[str, Any]) -> Webhook:
    state = row["state"]["S"]
    return Webhook(
        webhook_id=row["sk"]["S"],
        tenant=tenant.id,
        url=row["url"]["S"],
        nouns=tuple(row["nouns"]["S"].split(",")),
        secrets=tuple(
            SealedSecret(sealed=sealed, ends_at=ends_at)
            for sealed, ends_at in json.loads(row["secrets"]["S"])
        ),
        cursor=_cursor(row),
        created_by=row["created_by"]["S"],
        created_at=int(row["created_at"]["N"]),
        # Fail closed: what a later release wrote is sent to by nobody here.
        state=WebhookState(state) if state in set(WebhookState) else WebhookState.UNKNOWN,
        attempt=int(row["attempt"]["N"]),
        due_at=int(row["due_at"]["N"]),
        held_until=int(row["held_until"]["N"]),
        why=row["why"]["S"] if "why" in row else None,
        revision=int(row["revision"]["N"]),
    )


def _delivery(row: Mapping[str, Any]) -> Delivery:
    return Delivery(
        delivery_id=row["sk"]["S"],
        event_id=row["event"]["S"],
        type=row["type"]["S"],
        cursor=_cursor(row),
        at=int(row["at"]["N"]),
        attempt=int(row["attempt"]["N"]),
        delivered=row["delivered"]["BOOL"],
        outcome=row["outcome"]["S"],
        milliseconds=int(row["milliseconds"]["N"]),
        is_manual=row["is_manual"]["BOOL"],
    )


def _cursor(row: Mapping[str, Any]) -> EventCursor:
    found = EventCursor.read(row["cursor"]["S"])
    if found is None:
        raise UpstreamError("the row of a webhook is not of its form")
    return found
