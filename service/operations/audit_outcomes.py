"""The worker's second part of the audit trail: writes down how commands ended on their devices.

For each link that says of commands, the worker looks after them until each has ended, or nobody
waits for its device any more. An outcome is written at least once: a worker that dies behind one
writes it again, as another entry of the same words.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from service.domain.audit_entries import VERSION, Entry
from service.domain.commands import status_of
from service.domain.instants import milliseconds, new_ulid
from service.domain.work import Work, WorkKind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from service.domain.instants import Clock
    from service.domain.tenants import Tenant
    from service.operations.audit_trail import AuditTrail
    from service.ports.audit import AuditChain, AuditEntries
    from service.ports.commands import CommandRecords
    from service.ports.devices import DeviceFacts
    from service.ports.work import WorkQueue

FIRST_LOOK: Final = 10
"""Seconds; each further look waits twice as long."""
_LONGEST_WAIT: Final = 900  # seconds (source: SQS API reference, SendMessage, DelaySeconds)
_WAITED_MS: Final = 3_600_000
"""How long a device may be silent behind a command's expiry, until that is its outcome."""


def commanding(entries: Iterable[Entry]) -> list[Entry]:
    """Those of ``entries`` that let a command go."""
    return [entry for entry in entries if _command_of(entry) is not None]


def outcome_work(tenant: Tenant, link: int) -> Work:
    """What the worker is told of a link."""
    return Work(
        kind=WorkKind.TELL_OUTCOMES,
        issuer=tenant.issuer,
        tenant=tenant.id,
        about={"link": str(link)},
    )


@dataclass(frozen=True, kw_only=True)
class AuditOutcomes:
    """Looks after the commands of one link at a time."""

    entries: AuditEntries
    chain: AuditChain
    commands: CommandRecords
    devices: DeviceFacts
    trail: AuditTrail
    queue: WorkQueue
    clock: Clock

    async def handle(self, tenant: Tenant, work: Work) -> None:
        """Write down what has ended, and look again at the rest later.

        Raises:
            UpstreamError: a part does not answer; the message comes again.
        """
        number, look = int(work.about["link"]), int(work.about.get("look", "0"))
        link = next(iter(await self.chain.since(tenant, number=number, most=1)), None)
        # Who asked for it died before it was made: whoever makes it asks too.
        if link is None or link.number != number:
            return
        left = set(filter(None, work.about.get("left", "").split(",")))
        decisions = commanding(await self.entries.of_link(tenant, link))
        if left:
            decisions = [entry for entry in decisions if entry.entry_id in left]
        waiting = [entry.entry_id for entry in decisions if not await self._is_told(tenant, entry)]
        if waiting:
            again = Work(
                kind=work.kind,
                issuer=work.issuer,
                tenant=work.tenant,
                about={"link": str(number), "look": str(look + 1), "left": ",".join(waiting)},
            )
            seconds = min(FIRST_LOOK * 2 ** min(look + 1, 10), _LONGEST_WAIT)
            await self.queue.send([again], delay_seconds=seconds)

    async def _is_told(self, tenant: Tenant, decision: Entry) -> bool:
        """Whether there is nothing more to wait for; an outcome is written then."""
        command_id = _command_of(decision)
        found = await self.commands.read(tenant, command_id) if command_id else None
        # A repeat of an earlier request: the command of this id was never made.
        if found is None:
            return True
        now = milliseconds(self.clock())
        device = await self.devices.find(tenant, found.record.device)
        status = status_of(
            found.record,
            found.states,
            now_ms=now,
            retired_at=None if device is None else device.retired_at,
        )
        if not status.is_final and now < found.record.expires_at + _WAITED_MS:
            return False
        document: dict[str, Any] = {
            "version": VERSION,
            "kind": "outcome",
            "id": new_ulid(now),
            "at": now,
            "tenant": tenant.id,
            "who": f"device {found.record.device}",
            "resource": decision.document["resource"],
            "about": {"command": command_id, "decision": decision.entry_id},
            "outcome": {
                "state": str(status.state),
                "told_by": status.reported_by,
                "final": status.is_final,
            },
        }
        await self.entries.keep(tenant, Entry.of(document))
        await self.trail.tell(tenant)
        return True


def _command_of(entry: Entry) -> str | None:
    """The command that a decision let go; ``None``: none."""
    if '"command"' not in entry.text:
        return None
    said = entry.document
    if said["kind"] != "decision" or said["decision"] != "ALLOW":
        return None
    found = said.get("about", {}).get("command")
    return found if isinstance(found, str) else None
