"""Lists of downloads and commands in the table: each row once, in pages, and within its span."""

from __future__ import annotations

import asyncio
import base64
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from service.adapters.aws.command_lists import DynamoListedCommands
from service.adapters.aws.commands import DynamoCommandRecords
from service.adapters.aws.downloads import DynamoDownloadRecords
from service.domain.commands import MAX_STATES, CommandFilter, CommandRecord
from service.domain.device_filter import MAX_LOOKED_AT
from service.domain.downloads import (
    EVERY_DOWNLOAD,
    Closing,
    DownloadFilter,
    DownloadRecord,
    TargetKind,
)
from service.domain.idempotency import IdempotencyKey
from service.domain.instants import new_ulid
from service.errors import InvalidRequestError
from service.settings import RecordSettings
from tests.service.adapters.aws.root_door import RootDoor

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from infra.local.cloud import EmbeddedCloud
    from service.domain.tenants import Tenant

AT = 1_790_000_000_000
Page = tuple[list[str], str | None]


@pytest.fixture
def settings(embedded_cloud: EmbeddedCloud) -> RecordSettings:
    """A table of this test alone."""
    name = f"lists-{uuid.uuid4().hex}"
    keys = {"thing": "HASH", "sk": "RANGE"}
    embedded_cloud.client("dynamodb").create_table(
        TableName=name,
        KeySchema=[{"AttributeName": key, "KeyType": kind} for key, kind in keys.items()],
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
        BillingMode="PAY_PER_REQUEST",
    )
    return RecordSettings(commands_table=name)


@pytest.fixture
def commands(embedded_cloud: EmbeddedCloud, settings: RecordSettings) -> DynamoListedCommands:
    """The list of the table's commands."""
    door = RootDoor(embedded_cloud)
    records = DynamoCommandRecords(aws=door, settings=settings)
    return DynamoListedCommands(aws=door, settings=settings, records=records)


def command(number: int, **members: Any) -> CommandRecord:
    """A command of its own second."""
    at = AT + 1000 * number
    record = CommandRecord(
        command_id=new_ulid(at),
        tenant="acme",
        device="press-07",
        name="reboot",
        arguments={},
        created_by="somebody",
        created_at=at,
        expires_at=at + 60_000,
    )
    return replace(record, **members)


async def walk(turn: Callable[[str | None], Awaitable[Page]]) -> list[list[str]]:
    """All pages."""
    pages: list[list[str]] = []
    cursor: str | None = None
    while True:
        ids, cursor = await turn(cursor)
        pages.append(ids)
        if cursor is None:
            return pages


def test_commands_come_in_pages_of_their_time(commands: DynamoListedCommands, acme: Tenant) -> None:
    """Of the tenant, of one device, and of a span; each once, the newest first."""

    async def scenario() -> None:
        made = [command(number, device=f"press-{number % 2}") for number in range(7)]
        for record in made:
            await commands.records.create(acme, record, None)
        ids = [record.command_id for record in reversed(made)]

        async def turn(wanted: CommandFilter, cursor: str | None) -> Page:
            page = await commands.page(acme, limit=2, cursor=cursor, wanted=wanted)
            return [one.record.command_id for one in page.commands], page.cursor

        for wanted, expected in (
            (CommandFilter(), ids),
            (CommandFilter(device="press-1"), ids[1::2]),
            (CommandFilter(since=AT + 2000, before=AT + 6000), ids[1:5]),
            (CommandFilter(device="press-0", since=AT + 1, before=AT + 6000), ids[2:5:2]),
            (CommandFilter(since=AT + 6000, before=AT + 2000), []),
            (CommandFilter(name="stop"), []),
            (CommandFilter(created_by="somebody", device="press-0"), ids[::2]),
        ):
            pages = await walk(lambda cursor, wanted=wanted: turn(wanted, cursor))
            assert [one for page in pages for one in page] == expected, wanted
            assert all(len(page) == 2 for page in pages[:-1])

    asyncio.run(scenario())


def test_a_devices_list_carries_what_it_reported(
    commands: DynamoListedCommands,
    acme: Tenant,
    embedded_cloud: EmbeddedCloud,
) -> None:
    """Also of one that reported more than anybody reads, and with the commands behind it."""
    client = embedded_cloud.client("dynamodb")
    table = commands.settings.commands_table

    def tell(record: CommandRecord, number: int, state: str) -> None:
        detail = base64.b64encode(b"{}").decode()
        row = {"sequence": f"{number:04}", "state": state, "detail": detail}
        key = {"thing": record.thing, "sk": f"{record.command_id}#status#{number:04}"}
        client.put_item(
            TableName=table, Item={name: {"S": text} for name, text in (row | key).items()}
        )

    async def scenario() -> None:
        old, chatty = command(1), command(2)
        for record in (old, chatty):
            await commands.records.create(acme, record, None)
        tell(old, 1, "succeeded")
        for number in range(1, 1_002):
            tell(chatty, number, "running")
        wanted = CommandFilter(device="press-07")
        first = await commands.page(acme, limit=10, cursor=None, wanted=wanted)
        [found] = first.commands
        assert (found.record, len(found.states), found.truncated) == (chatty, MAX_STATES, True)
        rest = await commands.page(acme, limit=10, cursor=first.cursor, wanted=wanted)
        [found] = rest.commands
        assert (found.record, [one.state for one in found.states]) == (old, ["succeeded"])
        assert rest.cursor is None

    asyncio.run(scenario())


