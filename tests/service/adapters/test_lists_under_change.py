"""Lists while others change them: nothing twice, nothing missing that stood all along."""

from __future__ import annotations

import asyncio
import random
import uuid
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import pytest

from service.adapters.aws.command_lists import DynamoListedCommands
from service.adapters.aws.commands import DynamoCommandRecords
from service.adapters.aws.devices import DynamoDeviceFacts
from service.adapters.aws.downloads import DynamoDownloadRecords
from service.adapters.aws.enrolments import DynamoEnrolments
from service.adapters.aws.files import DynamoFileRecords
from service.adapters.aws.groups import DynamoGroups
from service.adapters.memory.memory_ports import MemoryPorts
from service.adapters.memory.user_pool import MemoryUserPool
from service.cedar.decision import Allowed
from service.domain.commands import CommandFilter, CommandRecord
from service.domain.devices import Device
from service.domain.downloads import EVERY_DOWNLOAD, Closing, DownloadRecord, TargetKind
from service.domain.enrolments import Enrolment
from service.domain.files import FileVersion
from service.domain.group_records import GroupRecord, GroupState
from service.domain.identities import Principal, TokenUse, VerifiedClaims
from service.domain.instants import new_ulid
from service.domain.permissions import READING
from service.operations.authorization import RequestFacts
from service.operations.operations import Operations
from service.ports import Ports
from service.settings import RecordSettings, TokenSettings
from tests.seed import new_seed
from tests.service.adapters.aws.root_door import RootDoor

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from infra.local.cloud import EmbeddedCloud
    from service.cedar.decision import Decision
    from service.cedar.request import AuthorizationRequest, TokenBearer
    from service.domain.tenants import Tenant
    from service.operations.authorization import Access

DECLARED: Final = {"line-a": (), "line-k": (), "line-z": ()}
NAMES: Final = [f"{letter}-{number}" for letter in "abcxyz" for number in range(4)]
Page = tuple[list[str], str | None]


class AllowAll:
    """Policies that allow whatever is asked."""

    async def decide(self, principal: Principal, request: AuthorizationRequest) -> Decision:
        """Allowed, by nothing."""
        del principal, request
        return Allowed(policies=())

    async def decide_all(
        self, principal: Principal, requests: Sequence[AuthorizationRequest]
    ) -> tuple[Decision, ...]:
        """Each allowed, by nothing."""
        del principal
        return tuple(Allowed(policies=()) for _ in requests)

    async def decide_all_for(
        self, tenant: Tenant, bearer: TokenBearer, requests: Sequence[AuthorizationRequest]
    ) -> tuple[Decision, ...]:
        """Each allowed, by nothing."""
        del tenant, bearer
        return tuple(Allowed(policies=()) for _ in requests)


