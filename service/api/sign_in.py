"""Where a tenant's people sign in, for programs that begin with no token: the command line's.

It tells what each sign-in page's address tells whoever looks at it: that page, and the app clients
of people, which are public and have no secret (``docs/adr/0051-agents-ask-as-agents.md``).
"""

from typing import TYPE_CHECKING, Any, Final

from cedarfleet_device import wire
from litestar import Request, get
from litestar.datastructures import State
from litestar.params import FromPath
from msgspec import Struct

from service.api.health import PUBLIC
from service.errors import NotFoundError

if TYPE_CHECKING:
    from service.api.console import ConsoleOrigins
    from service.operations.operations import Operations


class SignInOut(Struct, frozen=True):
    """A tenant's sign-in page, and the app client of each program; ``null``: it has none yet."""

    tenant: str
    sign_in: str
    command_line: str | None
    agent: str | None
    console: str | None


@get("/sign-in/{tenant:str}", opt=PUBLIC, include_in_schema=False)
async def sign_in(request: Request[Any, Any, State], tenant: FromPath[str]) -> SignInOut:
    """Where to sign in, and as which app client; whoever asks needs no token.

    Raises:
        NotFoundError: there is no such tenant.
    """
    operations: Operations = request.app.state.operations
    origins: ConsoleOrigins = request.app.state.console
    # Fail closed: what is no tenant's id is not looked for.
    found = await operations.tenant_named(tenant) if wire.is_tenant_id(tenant) else None
    if found is None:
        raise NotFoundError("tenant", tenant)
    return SignInOut(
        tenant=found.id,
        sign_in=origins.sign_in(found),
        command_line=found.cli_client_id,
        agent=found.agent_client_id,
        console=found.console_client_id,
    )


ROUTES: Final = (sign_in,)