def test_a_request_looks_at_so_many_rows(
    commands: DynamoListedCommands, acme: Tenant, embedded_cloud: EmbeddedCloud
) -> None:
    """What a filter leaves out costs reads: the page is empty, and its cursor goes on."""
    client, table = embedded_cloud.client("dynamodb"), commands.settings.commands_table
    puts = [
        {
            "PutRequest": {
                "Item": {
                    "thing": {"S": "acme--commands"},
                    "sk": {"S": new_ulid(AT + number)},
                    "device": {"S": "press-07"},
                    "name": {"S": "reboot"},
                    "created_by": {"S": "somebody"},
                }
            }
        }
        for number in range(MAX_LOOKED_AT + 1)
    ]
    for start in range(0, len(puts), 25):
        client.batch_write_item(RequestItems={table: puts[start : start + 25]})

    async def scenario() -> None:
        wanted = CommandFilter(name="stop")
        first = await commands.page(acme, limit=2, cursor=None, wanted=wanted)
        assert first.commands == ()
        assert first.cursor is not None
        rest = await commands.page(acme, limit=2, cursor=first.cursor, wanted=wanted)
        assert (rest.commands, rest.cursor) == ((), None)

    asyncio.run(scenario())


def test_a_cursor_is_of_its_list(commands: DynamoListedCommands, acme: Tenant) -> None:
    """Another device's, the tenant's, or none of ours is refused."""

    async def scenario() -> None:
        for number in range(2):
            await commands.records.create(acme, command(number), None)
        of_tenant = await commands.page(acme, limit=1, cursor=None, wanted=CommandFilter())
        of_device = await commands.page(
            acme, limit=1, cursor=None, wanted=CommandFilter(device="press-07")
        )
        for cursor, wanted in (
            (of_tenant.cursor, CommandFilter(device="press-07")),
            (of_device.cursor, CommandFilter()),
            (of_device.cursor, CommandFilter(device="press-08")),
            ("Y29tbWFuZHM6YWNtZSB4", CommandFilter()),
        ):
            with pytest.raises(InvalidRequestError):
                await commands.page(acme, limit=1, cursor=cursor, wanted=wanted)

    asyncio.run(scenario())


def test_downloads_are_listed_and_closed_once(
    embedded_cloud: EmbeddedCloud, settings: RecordSettings, acme: Tenant
) -> None:
    """In pages and by filters; a repeated key lists nothing twice; the first closing stands."""
    records = DynamoDownloadRecords(aws=RootDoor(embedded_cloud), settings=settings)

    async def scenario() -> None:
        made: list[str] = []
        for number in range(5):
            at = AT + 1000 * number
            record = DownloadRecord(
                download_id=new_ulid(at),
                tenant="acme",
                target_kind=TargetKind.DEVICE if number % 2 else TargetKind.GROUP,
                target="press-07" if number % 2 else "all",
                artifact="a" if number < 4 else "b",
                size=1,
                sha256="ab" * 32,
                etag='"e"',
                created_by="somebody",
                created_at=at,
            )
            key = IdempotencyKey.of(
                tenant="acme", principal="somebody", key=f"download {number}", request="x"
            )
            stored = await records.create(acme, record, key)
            again = replace(record, download_id=new_ulid(at))
            assert await records.create(acme, again, key) == stored
            made.insert(0, stored.download_id)

        async def turn(wanted: DownloadFilter, cursor: str | None) -> Page:
            page = await records.page(acme, limit=2, cursor=cursor, wanted=wanted)
            return [one.download_id for one in page.records], page.cursor

        for wanted, expected in (
            (EVERY_DOWNLOAD, made),
            (DownloadFilter(device="press-07"), made[1::2]),
            (DownloadFilter(group="all", artifact="a"), made[2::2]),
            (DownloadFilter(group="press-07"), []),
        ):
            pages = await walk(lambda cursor, wanted=wanted: turn(wanted, cursor))
            assert [one for page in pages for one in page] == expected, wanted
        first = await records.read(acme, made[0])
        assert first is not None
        assert await records.close(acme, first, Closing.CANCELED)
        assert not await records.close(acme, first, Closing.STOPPED)
        closed = await records.read(acme, made[0])
        assert closed is not None
        assert closed.closing is Closing.CANCELED

    asyncio.run(scenario())
