"""Files that a tenant uploads: what is written down of them, and their objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from service.domain.files import FileVersion
from service.ports.idempotency import OnceRecords

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.domain.files import FilePage, SignedPart, StoredObject, UploadPart
    from service.domain.tenants import Tenant


class FileRecords(OnceRecords[FileVersion], Protocol):
    """Versions of files as recorded; reads are of this moment.

    ``settle`` stores a version that was found with a new state, and raises ``ConflictError`` if
    somebody else changed it meanwhile.
    """

    async def read(self, tenant: Tenant, file_id: str) -> FileVersion | None:
        """A version, or ``None``."""
        ...

    async def page(
        self, tenant: Tenant, *, prefix: str, limit: int, cursor: str | None
    ) -> FilePage:
        """Versions of the names that begin so.

        Raises:
            InvalidRequestError: the cursor is not one of ours.
        """
        ...

    async def newest(self, tenant: Tenant, name: str) -> FileVersion | None:
        """The newest version that is available, else the newest; ``None``: the name has none."""
        ...


class FileObjects(Protocol):
    """The objects: each is uploaded in parts, put together once, and never written over."""

    async def begin(self, tenant: Tenant, file_id: str) -> str:
        """Begin an upload; its id."""
        ...

    async def sign(
        self, tenant: Tenant, file: FileVersion, parts: Sequence[UploadPart], *, seconds: int
    ) -> tuple[SignedPart, ...]:
        """URLs by which exactly these parts can be sent, for so long."""
        ...

    async def sizes(self, tenant: Tenant, file: FileVersion) -> dict[int, int]:
        """Bytes of each part that has come, by its number; empty if there is no such upload."""
        ...

    async def assemble(self, tenant: Tenant, file: FileVersion) -> StoredObject | None:
        """Put the parts together, or find that it was done; ``None``: there is nothing of it."""
        ...

    async def piece(self, tenant: Tenant, file: FileVersion, *, first: int, last: int) -> bytes:
        """Bytes ``first`` to ``last`` of the object's one version, both included."""
        ...

    async def discard(self, tenant: Tenant, file: FileVersion) -> None:
        """Drop an unfinished upload; an object is kept for deliveries that wait, and then deleted.

        Again is fine.
        """
        ...
