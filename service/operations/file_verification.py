"""The worker's part of an upload: put the parts together, read the whole, and compare its digest.

S3 itself vouches for each part and not for the whole: "Full object checksums in multipart uploads
are only available for CRC-based checksums because they can linearize into a full object checksum"
(S3 user guide, "Checking object integrity for data uploads"); of SHA-256 it has the composite only.
"""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import structlog

from service.domain.files import OWN_FILES, FileState
from service.domain.instants import milliseconds
from service.domain.materials import MOST_BYTES, Materials, read_components
from service.domain.wanted_versions import package_of
from service.errors import ConflictError

if TYPE_CHECKING:
    from service.domain.files import FileVersion
    from service.domain.instants import Clock
    from service.domain.tenants import Tenant
    from service.domain.work import Work
    from service.ports.files import FileObjects, FileRecords
    from service.ports.materials import BillsOfMaterials

_PIECE: Final = 8 * 1024 * 1024  # bytes that are read by one call
_MOST_IN_LOOP: Final = 64 * 1024  # bytes whose digest takes less than going to a thread
log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class FileVerification:
    """Handles the messages about uploads; done twice is as good as once."""

    records: FileRecords
    objects: FileObjects
    bills: BillsOfMaterials
    clock: Clock
    room: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))

    async def handle(self, tenant: Tenant, work: Work) -> None:
        """Verify one version, and make it available, or refuse it with the reason.

        Raises:
            UpstreamError: S3 or the table did not answer: the message comes again.
        """
        file = await self.records.read(tenant, work.about["file"])
        if file is None or file.state is not FileState.VERIFYING:
            return
        stored = await self.objects.assemble(tenant, file)
        if stored is None:
            await self._end(tenant, file, problem="its parts are gone: upload it again")
            return
        content = b""
        file = replace(file, version=stored.version, etag=stored.etag)
        if stored.size != file.size:
            problem = f"it has {stored.size} bytes, and was to have {file.size}"
        else:
            found, content = await self._digest(tenant, file)
            # Fail closed: only a digest that was found in what is delivered makes it deliverable.
            problem = "" if found == file.sha256 else f"its SHA-256 is {found}"
        if not problem:
            # Before it is available: then what it names can be asked for, and whose bill it is.
            await self._note_materials(tenant, file, content)
        await self._end(tenant, file, problem=problem)

    async def _end(self, tenant: Tenant, file: FileVersion, *, problem: str) -> None:
        state = FileState.REFUSED if problem else FileState.AVAILABLE
        now = milliseconds(self.clock())
        ended = replace(file, state=state, problem=problem, changed_at=now)
        try:
            await self.records.settle(tenant, ended)
        except ConflictError:
            # Another task was quicker, or it was retired meanwhile: that counts.
            log.info("file.changed_meanwhile", file=file.file_id)
            stands = await self.records.read(tenant, file.file_id)
            if stands is not None and stands.state is FileState.RETIRED:
                await self.objects.discard(tenant, ended)
            return
        log.info("file.verified", file=file.file_id, state=state)
        if problem:
            await self.objects.discard(tenant, ended)

    async def _note_materials(self, tenant: Tenant, file: FileVersion, content: bytes) -> None:
        """Keep what a bill of materials names, and whose bill of ours it is."""
        package, version = package_of(file)
        if package and version and file.package.sbom_url.startswith(OWN_FILES):
            bill = file.package.sbom_url.removeprefix(OWN_FILES)
            await self.bills.link(tenant, package=package, version=version, file_id=bill)
        if content.lstrip()[:1] != b"{":
            return
        async with self.room:  # what is read takes many times the memory of its text
            read = await asyncio.to_thread(read_components, content)
        if read is None:
            return
        components, is_whole = read
        materials = Materials(
            file_id=file.file_id,
            name=file.name,
            size=file.size,
            sha256=file.sha256,
            components=components,
            is_whole=is_whole,
        )
        await self.bills.store(tenant, materials.fitting())
        log.info("file.materials_read", file=file.file_id, components=len(components))

    async def _digest(self, tenant: Tenant, file: FileVersion) -> tuple[str, bytes]:
        """The digest of the whole, and the whole itself if that is short; else nothing of it."""
        whole, content = hashlib.sha256(), b""
        for first in range(0, file.size, _PIECE):
            last = min(first + _PIECE, file.size) - 1
            piece = await self.objects.piece(tenant, file, first=first, last=last)
            if len(piece) <= _MOST_IN_LOOP:
                whole.update(piece)
            else:
                await asyncio.to_thread(whole.update, piece)
            if file.size <= MOST_BYTES:
                content = piece
        return whole.hexdigest(), content
