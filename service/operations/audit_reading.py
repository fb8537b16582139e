"""Reads a tenant's audit trail: pages by filters, how its chain stands, and exports of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from service.cedar.entities import tenant_entity
from service.domain.audit_entries import PersonKey, UnreadableEntryError, canonical
from service.domain.instants import milliseconds, time_of
from service.domain.permissions import Permission
from service.errors import InvalidRequestError
from service.operations.purpose import Purpose

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from service.domain.audit_chain import Checkpoint, Link
    from service.domain.audit_entries import Entry
    from service.domain.instants import Clock
    from service.domain.tenants import Tenant
    from service.operations.audit_trail import AuditTrail
    from service.operations.authorization import Access
    from service.ports.audit import AuditChain, AuditEntries, PersonKeys

VERSION: Final = 1
_LOOKED_AT: Final = 500  # entries of one page, wanted or not
_DAY_MS: Final = 24 * 3600 * 1000
_LINKS_AT_ONCE: Final = 20
MOST_ENTRIES: Final = 5_000
"""Of one export; the next one goes on where it ends."""


@dataclass(frozen=True, kw_only=True)
class AuditFilter:
    """Which entries are wanted; ``None``: whatever it is.

    Attributes:
        since: milliseconds since the epoch.
        until: the same.
        who: pseudonym, or the person's id in the pool.
        device: its id.
        decision: ``ALLOW`` or ``DENY``.
        command: id of a command or download.
    """

    since: int | None = None
    until: int | None = None
    who: str | None = None
    action: str | None = None
    device: str | None = None
    decision: str | None = None
    command: str | None = None


@dataclass(frozen=True, kw_only=True)
class AuditView:
    """An entry as it is shown; what was sealed is there while the person's key is.

    Attributes:
        said: what the entry says.
        opened: ``principal``, ``source_ip``, ``reason``, ``claims``; ``None``: nobody can read it.
    """

    said: Mapping[str, Any]
    opened: Mapping[str, Any] | None
    digest: str

    @property
    def asked(self) -> Mapping[str, Any] | None:
        """What policies were asked; what of the context was sealed is back in it, if it can be."""
        asked: Mapping[str, Any] | None = self.said.get("asked")
        if asked is None or self.opened is None:
            return asked
        return {**asked, "context": {**asked["context"], **self.opened.get("context", {})}}

    @property
    def document(self) -> dict[str, Any]:
        """The entry as it is read: what it says, what was sealed, and what policies were asked."""
        opened = self.opened or {}
        return {
            **self.said,
            "principal": opened.get("principal"),
            "claims": opened.get("claims"),
            "asked": self.asked,
        }


@dataclass(frozen=True, kw_only=True)
class AuditPage:
    """One page, the newest first."""

    views: tuple[AuditView, ...]
    cursor: str | None


@dataclass(frozen=True, kw_only=True)
class ChainState:
    """How the chain stands.

    Attributes:
        head: the last link.
        checkpoint: the newest signature.
        open: entries of the last day that no link has taken up, at most so many as are looked at.
    """

    head: Link | None
    checkpoint: Checkpoint | None
    open: int = field(default=0)


@dataclass(frozen=True, kw_only=True)
class AuditReading:
    """The trail of the caller's tenant."""

    entries: AuditEntries
    chain: AuditChain
    people: PersonKeys
    trail: AuditTrail
    clock: Clock

    async def page(
        self, access: Access, wanted: AuditFilter, *, limit: int, cursor: str | None
    ) -> AuditPage:
        """One page of entries; it may be short, or empty, and more may follow all the same.

        Raises:
            PermissionDeniedError: not allowed.
            InvalidRequestError: the cursor is none of ours, or the span ends before it begins.
        """
        tenant = access.principal.tenant
        await self._require(access, "trail")
        until = milliseconds(self.clock()) if wanted.until is None else wanted.until
        since = until - 7 * _DAY_MS if wanted.since is None else wanted.since
        if since > until:
            raise InvalidRequestError("since", "must not be later than `until`")
        before = _before(cursor)
        keys = await self.people.all(tenant)
        shown: list[AuditView] = []
        looked_at = 0
        while True:
            found, before = await self.entries.newest(
                tenant, since=since, until=until, before=before, most=max(limit, 100)
            )
            for entry in found:
                looked_at += 1
                view = viewed(entry, keys)
                if _is_wanted(view, wanted):
                    shown.append(view)
                if len(shown) == limit:
                    return AuditPage(views=tuple(shown), cursor=entry.entry_id)
            if before is None or looked_at >= _LOOKED_AT or not found:
                return AuditPage(views=tuple(shown), cursor=before)

    async def state(self, access: Access) -> ChainState:
        """How the chain stands; what no link has taken up, the worker is told of once more.

        Raises:
            PermissionDeniedError: not allowed.
        """
        tenant = access.principal.tenant
        await self._require(access, "chain")
        links = await self.chain.last(tenant, most=50)
        linked = {entry_id for link in links for entry_id, _ in link.entries}
        now = milliseconds(self.clock())
        since = links[0].settled if links else now - _DAY_MS
        found = await self.entries.oldest(
            tenant, since=since, until=now, most=len(linked) + _LOOKED_AT
        )
        left = [entry for entry in found if entry.entry_id not in linked]
        if left:
            await self.trail.tell(tenant)
        checkpoint = await self.chain.last_checkpoint(tenant)
        return ChainState(head=links[0] if links else None, checkpoint=checkpoint, open=len(left))

    async def begin_export(self, access: Access, *, first: int) -> AsyncGenerator[str]:
        """The lines of an export that begins with a link; ``domain.audit_verification`` reads them.

        Raises:
            PermissionDeniedError: not allowed.
        """
        await self._require(access, "export")
        return export_lines(
            access.principal.tenant,
            first=first,
            entries=self.entries,
            chain=self.chain,
            clock=self.clock,
        )

    async def _require(self, access: Access, what: str) -> None:
        tenant = tenant_entity(access.principal.tenant.id)
        await access.require(Permission.VIEW_AUDIT, (tenant,), Purpose(subject=what))


