"""The rows of a tenant's devices, as the operator reads and writes them (ADR 0017)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from infra import names

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.commands.registry_things import Thing


@dataclass
class Rows:
    """What the table says of one device: things made and deleted, and whether it has facts.

    Attributes:
        registered: a registration -> the thing that was made for it; empty: none yet.
    """

    born: dict[str, int] = field(default_factory=dict[str, int])
    gone: set[str] = field(default_factory=set[str])
    facts_of: str | None = None
    registered: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def has_facts(self) -> bool:
        """Whether facts were ever written, for whichever thing."""
        return self.facts_of is not None

    @property
    def living(self) -> str | None:
        """The thing that the service takes for the device (`service.domain.device_rows`).

        A device that is registered and has not come yet has none.
        """
        alive = [(at, thing) for thing, at in self.born.items() if thing not in self.gone]
        if alive:
            return max(alive)[1]
        origin = self.facts_of
        if origin in self.registered:
            origin = self.registered[origin] or None
        return origin if origin not in self.gone else None


@dataclass(frozen=True, kw_only=True)
class StoredFacts:
    """The row of a device's facts.

    Attributes:
        item: in DynamoDB's form.
        holders: ids of things for which they hold: that which they name, or those that their
            registration was used for.
    """

    item: dict[str, Any]
    holders: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class DeviceTable:
    """One tenant's partition of the devices table."""

    client: Any
    name: str
    tenant: str

    def facts(self) -> dict[str, StoredFacts]:
        """The facts of all devices, by device."""
        rows: dict[str, dict[str, Any]] = {}
        registered: dict[tuple[str, str], str] = {}
        for item in self._items():
            device, _, kind = item["sk"]["S"].partition("#")
            what, _, registration = kind.partition("#")
            if what == "facts":
                rows[device] = item
            elif what == "enrolment" and "thing_id" in item:
                registered[device, registration] = item["thing_id"]["S"]
        found: dict[str, StoredFacts] = {}
        for device, item in rows.items():
            origin: str = item["origin"]["S"]
            holders = frozenset({origin, registered.get((device, origin), origin)})
            found[device] = StoredFacts(item=item, holders=holders)
        return found

    def devices(self) -> dict[str, Rows]:
        """All that is written down, by device."""
        found: dict[str, Rows] = {}
        for item in self._items():
            device, _, kind = item["sk"]["S"].partition("#")
            what, _, thing_id = kind.partition("#")
            rows = found.setdefault(device, Rows())
            match what:
                case "born":
                    rows.born[thing_id] = int(item["at"]["N"])
                case "gone":
                    rows.gone.add(thing_id)
                case "enrolment":
                    rows.registered[thing_id] = item.get("thing_id", {}).get("S", "")
                case "facts":
                    rows.facts_of = item["origin"]["S"]
                case _:
                    pass
        return found

    def _items(self) -> Iterator[dict[str, Any]]:
        pages = self.client.get_paginator("query").paginate(
            TableName=self.name,
            KeyConditionExpression="#partition = :own",
            ExpressionAttributeNames={"#partition": "partition"},
            ExpressionAttributeValues={":own": self._partition},
            ConsistentRead=True,
        )
        for page in pages:
            yield from page["Items"]

    def write(self, thing: Thing, *, by: str, now_ms: int) -> None:
        """Write the thing's rows, each unless it is there; facts only if the thing has any."""
        # Facts first: a device must not be seen without what it had.
        if thing.attributes or thing.lines:
            facts: dict[str, Any] = {
                "attributes": {"M": {name: {"S": text} for name, text in thing.attributes.items()}},
                "groups": {"L": [{"S": line} for line in thing.lines]},
                "origin": {"S": thing.id},
            }
            self.write_facts(thing.device, facts, by=by, now_ms=now_ms)
        # When it was made, IoT Core does not tell: before every thing that an event tells of.
        born = {"thing_id": {"S": thing.id}, "at": {"N": "0"}}
        self._put(f"{thing.device}#born#{thing.id}", born)

    def write_facts(self, device: str, facts: dict[str, Any], *, by: str, now_ms: int) -> None:
        """Write the first version of a device's facts, unless it has some.

        Args:
            device: its id.
            facts: attributes, groups, tags and origin, in DynamoDB's form.
            by: who writes them.
            now_ms: milliseconds since the epoch.
        """
        written = {
            "version": {"N": "1"},
            "created_at": {"N": str(now_ms)},
            "changed_at": {"N": str(now_ms)},
            "changed_by": {"S": by},
        }
        self._put(f"{device}#facts", facts | written)

    def end_codes(self, device: str) -> int:
        """Make the one-time codes of a device good for nothing, also one that is being used.

        An enrolment that is under way changes its row by the version that it has read
        (``service.operations.enrolment``), so its next step is refused.

        Returns:
            How many registrations there are.
        """
        begun = [
            item["sk"]
            for item in self._items()
            if item["sk"]["S"].startswith(f"{device}#enrolment#")
        ]
        for sk in begun:
            self.client.update_item(
                TableName=self.name,
                Key={"partition": self._partition, "sk": sk},
                UpdateExpression="SET code_digest = :none, #version = #version + :one",
                ConditionExpression="attribute_exists(sk)",
                ExpressionAttributeNames={"#version": "version"},
                # Fail closed: a digest that no code has.
                ExpressionAttributeValues={":none": {"S": "ended"}, ":one": {"N": "1"}},
            )
        return len(begun)

    @property
    def _partition(self) -> dict[str, str]:
        return {"S": f"{names.thing_prefix(self.tenant)}devices"}

    def _put(self, sk: str, columns: dict[str, Any]) -> None:
        try:
            self.client.put_item(
                TableName=self.name,
                # The key last: columns of a file from elsewhere name no other partition.
                Item={**columns, "partition": self._partition, "sk": {"S": sk}},
                ConditionExpression="attribute_not_exists(sk)",
            )
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") != "ConditionalCheckFailedException":
                raise
