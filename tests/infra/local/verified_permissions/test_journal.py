"""The journal on disk: a torn end is cut off, damage is not loaded, history is rewritten."""

from __future__ import annotations

import hashlib
import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from infra.local.verified_permissions import JournalError
from infra.local.verified_permissions.journal import Journal

if TYPE_CHECKING:
    from pathlib import Path

    from infra.local.verified_permissions.state import State

    from .conftest import Ask

Json = Any  # what travels, before anybody has looked at it

STATEMENT = 'permit(principal == Shop::User::"{}", action, resource);'


def test_a_tail_torn_anywhere_is_cut_off(tmp_path: Path, ask: type[Ask]):
    """Whatever part of the last transaction reached the disk, the ones before it load."""
    asked = ask(tmp_path / "whole")
    store, (first, _) = asked.store(STATEMENT.format("a"), STATEMENT.format("b"))
    asked.app.close()
    content = (tmp_path / "whole" / "verified-permissions.journal").read_bytes()
    last = content.rindex(b"\n", 0, -1) + 1
    for cut in [*range(last, len(content), 97), len(content) - 1]:
        folder = tmp_path / f"cut-{cut}"
        folder.mkdir()
        (folder / "verified-permissions.journal").write_bytes(content[:cut])
        torn = ask(folder)
        listed = torn("ListPolicies", policyStoreId=store)["policies"]
        assert [item["policyId"] for item in listed] == [first]
        torn("DeletePolicy", policyStoreId=store, policyId=first)
        torn.app.close()
        again = ask(folder)
        assert again("ListPolicies", policyStoreId=store)["policies"] == []
        again.app.close()


def test_a_file_damaged_before_its_end_is_refused(tmp_path: Path, ask: type[Ask]):
    """A flipped bit in the middle, or a file of something else, is never loaded as state."""
    asked = ask(tmp_path)
    asked.store(STATEMENT.format("a"), STATEMENT.format("b"))
    asked.app.close()
    journal = tmp_path / "verified-permissions.journal"
    content = bytearray(journal.read_bytes())
    content[len(content) // 2] ^= 1
    for damaged in (bytes(content), b"something else\n"):
        journal.write_bytes(damaged)
        with pytest.raises(JournalError, match=r"verified-permissions\.journal"):
            ask(tmp_path)
        assert journal.read_bytes() == damaged


def test_one_folder_serves_one_process(tmp_path: Path, ask: type[Ask]):
    """A second endpoint on the same folder is refused in words."""
    asked = ask(tmp_path)
    with pytest.raises(JournalError, match="in use by another process"):
        ask(tmp_path)
    asked.app.close()
    ask(tmp_path).app.close()


def test_history_is_rewritten_and_nothing_living_is_lost(tmp_path: Path, ask: type[Ask]):
    """Hundreds of changes leave a file in proportion to what is kept, of its owner only."""
    asked = ask(tmp_path)
    store, _ = asked.store(STATEMENT.format("a"))
    for number in range(600):
        asked(
            "UpdatePolicyStore",
            policyStoreId=store,
            validationSettings={"mode": "OFF"},
            description=str(number),
        )
    asked.app.close()
    journal = tmp_path / "verified-permissions.journal"
    assert journal.stat().st_size < 200_000
    assert (journal.stat().st_mode & 0o777, tmp_path.stat().st_mode & 0o777) == (0o600, 0o700)
    again = ask(tmp_path)
    assert again("GetPolicyStore", policyStoreId=store)["description"] == "599"
    assert len(again("ListPolicies", policyStoreId=store)["policies"]) == 1
    again.app.close()


def test_a_full_disk_changes_nothing(tmp_path: Path, ask: type[Ask]):
    """When the journal cannot be written the answer is a 500, and nothing has the change."""
    asked = ask(tmp_path)
    store, (first,) = asked.store(STATEMENT.format("a"))
    before = (tmp_path / "verified-permissions.journal").read_bytes()
    state: State = asked.app._state
    journal = state._journal
    assert isinstance(journal, Journal)
    real = journal._file
    journal._file = os.open("/dev/full", os.O_WRONLY)  # every write fails with ENOSPC
    try:
        with pytest.raises(AssertionError, match="InternalServerException"):
            asked("DeletePolicy", policyStoreId=store, policyId=first)
    finally:
        os.close(journal._file)
        journal._file = real
    assert len(asked("ListPolicies", policyStoreId=store)["policies"]) == 1
    assert (tmp_path / "verified-permissions.journal").read_bytes() == before
    asked.app.close()


def test_rewrite_refused_by_the_disk_undoes_nothing(
    tmp_path: Path, ask: type[Ask], caplog: pytest.LogCaptureFixture
):
    """Every change is answered and kept, the failure logged once, a later rewrite succeeds."""
    asked = ask(tmp_path)
    store, _ = asked.store(STATEMENT.format("a"))
    in_the_way = tmp_path / "verified-permissions.journal.new"
    in_the_way.mkdir()  # stands for a disk without room for a second file
    for number in range(600):
        asked(
            "UpdatePolicyStore",
            policyStoreId=store,
            validationSettings={"mode": "OFF"},
            description=str(number),
        )
    assert [record.message for record in caplog.records] == ["verified_permissions.rewrite_failed"]
    asked.app.close()
    again = ask(tmp_path)
    assert again("GetPolicyStore", policyStoreId=store)["description"] == "599"
    in_the_way.rmdir()
    before = (tmp_path / "verified-permissions.journal").stat().st_size
    again(
        "UpdatePolicyStore",
        policyStoreId=store,
        validationSettings={"mode": "OFF"},
        description="last",
    )
    assert (tmp_path / "verified-permissions.journal").stat().st_size < before / 10
    again.app.close()
    last = ask(tmp_path)
    assert last("GetPolicyStore", policyStoreId=store)["description"] == "last"
    last.app.close()


@pytest.mark.parametrize(
    "change",
    [
        ["put", "Mystery", {}],
        ["forget", "PolicyStore", {"id": "x"}],
        ["put", "Policy", {"id": "x", "colour": "red"}],
        ["put", "Policy"],
        7,
    ],
)
def test_a_whole_line_of_another_version_is_refused(tmp_path: Path, ask: type[Ask], change: Json):
    """What is not known is neither skipped nor taken for a deletion; the message names it."""
    asked = ask(tmp_path)
    asked.store(STATEMENT.format("a"))
    asked.app.close()
    journal = tmp_path / "verified-permissions.journal"
    text = json.dumps([change]).encode()
    content = journal.read_bytes() + hashlib.sha256(text).hexdigest().encode() + b" " + text + b"\n"
    start = journal.stat().st_size
    journal.write_bytes(content)
    with pytest.raises(
        JournalError, match=rf"verified-permissions\.journal` holds at byte {start} a change"
    ):
        ask(tmp_path)
    assert journal.read_bytes() == content
