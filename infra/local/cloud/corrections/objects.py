"""S3: reads of one version of an object."""

# ruff: noqa: SLF001 - the emulator is untyped, and private names are all that it has

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from infra.local.cloud.emulator import Emulator

_S3: Final = "services.s3"


def version_is_read_in_ranges(emulator: Emulator) -> None:
    """Answer a range of a named version; the emulator answers the whole of it with 200.

    Source: Amazon S3 API reference, GetObject: `Range`, beside `versionId`.
    """
    s3 = emulator.module(_S3)

    def correction(original: Any) -> Any:
        def get_object(
            bucket: str, key: str, headers: dict[str, str], query: dict[str, Any] | None = None
        ) -> Any:
            status, answered, body = original(bucket, key, headers, query)
            wanted = headers.get("range", "")
            if status != HTTPStatus.OK or not wanted or not s3._qp(query or {}, "versionId", ""):
                return status, answered, body
            found = s3._parse_range(wanted, len(body))
            if found is None:
                refused = {"Content-Range": f"bytes */{len(body)}"}
                words = s3._xml_body(s3._range_error_xml(bucket, key))
                return 416, {"Content-Type": "application/xml", **refused}, words
            first, last = found
            part = body[first : last + 1]
            # The checksum of the whole is none of a part of it.
            kept = {
                name: text
                for name, text in answered.items()
                if not name.lower().startswith("x-amz-checksum-")
            }
            told = {
                "Content-Length": str(len(part)),
                "Content-Range": f"bytes {first}-{last}/{len(body)}",
            }
            return 206, {**kept, **told}, part

        return get_object

    emulator.replace(_S3, "_get_object", correction)
