"""Health of one process, for the load balancer."""

from typing import TYPE_CHECKING, Final

from litestar import get
from litestar.datastructures import State

if TYPE_CHECKING:
    from service.operations.operations import Operations

PUBLIC: Final = {"access": "public"}


@get("/health/live", opt=PUBLIC, sync_to_thread=False, include_in_schema=False)
def live() -> dict[str, str]:
    """Whether the process answers at all."""
    return {"status": "live"}


@get("/health/ready", opt=PUBLIC, include_in_schema=False)
async def ready(state: State) -> dict[str, str]:
    """Whether requests can be served: the registry answers."""
    operations: Operations = state.operations
    await operations.check_ready()
    return {"status": "ready"}
