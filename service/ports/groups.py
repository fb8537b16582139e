"""Groups that were made at run time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

    from service.domain.group_records import GroupRecord
    from service.domain.tenants import Tenant


class GroupRecords(Protocol):
    """Groups as recorded, deleted ones too; reads are of this moment."""

    async def named(self, tenant: Tenant, groups: Iterable[str]) -> tuple[GroupRecord, ...]:
        """Those of these groups that were made at run time."""
        ...

    async def following(
        self, tenant: Tenant, *, after: str | None, limit: int | None
    ) -> tuple[GroupRecord, ...]:
        """Groups in the order of their ids.

        Args:
            tenant: whose groups.
            after: the id behind which they begin; ``None``: from the first.
            limit: at most so many, deleted ones not counted; ``None``: all.
        """
        ...

    async def put(self, tenant: Tenant, record: GroupRecord) -> GroupRecord | None:
        """Store a group that is new or was found; ``None``: somebody else did meanwhile.

        Args:
            tenant: whose it is.
            record: as it shall be, with the version with which it was found, 0 of a new one.

        Returns:
            It with its version.
        """
        ...
