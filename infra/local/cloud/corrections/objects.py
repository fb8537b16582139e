"""S3: reads of one version of an object, and forms."""

# ruff: noqa: SLF001 - the emulator is untyped, and private names are all that it has

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from infra.local.cloud.emulator import Emulator

_S3: Final = "services.s3"
_SIGNED: Final = ("key", "policy", "x-amz-algorithm", "x-amz-credential", "x-amz-signature")


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


def forms_are_signed(emulator: Emulator) -> None:
    """Refuse a form without a signature; the emulator takes it, and the front door lets forms by.

    Source: Amazon S3 API reference, "POST Object": who adds an object must have WRITE access, which
    nobody has here without a name.
    """
    s3 = emulator.module(_S3)

    def correction(original: Any) -> Any:
        def post_object(bucket: str, body: bytes, headers: dict[str, str]) -> Any:
            parts = s3._parse_multipart_form(headers.get("content-type", ""), body)
            names = [name.lower() for name, *_ in parts or ()]
            # Fail closed: each once, so that nothing else than what is verified is read.
            if any(names.count(name) != 1 for name in _SIGNED) or len(names) != len(set(names)):
                return s3._error("AccessDenied", "Access Denied", 403)
            return original(bucket, body, headers)

        return post_object

    emulator.replace(_S3, "_post_object", correction)
