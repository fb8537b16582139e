"""A tenant's archive is its maker's alone, and brings nothing into another tenant's partition."""

from __future__ import annotations

import json
import os
import stat
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.stub import Stubber

from infra import names
from infra.commands.account import Account
from infra.commands.device_rows import DeviceTable
from infra.commands.suspension import Aws, Tenant
from infra.commands.tenant_archive.archive import Archive, ArchiveError, Workshop
from infra.commands.tenant_archive.arrival import Arrival, Moved, people_of_rows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ITEM_BYTES = 400 * 1024


def nobody(service: str) -> Any:
    """An account of which nothing may be asked."""
    raise AssertionError(f"{service} was asked")


def archived(folder: Path, **rows: list[dict[str, Any]]) -> Path:
    """An archive of acme that its holder has put together, digests and all."""
    head = {"tenant": "acme", "pool_id": "eu-central-1_elsewhere", "cannot_move": "", "by": "x"}
    shop = Workshop.begun(folder / "acme.parts", {**head, "began_at": "2026-11-30T00:00:00+00:00"})
    for part in ("people", "devices", "groups", "command-types", "grants", "history", "files"):
        lines = map(json.dumps, rows.get(part.replace("-", "_"), []))
        shop.put(f"{part}.jsonl", lines, not_taken={})
    shop.keep([b"content"])
    shop.packed(folder / "acme.tar")
    return folder / "acme.tar"


def arrival(file: Path, opened: Path) -> Arrival:
    """An import of it on a platform of which nothing may be asked."""
    aws = Aws(
        dynamodb=None, permissions=None, cognito=None, iot=None, data=None, table="cedarfleet"
    )
    row = {"issuer": {"S": "https://cognito/eu-central-1_here"}}
    return Arrival(
        account=Account(client=nobody, region="eu-central-1"),
        tenant=Tenant(aws=aws, id="acme", row=row),
        archive=Archive.opened(file, opened),
        ids=file.with_name("acme-ids.json"),
        by="operator",
        say=lambda _: None,
    )


@pytest.fixture
def open_umask() -> Iterator[None]:
    """Of a machine whose users may read each other's files."""
    before = os.umask(0o002)
    yield
    os.umask(before)


@pytest.mark.usefixtures("open_umask")
def test_an_archive_is_its_makers_alone(tmp_path: Path) -> None:
    """File, parts, manifest and ids, and the folders of parts, whatever the umask is."""
    file = archived(tmp_path)
    Moved(people={"a": "b"}).write(tmp_path / "acme-ids.json")
    parts = tmp_path / "acme.parts"
    found = [file, tmp_path / "acme-ids.json", parts, *parts.rglob("*")]
    assert len(found) > 10
    shared = [one.name for one in found if stat.S_IMODE(one.stat().st_mode) & 0o077]
    assert shared == []


@pytest.mark.parametrize("part", ["groups", "command_types", "grants"])
@pytest.mark.parametrize("tenant", ["globex", "acme-two", ""])
def test_a_row_of_another_tenant_is_refused(tmp_path: Path, part: str, tenant: str) -> None:
    """One such row, and of the whole archive nothing is brought, and nothing asked."""
    key, noun = ("thing" if part == "grants" else "partition"), part.replace("_", "-")
    own = {key: {"S": f"acme--{noun}"}, "sk": {"S": "good"}}
    foreign = {key: {"S": f"{tenant}--{noun}" if tenant else noun}, "sk": {"S": "evil"}}
    file = archived(tmp_path, **{part: [own, foreign]})
    with pytest.raises(ArchiveError, match=rf"^{noun}\.jsonl, line 2: is no row of `acme--{noun}`"):
        arrival(file, tmp_path / "opened").run()


def test_a_row_of_another_kind_is_refused(tmp_path: Path) -> None:
    """A partition of the tenant's own that is not the part's: revocations are no grants."""
    file = archived(tmp_path, grants=[{"thing": {"S": "acme--revocations"}, "sk": {"S": "#x"}}])
    with pytest.raises(ArchiveError, match="is no row of `acme--grants`"):
        arrival(file, tmp_path / "opened").run()


def test_facts_of_a_device_name_no_partition() -> None:
    """Columns that call themselves a key are written over by the key."""
    client = boto3.client("dynamodb", region_name="eu-central-1")
    table = DeviceTable(client=client, name=names.DEVICES_TABLE, tenant="acme")
    evil = {"partition": {"S": "globex--devices"}, "sk": {"S": "pump-01#facts"}}
    with Stubber(client) as stub:
        stub.add_response("put_item", {})
        sent: list[dict[str, Any]] = []
        client.meta.events.register(
            "provide-client-params.dynamodb.PutItem",
            lambda params, **_: sent.append(params["Item"]),
        )
        table.write_facts("press-01", evil, by="operator", now_ms=1)
    assert sent[0]["partition"] == {"S": "acme--devices"}
    assert sent[0]["sk"] == {"S": "press-01#facts"}


def test_who_was_moved_fits_into_rows() -> None:
    """Ten thousand people, each once, in rows of which none is larger than DynamoDB takes."""
    people = {f"{number:036d}": f"{number:036x}" for number in range(10_000)}
    rows = list(people_of_rows(people))
    assert {old: new["S"] for row in rows for old, new in row.items()} == people
    assert sum(map(len, rows)) == len(people)
    assert max(len(json.dumps(row)) for row in rows) < ITEM_BYTES
    assert list(people_of_rows({})) == [{}]
