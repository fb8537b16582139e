"""Ask again who somebody is that began something which is done without them.

A person is asked for in the user pool, a machine that the API made in its row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.cedar.request import TokenBearer
from service.domain.machines import MachineState
from service.operations.people import READS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.domain.people import Person
    from service.domain.tenants import Tenant
    from service.operations.budgets import Pace
    from service.ports.machines import MachineRecords
    from service.ports.people import People


class RequesterGoneError(Exception):
    """Whoever began it may do nothing any more; the words say why."""


async def requester_now(
    people: People, pace: Pace, tenant: Tenant, *, name: str, entity_id: str
) -> Person:
    """The person as the pool shows them now, with the groups of now.

    Args:
        people: of the pool.
        pace: that the questions of all tasks keep.
        tenant: whose person it is.
        name: in the user pool, when it was begun.
        entity_id: of the principal who began it.

    Raises:
        RequesterGoneError: they are not there any more, or disabled.
        UnavailableError: the pool does not answer.
    """
    await pace.wait(READS)
    person = await people.find(tenant, name)
    # Fail closed: another person of the same name is somebody else.
    if person is None or f"{tenant.pool_id}|{person.subject}" != entity_id:
        raise RequesterGoneError("who asked for it is not in the user pool any more")
    if not person.enabled:
        raise RequesterGoneError("who asked for it is disabled")
    return person


async def machine_now(
    machines: MachineRecords,
    tenant: Tenant,
    *,
    machine_id: str,
    entity_id: str,
    scopes: Sequence[str],
) -> TokenBearer:
    """The machine as a token would tell that had no scope which it has not now.

    Args:
        machines: made at run time.
        tenant: whose machine it is.
        machine_id: when it was begun.
        entity_id: of the principal who began it.
        scopes: of the token with which it was begun, as ``fleet/view``.

    Raises:
        RequesterGoneError: it is not there any more, is revoked or being revoked, another one has
            its name, or none of the scopes is left.
        UpstreamError: its row cannot be read.
    """
    machine = await machines.find(tenant, machine_id)
    client_id = machine.client_id if machine else None
    # Fail closed: a machine that was made anew under this name is somebody else.
    if machine is None or client_id is None or f"{tenant.pool_id}|{client_id}" != entity_id:
        raise RequesterGoneError("the machine that asked for it is no more")
    # Fail closed: a state of a later release too.
    if machine.state is not MachineState.ACTIVE:
        raise RequesterGoneError(f"the machine that asked for it is {machine.state}")
    left = tuple(scope for scope in scopes if scope in machine.token_scopes)
    # Fail closed: no token has no scope, so nobody knows what the store would make of one.
    if not left:
        raise RequesterGoneError("the machine that asked for it has none of its token's scopes now")
    return TokenBearer(subject=client_id, scopes=left)
