"""The audit trail in DynamoDB: one partition per tenant and day, in order of time.

Rows of the audit table::

    partition                  sk        written by
    <tenant>--audit#<day>      <ulid>    the service, once
    <tenant>--people           <person>  the service: the person's key
    <tenant>--audit-chain      <number>  the worker, once
    <tenant>--audit-signed     <number>  the worker: signature over the link of the number
    <tenant>--audit-noted      <day>     the worker, once: how far it found the chain whole
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from service.adapters.aws.client.failures import asks
from service.adapters.aws.conditional_rows import ABSENT, put
from service.bounded_cache import BoundedCache
from service.domain.audit_entries import Entry, PersonKey, entry_of
from service.domain.instants import first_ulid, time_of
from service.errors import UnavailableError, UpstreamError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from service.adapters.aws.client.door import AwsDoor
    from service.domain.audit import AuditRecord
    from service.domain.audit_chain import Link
    from service.domain.tenants import Tenant
    from service.ports.audit import PersonKeys
    from service.settings import RecordSettings

TRAIL: Final = "the audit trail"
_KNOWN: Final = 10_000
_DAYS_OF_A_PAGE: Final = 40  # a query each


@dataclass(frozen=True, kw_only=True)
class DynamoAuditTrail:
    """Answers ``ports.AuditLog`` and ``ports.AuditEntries`` with the tenant's own session."""

    aws: AwsDoor
    settings: RecordSettings
    people: PersonKeys

    async def write(self, tenant: Tenant, record: AuditRecord) -> None:
        key = None if record.person is None else await self.people.of(tenant, record.person)
        of = None if record.of_person is None else await self.people.of(tenant, record.of_person)
        await self.keep(tenant, entry_of(record, key, of))

    @asks(TRAIL)
    async def keep(self, tenant: Tenant, entry: Entry) -> None:
        item = {
            "partition": {"S": f"{tenant.id}--audit#{_day(entry.at)}"},
            "sk": {"S": entry.entry_id},
            "entry": {"S": entry.text},
            "ttl": {"N": str(entry.at // 1000 + self.settings.audit_seconds)},
        }
        calls = self.aws.tenant(tenant, "dynamodb")
        # A trail is added to, never written over.
        if not await put(calls, self.settings.audit_table, item, **ABSENT):
            raise UpstreamError(f"{TRAIL} refused the call", is_lost=False)

    @asks(TRAIL)
    async def oldest(self, tenant: Tenant, *, since: int, until: int, most: int) -> Sequence[Entry]:
        found: list[Entry] = []
        for day in _days(since, until):
            if len(found) < most:
                found += await self._of_day(
                    tenant, day, first_ulid(since), first_ulid(until + 1), most=most - len(found)
                )
        return found

    @asks(TRAIL)
    async def newest(
        self, tenant: Tenant, *, since: int, until: int, before: str | None, most: int
    ) -> tuple[Sequence[Entry], str | None]:
        found: list[Entry] = []
        last = before or first_ulid(until + 1)
        days = reversed([*_days(since, time_of(last))])
        for looked_at, day in enumerate(days, start=1):
            found += [
                entry
                # One more, which is `before` itself.
                for entry in await self._of_day(
                    tenant, day, first_ulid(since), last, most=most - len(found) + 1, forward=False
                )
                if entry.entry_id < last
            ]
            if len(found) >= most:
                return found[:most], found[most - 1].entry_id
            if looked_at == _DAYS_OF_A_PAGE:
                return found, first_ulid(_beginning(day))
        return found, None

    @asks(TRAIL)
    async def of_link(self, tenant: Tenant, link: Link) -> Sequence[Entry]:
        order = {entry_id: place for place, (entry_id, _) in enumerate(link.entries)}
        if not order:
            return ()
        first, last = min(order), max(order)
        found: list[Entry] = []
        for day in _days(time_of(first), time_of(last)):
            found += await self._of_day(tenant, day, first, last, most=None)
        there = [entry for entry in found if entry.entry_id in order]
        return sorted(there, key=lambda entry: order[entry.entry_id])

    async def _of_day(
        self,
        tenant: Tenant,
        day: str,
        first: str,
        last: str,
        *,
        most: int | None,
        forward: bool = True,
    ) -> list[Entry]:
        rows = await self.aws.tenant(tenant, "dynamodb").rows(
            "Query",
            most=most,
            **({"Limit": most} if most else {}),
            TableName=self.settings.audit_table,
            KeyConditionExpression="#day = :day AND sk BETWEEN :first AND :last",
            ExpressionAttributeNames={"#day": "partition"},
            ExpressionAttributeValues={
                ":day": {"S": f"{tenant.id}--audit#{day}"},
                ":first": {"S": first},
                ":last": {"S": last},
            },
            ConsistentRead=True,
            ScanIndexForward=forward,
        )
        # Rows of the release before have no text: they are of before there was a chain.
        return [Entry.read(row["entry"]["S"]) for row in rows if "entry" in row]


@dataclass(frozen=True, kw_only=True)
class DynamoPersonKeys:
    """Answers ``ports.PersonKeys`` with the tenant's own session; keys are kept for a while."""

    aws: AwsDoor
    settings: RecordSettings
    _known: BoundedCache[tuple[str, str], PersonKey] = field(
        default_factory=lambda: BoundedCache(max_entries=_KNOWN), repr=False
    )

    async def of(self, tenant: Tenant, person: str) -> PersonKey:
        known = self._known.get((tenant.id, person))
        if known is None:
            known = await self.find(tenant, person) or await self._made(tenant, person)
            self._known.put((tenant.id, person), known, seconds=self.settings.audit_keys_seconds)
        return known

    @asks(TRAIL)
    async def find(self, tenant: Tenant, person: str) -> PersonKey | None:
        answer = await self.aws.tenant(tenant, "dynamodb").call(
            "GetItem",
            TableName=self.settings.audit_table,
            Key=_person(tenant, person),
            ConsistentRead=True,
        )
        return _key(answer["Item"]) if "Item" in answer else None

    @asks(TRAIL)
    async def _made(self, tenant: Tenant, person: str) -> PersonKey:
        fresh = PersonKey.fresh(person)
        item = {
            **_person(tenant, person),
            "secret": {"S": base64.b64encode(fresh.secret).decode()},
        }
        calls = self.aws.tenant(tenant, "dynamodb")
        if await put(calls, self.settings.audit_table, item, **ABSENT):
            return fresh
        found = await self.find(tenant, person)
        if found is None:
            # Erased meanwhile: fail closed, and the caller asks again.
            raise UnavailableError(TRAIL)
        return found

    @asks(TRAIL)
    async def all(self, tenant: Tenant) -> Mapping[str, PersonKey]:
        rows = await self.aws.tenant(tenant, "dynamodb").rows(
            "Query",
            TableName=self.settings.audit_table,
            KeyConditionExpression="#people = :people",
            ExpressionAttributeNames={"#people": "partition"},
            ExpressionAttributeValues={":people": _person(tenant, "")["partition"]},
            ConsistentRead=True,
        )
        return {key.pseudonym: key for key in map(_key, rows)}

    @asks(TRAIL)
    async def erase(self, tenant: Tenant, person: str) -> None:
        self._known.drop((tenant.id, person))
        await self.aws.tenant(tenant, "dynamodb").call(
            "DeleteItem", TableName=self.settings.audit_table, Key=_person(tenant, person)
        )


def _person(tenant: Tenant, person: str) -> dict[str, Any]:
    return {"partition": {"S": f"{tenant.id}--people"}, "sk": {"S": person}}


def _key(row: Mapping[str, Any]) -> PersonKey:
    return PersonKey(person=row["sk"]["S"], secret=base64.b64decode(row["secret"]["S"]))


def _day(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).date().isoformat()


def _beginning(day: str) -> int:
    return int(datetime.fromisoformat(f"{day}T00:00:00+00:00").timestamp() * 1000)


def _days(since: int, until: int) -> Iterator[str]:
    day, last = date.fromisoformat(_day(since)), date.fromisoformat(_day(until))
    while day <= last:
        yield day.isoformat()
        day += timedelta(days=1)
