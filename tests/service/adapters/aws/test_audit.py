"""The audit trail is added to and never written over."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from service.adapters.aws.audit import DynamoAuditTrail, DynamoPersonKeys
from service.cedar.decision import Allowed, Evaluation
from service.domain.audit import AuditRecord
from service.domain.audit_chain import Link
from service.domain.audit_entries import Entry, UnreadableEntryError
from service.domain.instants import new_ulid, time_of
from service.domain.permissions import Permission
from service.errors import UnavailableError, UpstreamError
from service.settings import RecordSettings
from tests.service.adapters.aws.answered_line import Refusal
from tests.service.adapters.aws.root_door import RootDoor

if TYPE_CHECKING:
    from infra.local.cloud import EmbeddedCloud
    from service.adapters.aws.client.door import AwsDoor
    from service.cedar.decision import Decision
    from service.domain.tenants import Tenant
    from tests.service.adapters.aws.answered_line import AnsweredDoor, Call

RECORD = AuditRecord(
    audit_id="01JD0000000000000000000000",
    at=1_790_000_000_000,
    tenant="acme",
    principal="somebody",
    action=Permission.OPERATE_DEVICE,
    resource='Fleet::Device::"press-07"',
    decision=Allowed(policies=("managers-everything",)),
    request_id="request-1",
    source_ip=None,
)


def trail(aws: AwsDoor, settings: RecordSettings) -> DynamoAuditTrail:
    """The trail behind a door."""
    people = DynamoPersonKeys(aws=aws, settings=settings)
    return DynamoAuditTrail(aws=aws, settings=settings, people=people)


def make_table(client: Any, table: str) -> None:
    """A table as the platform makes it."""
    client.create_table(
        TableName=table,
        KeySchema=[
            {"AttributeName": "partition", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[
            {"AttributeName": "partition", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "S"},
        ],
        BillingMode="PAY_PER_REQUEST",
    )


def test_a_record_is_never_written_over(embedded_cloud: EmbeddedCloud, acme: Tenant) -> None:
    """The same record again is a put repeated, and fine; another under its key is refused."""
    table, client = "audit-once", embedded_cloud.client("dynamodb")
    make_table(client, table)
    log, tenant = trail(RootDoor(embedded_cloud), RecordSettings(audit_table=table)), acme
    asyncio.run(log.write(tenant, RECORD))
    asyncio.run(log.write(tenant, RECORD))
    with pytest.raises(UpstreamError, match="the audit trail refused the call"):
        asyncio.run(log.write(tenant, replace(RECORD, principal="somebody else")))
    [row] = client.scan(TableName=table)["Items"]
    assert Entry.read(row["entry"]["S"]).document["who"] == "somebody"


@pytest.mark.parametrize(
    ("decision", "said"),
    [
        (Allowed(policies=("yes", "also")), ("ALLOW", "")),
        (Evaluation(engine_allows=False).decision, ("DENY", "not_permitted")),
        (Evaluation(engine_allows=False, policies=("no",)).decision, ("DENY", "forbidden")),
    ],
)
def test_a_record_says_who_asked_and_what_was_decided(
    acme: Tenant,
    door: AnsweredDoor,
    decision: Decision,
    said: tuple[str, str],
) -> None:
    """In the partition of the tenant's day, until it ends by itself; what is unknown is empty."""
    settings = RecordSettings(audit_table="trail", audit_days=2)
    record = replace(RECORD, decision=decision, source_ip="203.0.113.9", subject="reboot")
    asyncio.run(trail(door, settings).write(acme, record))
    [call] = door.calls
    assert call.arguments["TableName"] == "trail"
    item = call.arguments["Item"]
    assert item["partition"] == {"S": "acme--audit#2026-09-21"}
    assert item["ttl"] == {"N": str(1_790_000_000 + 2 * 86_400)}
    said_of_it = Entry.read(item["entry"]["S"]).document
    assert (said_of_it["decision"], said_of_it.get("reason", "")) == said
    assert said_of_it["policies"] == [*decision.policies]
    assert (said_of_it["at"], said_of_it["subject"]) == (1_790_000_000_000, "reboot")
    assert (said_of_it["source_ip"], "emergency" in said_of_it) == ("203.0.113.9", False)


def test_a_person_is_a_pseudonym_until_its_key_is_erased(
    embedded_cloud: EmbeddedCloud, acme: Tenant
) -> None:
    """Nothing of the person is readable in the row, but with the key; another key follows."""
    table, client = "audit-people", embedded_cloud.client("dynamodb")
    make_table(client, table)
    log = trail(RootDoor(embedded_cloud), RecordSettings(audit_table=table))
    of_ann = replace(
        RECORD,
        audit_id=new_ulid(RECORD.at),
        principal="pool|ann",
        person="ann",
        source_ip="203.0.113.9",
    )

    async def run() -> None:
        await log.write(acme, of_ann)
        [entry] = await log.oldest(acme, since=RECORD.at, until=RECORD.at, most=9)
        assert not [one for one in ("ann", "203.0.113.9") if one in entry.text]
        key = (await log.people.all(acme))[entry.document["who"]]
        assert entry.opened(key)["principal"] == "pool|ann"
        # Another process finds the same key; erased, it is nobody's.
        other = trail(RootDoor(embedded_cloud), log.settings).people
        assert (await other.of(acme, "ann")).pseudonym == key.pseudonym
        await log.people.erase(acme, "ann")
        assert (await log.people.all(acme), await log.people.find(acme, "ann")) == ({}, None)
        anew = await log.people.of(acme, "ann")
        with pytest.raises(UnreadableEntryError):
            entry.opened(anew)

    asyncio.run(run())


