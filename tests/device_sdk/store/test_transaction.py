"""Who waits for a change is told once, and of SQLite's faults in the store's words."""

from __future__ import annotations

import sqlite3
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

import pytest
from cedarfleet_device.store.transaction import QueuedChange, StoreError, commit, settle

if TYPE_CHECKING:
    from cedarfleet_device.store.transaction import Transaction


class Fails(Future[Any]):
    """A future that cannot be told so many times, as a process is out of memory."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.left, self.told = times, 0

    def set_result(self, result: Any) -> None:
        """Fail first."""
        self.told += 1
        if self.left:
            self.left -= 1
            raise MemoryError
        super().set_result(result)


def test_who_waits_is_told_once_and_again_where_that_failed() -> None:
    """What was told is not told again; what cannot be told twice is let go."""
    for times, told in ((0, 1), (1, 2), (2, 2)):
        future = Fails(times)
        settle(future, result="kept")
        assert (future.told, future.done()) == (told, times < 2)
    of_error: Future[Any] = Future()
    settle(of_error, error=LookupError("mine"))
    assert isinstance(of_error.exception(timeout=1), LookupError)


def fails(error: BaseException) -> QueuedChange:
    """A change that raises."""

    def change(_: Transaction) -> None:
        raise error

    return QueuedChange(change=change, future=Future(), urgent=False)


@pytest.mark.parametrize("alone", [True, False])
def test_faults_of_the_disk_are_the_stores(*, alone: bool) -> None:
    """A caller's own error is handed back as it is; what is no Exception ends no other thread."""
    own, of_disk, odd = LookupError("mine"), sqlite3.OperationalError("disk"), SystemExit(2)
    for error, words in (
        (own, ""),
        (of_disk, "the state store was not written: disk"),
        (odd, "the state store was not written: SystemExit(2)"),
    ):
        changes = [fails(error)] if alone else [fails(error), fails(own)]
        database = sqlite3.connect(":memory:", isolation_level=None)
        commit(database, changes)
        database.close()
        told = changes[0].error
        if words:
            assert isinstance(told, StoreError)
            assert (str(told), told.__cause__) == (words, error)
        else:
            assert told is own
