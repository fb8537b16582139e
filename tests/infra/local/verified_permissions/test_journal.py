"""State on disk: what was answered survives a kill; what is torn or damaged is never loaded."""

from __future__ import annotations

import hashlib
import json
import os
import random
import secrets
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from infra.local.verified_permissions import JournalError
from infra.local.verified_permissions.journal import Journal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from infra.local.verified_permissions.state import State

    from .conftest import Ask

Json = Any  # what travels, before anybody has looked at it

KILLS = int(os.environ.get("CEDARFLEET_JOURNAL_KILLS", "5"))
STATEMENT = 'permit(principal == Shop::User::"{}", action, resource);'
KEY = {"AWS_ACCESS_KEY_ID": "AKIATEST", "AWS_SECRET_ACCESS_KEY": "made-up"}


class Process:
    """The endpoint as a process of its own with a state folder."""

    def __init__(self, folder: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "infra.local.verified_permissions", "--state-dir", str(folder)],
            env={**os.environ, **KEY},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.process.communicate()[1]
        self.client: Any = boto3.client(
            "verifiedpermissions",
            endpoint_url=json.loads(line)["url"],
            region_name="eu-central-1",
            aws_access_key_id=KEY["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=KEY["AWS_SECRET_ACCESS_KEY"],
            config=Config(retries={"total_max_attempts": 1}, read_timeout=10),
        )

    def end(self, how: signal.Signals) -> int:
        """The exit code after this signal."""
        self.process.send_signal(how)
        self.process.communicate(timeout=20)
        self.client.close()
        return self.process.returncode


@pytest.fixture
def started(tmp_path: Path) -> Iterator[list[Process]]:
    """Processes that a test starts; none is left behind."""
    processes: list[Process] = []
    yield processes
    for process in processes:
        if process.process.poll() is None:
            process.end(signal.SIGKILL)


def test_what_was_answered_survives_kills_in_the_middle_of_writing(tmp_path: Path, started: list[Process]):
    """After kill -9 at random moments of a stream of writes, every answered policy is there and no other state."""
    seed = secrets.randbits(32)
    print(f"seed {seed}")
    chance = random.Random(seed)  # noqa: S311 - moments of kills
    started.append(Process(tmp_path))
    store = started[-1].client.create_policy_store(validationSettings={"mode": "OFF"})["policyStoreId"]
    answered: dict[str, str] = {}
    for _ in range(KILLS):
        process = started[-1]
        killer = subprocess.Popen(["sh", "-c", f"sleep {chance.uniform(0.02, 0.3):.3f}; kill -9 {process.process.pid}"])
        try:
            while True:
                text = STATEMENT.format(len(answered))
                made = process.client.create_policy(policyStoreId=store, definition={"static": {"statement": text}})
                answered[made["policyId"]] = text
                if chance.random() < 0.2:
                    gone = chance.choice(list(answered))
                    text = answered.pop(gone)  # from here on it may be there or not
                    process.client.delete_policy(policyStoreId=store, policyId=gone)
        except BotoCoreError:
            pass  # the process is gone
        finally:
            killer.wait()
            process.process.communicate(timeout=20)
            process.client.close()
        started.append(Process(tmp_path))
        pages = (
            started[-1]
            .client.get_paginator("list_policies")
            .paginate(policyStoreId=store, PaginationConfig={"PageSize": 50})
        )
        found = {item["policyId"] for page in pages for item in page["policies"]}
        assert found >= set(answered)
        assert len(found - set(answered)) <= 2  # one create and one delete that were cut off before their answer
        for policy_id in found - set(answered):
            got = started[-1].client.get_policy(policyStoreId=store, policyId=policy_id)
            answered[policy_id] = got["definition"]["static"]["statement"]
    assert started[-1].end(signal.SIGTERM) in (0, -signal.SIGTERM)
    assert len(answered) > KILLS


def test_ctrl_c_ends_in_order_and_a_restart_finds_everything(tmp_path: Path, started: list[Process]):
    """Schema, links, sources' absence, aliases, tags and decisions are as before; client tokens are remembered."""
    started.append(Process(tmp_path))
    client = started[-1].client
    made = client.create_policy_store(validationSettings={"mode": "OFF"}, clientToken="once", tags={"a": "b"})
    store = made["policyStoreId"]
    template = client.create_policy_template(
        policyStoreId=store,
        statement="permit(principal == ?principal, action, resource);".replace("resource", "resource is S::R"),
    )["policyTemplateId"]
    alice = {"entityType": "S::User", "entityId": 'ali"ce'}
    link = client.create_policy(
        policyStoreId=store, definition={"templateLinked": {"policyTemplateId": template, "principal": alice}}
    )["policyId"]
    client.create_policy_store_alias(aliasName="policy-store-alias/mine", policyStoreId=store)
    assert started[-1].end(signal.SIGINT) in (0, 130, -signal.SIGINT)
    started.append(Process(tmp_path))
    client = started[-1].client
    answer = client.is_authorized(
        policyStoreId="policy-store-alias/mine",
        principal=alice,
        action={"actionType": "S::Action", "actionId": "x"},
        resource={"entityType": "S::R", "entityId": "r"},
    )
    assert answer["determiningPolicies"] == [{"policyId": link}]
    assert client.list_tags_for_resource(resourceArn=made["arn"])["tags"] == {"a": "b"}
    again = client.create_policy_store(validationSettings={"mode": "OFF"}, clientToken="once", tags={"a": "b"})
    assert again["policyStoreId"] == store


def test_a_tail_torn_anywhere_is_cut_off(tmp_path: Path, ask: type[Ask]):
    """Whatever part of the last transaction reached the disk, the ones before it load and the file works on."""
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
    """Hundreds of changes leave a file in proportion to what is alive, readable only by its owner."""
    asked = ask(tmp_path)
    store, _ = asked.store(STATEMENT.format("a"))
    for number in range(600):
        asked("UpdatePolicyStore", policyStoreId=store, validationSettings={"mode": "OFF"}, description=str(number))
    asked.app.close()
    journal = tmp_path / "verified-permissions.journal"
    assert journal.stat().st_size < 200_000
    assert (journal.stat().st_mode & 0o777, tmp_path.stat().st_mode & 0o777) == (0o600, 0o700)
    again = ask(tmp_path)
    assert again("GetPolicyStore", policyStoreId=store)["description"] == "599"
    assert len(again("ListPolicies", policyStoreId=store)["policies"]) == 1
    again.app.close()


def test_a_full_disk_changes_nothing(tmp_path: Path, ask: type[Ask]):
    """When the journal cannot be written the answer is a 500, and neither memory nor file has the change."""
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


def test_a_rewrite_that_the_disk_refuses_does_not_undo_the_change(
    tmp_path: Path, ask: type[Ask], caplog: pytest.LogCaptureFixture
):
    """Every change is answered and kept, the failure is logged once in hundreds, and a later rewrite succeeds."""
    asked = ask(tmp_path)
    store, _ = asked.store(STATEMENT.format("a"))
    in_the_way = tmp_path / "verified-permissions.journal.new"
    in_the_way.mkdir()  # stands for a disk without room for a second file
    for number in range(600):
        asked("UpdatePolicyStore", policyStoreId=store, validationSettings={"mode": "OFF"}, description=str(number))
    assert [record.message for record in caplog.records] == ["verified_permissions.rewrite_failed"]
    asked.app.close()
    again = ask(tmp_path)
    assert again("GetPolicyStore", policyStoreId=store)["description"] == "599"
    in_the_way.rmdir()
    before = (tmp_path / "verified-permissions.journal").stat().st_size
    again("UpdatePolicyStore", policyStoreId=store, validationSettings={"mode": "OFF"}, description="last")
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
    """What is not known is never skipped nor taken for a deletion; the message says where it stands."""
    asked = ask(tmp_path)
    asked.store(STATEMENT.format("a"))
    asked.app.close()
    journal = tmp_path / "verified-permissions.journal"
    text = json.dumps([change]).encode()
    content = journal.read_bytes() + hashlib.sha256(text).hexdigest().encode() + b" " + text + b"\n"
    start = journal.stat().st_size
    journal.write_bytes(content)
    with pytest.raises(JournalError, match=rf"verified-permissions\.journal` holds at byte {start} a change"):
        ask(tmp_path)
    assert journal.read_bytes() == content
