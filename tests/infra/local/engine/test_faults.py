"""Failures half way and damaged files: what is done is known, the next run goes on there."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from infra.local.engine import DeploymentFailedError, ProgramError, StateError
from tests.infra.local.engine.folder_cloud import Box, chain

if TYPE_CHECKING:
    from tests.infra.local.engine.conftest import StoreProject


def test_after_a_failure_only_the_rest_is_made(store: StoreProject) -> None:
    """A create that is refused fails the run by name; the next run makes just what is missing."""
    refusal = store.root / "boxes" / "refuse-second"
    refusal.touch()
    with pytest.raises(
        DeploymentFailedError, match=r"creating urn:.*::second: PermissionError: not allowed"
    ) as raised:
        store(chain).up("dev")
    assert [failure.operation for failure in raised.value.failures] == ["creating"]
    assert [change.urn.split("::")[-1] for change in raised.value.result.changes] == [
        "store-dev",
        "first",
    ]
    assert list(store.cloud.boxes()) == ["first"]
    store.cloud.calls()
    refusal.unlink()
    result = store(chain).up("dev")
    assert store.cloud.calls() == ["create second", "create third"]
    assert result.same == 2
    assert result.outputs == {"arn": "arn:box:third"}
    assert result.warnings == ()


def test_a_program_that_fails_deletes_nothing(store: StoreProject) -> None:
    """An exception in the program, or in an apply, ends the run by name; what exists stays."""
    store(chain).up("dev")

    def broken() -> None:
        Box("first", name="first", size=1)
        raise ValueError("no such tenant")

    def broken_later() -> None:
        Box("first", name="first", size=1).arn.apply(lambda arn: {}[arn])

    for program, words in ((broken, "ValueError: no such tenant"), (broken_later, "KeyError")):
        with pytest.raises(ProgramError, match=words):
            store(program).up("dev")
    assert list(store.cloud.boxes()) == ["first", "second", "third"]
    assert store(chain).up("dev").changes == ()


def test_type_without_handler_is_refused_first(store: StoreProject) -> None:
    """Every unknown type is named, and no handler is called."""

    def program() -> None:
        Box("box")
        Box("crate", kind="Crate")
        Box("barrel", kind="Barrel")

    with pytest.raises(
        ProgramError,
        match=r"no resource handler for box:index:Barrel .*::barrel\); box:index:Crate",
    ):
        store(program).up("dev")
    assert store.cloud.calls() == []
    assert store.cloud.boxes() == {}


def test_a_type_that_only_the_real_run_asks_for_is_refused_there(store: StoreProject) -> None:
    """A resource inside an apply, without handler, is not in the preview and ends the run."""

    def program() -> None:
        Box("box", name="box").arn.apply(lambda arn: Box("crate", kind="Crate", of=arn).arn)

    with pytest.raises(ProgramError, match="no resource handler for box:index:Crate"):
        store(program).up("dev")
    assert list(store.cloud.boxes()) == ["box"]


def test_one_urn_belongs_to_one_resource(store: StoreProject) -> None:
    """Two resources of one type and name are refused before anything is made."""
    with pytest.raises(ProgramError, match=r"Duplicate resource URN .*::box"):
        store(lambda: [Box("box") for _ in range(2)]).up("dev")
    assert store.cloud.boxes() == {}


def test_a_torn_journal_line_is_what_was_being_written(store: StoreProject) -> None:
    """Whole lines of a journal count, its torn end and a journal of an older file do not."""
    store(chain).up("dev")
    file = store.root / "state" / "stacks" / "store" / "dev.json"
    deployment = json.loads(file.read_text())["deployment"]
    last = deployment["resources"][-1]["urn"]
    drop = json.dumps({"drop": last})
    file.with_suffix(".journal").write_text(f'{{"extends": "2026-01-01T00:00:00+00:00"}}\n{drop}\n')
    assert store(chain).preview("dev").changes == ()
    extends = json.dumps({"extends": deployment["manifest"]["time"]})
    file.with_suffix(".journal").write_text(f'{extends}\n{drop}\n{{"drop": "urn:pul')
    store.cloud.calls()
    (store.root / "boxes" / "third.json").unlink()
    assert [change.urn for change in store(chain).up("dev").changes] == [last]


def test_a_damaged_state_file_is_refused(store: StoreProject) -> None:
    """Neither a torn file nor one of another format is taken for an empty stack."""
    store(chain).up("dev")
    file = store.root / "state" / "stacks" / "store" / "dev.json"
    whole = file.read_text()
    for damaged, words in (
        (whole[: len(whole) // 2], "is no Pulumi deployment"),
        (whole.replace('"version": 3', '"version": 4'), "version 4"),
    ):
        file.write_text(damaged)
        with pytest.raises(StateError, match=words):
            store(chain).up("dev")
    assert list(store.cloud.boxes()) == ["first", "second", "third"]


def test_a_failed_delete_is_tried_again(store: StoreProject) -> None:
    """What could not be deleted stays in the state; destroy goes on from there."""
    store(chain).up("dev")
    second = store.root / "boxes" / "second.json"
    second.unlink()
    second.mkdir()  # unlinking a folder fails
    with pytest.raises(DeploymentFailedError, match=r"deleting .*::second"):
        store(chain).destroy("dev")
    assert list(store.cloud.calls())[-2:] == ["delete third", "delete second"]
    second.rmdir()
    store(chain).destroy("dev")
    assert store.cloud.calls() == ["delete second", "delete first"]
