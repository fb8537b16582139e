"""A version whose parts are gone, or that changed while the worker read it."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import pytest

from service.adapters.memory.materials import MemoryBillsOfMaterials
from service.adapters.memory.user_pool import MemoryUserPool
from service.domain.files import FileState, FileVersion, Package, StoredObject
from service.domain.materials import MOST_BYTES
from service.domain.work import Work, WorkKind
from service.errors import ConflictError
from service.operations.file_verification import FileVerification

if TYPE_CHECKING:
    from service.domain.tenants import Tenant
    from service.ports.files import FileObjects, FileRecords

CONTENT: Final = b"steel"
FILE: Final = FileVersion(
    file_id="f",
    tenant="acme",
    name="recipes/steel.json",
    size=len(CONTENT),
    sha256=hashlib.sha256(CONTENT).hexdigest(),
    part_size=8 * 1024 * 1024,
    upload="u",
    created_by="boss",
    created_at=1,
    changed_at=1,
    state=FileState.VERIFYING,
)


@dataclass
class Bucket:
    """One version's row and object.

    Attributes:
        stands: the row, now.
        meanwhile: what the row has become once the worker has read the object; "": nothing.
        gone: whether S3 has lost the parts.
        content: of the object.
    """

    stands: FileVersion | None = FILE
    meanwhile: FileState | str = ""
    gone: bool = False
    content: bytes = CONTENT
    settled: list[FileVersion] = field(default_factory=list[FileVersion])
    discarded: list[FileVersion] = field(default_factory=list[FileVersion])

    async def read(self, tenant: Tenant, file_id: str) -> FileVersion | None:  # noqa: ARG002
        """The row."""
        return self.stands

    async def settle(self, tenant: Tenant, file: FileVersion) -> None:  # noqa: ARG002
        """Store it, unless the row has changed.

        Raises:
            ConflictError: it has.
        """
        if self.meanwhile == "deleted":
            self.stands = None
        elif isinstance(self.meanwhile, FileState):
            self.stands = replace(FILE, state=self.meanwhile)
        if self.meanwhile:
            raise ConflictError("it was changed meanwhile")
        self.settled.append(file)

    async def assemble(
        self,
        tenant: Tenant,  # noqa: ARG002
        file: FileVersion,
    ) -> StoredObject | None:
        """The object."""
        return None if self.gone else StoredObject(version="v", etag='"e"', size=file.size)

    async def piece(self, *_: object, first: int, last: int) -> bytes:
        """Its bytes."""
        return self.content[first : last + 1]

    async def discard(self, tenant: Tenant, file: FileVersion) -> None:  # noqa: ARG002
        """Note it."""
        self.discarded.append(file)


def verified(bucket: Bucket) -> MemoryBillsOfMaterials:
    """The bills that are known once the worker has handled the version's message."""
    records: FileRecords = bucket  # pyright: ignore[reportAssignmentType] - what it calls of them
    objects: FileObjects = bucket  # pyright: ignore[reportAssignmentType] - likewise
    now = datetime(2026, 1, 1, tzinfo=UTC)
    bills = MemoryBillsOfMaterials()
    verification = FileVerification(
        records=records, objects=objects, bills=bills, clock=lambda: now
    )
    tenant = MemoryUserPool("acme").tenant
    work = Work(
        kind=WorkKind.VERIFY_FILE, issuer=tenant.issuer, tenant=tenant.id, about={"file": "f"}
    )
    asyncio.run(verification.handle(tenant, work))
    return bills


def holding(content: bytes, **package: str) -> Bucket:
    """A version with this content, and what its uploader says of its package."""
    sha256 = hashlib.sha256(content).hexdigest()
    file = replace(FILE, size=len(content), sha256=sha256, package=Package(**package))
    return Bucket(stands=file, content=content)


def test_parts_that_are_gone_are_said() -> None:
    """The version is refused with what to do, and its upload ended; it does not wait for ever."""
    bucket = Bucket(gone=True)
    verified(bucket)
    [ended] = bucket.settled
    assert (ended.state, ended.problem) == (
        FileState.REFUSED,
        "its parts are gone: upload it again",
    )
    assert bucket.discarded == [ended]


@pytest.mark.parametrize(
    ("meanwhile", "discards"),
    [(FileState.RETIRED, True), (FileState.AVAILABLE, False), ("deleted", False)],
)
def test_a_version_that_changed_meanwhile_stays_so(
    meanwhile: FileState | str, discards: bool
) -> None:
    """Of one that was retired the bytes go; what another task made available keeps them."""
    bucket = Bucket(meanwhile=meanwhile)
    verified(bucket)
    assert bucket.settled == []
    assert [file.version for file in bucket.discarded] == ["v"] * discards


@pytest.mark.parametrize(
    ("package", "links"),
    [
        ({"name": "press", "version": "2", "sbom_url": "/v1/files/b"}, {("acme", "press", "2")}),
        ({"name": "press", "version": "2", "sbom_url": "https://example.com/b"}, set()),
        ({"name": "press", "version": "2"}, set()),
        ({"name": "press", "sbom_url": "/v1/files/b"}, set()),
        ({"version": "2", "sbom_url": "/v1/files/b"}, set()),
    ],
)
def test_a_bill_of_ours_is_known_by_its_package(
    package: dict[str, str], links: set[tuple[str, str, str]]
) -> None:
    """Package and version, both; one that stands elsewhere is fetched by nobody."""
    bills = verified(holding(CONTENT, **package))
    assert bills.links == {link: {"b"} for link in links}
    assert bills.bills == {}, "what is no JSON is no bill"


@pytest.mark.parametrize(("beyond", "known"), [(0, True), (1, False)])
def test_a_bill_is_read_to_the_largest_size(beyond: int, *, known: bool) -> None:
    """One byte more, and nothing is known of it: the version is available all the same."""
    text = b'{"bomFormat": "CycloneDX", "components": [{"name": "zlib"}]}'
    bucket = holding(text.ljust(MOST_BYTES + beyond))
    bills = verified(bucket)
    assert [one.state for one in bucket.settled] == [FileState.AVAILABLE]
    found = [[one.name for one in bill.components] for bill, _ in bills.bills.values()]
    assert found == [["zlib"]] * known
