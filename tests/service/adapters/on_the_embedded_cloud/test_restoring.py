"""The rehearsal of a restore: rows and files that somebody destroyed, while the service goes on."""

from __future__ import annotations

import hashlib
import math
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import boto3
import pytest

from infra.__main__ import main
from infra.commands.account import Account
from infra.commands.restoring import tables

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.service.adapters.on_the_embedded_cloud.conftest import DeployedService

TABLE = tables.TABLES["devices"]
DIFFERS = 4


@pytest.fixture
def backups(
    deployed: DeployedService, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """`python -m infra backups` on the embedded cloud: exit code, and what it said."""
    for name, value in deployed.setup.cloud.environment().items():
        monkeypatch.setenv(name, value)

    def run(*words: str) -> tuple[int, str]:
        capsys.readouterr()
        code = main(["backups", *words])
        told = capsys.readouterr()
        return code, told.out + told.err

    return run


def a_moment() -> datetime:
    """A whole second that has passed: S3 and DynamoDB know no others."""
    second = math.ceil(time.time())
    while time.time() < second + 1:
        time.sleep(0.05)
    return datetime.fromtimestamp(second, UTC)


def key(device: str) -> dict[str, dict[str, str]]:
    """Key of a device's facts."""
    return {"partition": {"S": "acme--devices"}, "sk": {"S": f"{device}#facts"}}


def test_rows_come_back_while_the_service_goes_on(
    deployed: DeployedService, backups: Callable[..., tuple[int, str]]
) -> None:
    """What is gone and what was spoilt come back; what people did since stays, and no neighbour's.

    A row that was changed between the look and the writing is named and left.
    """
    rows = deployed.setup.cloud.client("dynamodb")
    account = Account.of(boto3.Session())
    before = {
        device: deployed.call("GET", f"/v1/devices/{device}").json()["attributes"]
        for device in ("press-01", "press-02")
    }
    at = a_moment().isoformat()
    rows.delete_item(TableName=TABLE, Key=key("press-01"))
    rows.update_item(
        TableName=TABLE,
        Key=key("press-02"),
        UpdateExpression="SET attributes = :none",
        ExpressionAttributeValues={":none": {"M": {}}},
    )
    made = deployed.call("POST", "/v1/devices", json={"id": "press-77", "groups": ["line-press"]})
    assert made.status_code == 201, made.text
    # Whoever has no facts is nobody's; the others are served.
    lost = deployed.call("GET", "/v1/devices/press-01")
    assert lost.status_code == 404 or lost.json()["attributes"] != before["press-01"]
    assert deployed.call("GET", "/v1/devices/pump-01", tenant="globex").status_code == 200

    code, told = backups("restore", "devices", "--at", at)
    assert code == 0, told
    restored = next(word for word in told.split() if word.startswith(f"{TABLE}-restored-"))
    code, told = backups("compare", "devices", restored, "--tenant", "acme", "--all")
    assert code == DIFFERS, told
    assert "gone     acme--devices press-01#facts" in told
    assert "changed  acme--devices press-02#facts" in told
    assert "made     acme--devices press-77#" in told
    assert "globex" not in told

    # Not what other tests' devices leave behind a little later.
    seen = [
        one
        for one in tables.compared(account, TABLE, restored, tenant="acme")
        if one.shown in {f"acme--devices press-0{number}#facts" for number in (1, 2)}
    ]
    answer = deployed.call("PATCH", "/v1/devices/press-02", json={"kind": "pump"})
    assert answer.status_code == 200, answer.text
    done = tables.put_back(account, TABLE, iter(seen), changed=True)
    assert "acme--devices press-02#facts" in done.in_the_way
    assert deployed.call("GET", "/v1/devices/press-01").json()["attributes"] == before["press-01"]
    read = deployed.call("GET", "/v1/devices/press-02").json()["attributes"]
    assert read == {"kind": "pump"}, "somebody's work of now is not written over unseen"

    whole = ("put-back", "devices", restored, "--tenant", "acme")
    for row in ("press-01", "press-02"):
        code, told = backups(*whole, "--only", f"acme--devices {row}#facts")
        assert (code, told[:10]) == (0, "0 written,"), told
    whole = (*whole, "--changed")
    code, told = backups(*whole, "--only", "acme--devices press-99#facts")
    assert (code, told[:10]) == (0, "0 written,"), told
    code, told = backups(*whole, "--only", "acme--devices press-02#facts")
    assert (code, told[:10]) == (0, "1 written,"), told
    read = deployed.call("GET", "/v1/devices/press-02").json()["attributes"]
    assert read == before["press-02"]
    assert deployed.call("GET", "/v1/devices/press-77").status_code == 200

    code, told = backups("drop", TABLE)
    assert (code, TABLE in told) == (1, True)
    assert backups("drop", restored) == (0, "")
    assert restored not in rows.list_tables()["TableNames"]


def test_a_moment_that_cannot_be_had_is_refused(
    backups: Callable[..., tuple[int, str]], capsys: pytest.CaptureFixture[str]
) -> None:
    """Before recovery was switched on, and to come: it says which there are; and no moment."""
    for at in ("2020-01-01T00:00:00+00:00", "2999-01-01T00:00:00+00:00"):
        code, told = backups("restore", "devices", "--at", at)
        assert (code, "can be restored to any moment from" in told) == (1, True), told
    for at, why in (("yesterday", "is no moment"), ("2026-12-31T18:00:00", "has no offset")):
        with pytest.raises(SystemExit):
            main(["backups", "restore", "devices", "--at", at])
        assert f"`{at}` {why}" in capsys.readouterr().err
    code, told = backups("list")
    assert code == 0
    assert [line.split()[1] for line in told.splitlines()] == list(tables.TABLES.values())


def test_files_come_back_as_they_were(
    deployed: DeployedService, backups: Callable[..., tuple[int, str]]
) -> None:
    """A deleted one under its version id, which rows and jobs name; a replaced one as a copy."""
    s3, bucket = deployed.setup.cloud.client("s3"), deployed.setup.stacks["acme"]["bucket"]
    names = ("recipes/deleted.json", "recipes/replaced.json", "recipes/later.json")
    # A true one: it stays among the versions, and an export holds each to its digest.
    digest = {"sha256": hashlib.sha256(b"old").hexdigest()}
    old = {
        name: s3.put_object(Bucket=bucket, Key=name, Body=b"old", Metadata=digest)
        for name in names[:2]
    }
    at = a_moment().isoformat()
    s3.delete_object(Bucket=bucket, Key=names[0])
    for name in names[1:]:
        s3.put_object(Bucket=bucket, Key=name, Body=b"new")

    code, told = backups("files", "acme", "--at", at)
    found = [line.split() for line in told.splitlines() if "recipes/" in line]
    assert code == DIFFERS
    assert found == [["deleted", names[0]], ["replaced", names[1]]]
    assert backups("files", "acme", "--at", at, "--apply")[0] == 0
    now = {name: s3.get_object(Bucket=bucket, Key=name) for name in names}
    assert {name: one["Body"].read() for name, one in now.items()} == {
        names[0]: b"old",
        names[1]: b"old",
        names[2]: b"new",
    }
    assert now[names[0]]["VersionId"] == old[names[0]]["VersionId"]
    assert now[names[1]]["Metadata"] == digest
    for name in names:
        s3.delete_object(Bucket=bucket, Key=name)
