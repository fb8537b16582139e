"""The state on disk: an append-only file of checksummed transactions that a power cut cannot tear.

One line is one transaction: ``<sha256 of the rest> <JSON list of changes>``. It is written and
fsynced before the change is visible. On opening, a last line that is incomplete or does not match
its checksum was never answered for and is cut off; a bad line before the end is damage, and the
file is refused. When most lines are history the file is rewritten beside itself, fsynced and
renamed.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from typing import TYPE_CHECKING, Any, Final

from .records import KINDS, Record

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

_HEADER: Final = b"verified-permissions-journal 1\n"
_DIGEST_LENGTH: Final = 64
_REWRITE_AFTER: Final = 500  # transactions; a tenant's stamping writes about 50


class JournalError(Exception):
    """The state cannot be loaded or kept; the message says which file and what to do."""


class Journal:
    """One open journal file, held by one process.

    Raises:
        JournalError: another process holds the folder, or the file is damaged.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path = folder / "verified-permissions.journal"
        self._lock = os.open(folder / "verified-permissions.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            raise JournalError(
                f"`{folder}` is in use by another process; stop it or choose another folder"
            ) from error
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        self._transactions = 0
        self._length = 0
        self._folder_synced = (
            False  # until then a power cut may bring back what had this name before
        )

    def load(self) -> Iterator[tuple[str, Record]]:
        """Every change ever kept, oldest first: ``("put" | "delete", record)``.

        Must be exhausted before the first ``append``. A torn tail is cut off here.

        Raises:
            JournalError: the file is no journal, a line before the last one is damaged, or a whole
                line says what this version does not know.
        """
        content = self.path.read_bytes()
        if not content.startswith(_HEADER):
            if not _HEADER.startswith(content):
                raise JournalError(f"`{self.path}` is not a journal of this program; move it away")
            self._truncate(0)
            self._write(_HEADER)
            return
        end = len(_HEADER)
        while end < len(content):
            newline = content.find(b"\n", end)
            line = content[end : newline if newline >= 0 else len(content)]
            if newline < 0 or not _is_whole(line):
                if 0 <= newline < len(content) - 1:
                    raise JournalError(
                        f"`{self.path}` is damaged at byte {end}; restore it or move it away"
                    )
                break
            yield from self._changes(line, end)
            self._transactions += 1
            end = newline + 1
        self._truncate(end)

    def append(self, *, put: Sequence[Record], delete: Sequence[Record]) -> None:
        """Keep one transaction; when this returns it survives a kill and a power cut.

        Raises:
            OSError: the disk refused; nothing of the transaction is kept.
        """
        changes = [("put", record) for record in put] + [("delete", record) for record in delete]
        before = self._length
        try:
            self._write(_line(changes))
        except OSError:
            self._truncate(before)
            raise
        self._transactions += 1

    @property
    def wants_rewrite(self) -> bool:
        """Whether enough history has gathered to make ``rewrite`` worth its time."""
        return self._transactions >= _REWRITE_AFTER

    def rewrite(self, records: Iterable[Record]) -> None:
        """Replace the history by the living records, atomically.

        Raises:
            OSError: the disk refused; the journal goes on as it was.
        """
        # What is still alive must not count as history, and a full disk must not be tried at every
        # change.
        self._transactions = 0
        content = _HEADER + b"".join(_line([("put", record)]) for record in records)
        fresh = self.path.with_suffix(".journal.new")
        descriptor = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        try:
            _write_all(descriptor, content)
            os.fsync(descriptor)
            fresh.replace(self.path)
        except OSError:
            os.close(descriptor)
            fresh.unlink(missing_ok=True)
            raise
        os.close(self._file)
        self._file, self._length, self._folder_synced = descriptor, len(content), False

    def close(self) -> None:
        """Let the file and the folder go."""
        os.close(self._file)
        os.close(self._lock)

    def _changes(self, line: bytes, start: int) -> list[tuple[str, Record]]:
        try:
            return [_change(*change) for change in json.loads(line[_DIGEST_LENGTH + 1 :])]
        except (KeyError, TypeError, ValueError) as error:
            raise JournalError(
                f"`{self.path}` holds at byte {start} a change that this version does not know "
                f"({error!r}); "
                "run the version that wrote it, or move the file away"
            ) from error

    def _write(self, content: bytes) -> None:
        if not self._folder_synced:
            _sync_folder(self.path.parent)
            self._folder_synced = True
        _write_all(self._file, content)
        os.fsync(self._file)
        self._length += len(content)

    def _truncate(self, length: int) -> None:
        os.ftruncate(self._file, length)
        os.fsync(self._file)
        self._length = length


def _line(changes: Iterable[tuple[str, Record]]) -> bytes:
    text = json.dumps(
        [(action, type(record).__name__, record.to_json()) for action, record in changes]
    ).encode()
    return _digest(text) + b" " + text + b"\n"


def _change(action: str, kind: str, data: dict[str, Any]) -> tuple[str, Record]:
    if action not in ("put", "delete"):  # fail closed: what is no put is not therefore a delete
        raise ValueError(action)
    return action, KINDS[kind].from_json(data)


def _is_whole(line: bytes) -> bool:
    return line[:_DIGEST_LENGTH] == _digest(line[_DIGEST_LENGTH + 1 :])


def _digest(text: bytes) -> bytes:
    return hashlib.sha256(text).hexdigest().encode()


def _write_all(descriptor: int, content: bytes) -> None:
    view: Any = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
