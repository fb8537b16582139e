"""The SQLite file of the device's memory: its tables, and whether it can be trusted.

Beside it stands a mark that it was made once: a file that is empty or gone after that is a lost
memory, not a first start.
"""

from __future__ import annotations

import os
import sqlite3
from typing import TYPE_CHECKING, Final

from cedarfleet_device.errors import ConfigError
from cedarfleet_device.files import write_atomically
from cedarfleet_device.log import event

if TYPE_CHECKING:
    from pathlib import Path

    from cedarfleet_device.files import Disk

# Source: sqlite.org/rescode.html, SQLITE_CORRUPT and SQLITE_NOTADB. Python 3.10 tells no codes, so
# there it is their texts (src/main.c, sqlite3ErrStr).
_DAMAGED: Final = frozenset({11, 26})
_DAMAGED_WORDS: Final = ("malformed", "not a database")
_FORMAT: Final = 2  # of the tables below; kept in PRAGMA user_version
_TABLES: Final = """
CREATE TABLE inbox (
    command_id TEXT PRIMARY KEY,
    position INTEGER NOT NULL,
    message BLOB NOT NULL,
    phase TEXT NOT NULL CHECK (phase IN ('waiting', 'running', 'done')),
    sequence INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX inbox_open ON inbox (phase, position) WHERE phase != 'done';
CREATE TABLE outbox (position INTEGER PRIMARY KEY, command_id TEXT NOT NULL, message BLOB NOT NULL);
CREATE TABLE notes (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""


def open_database(file: Path, disk: Disk) -> tuple[sqlite3.Connection, int]:
    """Open ``file`` for one thread, and make it first where it is missing, mode 0600.

    And its log, to be synced.

    SQLite's locks are on ``file`` and its index, so the log's descriptor may be closed without
    losing one.

    Raises:
        ConfigError: it is damaged, of another version of the SDK, or cannot be opened or written.
    """
    try:
        os.close(os.open(file, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
        mark = file.with_name(file.name + ".made")
        database = _open(file, disk, made=mark.exists())
        try:
            log = os.open(f"{file}-wal", os.O_RDWR | os.O_CLOEXEC)
            try:
                if not mark.exists():
                    write_atomically(mark, b"", disk=disk)
            except OSError:
                os.close(log)
                raise
        except OSError:
            database.close()
            raise
    except OSError as error:
        raise ConfigError(f"`{file}` cannot be opened: {error.strerror}") from error
    return database, log


def _open(file: Path, disk: Disk, *, made: bool) -> sqlite3.Connection:
    database = sqlite3.connect(file, isolation_level=None, cached_statements=64)
    try:
        mode = database.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        database.execute("PRAGMA synchronous = NORMAL")
        found = database.execute("PRAGMA user_version").fetchone()[0]
        if found == 0 and made:  # fail closed: commands that are sent again would run again
            database.close()
            raise ConfigError(
                f"`{file}` has lost what it held (an earlier start made it, and it is empty or was"
                f" removed): remove `{file.name}.made` to start without memory of commands"
            )
        if found == 0:
            event("store.created", file=str(file))
            database.executescript(
                f"BEGIN IMMEDIATE; {_TABLES} PRAGMA user_version = {_FORMAT}; COMMIT;"
            )
            # With file, log and their names on the disk.
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            disk.sync_folder(file.parent)
            found = _FORMAT
        state = database.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.DatabaseError as error:
        # Fail closed: without its memory the device might do a thing twice.
        database.close()
        if not _is_damage(error):
            raise ConfigError(
                f"`{file}` cannot be opened ({error}): keep it, and see to disk and access"
            ) from error
        raise ConfigError(
            f"`{file}` is damaged ({error}): move it away to start without memory of commands"
        ) from error
    if mode == "wal" and found == _FORMAT and state == "ok":
        return database
    database.close()
    if mode != "wal":  # fail closed: SQLite goes on in its old way, whose log is another file
        raise ConfigError(
            f"`{file}` is on a file system without shared memory, which SQLite's WAL mode needs"
        )
    if found != _FORMAT:
        raise ConfigError(
            f"`{file}` has format {found}, this SDK reads {_FORMAT}: install the SDK that wrote it"
        )
    raise ConfigError(
        f"`{file}` is damaged ({state}): move it away to start without memory of commands"
    )


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    code: int | None = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return any(words in str(error) for words in _DAMAGED_WORDS)
    return code & 0xFF in _DAMAGED
