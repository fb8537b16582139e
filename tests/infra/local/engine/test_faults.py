"""Failures half way and damaged files: what is done is known, and the next run goes on from there."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from infra.local.engine import DeploymentFailedError, ProgramError, StateError
from tests.infra.local.engine.folder_cloud import Box
from tests.infra.local.engine.programs import chain

if TYPE_CHECKING:
    from tests.infra.local.engine.conftest import Workshop


def test_after_a_failure_only_the_rest_is_made(workshop: Workshop) -> None:
    """A create that is refused fails the run by name; the next run makes just what is missing."""
    refusal = workshop.root / "boxes" / "refuse-second"
    refusal.touch()
    with pytest.raises(
        DeploymentFailedError, match=r"creating urn:.*::second: PermissionError: not allowed"
    ) as raised:
        workshop(chain).up("dev")
    assert [failure.operation for failure in raised.value.failures] == ["creating"]
    assert [change.urn.split("::")[-1] for change in raised.value.result.changes] == [
        "store-dev",
        "first",
    ]
    assert list(workshop.cloud.boxes()) == ["first"]
    workshop.cloud.calls()
    refusal.unlink()
    result = workshop(chain).up("dev")
    assert workshop.cloud.calls() == ["create second", "create third"]
    assert result.same == 2
    assert result.outputs == {"arn": "arn:box:third"}
    assert result.warnings == ()


def test_a_program_that_fails_deletes_nothing(workshop: Workshop) -> None:
    """An exception in the program, or in an apply, ends the run with its words; what exists stays."""
    workshop(chain).up("dev")

    def broken() -> None:
        Box("first", name="first", size=1)
        raise ValueError("no such tenant")

    def broken_later() -> None:
        Box("first", name="first", size=1).arn.apply(lambda arn: {}[arn])

    for program, words in ((broken, "ValueError: no such tenant"), (broken_later, "KeyError")):
        with pytest.raises(ProgramError, match=words):
            workshop(program).up("dev")
    assert list(workshop.cloud.boxes()) == ["first", "second", "third"]
    assert workshop(chain).up("dev").changes == ()


def test_a_type_without_handler_is_refused_before_anything_is_made(workshop: Workshop) -> None:
    """Every unknown type is named, and no handler is called."""

    def program() -> None:
        Box("box")
        Box("crate", kind="Crate")
        Box("barrel", kind="Barrel")

    with pytest.raises(
        ProgramError,
        match=r"no resource handler for box:index:Barrel .*::barrel\); box:index:Crate",
    ):
        workshop(program).up("dev")
    assert workshop.cloud.calls() == []
    assert workshop.cloud.boxes() == {}


def test_a_type_that_only_the_real_run_asks_for_is_refused_there(workshop: Workshop) -> None:
    """A resource declared inside an apply is not seen by the preview; without handler it ends the run, made or not."""

    def program() -> None:
        Box("box", name="box").arn.apply(lambda arn: Box("crate", kind="Crate", of=arn).arn)

    with pytest.raises(ProgramError, match="no resource handler for box:index:Crate"):
        workshop(program).up("dev")
    assert list(workshop.cloud.boxes()) == ["box"]


def test_one_urn_belongs_to_one_resource(workshop: Workshop) -> None:
    """Two resources of one type and name are refused before anything is made."""
    with pytest.raises(ProgramError, match=r"Duplicate resource URN .*::box"):
        workshop(lambda: [Box("box") for _ in range(2)]).up("dev")
    assert workshop.cloud.boxes() == {}


def test_a_torn_journal_line_is_what_was_being_written(workshop: Workshop) -> None:
    """Whole lines of a journal count, its torn end does not; a journal of an older file does not count at all."""
    workshop(chain).up("dev")
    file = workshop.root / "state" / "stacks" / "store" / "dev.json"
    deployment = json.loads(file.read_text())["deployment"]
    last = deployment["resources"][-1]["urn"]
    drop = json.dumps({"drop": last})
    file.with_suffix(".journal").write_text(f'{{"extends": "2026-01-01T00:00:00+00:00"}}\n{drop}\n')
    assert workshop(chain).preview("dev").changes == ()
    extends = json.dumps({"extends": deployment["manifest"]["time"]})
    file.with_suffix(".journal").write_text(f'{extends}\n{drop}\n{{"drop": "urn:pul')
    workshop.cloud.calls()
    (workshop.root / "boxes" / "third.json").unlink()
    assert [change.urn for change in workshop(chain).up("dev").changes] == [last]


def test_a_damaged_state_file_is_refused(workshop: Workshop) -> None:
    """Neither a torn file nor one of another format is taken for an empty stack."""
    workshop(chain).up("dev")
    file = workshop.root / "state" / "stacks" / "store" / "dev.json"
    whole = file.read_text()
    for damaged, words in (
        (whole[: len(whole) // 2], "is no Pulumi deployment"),
        (whole.replace('"version": 3', '"version": 4'), "version 4"),
    ):
        file.write_text(damaged)
        with pytest.raises(StateError, match=words):
            workshop(chain).up("dev")
    assert list(workshop.cloud.boxes()) == ["first", "second", "third"]


def test_a_failed_delete_is_tried_again(workshop: Workshop) -> None:
    """What could not be deleted stays in the state; destroy goes on from there."""
    workshop(chain).up("dev")
    second = workshop.root / "boxes" / "second.json"
    second.unlink()
    second.mkdir()  # unlinking a folder fails
    with pytest.raises(DeploymentFailedError, match=r"deleting .*::second"):
        workshop(chain).destroy("dev")
    assert list(workshop.cloud.calls())[-2:] == ["delete third", "delete second"]
    second.rmdir()
    workshop(chain).destroy("dev")
    assert workshop.cloud.calls() == ["delete second", "delete first"]
