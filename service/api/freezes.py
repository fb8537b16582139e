"""Freezes: nobody changes the devices of a group until it is thawed."""

from datetime import UTC, datetime
from typing import Annotated

from litestar import delete, get, put
from litestar.params import FromPath, JSONBody
from msgspec import Meta, Struct

from service.api.guard import needs
from service.api.parameters import Caller, Ops
from service.domain.freezes import MAX_REASON, Freeze
from service.domain.permissions import Permission


class FreezeBody(Struct, forbid_unknown_fields=True, frozen=True):
    """Why, for whoever meets the freeze, and whoever thaws it."""

    reason: Annotated[str, Meta(min_length=1, max_length=MAX_REASON)]


class FreezeOut(Struct, frozen=True):
    """A freeze; ``policy`` is its id where a refusal names the policies that decided."""

    group: str
    state: str
    reason: str
    by: str
    at: datetime
    policy: str | None

    @classmethod
    def of(cls, freeze: Freeze) -> "FreezeOut":
        """A freeze for the answer."""
        return cls(
            group=freeze.group,
            state=freeze.state,
            reason=freeze.reason,
            by=freeze.by,
            at=datetime.fromtimestamp(freeze.at / 1000, UTC),
            policy=freeze.policy_id or None,
        )


@put("/groups/{group:str}/freeze", opt=needs(Permission.FREEZE_GROUP))
async def freeze_group(
    access: Caller, operations: Ops, group: FromPath[str], data: JSONBody[FreezeBody]
) -> FreezeOut:
    """Let nobody change the devices of a group, and of the groups in it, until it is thawed.

    Reading goes on, and what stops, cancels or takes back. Who is refused is told the policy. Once
    frozen it stays as it is; may be repeated. A group `all` is the whole fleet.
    """
    return FreezeOut.of(await operations.freezes.freeze(access, group, reason=data.reason))


@get("/groups/{group:str}/freeze", opt=needs(Permission.LIST_DEVICES))
async def read_freeze(access: Caller, operations: Ops, group: FromPath[str]) -> FreezeOut:
    """The freeze of a group, if it is frozen by itself."""
    return FreezeOut.of(await operations.freezes.read(access, group))


@delete("/groups/{group:str}/freeze", opt=needs(Permission.FREEZE_GROUP), status_code=200)
async def thaw_group(access: Caller, operations: Ops, group: FromPath[str]) -> FreezeOut:
    """Thaw a group; the answer is what its freeze was."""
    return FreezeOut.of(await operations.freezes.thaw(access, group))
