"""What an offboarding has done so far, and the certificate of its end: files of one folder.

The record is written before and after each step, as a whole, so a run that was killed goes on with
the step in which it was.
"""

from __future__ import annotations

import hashlib
import json
import os
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from pathlib import Path

RECORD: Final = "offboarding.json"
CERTIFICATE: Final = "certificate.json"
FORMAT: Final = 1


class RecordError(Exception):
    """The folder holds what is no record, or the record of something else; says what."""


class Record(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """How far it is, and what no list shows once its tenant's stack is gone.

    Attributes:
        tenant: whose end it is.
        reason: why, as the operator says it.
        by: the operator's ARN.
        began_at: RFC 3339.
        export_sha256: of the tenant's archive; empty: none yet, or none was wanted.
        ids: of what AWS names itself: pool, store, certificates.
        things: names of the tenant's things.
        certificates: their ARNs.
        done: step -> what it did, in numbers.
    """

    tenant: str
    reason: str
    by: str
    began_at: str
    export_sha256: str = ""
    ids: list[str] = []
    things: list[str] = []
    certificates: list[str] = []
    done: dict[str, dict[str, int]] = {}


def read(folder: Path, tenant: str) -> Record | None:
    """The record of a run before; ``None``: there was none.

    Raises:
        RecordError: it is another tenant's, or none.
    """
    file = folder / RECORD
    try:
        found = msgspec.json.decode(file.read_bytes(), type=Record)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        raise RecordError(f"{file}: is no record of an offboarding: {error}") from error
    if found.tenant != tenant:
        raise RecordError(f"{file}: is of `{found.tenant}`, not of `{tenant}`")
    return found


def write(record: Record, folder: Path) -> None:
    """Replace the record as a whole."""
    _replace(folder / RECORD, msgspec.json.format(msgspec.json.encode(record)) + b"\n")


def certify(folder: Path, said: dict[str, Any]) -> dict[str, Any]:
    """Write the certificate, with the SHA-256 of all that it says; what was written.

    The digest is of the canonical JSON (keys sorted, no blanks) without the member ``sha256``, so
    that whoever holds the certificate and the digest can tell whether a word of it was changed.
    """
    whole = {**said, "sha256": digest(said)}
    _replace(folder / CERTIFICATE, json.dumps(whole, indent=2, sort_keys=True).encode() + b"\n")
    return whole


def digest(said: dict[str, Any]) -> str:
    """SHA-256 of what a certificate says, in hexadecimal digits."""
    body = {key: value for key, value in said.items() if key != "sha256"}
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _replace(file: Path, content: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_name(f".{file.name}.{os.getpid()}")
    with new.open("wb") as opened:
        opened.write(content)
        opened.flush()
        os.fsync(opened.fileno())
    new.replace(file)