async def export_lines(
    tenant: Tenant,
    *,
    first: int,
    entries: AuditEntries,
    chain: AuditChain,
    clock: Clock,
    most: int = MOST_ENTRIES,
) -> AsyncGenerator[str]:
    """The lines of an export; ``domain.audit_verification`` reads them.

    Args:
        tenant: whose trail.
        first: number of the link that it begins with.
        entries: of the trail.
        chain: over it.
        clock: by which it ends.
        most: entries after which it ends at the next signature; its ``next`` says where it goes on.
    """
    yield _line("export", {"version": VERSION, "tenant": tenant.id, "first": first})
    number, written, made = first, 0, 0
    follows: int | None = None
    while follows is None:
        links = await chain.since(tenant, number=number, most=_LINKS_AT_ONCE)
        if not links:
            break
        signed = await chain.checkpoints(tenant, first=links[0].number, last=links[-1].number)
        for link in links:
            for entry in await entries.of_link(tenant, link):
                yield _line("entry", entry.document)
                written += 1
            yield _line("link", link.document)
            made, number = made + 1, link.number + 1
            if link.number in signed:
                yield _line("checkpoint", signed[link.number].document())
                # It ends where it is signed, so that it proves itself.
                if written >= most:
                    follows = number
                    break
    yield _line(
        "end",
        {"entries": written, "links": made, "next": follows, "at": milliseconds(clock())},
    )


def _line(kind: str, body: Mapping[str, Any]) -> str:
    return canonical({"line": kind, "body": dict(body)}) + "\n"


def _before(cursor: str | None) -> str | None:
    if cursor is None:
        return None
    try:
        time_of(cursor)
    except ValueError as error:
        raise InvalidRequestError("cursor", "must be the `cursor` of an earlier page") from error
    return cursor


def viewed(entry: Entry, keys: Mapping[str, PersonKey]) -> AuditView:
    """The entry, opened if its person's key is among ``keys`` (by pseudonym)."""
    said = entry.document
    key = keys.get(str(said.get("who")))
    try:
        opened = entry.opened(key) if key else None
    except UnreadableEntryError:
        opened = None
    return AuditView(said=said, opened=opened, digest=entry.digest)


def _tells_of(said: Mapping[str, Any], device: str) -> bool:
    """Whether an entry is about a device, or tells how a download ended on it."""
    outcome = said.get("outcome", {})
    return said.get("resource") == f'Fleet::Device::"{device}"' or device in outcome.get(
        "devices", ()
    )


def _is_wanted(view: AuditView, wanted: AuditFilter) -> bool:
    said = view.said
    named = {str(said.get("who"))}
    if view.opened is not None:
        principal = str(view.opened["principal"])
        named |= {principal, principal.rpartition("|")[2]}
    about = said.get("about", {})
    return all(
        (
            wanted.who is None or wanted.who in named,
            wanted.action is None or said.get("action") == wanted.action,
            wanted.device is None or _tells_of(said, wanted.device),
            wanted.decision is None or said.get("decision") == wanted.decision,
            wanted.command is None or wanted.command in about.values(),
        )
    )
