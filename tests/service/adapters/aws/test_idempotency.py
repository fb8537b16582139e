"""One key makes one record, whatever becomes of the write and of reading who made it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import pytest

from service.adapters.aws.client.failures import AwsRefusalError
from service.adapters.aws.idempotency import create_once
from service.domain.idempotency import IdempotencyKey
from service.errors import IdempotencyMismatchError

if TYPE_CHECKING:
    from service.adapters.aws.client.door import Calls

AT = 1_790_000_000_000
KEY = IdempotencyKey.of(tenant="acme", principal="somebody", key="command k", request="reboot")
ITEM = {"thing": {"S": "acme--press-07"}, "sk": {"S": "1#record"}}
CANCELED = "TransactionCanceledException"


def refused(code: str) -> AwsRefusalError:
    """AWS's refusal."""
    return AwsRefusalError("TransactWriteItems", code=code, status=400, members={})


@dataclass
class Table:
    """DynamoDB that refuses each write with ``refusal``, and holds one claim or none."""

    refusal: AwsRefusalError | None = None
    claim: dict[str, Any] | None = None
    unreadable: AwsRefusalError | None = None
    written: list[Any] = field(default_factory=list[Any])
    read: list[Any] = field(default_factory=list[Any])

    async def call(self, operation: str, **asked: Any) -> dict[str, Any]:
        """Write, or not; or read the claim."""
        if operation == "TransactWriteItems":
            self.written.append(asked["TransactItems"])
            if self.refusal:
                raise self.refusal
            return {}
        self.read.append(asked)
        if self.unreadable:
            raise self.unreadable
        return {"Item": self.claim} if self.claim else {}

    def create(self, key: IdempotencyKey | None) -> str:
        """Create one record under this key."""
        calls = cast("Calls", self)
        return asyncio.run(
            create_once(calls, table="t", items=[ITEM], made="new", now_ms=AT, key=key)
        )


def test_a_new_record_claims_its_key_in_one_transaction() -> None:
    """No row may exist, but a claim past its day; it says what was asked for and what was made."""
    table = Table()
    assert table.create(KEY) == "new"
    [[record, claim]] = table.written
    for put in (record, claim):
        assert put["Put"]["TableName"] == "t"
    assert record["Put"]["ConditionExpression"] == "attribute_not_exists(thing)"
    assert claim["Put"]["ConditionExpression"] == "attribute_not_exists(thing) OR #ttl < :now"
    assert claim["Put"]["ExpressionAttributeValues"] == {":now": {"N": "1790000000"}}
    assert record["Put"]["Item"] == ITEM
    assert claim["Put"]["Item"] == {
        "thing": {"S": f"acme--replay#{KEY.digest}"},
        "sk": {"S": "record"},
        "request": {"S": KEY.request_digest},
        "made": {"S": "new"},
        "ttl": {"N": str(1_790_000_000 + 86_400)},
    }
    assert table.read == []


def test_without_a_key_nothing_is_claimed() -> None:
    """One row is written."""
    table = Table()
    assert table.create(None) == "new"
    assert [len(puts) for puts in table.written] == [1]


def test_a_claimed_key_answers_what_it_made() -> None:
    """The claim is read as it is now, not as it was; another request under it is refused."""
    claim = {"request": {"S": KEY.request_digest}, "made": {"S": "earlier"}}
    table = Table(refusal=refused(CANCELED), claim=claim)
    assert table.create(KEY) == "earlier"
    [read] = table.read
    assert read["ConsistentRead"] is True
    assert read["Key"] == {"thing": {"S": f"acme--replay#{KEY.digest}"}, "sk": {"S": "record"}}
    table.claim = claim | {"request": {"S": "another"}}
    with pytest.raises(IdempotencyMismatchError):
        table.create(KEY)


@pytest.mark.parametrize("key", [None, KEY])
@pytest.mark.parametrize("code", [CANCELED, "AccessDeniedException", "ThrottlingException"])
def test_a_refused_write_is_never_taken_for_a_made_one(
    code: str, key: IdempotencyKey | None
) -> None:
    """AWS's own refusal comes out; another's claim is looked for only where it may be the cause."""
    table = Table(refusal=refused(code))
    with pytest.raises(AwsRefusalError) as caught:
        table.create(key)
    assert caught.value is table.refusal
    assert len(table.read) == (1 if key and code == CANCELED else 0)


def test_a_claim_that_cannot_be_read_is_a_refusal() -> None:
    """Nobody knows then what the key made."""
    table = Table(refusal=refused(CANCELED), unreadable=refused("AccessDeniedException"))
    with pytest.raises(AwsRefusalError) as caught:
        table.create(KEY)
    assert caught.value is table.unreadable
