"""The file of the store: its changes, and whether it is to be trusted."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import stat
from contextlib import chdir
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cedarfleet_device.errors import ConfigError
from cedarfleet_device.files import DISK, Disk
from cedarfleet_device.store.database import open_database
from cedarfleet_device.store.store import Store
from cedarfleet_device.store.transaction import Durability, StoreError

from tests.device_sdk.open_files import open_below

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cedarfleet_device.store.transaction import Transaction


class WatchedDisk(Disk):
    """Writes down which folders are synced, and what a loss of power leaves of the file then."""

    def __init__(self) -> None:
        self.left: list[tuple[Path, int]] = []

    def sync_folder(self, folder: Path) -> None:
        """The main file alone is looked at: of the log nothing was synced."""
        super().sync_folder(folder)
        left = folder.parent / "left.db"
        shutil.copyfile(folder / "agent.db", left)
        database = sqlite3.connect(left)
        self.left.append((folder, database.execute("PRAGMA user_version").fetchone()[0]))
        database.close()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An open store."""
    opened = Store(tmp_path / "agent.db")
    yield opened
    opened.close()


def test_one_failing_change_does_not_spoil_its_neighbours(store: Store):
    """Changes that share a commit stand and fall alone."""

    def fail(transaction: Transaction) -> None:
        transaction.database.execute("INSERT INTO notes VALUES ('bad', 'bad')")
        raise LookupError("mine")

    futures = [store.submit(fail) for _ in range(50)]
    store.note("good", "kept")
    for future in futures:
        with pytest.raises(LookupError, match="mine"):
            future.result()
    assert store.note("good") == "kept"
    assert store.note("bad") is None


def test_a_damaged_or_later_file_is_refused(tmp_path: Path):
    """Without its memory the device might do a thing twice, so it refuses an unreadable file."""
    (tmp_path / "torn.db").write_bytes(b"SQLite format 3\0" + bytes(4000))
    with pytest.raises(ConfigError, match="is damaged"):
        Store(tmp_path / "torn.db")
    database = sqlite3.connect(tmp_path / "later.db")
    database.execute("PRAGMA user_version = 7")
    database.close()
    with pytest.raises(ConfigError, match="has format 7"):
        Store(tmp_path / "later.db")


def _contradicting(file: Path) -> None:
    """A file that SQLite reads, and whose rows break its own rules."""
    database = sqlite3.connect(file)
    database.executescript(
        "CREATE TABLE notes (name, value); INSERT INTO notes VALUES ('x', NULL);"
        "PRAGMA user_version = 2; PRAGMA writable_schema = ON;"
        "UPDATE sqlite_schema SET sql = 'CREATE TABLE notes (name, value NOT NULL)';"
    )
    database.close()


class LogLosingDisk(Disk):
    """Whose log somebody removes while the file is opened."""

    def sync_folder(self, folder: Path) -> None:
        """At the only moment between."""
        super().sync_folder(folder)
        (folder / "agent.db-wal").unlink()


class FullDisk(Disk):
    """Without room for the mark that the file was made."""

    def sync(self, handle: int) -> None:
        """Folders alone."""
        if stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        super().sync(handle)


class OldSqlite(Disk):
    """Fails while the file is made, as SQLite does on Python 3.10: with words and no code."""

    def __init__(self, words: str) -> None:
        self._words = words

    def sync_folder(self, folder: Path) -> None:
        """In the middle of it."""
        del folder
        raise sqlite3.DatabaseError(self._words)


@pytest.mark.parametrize(
    ("make", "disk", "words"),
    [
        (lambda file: file.write_bytes(b"SQLite format 3\0" + bytes(4000)), DISK, "is damaged"),
        (_contradicting, DISK, r"is damaged \(NULL value in notes.value\)"),
        (lambda file: file.with_name("agent.db.made").touch(), DISK, "has lost what it held"),
        (lambda _: None, LogLosingDisk(), "No such file"),
        (lambda _: None, FullDisk(), "No space left"),
        (lambda _: None, OldSqlite("file is not a database"), r"is damaged \(file is not"),
        (lambda _: None, OldSqlite("database disk image is malformed"), r"is damaged \(database"),
        (lambda _: None, OldSqlite("database is locked"), r"cannot be opened \(database is"),
    ],
    ids=[
        "torn",
        "contradicting",
        "lost",
        "no log",
        "no room",
        "no database",
        "malformed",
        "locked",
    ],
)
def test_a_refused_file_is_let_go(
    tmp_path: Path, make: Callable[[Path], object], disk: Disk, words: str
):
    """A person can repair it at once: the device that goes on holds no handle and no lock."""
    make(tmp_path / "agent.db")
    with pytest.raises(ConfigError, match=words) as caught:
        Store(tmp_path / "agent.db", disk=disk)
    assert caught.value.__traceback__ is not None  # what it refers to is still there
    assert open_below(tmp_path) == []


