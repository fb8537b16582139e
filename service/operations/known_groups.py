"""Looks up groups that a request names and the tenant's file does not: those made at run time."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from service.cedar.entities import ROOT_GROUP
from service.domain.group_records import tree_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from service.domain.tenants import Tenant
    from service.ports.groups import GroupRecords


async def knowing(records: GroupRecords, tenant: Tenant, groups: Iterable[str | None]) -> Tenant:
    """The tenant, with those of these groups that were made at run time, and all above them.

    Nothing is asked if its file declares them all. One that is unknown stays so: whoever checks
    them says it.
    """
    unknown = {group for group in groups if group not in (None, ROOT_GROUP)} - tenant.groups.keys()
    if not unknown:
        return tenant
    made = tree_of(tenant, await records.named(tenant, sorted(filter(None, unknown))))
    return replace(tenant, groups={**made, **tenant.groups})