@dataclass
class Fleet:
    """The lists of one tenant, and those who change what they show.

    Attributes:
        client: of DynamoDB, if the rows are there.
    """

    ports: Ports
    tenant: Tenant
    client: Any = None

    @property
    def access(self) -> Access:
        """Somebody who may look at everything."""
        principal = Principal(
            tenant=self.tenant,
            subject="somebody",
            token_use=TokenUse.ID,
            groups=(),
            email=None,
            client_id="client",
            expires_at=1,
            claims=VerifiedClaims({}),
            token="header.claims.signature",
        )
        facts = RequestFacts(request_id="request-1", source_ip=None)
        return self.operations.access(principal, facts=facts, declared=READING)

    @property
    def operations(self) -> Operations:
        """All of them; none remembers anything."""
        return Operations(self.ports, TokenSettings())

    async def device_comes(self, name: str) -> None:
        """Registered; one that is there stays."""
        enrolment = Enrolment(
            tenant=self.tenant.id,
            device=name,
            registration=f"registration-{name}",
            code_digest="",
            expires_at=0,
        )
        device = Device(tenant=self.tenant.id, id=name, groups=("line-a",))
        await self.ports.enrolments.register(self.tenant, device, enrolment, by="test", now_ms=1)

    async def device_goes(self, name: str) -> None:
        """As the rule of `deleted` writes it."""
        thing = f"registration-{name}"
        if self.client is None:
            self.ports.devices.death(self.tenant.id, name, thing)  # type: ignore[attr-defined]
            return
        key = {"partition": f"{self.tenant.id}--devices", "sk": f"{name}#gone#{thing}"}
        item = {column: {"S": text} for column, text in key.items()}
        self.client.put_item(TableName=TABLE, Item=item)

    async def group_comes(self, name: str) -> None:
        """Made; one that is there stays."""
        record = GroupRecord(
            tenant=self.tenant.id,
            id=name,
            description="",
            parents=(),
            created_by="test",
            created_at=1,
            changed_at=1,
        )
        await self.ports.groups.put(self.tenant, record)

    async def group_goes(self, name: str) -> None:
        """Deleted, for good."""
        for record in await self.ports.groups.named(self.tenant, [name]):
            await self.ports.groups.put(self.tenant, replace(record, state=GroupState.DELETED))

    async def file_comes(self, name: str) -> None:
        """A version more; none ever goes."""
        file_id = uuid.uuid4().hex[:26].upper()
        record = FileVersion(
            file_id=file_id,
            tenant=self.tenant.id,
            name=name,
            size=1,
            sha256="ab" * 32,
            part_size=1,
            upload="upload",
            created_by="test",
            created_at=1,
            changed_at=1,
            revision=1,
        )
        await self.ports.file_records.create(self.tenant, record, None)

    async def command_comes(self, at: int) -> str:
        """One more; its id."""
        record = CommandRecord(
            command_id=new_ulid(at),
            tenant=self.tenant.id,
            device="d",
            name="reboot",
            arguments={},
            created_by="test",
            created_at=at,
            expires_at=at + 1,
        )
        await self.ports.command_records.create(self.tenant, record, None)
        return record.command_id

    async def download_comes(self, at: int) -> str:
        """One more; its id."""
        record = DownloadRecord(
            download_id=new_ulid(at),
            tenant=self.tenant.id,
            target_kind=TargetKind.DEVICE,
            target="d",
            artifact="recipes/steel.json",
            size=1,
            sha256="ab" * 32,
            etag="e",
            created_by="test",
            created_at=at,
            closing=Closing.ENDED,
        )
        await self.ports.download_records.create(self.tenant, record, None)
        return record.download_id

    async def nothing(self, name: str) -> None:
        """What files do instead of going."""

    async def devices(self, limit: int, cursor: str | None) -> Page:
        """A page of devices."""
        page = await self.operations.devices.page(self.access, limit=limit, cursor=cursor)
        return [one.id for one in page.devices], page.cursor

    async def commands(self, limit: int, cursor: str | None) -> Page:
        """A page of commands."""
        views, behind = await self.operations.command_lists.page(
            self.access, wanted=CommandFilter(), state=None, limit=limit, cursor=cursor
        )
        return [one.recorded.record.command_id for one in views], behind

    async def device_commands(self, limit: int, cursor: str | None) -> Page:
        """A page of the commands of one device."""
        views, behind = await self.operations.command_lists.of_device(
            self.access, "d", wanted=CommandFilter(), state=None, limit=limit, cursor=cursor
        )
        return [one.recorded.record.command_id for one in views], behind

    async def downloads(self, limit: int, cursor: str | None) -> Page:
        """A page of downloads."""
        views, behind = await self.operations.download_lists.page(
            self.access, wanted=EVERY_DOWNLOAD, state=None, limit=limit, cursor=cursor
        )
        return [one.record.download_id for one in views], behind

    async def groups(self, limit: int, cursor: str | None) -> Page:
        """A page of groups."""
        page = await self.operations.groups.page(self.access, limit=limit, cursor=cursor)
        return [one.id for one in page.groups], page.cursor

    async def files(self, limit: int, cursor: str | None) -> Page:
        """A page of files; a version is told from others of its name."""
        page = await self.operations.files.page(self.access, prefix="", limit=limit, cursor=cursor)
        return [f"{one.name}#{one.file_id}" for one in page.files], page.cursor


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
    }


def fleet(pool: MemoryUserPool, dynamo: tuple[Any, dict[str, Any]] | None) -> Fleet:
    """An empty one of a new tenant."""
    tenant = replace(pool.tenant, id=f"t{uuid.uuid4().hex[:20]}")
    ports = MemoryPorts.around(AllowAll())
    if dynamo is None:
        return Fleet(ports, tenant)
    client, over = dynamo
    members = {name: getattr(ports, name) for name in MemoryPorts.__dataclass_fields__}
    return Fleet(Ports(**(members | over)), tenant, client)


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


@pytest.mark.parametrize("noun", ["device", "group", "file"])
@pytest.mark.parametrize(("kind", "rounds"), [("memory", 40), ("dynamodb", 2)])
def test_lists_are_right_while_others_change_them(
    request: pytest.FixtureRequest, pool: MemoryUserPool, noun: str, kind: str, rounds: int
) -> None:
    """Whatever comes and goes between two pages of devices, groups or versions of files."""
    chance = random.Random(new_seed())  # noqa: S311 - chance, no secret
    dynamo = request.getfixturevalue("dynamo") if kind == "dynamodb" else None

    async def each() -> None:
        for _ in range(rounds):
            one = fleet(pool, dynamo)
            comes, goes = getattr(one, f"{noun}_comes"), getattr(one, f"{noun}_goes", one.nothing)
            await read_while_others_change(chance, getattr(one, f"{noun}s"), comes, goes)

    asyncio.run(each())


@pytest.mark.parametrize("noun", ["command", "device_command", "download"])
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
        comes = one.download_comes if noun == "download" else one.command_comes
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