def test_sqlite_itself_syncs_no_commit(tmp_path: Path):
    """NORMAL: it syncs at checkpoints alone (sqlite.org/pragma.html); the store shares syncs."""
    database, log = open_database(tmp_path / "agent.db", DISK)
    os.close(log)
    assert database.execute("PRAGMA synchronous").fetchone() == (1,)
    database.close()


def test_a_file_that_cannot_be_opened_is_not_called_damaged(tmp_path: Path):
    """Whoever moved a good file away for a full disk or a lost right would run commands twice."""
    (tmp_path / "folder.db").mkdir()
    with pytest.raises(ConfigError, match="cannot be opened: Is a directory"):
        Store(tmp_path / "folder.db")
    Store(tmp_path / "agent.db").close()
    (tmp_path / "agent.db-wal").mkdir()
    with pytest.raises(
        ConfigError, match=r"cannot be opened \(unable to open database file\): keep it"
    ):
        Store(tmp_path / "agent.db")


def test_the_file_is_private(store: Store, tmp_path: Path):
    """Nobody else reads what was commanded."""
    assert store.note("x", "y") == "y"
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


def test_a_new_file_is_there_after_a_loss_of_power(tmp_path: Path):
    """Its name is durable before it promises anything, and only once its tables are in it."""
    folder = tmp_path / "state"
    folder.mkdir()
    disk = WatchedDisk()
    Store(folder / "agent.db", disk=disk).close()
    [(synced, version), (marked, _)] = disk.left
    assert synced == marked == folder
    assert version > 0
    Store(folder / "agent.db", disk=disk).close()
    assert len(disk.left) == 2, "a file that is there already has its name"


@pytest.mark.parametrize("loss", ["removed", "emptied", "removed with its log"])
def test_a_lost_memory_is_no_first_start(tmp_path: Path, loss: str):
    """Without what it held, commands that come again would run again: it says how to go on."""
    file = tmp_path / "agent.db"
    store = Store(file)
    store.note("thing", "acme--press-07")
    store.close()
    if loss == "emptied":
        file.write_bytes(b"")
    else:
        file.unlink()
    if loss != "removed":
        for each in tmp_path.glob("agent.db-*"):
            each.unlink()
    for _ in range(2):  # looking at it makes it no better
        with pytest.raises(ConfigError, match=r"has lost what it held.*remove `agent\.db\.made`"):
            Store(file)
    (tmp_path / "agent.db.made").unlink()
    again = Store(file)
    assert again.note("thing") is None
    again.close()


def test_a_memory_of_an_earlier_version_is_marked(tmp_path: Path):
    """A file that stands there without the mark is used, and from then on has it."""
    file = tmp_path / "agent.db"
    store = Store(file)
    store.note("thing", "acme--press-07")
    store.close()
    (tmp_path / "agent.db.made").unlink()
    again = Store(file)
    assert again.note("thing") == "acme--press-07"
    again.close()
    assert (tmp_path / "agent.db.made").exists()


def test_a_file_that_is_removed_is_promised_nothing(tmp_path: Path):
    """What would be kept in a file without a name is kept nowhere: it is refused, not durable."""
    store = Store(tmp_path / "agent.db")
    store.note("thing", "acme--press-07")
    for each in tmp_path.iterdir():
        each.unlink()
    lost = store.submit(
        lambda transaction: transaction.database.execute("INSERT INTO notes VALUES ('a', 'b')")
    )
    store.close()
    with pytest.raises(StoreError, match="closed before the disk"):
        lost.result()


def test_a_device_that_rests_has_its_memory_in_one_file(tmp_path: Path):
    """Some time after the last change the log is empty, without a change that asks for it."""
    store = Store(tmp_path / "agent.db", quiet_seconds=0)
    store.note("thing", "acme--press-07")
    for _ in range(2):  # as the agent looks in: the second finds nothing new
        store.do(lambda _: None)
    assert (tmp_path / "agent.db-wal").stat().st_size == 0
    store.note("thing", "acme--press-08")
    store.close()
    again = Store(tmp_path / "agent.db")
    assert again.note("thing") == "acme--press-08"
    again.close()


def test_a_file_system_without_shared_memory_is_refused(tmp_path: Path):
    """SQLite goes on in another mode there, without an error; as it does in memory alone."""
    with chdir(tmp_path), pytest.raises(ConfigError, match="on a file system without shared mem"):
        open_database(Path(":memory:"), DISK)


def test_an_answer_stands_whatever_becomes_of_the_sync(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    """Who asked for what is written has been told: at the end nobody is told once more."""

    def fail(_: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    store = Store(tmp_path / "agent.db", sync=fail)
    assert store.ask(lambda _: ("written", Durability.WRITTEN)) == "written"
    written = store.ask(
        lambda transaction: (
            transaction.database.execute("INSERT INTO notes VALUES ('a', 'b')").rowcount,
            Durability.WRITTEN,
        )
    )
    store.close()
    assert written == 1
    assert [one for one in caplog.records if one.name == "concurrent.futures"] == []
