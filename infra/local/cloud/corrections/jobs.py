"""IoT Jobs: what the emulator makes of a job's document."""

# ruff: noqa: SLF001 - the emulator is untyped, and private names are all that it has

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable

    from infra.local.cloud.emulator import Emulator

_IOT: Final = "services.iot"
_VERSIONED: Final = re.compile(
    r"(?P<object>\$\{aws:iot:s3-presigned-url-v2:[^}]*?)%3FversionId%3D(?P<version>[^}]+)\}"
)
_SIGNATURE: Final = "X-Amz-Signature"


def signed_url_names_the_version(emulator: Emulator) -> None:
    """Sign `%3FversionId%3D...` of a placeholder as the object's version; it was part of the key.

    Source: AWS IoT developer guide, "Managing jobs": presigned URL using Amazon S3 versioning.
    """

    def correction(original: Callable[[dict[str, Any]], str]) -> Callable[[dict[str, Any]], str]:
        def signed(job: dict[str, Any], found: re.Match[str]) -> str:
            placeholder = f"{found['object']}}}"
            url = original({**job, "document": placeholder})
            return (
                found[0] if url == placeholder else _sign(emulator, url, unquote(found["version"]))
            )

        def document(job: dict[str, Any]) -> str:
            text = _VERSIONED.sub(lambda found: signed(job, found), job.get("document") or "{}")
            return original({**job, "document": text})

        return document

    emulator.replace(_IOT, "_jobs_presigned_document", correction)


def _sign(emulator: Emulator, url: str, version: str) -> str:
    """The presigned URL with a version, signed anew by the same session."""
    signing = emulator.module("core.sigv4")
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    del query[_SIGNATURE]
    query["versionId"] = version
    access_key, day, region, service, _ = query["X-Amz-Credential"].split("/")
    session = emulator.module("services.sts")._sessions[access_key]
    request = signing.build_canonical_request(
        "GET", unquote(parts.path), {"host": parts.netloc}, query, "host"
    )
    text = signing.build_string_to_sign(query["X-Amz-Date"], day, region, service, request)
    signature = signing.calculate_signature(session["SecretAccessKey"], day, region, service, text)
    canonical = signing.build_canonical_query_string(query)
    return f"{parts.scheme}://{parts.netloc}{parts.path}?{canonical}&{_SIGNATURE}={signature}"
