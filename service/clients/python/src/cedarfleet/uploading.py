"""A file from this machine to the tenant's bucket: its digests, its parts, and what became of it.

The parts go to signed URLs, one after the other, each with the SHA-256 of its own bytes; the
service then reads the whole and compares. No more of the file is held in memory than one part.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import asdict, dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from cedarfleet.errors import ConflictError, NotEndedError, UploadError
from cedarfleet.generated.api.default import begin_file, complete_file, read_file, sign_parts
from cedarfleet.generated.models import FileBody, FileOut, PartsBody, PartsOut
from cedarfleet.steps import Pause, Put, ask, key

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cedarfleet.steps import Steps

    Progress = Callable[[int, int], None]
    """Is told how many bytes have arrived, and of how many."""

_ATTEMPTS: Final = 4  # of one part
_CHUNK: Final = 1024 * 1024  # bytes
_LATER: Final = 2.0  # seconds between two looks at a file that is verified


@dataclass(frozen=True, kw_only=True)
class Package:
    """What a file is to those who build it."""

    name: str
    version: str


def upload(
    path: Path,
    name: str,
    *,
    package: Package | None,
    seconds: float,
    progress: Progress,
) -> Steps[FileOut]:
    """Upload a version of a file, and wait until it can be delivered.

    Args:
        path: of the file here.
        name: as devices get it, e.g. ``recipes/steel.json``.
        package: what it is a build of.
        seconds: to wait for the service to verify the whole, once all parts have arrived.
        progress: is told of bytes that have arrived.

    Raises:
        UploadError: a part did not arrive, or the whole is not what was sent.
        NotEndedError: it is not verified yet.
        OSError: the file cannot be read.
    """
    size, digest = _measured(path)
    body = FileBody.from_dict(
        {"name": name, "size": size, "sha256": digest}
        | ({} if package is None else {"package": asdict(package)})
    )
    file = yield from ask(FileOut, begin_file, body=body, idempotency_key=key())
    progress(0, size)
    sent = 0
    for number in range(1, file.parts + 1):
        sent += yield from _part(path, file, number)
        progress(sent, size)
    try:
        yield from ask(FileOut, complete_file, file_id=file.id)
    except ConflictError as error:
        raise UploadError(f"`{name}`: {error}") from error
    return (yield from _verified(file.id, seconds=seconds))


def _part(path: Path, file: FileOut, number: int) -> Steps[int]:
    """Send one part; gives its bytes' number."""
    with path.open("rb") as stream:
        stream.seek((number - 1) * file.part_size)
        content = stream.read(file.part_size)
    wanted = {"number": number, "sha256": hashlib.sha256(content).hexdigest()}
    for _ in range(_ATTEMPTS):
        # Signed anew for each attempt: the last URL may have ended.
        signed = yield from ask(
            PartsOut,
            sign_parts,
            file_id=file.id,
            body=PartsBody.from_dict({"parts": [wanted]}),
        )
        [one] = signed.parts
        status = yield Put(url=one.url, headers=one.headers.to_dict(), content=content)
        if status == HTTPStatus.OK:
            return len(content)
        yield Pause(seconds=1.0)
    raise UploadError(f"part {number} of {file.parts} did not arrive")


def _verified(file_id: str, *, seconds: float) -> Steps[FileOut]:
    ends, pause = time.monotonic() + seconds, 0.2
    while True:
        file = yield from ask(FileOut, read_file, file_id=file_id)
        if file.state == "available":
            return file
        if file.state not in {"uploading", "verifying"}:
            raise UploadError(f"`{file.name}` is {file.state}: {file.problem or 'without a word'}")
        if time.monotonic() + pause > ends:
            raise NotEndedError(f"file `{file.name}`", file)
        yield Pause(seconds=pause)
        pause = min(pause * 1.5, _LATER)


def _measured(path: Path) -> tuple[int, str]:
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
    return size, digest.hexdigest()
