"""Ask the user pool again who somebody is that began something which is done without them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.operations.people import READS

if TYPE_CHECKING:
    from service.domain.people import Person
    from service.domain.tenants import Tenant
    from service.operations.budgets import Pace
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
