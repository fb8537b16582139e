"""Events of what the API's callers did and were refused, made of the audit trail by the worker.

Nothing that is allowed goes without an entry of the trail, and each entry comes into a link of its
chain once; so for each link the worker is told to tell of it. An entry stands before the change
that it allows: the rows say whether the change was made, and it is waited for as long as a process
may take.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import structlog
from cedarfleet_device import wire

from service.domain.events import Event, EventType, event_id
from service.domain.grants import OVER
from service.domain.instants import milliseconds, time_of
from service.domain.permissions import Permission
from service.domain.work import Work, WorkKind

if TYPE_CHECKING:
    from service.domain.audit_entries import Entry
    from service.domain.instants import Clock
    from service.domain.tenants import Tenant
    from service.operations.event_telling import EventTelling
    from service.ports.audit import AuditChain, AuditEntries
    from service.ports.commands import CommandRecords
    from service.ports.devices import DeviceFacts
    from service.ports.downloads import DownloadRecords
    from service.ports.enrolments import Enrolments
    from service.ports.grants import GrantRecords
    from service.ports.work import WorkQueue

_WAITED_MS: Final = 60_000
"""Which a change may come later than its decision: a call of AWS has 20 seconds in all."""
_LOOKS: Final = (2, 4, 8, 15, 30, 60)  # seconds until each further look
_GRANTS_READ: Final = 50
_DEVICE: Final = 'Fleet::Device::"'
_DEVICES: Final = {
    Permission.REGISTER_DEVICE: EventType.DEVICE_REGISTERED,
    Permission.RETIRE_DEVICE: EventType.DEVICE_RETIRED,
}
_GRANTS: Final = {
    Permission.GIVE_GRANT: EventType.GRANT_GIVEN,
    Permission.REVOKE_GRANT: EventType.GRANT_REVOKED,
}
log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


def decisions_work(tenant: Tenant, link: int) -> Work:
    """What the worker is told of a link."""
    return Work(
        kind=WorkKind.TELL_DECISIONS,
        issuer=tenant.issuer,
        tenant=tenant.id,
        about={"link": str(link)},
    )


def tells_something(entry: Entry) -> bool:
    """Whether an event may come of an entry."""
    return type_of(entry.document) is not None


def type_of(said: dict[str, Any]) -> EventType | None:
    """What happened by a decision, if that is told."""
    if said["kind"] != "decision":
        return None
    if said["decision"] != "ALLOW":
        return EventType.DECISION_DENIED
    about = said.get("about", {})
    if "command" in about:
        canceled = str(said.get("subject", "")).startswith("cancel of ")
        return EventType.COMMAND_CANCELED if canceled else EventType.COMMAND_REQUESTED
    if "download" in about:
        # The worker's own questions, one a device, change nothing of the download.
        own = str(said["request_id"]).startswith("download ")
        return None if own else EventType.DOWNLOAD_CHANGED
    # A new code, or many at once by their groups: nothing names a device that is new.
    if said["action"] == Permission.REGISTER_DEVICE and not wire.is_device_id(
        str(said.get("subject"))
    ):
        return None
    return _DEVICES.get(said["action"]) or _GRANTS.get(said["action"])


@dataclass(frozen=True, kw_only=True)
class DecidedEvents:
    """Tells what came of the decisions of one link at a time."""

    entries: AuditEntries
    chain: AuditChain
    commands: CommandRecords
    downloads: DownloadRecords
    devices: DeviceFacts
    enrolments: Enrolments
    grants: GrantRecords
    telling: EventTelling
    queue: WorkQueue
    clock: Clock

    async def handle(self, tenant: Tenant, work: Work) -> None:
        """Tell what has come of them, and look again at the rest later.

        Raises:
            UpstreamError: a part does not answer; the message comes again.
        """
        number, look = int(work.about["link"]), int(work.about.get("look", "0"))
        link = next(iter(await self.chain.since(tenant, number=number, most=1)), None)
        if link is None or link.number != number:
            # It is put a moment after this message was sent, or whoever meant to put it died.
            await self._again(tenant, work, look, left="")
            return
        left = set(filter(None, work.about.get("left", "").split(",")))
        decided = await self.entries.of_link(tenant, link)
        waiting: list[str] = []
        events: list[Event] = []
        for entry in decided:
            if left and entry.entry_id not in left:
                continue
            kind = type_of(entry.document)
            if kind is None:
                continue
            if await self._is_so(tenant, kind, entry.document):
                events.append(_event(tenant, kind, entry))
            elif milliseconds(self.clock()) < entry.at + _WAITED_MS:
                waiting.append(entry.entry_id)
        await self.telling.tell(tenant, events)
        if waiting:
            await self._again(tenant, work, look, left=",".join(waiting))

    async def _again(self, tenant: Tenant, work: Work, look: int, *, left: str) -> None:
        if look >= len(_LOOKS):
            log.info("events.never_so", tenant=tenant.id, **work.about)
            return
        about = {"link": work.about["link"], "look": str(look + 1), "left": left}
        again = Work(kind=work.kind, issuer=work.issuer, tenant=work.tenant, about=about)
        await self.queue.send([again], delay_seconds=_LOOKS[look])

    async def _is_so(self, tenant: Tenant, kind: EventType, said: dict[str, Any]) -> bool:
        """Whether what was decided was done."""
        match kind.noun:
            case "command":
                found = await self.commands.read(tenant, said["about"]["command"])
                is_canceled = found is not None and found.record.canceled_at is not None
                return is_canceled if kind is EventType.COMMAND_CANCELED else found is not None
            case "download":
                return await self.downloads.read(tenant, said["about"]["download"]) is not None
            case "device":
                return await self._is_of_device(tenant, kind, said)
            case "grant" if kind is EventType.GRANT_GIVEN:
                return await self._is_given(tenant, said)
            case "grant":
                grant = await self.grants.read(tenant, said["subject"].rpartition(": ")[2])
                return grant is not None and grant.at(milliseconds(self.clock())).state in OVER
            case _:
                return True  # a denial is the event itself

    async def _is_of_device(self, tenant: Tenant, kind: EventType, said: dict[str, Any]) -> bool:
        if kind is EventType.DEVICE_REGISTERED:
            enrolment = await self.enrolments.find(tenant, said["subject"])
            # One that was there before was not registered by this.
            return enrolment is not None and time_of(enrolment.registration) >= said["at"]
        name = _of(said["resource"])
        device = await self.devices.find(tenant, name) if name else None
        return device is not None and device.retired_at is not None

    async def _is_given(self, tenant: Tenant, said: dict[str, Any]) -> bool:
        """Whether a grant of the template was made since the decision, of which nobody knew its id.

        Of two that are given within a minute the second may stand for the first.
        """
        template = said["subject"].partition(" ")[0]
        page = await self.grants.page(tenant, limit=_GRANTS_READ, cursor=None)
        span = range(said["at"], said["at"] + _WAITED_MS)
        return any(one.template == template and one.given_at in span for one in page.grants)


def _device(kind: EventType, said: dict[str, Any]) -> str | None:
    named = said.get("subject") if kind is EventType.DEVICE_REGISTERED else _of(said["resource"])
    return named if isinstance(named, str) and wire.is_device_id(named) else None


def _of(resource: str) -> str | None:
    """The device of a resource's text, if it is one."""
    is_device = resource.startswith(_DEVICE) and resource.endswith('"')
    return resource[len(_DEVICE) : -1] if is_device else None


def _event(tenant: Tenant, kind: EventType, entry: Entry) -> Event:
    said = entry.document
    data: dict[str, Any] = {
        "decision": said["id"],
        "action": said["action"],
        "who": said["who"],
        "policies": said["policies"][:10],
    }
    about = said.get("about", {})
    data |= {name: about[name] for name in ("command", "download") if name in about}
    if kind.noun in {"decision", "grant", "download"}:
        data["resource"] = said["resource"]
    if kind is EventType.DECISION_DENIED:
        data["reason"] = said.get("reason")
    else:
        # Who refused nobody and is refused nothing need not be told by which policies.
        del data["policies"]
    of_device = kind.noun in {"command", "device"}
    return Event(
        event_id=event_id(tenant.id, kind, said["id"]),
        type=kind,
        at=entry.at,
        device=(_device(kind, said) or _of(said["resource"])) if of_device else None,
        data=data,
    )
