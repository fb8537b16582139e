"""Who calls: the one route that tells callers about themselves and asks no policy."""

from datetime import UTC, datetime

from litestar import get
from msgspec import Struct

from service.api.guard import signed_in
from service.api.parameters import Caller


class Me(Struct, frozen=True):
    """Who calls."""

    tenant: str
    principal: str
    token_use: str
    groups: list[str]
    email: str | None
    expires_at: datetime
    commands: list[str]


@get("/me", opt=signed_in(), sync_to_thread=False)
def read_me(access: Caller) -> Me:
    """Who calls: the tenant, the principal, its groups, and the tenant's command names."""
    principal = access.principal
    return Me(
        tenant=principal.tenant.id,
        principal=principal.entity_id,
        token_use=principal.token_use,
        groups=list(principal.groups),
        email=principal.email,
        expires_at=datetime.fromtimestamp(principal.expires_at, UTC),
        commands=sorted(principal.tenant.commands),
    )
