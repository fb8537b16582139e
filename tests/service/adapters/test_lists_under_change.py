"""Lists while others change them: nothing twice, nothing missing that stood all along."""

from __future__ import annotations

import asyncio
import random
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import pytest

from service.adapters.aws.campaigns import DynamoCampaignRecords
from service.adapters.aws.command_lists import DynamoListedCommands
from service.adapters.aws.commands import DynamoCommandRecords
from service.adapters.aws.devices import DynamoDeviceFacts
from service.adapters.aws.downloads import DynamoDownloadRecords
from service.adapters.aws.enrolments import DynamoEnrolments
from service.adapters.aws.files import DynamoFileRecords
from service.adapters.aws.grants import DynamoGrantRecords
from service.adapters.aws.groups import DynamoGroups
from service.adapters.aws.machines import DynamoMachines
from service.adapters.memory.memory_ports import MemoryPorts
from service.adapters.memory.user_pool import MemoryUserPool
from service.ports import Ports
from service.settings import RecordSettings
from tests.seed import new_seed
from tests.service.adapters.aws.root_door import RootDoor
from tests.service.adapters.listed_fleet import AllowAll, Fleet, Page

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from infra.local.cloud import EmbeddedCloud

DECLARED: Final = {"line-a": (), "line-k": (), "line-z": ()}
NAMES: Final = [f"{letter}-{number}" for letter in "abcxyz" for number in range(4)]


TABLE: Final = f"lists-{uuid.uuid4().hex}"


@pytest.fixture(scope="module")
def pool() -> MemoryUserPool:
    """A tenant to be renamed; making its key takes a while."""
    return MemoryUserPool("acme", groups=DECLARED)


@pytest.fixture(scope="module")
def dynamo(embedded_cloud: EmbeddedCloud) -> tuple[Any, dict[str, Any]]:
    """A client, and the ports over two tables of their own."""
    client = embedded_cloud.client("dynamodb")
    for table, partition in ((TABLE, "partition"), (f"{TABLE}-files", "thing")):
        keys = {partition: "HASH", "sk": "RANGE"}
        client.create_table(
            TableName=table,
            KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in keys.items()],
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in keys],
            BillingMode="PAY_PER_REQUEST",
        )
    records = RecordSettings(devices_table=TABLE, commands_table=f"{TABLE}-files")
    asked: dict[str, Any] = {"aws": RootDoor(embedded_cloud), "settings": records}
    return client, {
        "devices": DynamoDeviceFacts(**asked),
        "groups": DynamoGroups(**asked),
        "enrolments": DynamoEnrolments(**asked),
        "file_records": DynamoFileRecords(**asked),
        "command_records": (commands := DynamoCommandRecords(**asked)),
        "listed_commands": DynamoListedCommands(**asked, records=commands),
        "download_records": DynamoDownloadRecords(**asked),
        "campaign_records": DynamoCampaignRecords(**asked),
        "grant_records": DynamoGrantRecords(**asked),
        "machine_records": DynamoMachines(**asked),
    }


def fleet(pool: MemoryUserPool, dynamo: tuple[Any, dict[str, Any]] | None) -> Fleet:
    """An empty one of a new tenant."""
    tenant = replace(pool.tenant, id=f"t{uuid.uuid4().hex[:20]}")
    ports = MemoryPorts.around(AllowAll())
    if dynamo is None:
        return Fleet(ports, tenant)
    client, over = dynamo
    members = {name: getattr(ports, name) for name in MemoryPorts.__dataclass_fields__}
    return Fleet(Ports(**(members | over)), tenant, client, TABLE)


async def read_while_others_change(
    chance: random.Random,
    page: Callable[[int, str | None], Awaitable[Page]],
    comes: Callable[[str], Awaitable[None]],
    goes: Callable[[str], Awaitable[None]],
) -> None:
    """Read all pages, with changes between them, and say what must hold of what was seen."""
    standing = set(chance.sample(NAMES, 12))
    passing = sorted(set(NAMES) - standing)
    for name in sorted(standing | set(chance.sample(passing, 6))):
        await comes(name)
    seen: list[str] = []
    cursor: str | None = None
    for _ in range(100):
        names, cursor = await page(chance.randint(1, 4), cursor)
        seen += names
        if cursor is None:
            break
        for name in chance.sample(passing, chance.randint(0, 3)):
            await (comes if chance.random() < 0.5 else goes)(name)
    assert cursor is None, "the list has an end"
    assert seen == sorted(set(seen)), "in order, and nothing twice"
    assert standing <= {name.partition("#")[0] for name in seen}, "nothing is missing that stood"


@pytest.mark.parametrize("noun", ["device", "group", "file", "machine"])
@pytest.mark.parametrize(("kind", "rounds"), [("memory", 40), ("dynamodb", 2)])
def test_lists_are_right_while_others_change_them(
    request: pytest.FixtureRequest, pool: MemoryUserPool, noun: str, kind: str, rounds: int
) -> None:
    """Whatever comes and goes between two pages of devices, groups, machines, files."""
    chance = random.Random(new_seed())  # noqa: S311 - chance, no secret
    dynamo = request.getfixturevalue("dynamo") if kind == "dynamodb" else None

    async def each() -> None:
        for _ in range(rounds):
            one = fleet(pool, dynamo)
            comes, goes = getattr(one, f"{noun}_comes"), getattr(one, f"{noun}_goes", one.nothing)
            await read_while_others_change(chance, getattr(one, f"{noun}s"), comes, goes)

    asyncio.run(each())


@pytest.mark.parametrize("noun", ["command", "device_command", "download", "campaign", "grant"])
@pytest.mark.parametrize(("kind", "rounds"), [("memory", 40), ("dynamodb", 2)])
def test_newest_first_is_right_while_others_add(
    request: pytest.FixtureRequest, pool: MemoryUserPool, noun: str, kind: str, rounds: int
) -> None:
    """What comes between two pages stands before them: nothing is shown twice, nothing left out."""
    chance = random.Random(new_seed())  # noqa: S311 - chance, no secret
    dynamo = request.getfixturevalue("dynamo") if kind == "dynamodb" else None

    async def one_round() -> None:
        one = fleet(pool, dynamo)
        await one.device_comes("d")
        comes = getattr(one, f"{noun.removeprefix('device_')}_comes")
        page = getattr(one, f"{noun}s")
        standing = [await comes(at) for at in range(1, 16)]
        seen: list[str] = []
        cursor: str | None = None
        for turn in range(100):
            ids, cursor = await page(chance.randint(1, 4), cursor)
            seen += ids
            if cursor is None:
                break
            for number in range(chance.randint(0, 3)):
                await comes(100 + 10 * turn + number)
        assert cursor is None, "the list has an end"
        assert seen == sorted(standing, reverse=True), "each that stood, once, the newest first"

    async def each() -> None:
        for _ in range(rounds):
            await one_round()

    asyncio.run(each())
