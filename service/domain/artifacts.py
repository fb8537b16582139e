"""A file of the tenant's bucket: its name, and what delivering it asks for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from service.cedar.entities import artifact_entity
from service.domain.permissions import Permission

if TYPE_CHECKING:
    from cedarfleet_device.wire import Signed

    from service.cedar.entities import Entity

_ARTIFACT: Final = re.compile(
    r"(?!.*(?:^|/)\.{1,2}(?:/|$))[A-Za-z0-9_.][A-Za-z0-9_.=@+-]*(?:/[A-Za-z0-9_.=@+-]+)*"
)
_MAX_ARTIFACT: Final = 512  # characters; S3 allows 1,024 bytes, a device's path less
_FIRMWARE: Final = "firmware/"
OWN_PREFIX: Final = ".files/"
"""Of the keys of uploaded versions (`domain.files`)."""
_NO_FILES: Final = (OWN_PREFIX, ".logs/", ".telemetry/")
"""What begins so is nobody's file: uploaded versions, and what devices wrote."""


def is_artifact_name(text: str) -> bool:
    """Whether ``text`` may name a file: plain segments between single slashes, no ``.``, ``..``."""
    return (
        len(text) <= _MAX_ARTIFACT
        and _ARTIFACT.fullmatch(text) is not None
        # Fail closed: as a file of the bucket it would go round whether it is deliverable.
        and not text.startswith(_NO_FILES)
    )


def permission_for(artifact: str) -> Permission:
    """What delivering the file asks for: files under ``firmware/`` change what a device is."""
    return (
        Permission.UPDATE_FIRMWARE if artifact.startswith(_FIRMWARE) else Permission.DOWNLOAD_FILE
    )


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """A file of the tenant's bucket.

    Attributes:
        size: bytes.
        sha256: 64 lower-case hex digits of the whole file, or ``None`` if nobody vouches for them.
        etag: S3's, with its quotes.
        version: S3's id of what is delivered, which a later upload under the name does not change;
            ``None`` in a bucket without versions.
        manifest: what the file's maker says and signs of it, for the device to judge; ``None``: a
            file as any other.
        file_id: of the version that was uploaded through the API; ``None``: it was put into the
            bucket under its name.
    """

    tenant: str
    name: str
    size: int
    sha256: str | None
    etag: str
    version: str | None = None
    manifest: Signed | None = None
    file_id: str | None = None

    def entity(self) -> Entity:
        """The file under its tenant, as policies see it."""
        kind = "firmware" if self.name.startswith(_FIRMWARE) else "file"
        return artifact_entity(self.name, tenant=self.tenant, kind=kind, size=self.size)
