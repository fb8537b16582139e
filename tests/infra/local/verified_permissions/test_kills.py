"""What the endpoint answered survives the end of its process, in order or by kill -9."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from tests.seed import new_seed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

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


def test_answered_writes_survive_kills_in_the_middle(tmp_path: Path, started: list[Process]):
    """After kill -9 at random moments of writing, every answered policy is there."""
    chance = random.Random(new_seed())  # noqa: S311 - moments of kills
    started.append(Process(tmp_path))
    store = started[-1].client.create_policy_store(validationSettings={"mode": "OFF"})[
        "policyStoreId"
    ]
    answered: dict[str, str] = {}
    for _ in range(KILLS):
        process = started[-1]
        killer = subprocess.Popen(
            ["sh", "-c", f"sleep {chance.uniform(0.02, 0.3):.3f}; kill -9 {process.process.pid}"]
        )
        try:
            while True:
                text = STATEMENT.format(len(answered))
                made = process.client.create_policy(
                    policyStoreId=store, definition={"static": {"statement": text}}
                )
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
        # One create and one delete that were cut off before their answer.
        assert len(found - set(answered)) <= 2
        for policy_id in found - set(answered):
            got = started[-1].client.get_policy(policyStoreId=store, policyId=policy_id)
            answered[policy_id] = got["definition"]["static"]["statement"]
    assert started[-1].end(signal.SIGTERM) in (0, -signal.SIGTERM)
    assert len(answered) > KILLS


def test_ctrl_c_ends_in_order_and_a_restart_finds_everything(
    tmp_path: Path, started: list[Process]
):
    """Schema, links, sources, aliases, tags, decisions and client tokens are as before."""
    started.append(Process(tmp_path))
    client = started[-1].client
    made = client.create_policy_store(
        validationSettings={"mode": "OFF"}, clientToken="once", tags={"a": "b"}
    )
    store = made["policyStoreId"]
    template = client.create_policy_template(
        policyStoreId=store,
        statement="permit(principal == ?principal, action, resource);".replace(
            "resource", "resource is S::R"
        ),
    )["policyTemplateId"]
    alice = {"entityType": "S::User", "entityId": 'ali"ce'}
    link = client.create_policy(
        policyStoreId=store,
        definition={"templateLinked": {"policyTemplateId": template, "principal": alice}},
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
    again = client.create_policy_store(
        validationSettings={"mode": "OFF"}, clientToken="once", tags={"a": "b"}
    )
    assert again["policyStoreId"] == store
