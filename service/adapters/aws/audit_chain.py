"""The chain over a tenant's trail in DynamoDB, and its signatures, made by a key of KMS.

Links and checkpoints are rows of the audit table (``audit``). A link is put on the condition that
its number is free: of two workers one makes it, and whoever dies leaves the chain as it was, or one
link longer.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from service.adapters.aws.audit import TRAIL
from service.adapters.aws.client.failures import asks
from service.adapters.aws.conditional_rows import ABSENT, put
from service.domain.audit_chain import Checkpoint, Link, Noted
from service.domain.audit_entries import canonical
from service.domain.usage import day_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from service.adapters.aws.client.door import AwsDoor, Calls
    from service.domain.tenants import Tenant
    from service.settings import RecordSettings

_SIGNER: Final = "the audit key"
_CHAIN: Final = "chain"
_SIGNED: Final = "signed"


@dataclass(frozen=True, kw_only=True)
class DynamoAuditChain:
    """Answers ``ports.AuditChain`` with the tenant's own session."""

    aws: AwsDoor
    settings: RecordSettings

    @asks(TRAIL)
    async def last(self, tenant: Tenant, *, most: int) -> Sequence[Link]:
        rows = await self._rows(tenant, _CHAIN, first=0, most=most, forward=False)
        return [Link.read(row["link"]["S"]) for row in rows]

    @asks(TRAIL)
    async def append(self, tenant: Tenant, link: Link) -> bool:
        item = {**_key(tenant, _CHAIN, link.number), "link": {"S": link.text}}
        item |= self._end(link.made_at)
        return await put(self._calls(tenant), self.settings.audit_table, item, **ABSENT)

    @asks(TRAIL)
    async def since(self, tenant: Tenant, *, number: int, most: int) -> Sequence[Link]:
        rows = await self._rows(tenant, _CHAIN, first=number, most=most)
        return [Link.read(row["link"]["S"]) for row in rows]

    @asks(TRAIL)
    async def last_checkpoint(self, tenant: Tenant) -> Checkpoint | None:
        rows = await self._rows(tenant, _SIGNED, first=0, most=1, forward=False)
        return _checkpoint(rows[0]) if rows else None

    @asks(TRAIL)
    async def checkpoints(
        self, tenant: Tenant, *, first: int, last: int
    ) -> Mapping[int, Checkpoint]:
        rows = await self._rows(tenant, _SIGNED, first=first, last=last)
        return {one.number: one for one in map(_checkpoint, rows)}

    @asks(TRAIL)
    async def sign_off(self, tenant: Tenant, checkpoint: Checkpoint) -> None:
        item = {
            **_key(tenant, _SIGNED, checkpoint.number),
            "checkpoint": {"S": canonical(checkpoint.document())},
        }
        item |= self._end(checkpoint.at)
        # One of the same link by another worker is as good.
        await put(self._calls(tenant), self.settings.audit_table, item, **ABSENT)

    @property
    def keeps_seconds(self) -> int:
        return self.settings.audit_seconds

    @asks(TRAIL)
    async def noted(self, tenant: Tenant) -> Noted | None:
        calls, table = self._calls(tenant), self.settings.audit_table
        rows = await calls.rows(
            "Query",
            most=1,
            Limit=1,
            TableName=table,
            KeyConditionExpression="#noted = :noted",
            ExpressionAttributeNames={"#noted": "partition"},
            ExpressionAttributeValues={":noted": _noted(tenant)},
            ConsistentRead=True,
            ScanIndexForward=False,
        )
        return Noted.read(rows[0]["noted"]["S"]) if rows else None

    @asks(TRAIL)
    async def note(self, tenant: Tenant, noted: Noted) -> None:
        day = day_of(noted.at).isoformat()
        item = {"partition": _noted(tenant), "sk": {"S": day}, "noted": {"S": noted.text}}
        item |= self._end(noted.at)
        # The first of a day is as good.
        await put(self._calls(tenant), self.settings.audit_table, item, **ABSENT)

    async def _rows(
        self,
        tenant: Tenant,
        kind: str,
        *,
        first: int,
        last: int = 10**12 - 1,
        most: int | None = None,
        forward: bool = True,
    ) -> list[dict[str, Any]]:
        return await self._calls(tenant).rows(
            "Query",
            most=most,
            **({"Limit": most} if most else {}),
            TableName=self.settings.audit_table,
            KeyConditionExpression="#chain = :chain AND sk BETWEEN :first AND :last",
            ExpressionAttributeNames={"#chain": "partition"},
            ExpressionAttributeValues={
                ":chain": _key(tenant, kind, 0)["partition"],
                ":first": {"S": f"{first:012d}"},
                ":last": {"S": f"{last:012d}"},
            },
            ConsistentRead=True,
            ScanIndexForward=forward,
        )

    def _end(self, at: int) -> dict[str, Any]:
        return {"ttl": {"N": str(at // 1000 + self.settings.audit_seconds)}}

    def _calls(self, tenant: Tenant) -> Calls:
        return self.aws.tenant(tenant, "dynamodb")


@dataclass(frozen=True, kw_only=True)
class KmsAuditSigner:
    """Answers ``ports.AuditSigner`` with the worker's own credentials.

    The key is of the kind ``ECC_NIST_P256`` for ``SIGN_VERIFY`` (source: KMS API reference, Sign:
    ``MessageType`` ``RAW`` takes at most 4,096 bytes, ``ECDSA_SHA_256`` answers DER of RFC 3279).

    Attributes:
        aws: the door.
        key: its id or ARN.
    """

    aws: AwsDoor
    key: str

    @asks(_SIGNER)
    async def public_key(self) -> bytes:
        answer = await self.aws.own("kms").call("GetPublicKey", KeyId=self.key)
        return bytes(answer["PublicKey"])

    @asks(_SIGNER)
    async def sign(self, message: bytes) -> bytes:
        answer = await self.aws.own("kms").call(
            "Sign",
            KeyId=self.key,
            Message=message,
            MessageType="RAW",
            SigningAlgorithm="ECDSA_SHA_256",
        )
        return bytes(answer["Signature"])


def _key(tenant: Tenant, kind: str, number: int) -> dict[str, Any]:
    return {"partition": {"S": f"{tenant.id}--audit-{kind}"}, "sk": {"S": f"{number:012d}"}}


def _noted(tenant: Tenant) -> dict[str, Any]:
    return {"S": f"{tenant.id}--audit-noted"}


def _checkpoint(row: Mapping[str, Any]) -> Checkpoint:
    return Checkpoint.of(json.loads(row["checkpoint"]["S"]))
