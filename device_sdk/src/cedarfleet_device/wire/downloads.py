"""A file on its way to a device: the document of the IoT Job that delivers it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, cast

from cedarfleet_device.wire import form
from cedarfleet_device.wire.manifests import Signed

if TYPE_CHECKING:
    from typing import Self

MAX_ARTIFACT_NAME: Final = 1024  # Amazon S3 quota: characters of a key

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class DownloadDocument:
    """The document of the IoT Job that delivers one file.

    Attributes:
        name: the artifact's name in the tenant, e.g. ``recipes/steel.json``; the device maps it
            into its download folder.
        size: bytes.
        sha256: 64 lower-case hex digits of the whole file.
        etag: S3 ETag, with its quotes, for ``If-Match`` on every range.
        url: presigned URL; in the created job ``${aws:iot:s3-presigned-url-v2:...}``, which IoT
            Jobs fills in each time the device asks for the document (docs: AWS IoT "Presigned
            URLs").
        manifest: what the file's maker says of it, for a file that is to be installed; None, and
            no member: a file is delivered, as agents before this member know it. Those reject a
            document that has it.
    """

    name: str
    size: int
    sha256: str
    etag: str
    url: str = field(repr=False)
    manifest: Signed | None = None

    def encode(self) -> str:
        """The JSON text for ``CreateJob``."""
        members: dict[str, Any] = {"kind": "download", **vars(self)}
        if (manifest := members.pop("manifest")) is not None:
            members["manifest"] = vars(manifest)
        return form.encode(members).decode()

    @classmethod
    def decode(cls, document: object) -> Self:
        """Read and check a job document that IoT Jobs has already parsed.

        Raises:
            WrongVersionError: another wire version.
            WireError: anything else that is not of the form.
        """
        known = (frozenset(cls.__dataclass_fields__) - {"manifest"}) | {"kind"}
        has_manifest = isinstance(document, dict) and "manifest" in document
        data = form.checked(
            cast("object", document), known | {"manifest"} if has_manifest else known
        )
        form.require(data.pop("kind") == "download", "kind", "`download`")
        if has_manifest:
            data["manifest"] = Signed.of(data["manifest"])
        form.require(
            isinstance(data["name"], str) and 0 < len(data["name"]) <= MAX_ARTIFACT_NAME,
            "name",
            f"1 to {MAX_ARTIFACT_NAME} characters",
        )
        form.require(type(data["size"]) is int and data["size"] >= 0, "size", "bytes")
        form.require(
            isinstance(data["sha256"], str) and _SHA256.fullmatch(data["sha256"]) is not None,
            "sha256",
            "64 hex digits",
        )
        form.require(isinstance(data["etag"], str), "etag", "a string")
        form.require(isinstance(data["url"], str), "url", "a string")
        return cls(**data)
