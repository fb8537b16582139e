"""Twins of the files in the commands table and of their objects."""

from __future__ import annotations

import base64
import hashlib
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from service.adapters.memory.idempotency import MemoryOnce
from service.domain.files import (
    FilePage,
    FileState,
    FileVersion,
    SignedPart,
    StoredObject,
)
from service.errors import ConflictError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.domain.files import UploadPart
    from service.domain.idempotency import IdempotencyKey
    from service.domain.tenants import Tenant


@dataclass(kw_only=True)
class MemoryFileRecords:
    """Versions of files."""

    once: MemoryOnce[FileVersion] = field(default_factory=MemoryOnce[FileVersion])

    async def create(
        self, tenant: Tenant, record: FileVersion, key: IdempotencyKey | None
    ) -> FileVersion:
        return self.once.create(tenant.id, record.file_id, record, key)

    async def settle(self, tenant: Tenant, record: FileVersion) -> None:
        known = self.once.records.get((tenant.id, record.file_id))
        if known is None or known.revision != record.revision:
            raise ConflictError(f"file `{record.file_id}` was changed meanwhile")
        self.once.settle(tenant.id, record.file_id, replace(record, revision=record.revision + 1))

    async def read(self, tenant: Tenant, file_id: str) -> FileVersion | None:
        return self.once.records.get((tenant.id, file_id))

    async def page(
        self, tenant: Tenant, *, prefix: str, limit: int, cursor: str | None
    ) -> FilePage:
        named = [
            file
            for file in self._sorted(tenant)
            if file.name.startswith(prefix) and (cursor is None or _place(file) > cursor)
        ]
        shown = tuple(named[:limit])
        return FilePage(files=shown, cursor=_place(shown[-1]) if len(named) > limit else None)

    async def newest(self, tenant: Tenant, name: str) -> FileVersion | None:
        versions = [file for file in self._sorted(tenant) if file.name == name]
        available = [file for file in versions if file.state is FileState.AVAILABLE]
        return next(reversed(available or versions), None)

    def _sorted(self, tenant: Tenant) -> list[FileVersion]:
        known = self.once.records.items()
        return sorted((one for (owner, _), one in known if owner == tenant.id), key=_place)


@dataclass(kw_only=True)
class MemoryFileObjects:
    """Uploads by their ids and objects by their keys; ``send`` is what a signed URL does.

    Attributes:
        uploads: parts by the upload's id, by their numbers.
        objects: contents by tenant and key.
        discarded: keys that were deleted.
    """

    uploads: dict[str, dict[int, bytes]] = field(default_factory=dict[str, dict[int, bytes]])
    objects: dict[tuple[str, str], bytes] = field(default_factory=dict[tuple[str, str], bytes])
    discarded: list[str] = field(default_factory=list[str])
    begun: int = 0

    async def begin(self, tenant: Tenant, file_id: str) -> str:
        self.begun += 1
        upload = f"upload-{self.begun}-of-{file_id}"
        self.uploads[upload] = {}
        return upload

    async def sign(
        self, tenant: Tenant, file: FileVersion, parts: Sequence[UploadPart], *, seconds: int
    ) -> tuple[SignedPart, ...]:
        return tuple(
            SignedPart(
                number=part.number,
                until=time.time() + seconds,
                url=f"https://{tenant.bucket}.test/{file.key}?partNumber={part.number}",
                headers=(
                    (
                        "x-amz-checksum-sha256",
                        base64.b64encode(bytes.fromhex(part.sha256)).decode(),
                    ),
                ),
            )
            for part in parts
        )

    async def sizes(self, tenant: Tenant, file: FileVersion) -> dict[int, int]:
        parts = self.uploads.get(file.upload, {})
        return {number: len(content) for number, content in parts.items()}

    async def assemble(self, tenant: Tenant, file: FileVersion) -> StoredObject | None:
        parts = self.uploads.pop(file.upload, None)
        if parts is not None:
            self.objects[tenant.id, file.key] = b"".join(parts[one] for one in sorted(parts))
        content = self.objects.get((tenant.id, file.key))
        if content is None:
            return None
        etag = f'"{hashlib.sha256(content).hexdigest()[:32]}-{file.parts}"'
        return StoredObject(version=f"v-{file.file_id}", etag=etag, size=len(content))

    async def piece(self, tenant: Tenant, file: FileVersion, *, first: int, last: int) -> bytes:
        return self.objects[tenant.id, file.key][first : last + 1]

    async def discard(self, tenant: Tenant, file: FileVersion) -> None:
        self.uploads.pop(file.upload, None)
        self.discarded.append(file.key)

    def send(self, file: FileVersion, number: int, content: bytes) -> None:
        """A part comes, as by a signed URL."""
        self.uploads[file.upload][number] = content


def _place(file: FileVersion) -> str:
    return f"{file.name}#{file.file_id}"
