"""Which devices something is for, as a request says it: a group, a filter, or names."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Self

from service.domain.device_filter import DeviceFilter

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which devices, of the moment when it is looked at; exactly one says something.

    Attributes:
        group: each device of it.
        wanted: each device that the caller's list shows under this filter.
        devices: these.
    """

    group: str | None = None
    wanted: DeviceFilter | None = None
    devices: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """As it is stored; of devices that are named the rows tell that are made of them."""
        if self.group is not None:
            return {"group": self.group}
        return {"filter": asdict(self.wanted)} if self.wanted is not None else {}

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """Of what was stored."""
        found = document.get("filter")
        # What a later release asks for beside it was heeded when the devices were found.
        known = {one.name for one in fields(DeviceFilter)}
        wanted = {name: value for name, value in found.items() if name in known} if found else None
        return cls(group=document.get("group"), wanted=DeviceFilter(**wanted) if wanted else None)
