"""Who calls: the one route that tells callers about themselves and asks no policy."""

from datetime import UTC, datetime

import structlog
from litestar import get
from msgspec import Struct

from service.api.guard import signed_in
from service.api.parameters import Caller, Ops
from service.errors import UpstreamError

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


class Me(Struct, frozen=True):
    """Who calls."""

    tenant: str
    principal: str
    token_use: str
    groups: list[str]
    email: str | None
    expires_at: datetime
    commands: list[str]
    grant_templates: list[str]
    """What `POST /v1/grants` can give."""
    may: list[str] | None
    """The actions that are asked of the tenant itself, and that the policies allow; `null`: nobody
    can say at the moment."""
    tier: str | None
    """The tenant's terms; `null`: it has none of a name."""
    not_in_tier: list[str]
    """The features of which nothing new can be begun, whoever asks; what stands of them goes on."""


@get("/me", opt=signed_in())
async def read_me(access: Caller, operations: Ops) -> Me:
    """Who calls: the tenant, the principal, its groups, and what it may do on the tenant.

    What it may do to a device, `POST /v1/permissions/check` says. The tenant's tier is told to
    everybody who is signed in: a refusal for want of it is made before any policy is asked, and
    names it too. What the tier bounds, and what was used of it, is not told here.
    """
    principal = access.principal
    return Me(
        tenant=principal.tenant.id,
        principal=principal.entity_id,
        token_use=principal.token_use,
        groups=list(principal.groups),
        email=principal.email,
        expires_at=datetime.fromtimestamp(principal.expires_at, UTC),
        commands=sorted(principal.tenant.commands),
        grant_templates=sorted(principal.tenant.templates),
        may=await _may(access, operations),
        tier=principal.tenant.tier,
        not_in_tier=sorted(principal.tenant.lacking),
    )


async def _may(access: Caller, operations: Ops) -> list[str] | None:
    try:
        return [*await operations.permissions.of_the_tenant(access)]
    except UpstreamError:
        # Who calls is known without it, and nothing is granted by it.
        log.warning("me.permissions_unknown")
        return None
