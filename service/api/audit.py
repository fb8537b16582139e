"""The audit trail: who did what by which policy, how its chain stands, and exports to keep."""

from datetime import datetime
from typing import Annotated, Any, Literal

from litestar import get
from litestar.params import QueryParameter
from litestar.response import Stream
from msgspec import Struct

from service.api.guard import needs
from service.api.parameters import Caller, Cursor, Limit, Ops, instant, utc
from service.domain.permissions import Permission
from service.operations.audit_reading import AuditFilter, AuditPage, AuditView, ChainState

Instant = Annotated[
    str | None,
    QueryParameter(max_length=40, description="RFC 3339, e.g. `2026-11-30T06:00:00Z`"),
]
Word = Annotated[str | None, QueryParameter(max_length=200)]
Verdict = Annotated[Literal["ALLOW", "DENY"] | None, QueryParameter()]


class AuditEntryOut(Struct, frozen=True):
    """A decision on something that changes, or a denial, or what came of one on the device."""

    id: str
    """Of a decision the decision's id."""
    at: datetime | None
    kind: str
    """`decision`, or `outcome` of one."""
    who: str
    """A pseudonym, dead once the person's key is erased; or a device that enrols."""
    principal: str | None
    """Who it was; `null`: nobody can tell any more."""
    action: str | None
    resource: str | None
    decision: str | None
    reason: str | None
    policies: list[str]
    decided_by: str | None
    request_id: str | None
    source_ip: str | None
    emergency_reason: str | None
    subject: str | None
    about: dict[str, str]
    """Ids of what came of it: `command`, `download`, `wish`, or, of an outcome, of its `decision`;
    the pseudonym of a `person`."""
    change: Any
    """`before` and `after`, if the action says them."""
    claims: Any
    """Of the token, as policies saw them."""
    asked: Any
    """Context and entities, as policies saw them."""
    outcome: Any
    """Of a command `state`, `told_by` and `final`; of a download `devices`, each with its `state`,
    `at` (milliseconds since the epoch) and `told_by`."""
    digest: str
    """SHA-256 of the entry as the chain and exports have it."""

    @classmethod
    def of(cls, view: AuditView) -> "AuditEntryOut":
        """An entry for the answer."""
        said, opened = view.said, view.opened or {}
        return cls(
            id=said["id"],
            at=utc(said["at"]),
            kind=said["kind"],
            who=said["who"],
            principal=opened.get("principal"),
            action=said.get("action"),
            resource=said.get("resource"),
            decision=said.get("decision"),
            reason=said.get("reason"),
            policies=said.get("policies", []),
            decided_by=said.get("decided_by"),
            request_id=said.get("request_id"),
            source_ip=opened.get("source_ip", said.get("source_ip")),
            emergency_reason=opened.get("reason"),
            subject=said.get("subject"),
            about=said.get("about", {}),
            change=said.get("change"),
            claims=opened.get("claims"),
            asked=view.asked,
            outcome=said.get("outcome"),
            digest=view.digest,
        )


class AuditPageOut(Struct, frozen=True):
    """Entries, the newest first; ``cursor`` asks for the next page, which may have none."""

    entries: list[AuditEntryOut]
    cursor: str | None

    @classmethod
    def of(cls, page: AuditPage) -> "AuditPageOut":
        """A page for the answer."""
        return cls(entries=[AuditEntryOut.of(view) for view in page.views], cursor=page.cursor)


class SignedLinkOut(Struct, frozen=True):
    """A signature over a link, and so over all before it."""

    number: int
    hash: str
    at: datetime | None
    key: str
    """SHA-256 of the public key: note it, and give it to `verify-audit`."""


class AuditChainOut(Struct, frozen=True):
    """How the chain stands."""

    links: int
    head: str | None
    """Hash of the last link: whoever notes it can show later that it is still there."""
    entries: int
    signed: SignedLinkOut | None
    open_entries: int
    """Entries that no link has taken up yet."""

    @classmethod
    def of(cls, state: ChainState) -> "AuditChainOut":
        """The state for the answer."""
        head, signed = state.head, state.checkpoint
        return cls(
            links=head.number if head else 0,
            head=head.hash if head else None,
            entries=head.total if head else 0,
            signed=(
                SignedLinkOut(
                    number=signed.number,
                    hash=signed.link,
                    at=utc(signed.at),
                    key=signed.fingerprint,
                )
                if signed
                else None
            ),
            open_entries=state.open,
        )


@get("/audit", opt=needs(Permission.VIEW_AUDIT))
async def read_audit(
    access: Caller,
    operations: Ops,
    *,
    since: Instant = None,
    until: Instant = None,
    who: Word = None,
    action: Word = None,
    device: Word = None,
    decision: Verdict = None,
    command: Word = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> AuditPageOut:
    """Who did what by which policy, the newest first; of the last 7 days if no `since` is given.

    `who` is a pseudonym or the person's `sub`; `command` the id of a command or download.
    """
    wanted = AuditFilter(
        since=instant("since", since),
        until=instant("until", until),
        who=who,
        action=action,
        device=device,
        decision=decision,
        command=command,
    )
    page = await operations.audit.page(access, wanted, limit=limit, cursor=cursor)
    return AuditPageOut.of(page)


@get("/audit/chain", opt=needs(Permission.VIEW_AUDIT))
async def read_audit_chain(access: Caller, operations: Ops) -> AuditChainOut:
    """How the chain of the trail stands, and up to where it is signed."""
    return AuditChainOut.of(await operations.audit.state(access))


@get(
    "/audit/export",
    opt=needs(Permission.VIEW_AUDIT),
    media_type="application/x-ndjson",
)
async def export_audit(
    access: Caller,
    operations: Ops,
    *,
    first: Annotated[int, QueryParameter(ge=1, description="number of the first link")] = 1,
) -> Stream:
    """The trail with its chain, in JSON Lines; `python -m service verify-audit` checks it.

    People stand in it under pseudonyms. An export that was cut off lacks its last line, `end`; its
    `next` is the link that the next export begins with, or `null`.
    """
    lines = await operations.audit.begin_export(access, first=first)
    return Stream(lines, media_type="application/x-ndjson")
