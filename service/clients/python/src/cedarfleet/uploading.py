"""A file from this machine to the tenant's bucket: its digests, its parts, and what became of it.

The parts go to signed URLs, one after the other, each with the SHA-256 of its own bytes; the
service then reads the whole and compares. No more of the file is held in memory than one part.
What has arrived stands in a journal: another run with the same file sends what is missing.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import asdict, dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from cedarfleet.errors import (
    ConflictError,
    NotEndedError,
    NotFoundError,
    UnreachableError,
    UploadError,
)
from cedarfleet.generated.api.default import begin_file, complete_file, read_file, sign_parts
from cedarfleet.generated.models import FileBody, FileOut, PartsBody, PartsOut
from cedarfleet.steps import Pause, Put, ask, key
from cedarfleet.upload_journal import UploadJournal, read_journal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cedarfleet.steps import Steps

    Progress = Callable[[int, int], None]
    """Is told how many bytes have arrived, and of how many."""

_ATTEMPTS: Final = 6  # of one part, half a minute in all
_RESUMABLE: Final = frozenset({"uploading", "verifying", "available"})
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
    journals: Path | None,
    api: str,
) -> Steps[FileOut]:
    """Upload a version of a file, and wait until it can be delivered.

    Args:
        path: of the file here.
        name: as devices get it, e.g. ``recipes/steel.json``.
        package: what it is a build of.
        seconds: to wait for the service to verify the whole, once all parts have arrived.
        progress: is told of bytes that have arrived.
        journals: folder in which is kept what has arrived; ``None``: an upload that is cut off
            begins anew.
        api: whose upload it is, for the journal.

    Raises:
        UploadError: a part did not arrive, or the whole is not what was sent.
        UnreachableError: nobody answers, also after half a minute.
        NotEndedError: it is not verified yet.
        OSError: the file cannot be read, or the journal not be written.
    """
    size, digest = _measured(path)
    told = {"name": name, "size": size, "sha256": digest}
    told |= {} if package is None else {"package": asdict(package)}
    journal = read_journal(journals, {"api": api, **told}, key=key())
    file, journal = yield from _begun(FileBody.from_dict(told), journal)
    sent = sum(_size(file, number) for number in journal.sent)
    progress(sent, size)
    if file.state == "uploading":
        for number in range(1, file.parts + 1):
            if number in journal.sent:
                continue
            sent += yield from _part(path, file, number)
            journal.note(number)
            progress(sent, size)
        yield from _complete(file, journal)
    ended = yield from _verified(file.id, journal, seconds=seconds)
    journal.forget()
    return ended


def _begun(body: FileBody, journal: UploadJournal) -> Steps[tuple[FileOut, UploadJournal]]:
    """The upload that the journal knows, if it can go on; else a new one."""
    if journal.file_id:
        try:
            file = yield from ask(FileOut, read_file, file_id=journal.file_id)
            if file.state in _RESUMABLE:
                return file, journal
        except NotFoundError:
            pass
        journal = UploadJournal(file=journal.file, key=key())
    # Before it is begun: whoever is killed in between begins the same one again.
    journal.write()
    file = yield from ask(FileOut, begin_file, body=body, idempotency_key=journal.key)
    if file.state != "uploading":
        # The key stands for one that has ended meanwhile, as no journal knows.
        journal.key = key()
        file = yield from ask(FileOut, begin_file, body=body, idempotency_key=journal.key)
    journal.file_id = file.id
    journal.write()
    return file, journal


def _size(file: FileOut, number: int) -> int:
    return max(0, min(file.part_size, file.size - (number - 1) * file.part_size))


def _part(path: Path, file: FileOut, number: int) -> Steps[int]:
    """Send one part; gives its bytes' number."""
    with path.open("rb") as stream:
        stream.seek((number - 1) * file.part_size)
        content = stream.read(file.part_size)
    wanted = {"number": number, "sha256": hashlib.sha256(content).hexdigest()}
    for attempt in range(_ATTEMPTS):
        try:
            # Signed anew for each attempt: the last URL may have ended.
            signed = yield from ask(
                PartsOut,
                sign_parts,
                file_id=file.id,
                body=PartsBody.from_dict({"parts": [wanted]}),
            )
            [one] = signed.parts
            status = yield Put(url=one.url, headers=one.headers.to_dict(), content=content)
        except UnreachableError:
            if attempt == _ATTEMPTS - 1:
                raise
        else:
            if status == HTTPStatus.OK:
                return len(content)
        yield Pause(seconds=2.0**attempt)
    raise UploadError(f"part {number} of {file.parts} did not arrive")


def _complete(file: FileOut, journal: UploadJournal) -> Steps[None]:
    """Say that all parts were sent; asked again it is the same."""
    for attempt in range(_ATTEMPTS):
        try:
            yield from ask(FileOut, complete_file, file_id=file.id)
        except ConflictError as error:
            # Not as the journal has it: the next run sends all of it.
            journal.forget()
            raise UploadError(f"`{file.name}`: {error}") from error
        except UnreachableError:
            if attempt == _ATTEMPTS - 1:
                raise
            yield Pause(seconds=2.0**attempt)
        else:
            return


def _verified(file_id: str, journal: UploadJournal, *, seconds: float) -> Steps[FileOut]:
    ends, pause = time.monotonic() + seconds, 0.2
    while True:
        file = yield from ask(FileOut, read_file, file_id=file_id)
        if file.state == "available":
            return file
        if file.state not in {"uploading", "verifying"}:
            journal.forget()
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
