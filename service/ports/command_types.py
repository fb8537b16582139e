"""Commands that a tenant declared at run time, beside those of its file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

    from service.domain.command_types import CommandTypeRecord
    from service.domain.tenants import Tenant


class CommandTypeRecords(Protocol):
    """As of this moment: what was changed before is seen. Ended ones are among them."""

    async def named(self, tenant: Tenant, names: Iterable[str]) -> tuple[CommandTypeRecord, ...]:
        """Those of these names that were ever declared."""
        ...

    async def every(self, tenant: Tenant) -> tuple[CommandTypeRecord, ...]:
        """All that were ever declared, in the order of their names."""
        ...

    async def put(self, tenant: Tenant, record: CommandTypeRecord) -> CommandTypeRecord | None:
        """Store a record in place of its version; of version 0 only where there is none.

        Returns:
            The record with its new version, or ``None``: somebody else changed it meanwhile.
        """
        ...
