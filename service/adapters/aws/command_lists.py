"""Lists of commands: of a tenant by their rows in the list, of one device by its own partition."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from cedarfleet_device import wire

from service.adapters.aws.client.failures import asks
from service.adapters.aws.commands import record_of, reported_state
from service.adapters.aws.cursors import seal, token_of
from service.adapters.aws.listed_rows import FIRST, LAST, newest_first
from service.at_once import each
from service.domain.commands import MAX_STATES, CommandFilter, CommandPage, RecordedCommand
from service.domain.device_filter import MAX_LOOKED_AT
from service.domain.instants import first_ulid
from service.errors import InvalidRequestError

if TYPE_CHECKING:
    from service.adapters.aws.client.door import AwsDoor
    from service.domain.tenants import Tenant
    from service.ports.commands import CommandRecords
    from service.settings import RecordSettings

_TABLE: Final = "the commands table"
# Rows of a device that are read at once: a usual command has some four.
_ROWS: Final = 1_000


@dataclass(frozen=True, kw_only=True)
class DynamoListedCommands:
    """Answers ``ports.ListedCommands`` with the tenant's own session; every read is consistent."""

    aws: AwsDoor
    settings: RecordSettings
    records: CommandRecords

    @asks(_TABLE)
    async def page(
        self, tenant: Tenant, *, limit: int, cursor: str | None, wanted: CommandFilter
    ) -> CommandPage:
        if wanted.device is not None:
            return await self._of_device(tenant, wanted.device, limit, cursor, wanted)
        since, before = _span(wanted)
        rows, behind = await newest_first(
            self.aws.tenant(tenant, "dynamodb"),
            table=self.settings.commands_table,
            tenant=tenant,
            noun="commands",
            shows=lambda row: wanted.shows(row["device"], row["name"], row["created_by"]),
            limit=limit,
            cursor=cursor,
            is_filtered=(wanted.name, wanted.created_by) != (None, None),
            since=since,
            before=before,
        )
        found = await each(partial(self.records.read, tenant), [row["sk"] for row in rows])
        return CommandPage(commands=tuple(filter(None, found)), cursor=behind)

    async def _of_device(
        self,
        tenant: Tenant,
        device: str,
        limit: int,
        cursor: str | None,
        wanted: CommandFilter,
    ) -> CommandPage:
        """One page of the partition that holds both its commands and what it reported of them."""
        thing = wire.thing_name(tenant.id, device)
        scope = f"commands:{thing}"
        since, before = _span(wanted)
        if cursor is not None:
            behind = token_of(scope, cursor)
            if not wire.is_command_id(behind):
                raise InvalidRequestError("cursor", "must be the `cursor` of an earlier page")
            before = min(before, behind)
        if before <= since:
            return CommandPage(commands=(), cursor=None)
        rows = await self.aws.tenant(tenant, "dynamodb").rows(
            "Query",
            most=_ROWS,
            Limit=_ROWS,
            TableName=self.settings.commands_table,
            # A row's key is longer than its command's id, and so sorts behind it.
            KeyConditionExpression="thing = :thing AND sk BETWEEN :since AND :before",
            ExpressionAttributeValues={
                ":thing": {"S": thing},
                ":since": {"S": since},
                ":before": {"S": before},
            },
            ConsistentRead=True,
            ScanIndexForward=False,
        )
        shown: list[RecordedCommand] = []
        last: str | None = None
        named = [
            (command_id, list(of_it))
            for command_id, of_it in groupby(rows, lambda row: row["sk"]["S"].partition("#")[0])
        ]
        for number, (command_id, of_it) in enumerate(named, start=1):
            if len(shown) == limit or number > MAX_LOOKED_AT:
                return CommandPage(commands=tuple(shown), cursor=seal(scope, last))
            command = _command(of_it)
            # Its record may stand behind more states than were read.
            if command is None and number == len(named) and len(rows) == _ROWS:
                command = await self.records.read(tenant, command_id)
            if command is not None and _fits(command, wanted):
                shown.append(command)
            last = command_id
        return CommandPage(
            commands=tuple(shown), cursor=seal(scope, last) if len(rows) == _ROWS else None
        )


def _span(wanted: CommandFilter) -> tuple[str, str]:
    return (
        FIRST if wanted.since is None else first_ulid(wanted.since),
        LAST if wanted.before is None else first_ulid(wanted.before),
    )


def _fits(command: RecordedCommand, wanted: CommandFilter) -> bool:
    record = command.record
    return wanted.shows(record.device, record.name, record.created_by)


def _command(rows: list[dict[str, Any]]) -> RecordedCommand | None:
    """A command of its rows, the last first; ``None``: its record is not among them."""
    records = [row for row in rows if row["sk"]["S"].endswith("#record")]
    if not records:
        return None
    told = [row for row in rows if "#status#" in row["sk"]["S"]]
    states = (reported_state(row) for row in told[:MAX_STATES])
    return RecordedCommand(
        record=record_of(records[0]),
        states=tuple(state for state in states if state),
        earlier_left_out=len(told) > MAX_STATES,
    )