def test_a_page_is_newest_first_over_days(embedded_cloud: EmbeddedCloud, acme: Tenant) -> None:
    """A page ends where it says, and the next begins there; a link's entries come in its order."""
    table, client = "audit-days", embedded_cloud.client("dynamodb")
    make_table(client, table)
    log = trail(RootDoor(embedded_cloud), RecordSettings(audit_table=table))
    times = [RECORD.at + number * 40_000_000 for number in range(5)]
    records = [replace(RECORD, audit_id=new_ulid(at), at=at) for at in times]

    async def run() -> None:
        for record in records:
            await log.write(acme, record)
        span = {"since": times[1], "until": times[4]}
        first, before = await log.newest(acme, **span, before=None, most=3)
        rest, end = await log.newest(acme, **span, before=before, most=3)
        assert [one.at for one in (*first, *rest)] == times[:0:-1]
        assert end is None
        found = await log.oldest(acme, **span, most=2)
        assert [one.at for one in found] == times[1:3]
        link = Link.after(
            None,
            tuple((one.entry_id, one.digest) for one in reversed(found)),
            tenant="acme",
            made_at=times[4],
            settled=0,
        )
        assert [one.at for one in await log.of_link(acme, link)] == [times[2], times[1]]
        long_ago, before = await log.newest(acme, since=0, until=times[0] - 1, before=None, most=3)
        assert (long_ago, before and time_of(before) < times[0]) == ([], True)

    asyncio.run(run())


def test_a_trail_asks_for_no_more_than_it_is_to_show(acme: Tenant, door: AnsweredDoor) -> None:
    """As many rows as are left of a page; of a link's days all, as far as its entries go."""
    log = trail(door, RecordSettings())
    door.answer = lambda _: {"Items": [], "Count": 0}
    day = {"since": RECORD.at, "until": RECORD.at}
    entries = ((RECORD.audit_id, "digest"),)
    link = Link.after(None, entries, tenant="acme", made_at=RECORD.at, settled=0)

    async def run() -> None:
        await log.oldest(acme, **day, most=3)
        await log.of_link(acme, link)

    asyncio.run(run())
    assert [call.arguments.get("Limit") for call in door.calls] == [3, None]
    assert "Limit" not in door.calls[1].arguments


def test_a_persons_key_is_asked_for_once(acme: Tenant, door: AnsweredDoor) -> None:
    """And made once: whose put came second has the first one's, and one that was erased none."""
    rows: list[dict[str, Any]] = []

    def answer(call: Call) -> dict[str, Any] | Refusal:
        if call.operation == "DeleteItem":
            return {}
        if call.operation == "GetItem":
            return {"Item": rows[-1]} if rows and len(door.calls) > 1 else {}
        rows.append({**call.arguments["Item"], "secret": {"S": "dGhlaXJz"}})
        return Refusal("ConditionalCheckFailedException")

    door.answer = answer
    people = DynamoPersonKeys(aws=door, settings=RecordSettings())

    async def run() -> None:
        for _ in range(2):
            assert (await people.of(acme, "ann")).secret == b"theirs"
        assert [call.operation for call in door.calls] == ["GetItem", "PutItem", "GetItem"]
        await people.erase(acme, "ann")
        door.answer = lambda call: {} if call.operation == "GetItem" else answer(call)
        with pytest.raises(UnavailableError, match="audit trail"):
            await people.of(acme, "ann")

    asyncio.run(run())


def test_a_repeated_put_is_told_from_a_record_in_the_way(acme: Tenant, door: AnsweredDoor) -> None:
    """By the row that AWS shows with its refusal: the same is fine, another or none is not."""
    log = trail(door, RecordSettings())
    asyncio.run(log.write(acme, RECORD))
    item = door.calls[0].arguments["Item"]
    for code, members, fine in (
        ("ConditionalCheckFailedException", {"Item": item}, True),
        ("ConditionalCheckFailedException", {"Item": item | {"ttl": {"N": "1"}}}, False),
        ("ConditionalCheckFailedException", {}, False),
        ("AccessDeniedException", {"Item": item}, False),
    ):
        refusal = Refusal(code, 400, members)
        door.answer = lambda _, refusal=refusal: refusal
        if fine:
            asyncio.run(log.write(acme, RECORD))
        else:
            with pytest.raises(UpstreamError):
                asyncio.run(log.write(acme, RECORD))
