"""Looks up commands that a request names and the tenant's file does not: those made at run time."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from cedarfleet_device import wire

if TYPE_CHECKING:
    from collections.abc import Iterable

    from service.domain.command_types import CommandTypeRecord
    from service.domain.tenants import Tenant
    from service.ports.command_types import CommandTypeRecords


async def knowing_commands(
    records: CommandTypeRecords, tenant: Tenant, names: Iterable[str | None]
) -> Tenant:
    """The tenant, with those of these commands that were made at run time.

    Nothing is asked if its file declares them all. One that is unknown stays so: whoever checks
    them says it.
    """
    unknown = {name for name in names if name is not None and name not in tenant.commands}
    asked = sorted(filter(wire.is_command_name, unknown))
    return _with_made(tenant, await records.named(tenant, asked)) if asked else tenant


def _with_made(tenant: Tenant, records: tuple[CommandTypeRecord, ...]) -> Tenant:
    """The tenant with commands that were made at run time beside those of its file."""
    made = {one.name: one for one in records if not one.ended}
    return replace(
        tenant,
        commands={**{name: one.action for name, one in made.items()}, **tenant.commands},
        command_rules={
            **{name: one.rules for name, one in made.items() if name not in tenant.commands},
            **tenant.command_rules,
        },
    )
