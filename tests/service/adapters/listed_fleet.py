"""All lists of one tenant, and those who change what they show."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from service.cedar.decision import Allowed
from service.domain.campaigns import CampaignFilter, CampaignRecord
from service.domain.commands import CommandFilter, CommandRecord
from service.domain.devices import Device
from service.domain.downloads import EVERY_DOWNLOAD, Closing, DownloadRecord, TargetKind
from service.domain.enrolments import Enrolment
from service.domain.files import FileVersion
from service.domain.grants import Grant
from service.domain.group_records import GroupRecord, GroupState
from service.domain.identities import Principal, TokenUse, VerifiedClaims
from service.domain.instants import new_ulid
from service.domain.machines import Machine, MachineState
from service.domain.permissions import Permission
from service.domain.selections import Selection
from service.operations.authorization import RequestFacts
from service.operations.operations import Operations
from service.settings import TokenSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.cedar.decision import Decision
    from service.cedar.request import AuthorizationRequest, TokenBearer
    from service.domain.tenants import Tenant
    from service.operations.authorization import Access
    from service.ports import Ports

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
        table: of devices there.
    """

    ports: Ports
    tenant: Tenant
    client: Any = None
    table: str = ""

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
        return self.operations.access(principal, facts=facts, declared=frozenset(Permission))

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
        self.client.put_item(TableName=self.table, Item=item)

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

    async def campaign_comes(self, at: int) -> str:
        """One more; its id."""
        record = CampaignRecord(
            campaign_id=new_ulid(at),
            tenant=self.tenant.id,
            name="reboot",
            arguments={},
            target=Selection(devices=("d",)),
            seconds=60,
            send_before=at + 1,
            created_by="test",
            requester="test",
            created_at=at,
            devices=1,
        )
        await self.ports.campaign_records.create(self.tenant, record, None)
        return record.campaign_id

    async def grant_comes(self, at: int) -> str:
        """One more; its id."""
        record = Grant(
            grant_id=new_ulid(at),
            tenant=self.tenant.id,
            template="technicians",
            person="kim",
            subject="kim",
            email="kim@acme.test",
            device="d",
            group=None,
            until=at + 1,
            reason="",
            statement="",
            given_by="test",
            given_at=at,
        )
        await self.ports.grant_records.create(self.tenant, record, None)
        return record.grant_id

    async def machine_comes(self, name: str) -> None:
        """Made; one that is there stays, a revoked one comes back."""
        found = await self.ports.machine_records.find(self.tenant, name)
        machine = found or Machine(
            tenant=self.tenant.id,
            id=name,
            scopes=(),
            created_by="test",
            created_at=1,
            changed_at=1,
        )
        await self.ports.machine_records.put(
            self.tenant, replace(machine, state=MachineState.ACTIVE)
        )

    async def machine_goes(self, name: str) -> None:
        """Revoked."""
        found = await self.ports.machine_records.find(self.tenant, name)
        if found is not None:
            await self.ports.machine_records.put(
                self.tenant, replace(found, state=MachineState.REVOKED)
            )

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

    async def machines(self, limit: int, cursor: str | None) -> Page:
        """A page of machines."""
        page = await self.operations.machines.page(self.access, limit=limit, cursor=cursor)
        return [one.id for one in page.machines], page.cursor

    async def campaigns(self, limit: int, cursor: str | None) -> Page:
        """A page of campaigns."""
        views, behind = await self.operations.campaign_lists.page(
            self.access, wanted=CampaignFilter(), state=None, limit=limit, cursor=cursor
        )
        return [one.record.campaign_id for one in views], behind

    async def grants(self, limit: int, cursor: str | None) -> Page:
        """A page of grants."""
        page = await self.operations.grants.page(self.access, limit=limit, cursor=cursor)
        return [one.grant_id for one in page.grants], page.cursor
