"""The chain in DynamoDB and its signatures by KMS, as the embedded cloud keeps and makes them."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, cast

import pytest

from service.adapters.aws.audit import DynamoAuditTrail, DynamoPersonKeys
from service.adapters.aws.audit_chain import DynamoAuditChain, KmsAuditSigner
from service.domain.audit_chain import Link, Noted
from service.domain.audit_verification import Verification
from service.domain.instants import milliseconds
from service.errors import UpstreamError
from service.settings import RecordSettings
from tests.service.adapters.aws.root_door import RootDoor
from tests.service.adapters.aws.test_audit import make_table
from tests.service.audited import AuditedTenant, Reader

if TYPE_CHECKING:
    from infra.local.cloud import EmbeddedCloud
    from service.domain.tenants import Tenant
    from service.operations.authorization import Access


def noted_at(head: Link, audited: AuditedTenant, *, days: int) -> Noted:
    """What is noted so many days later."""
    at = milliseconds(audited.now + timedelta(days=days))
    return Noted(
        at=at, number=head.number, link=head.hash, made_at=head.made_at, oldest=1, oldest_at=1
    )


def test_a_trail_on_the_cloud_proves_itself(embedded_cloud: EmbeddedCloud, acme: Tenant) -> None:
    """Written, chained, signed by a key that never leaves KMS, exported, and checked."""
    table, kms = "audit-chain", embedded_cloud.client("kms")
    make_table(embedded_cloud.client("dynamodb"), table)
    made = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")
    key = made["KeyMetadata"]["KeyId"]
    door, settings = RootDoor(embedded_cloud), RecordSettings(audit_table=table)
    people = DynamoPersonKeys(aws=door, settings=settings)
    trail = DynamoAuditTrail(aws=door, settings=settings, people=people)
    chain = DynamoAuditChain(aws=door, settings=settings)
    signer = KmsAuditSigner(aws=door, key=key)
    audited = AuditedTenant(tenant=acme)
    worker = audited.chaining(entries=trail, chain=chain, signer=signer)
    reading = replace(audited.reading, entries=trail, chain=chain, people=people)

    async def scenario() -> None:
        for _ in range(3):
            for _ in range(2):
                await trail.write(acme, audited.record())
            await worker.handle(acme, audited.work)
            audited.now += timedelta(seconds=40)
        lines = [
            line async for line in await reading.begin_export(cast("Access", Reader(acme)), first=1)
        ]
        last = await chain.last_checkpoint(acme)
        assert last is not None
        found = Verification(trusted={last.fingerprint}).verify([lines])
        assert (found.problems, found.entries, found.signed, found.unsigned) == ([], 6, 3, 0)
        [head, *_] = await chain.last(acme, most=2)
        assert await chain.append(acme, head), "the same again is a put repeated"
        other = Link.after(None, (), tenant="acme", made_at=1, settled=0)
        assert not await chain.append(acme, replace(other, number=head.number))
        assert sorted(await chain.checkpoints(acme, first=2, last=9)) == [3]
        await chain.note(acme, noted := noted_at(head, audited, days=0))
        await chain.note(acme, replace(noted, oldest=2))
        assert await chain.noted(acme) == noted, "the first of a day stays"
        await chain.note(acme, later := noted_at(head, audited, days=1))
        assert await chain.noted(acme) == later
        signed_by_nobody = KmsAuditSigner(aws=door, key=f"{key[:-4]}0000")
        with pytest.raises(UpstreamError):
            await signed_by_nobody.sign(b"x")

    asyncio.run(scenario())
