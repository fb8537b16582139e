"""Replacement: which comes first, what goes with it, and what must never be lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pulumi
import pytest

from infra.local.engine import Op, ProgramError, ProtectedError
from tests.infra.local.engine.folder_cloud import Box

if TYPE_CHECKING:
    from infra.local.engine import Result
    from tests.infra.local.engine.conftest import Workshop


def operations(result: Result) -> list[tuple[str, str]]:
    """Operation and logical name of each change."""
    return [(change.op.value, change.urn.split("::")[-1]) for change in result.changes]


def verbs(calls: list[str]) -> list[str]:
    """Calls without the drawn part of the names."""
    return [call.split("-")[0] for call in calls]


def test_a_drawn_name_lets_the_new_one_come_before_the_old_one_goes(workshop: Workshop) -> None:
    """A changed material makes a new box under a new name, then deletes the old one."""
    workshop(lambda: Box("box", material="oak")).up("dev")
    (old,) = workshop.cloud.boxes()
    workshop.cloud.calls()
    result = workshop(lambda: Box("box", material="elm", size=3)).up("dev")
    assert operations(result) == [("replace", "box")]
    assert result.changes[0].keys == ("material", "size")
    (new,) = workshop.cloud.boxes()
    assert new != old
    assert workshop.cloud.calls() == [f"create {new}", f"delete {old}"]


def test_a_fixed_name_makes_the_old_one_go_first(workshop: Workshop) -> None:
    """Two boxes of one name cannot stand side by side."""
    workshop(lambda: Box("box", name="fixed", material="oak")).up("dev")
    workshop.cloud.calls()
    workshop(lambda: Box("box", name="fixed", material="elm")).up("dev")
    assert workshop.cloud.calls() == ["delete fixed", "create fixed"]


def test_the_program_can_ask_that_the_old_one_go_first(workshop: Workshop) -> None:
    """`delete_before_replace` counts more than the drawn name."""
    opts = pulumi.ResourceOptions(delete_before_replace=True)
    workshop(lambda: Box("box", opts, material="oak")).up("dev")
    workshop.cloud.calls()
    workshop(lambda: Box("box", opts, material="elm")).up("dev")
    assert verbs(workshop.cloud.calls()) == ["delete box", "create box"]


def test_what_cannot_outlive_a_replaced_resource_goes_before_it(workshop: Workshop) -> None:
    """A dependent whose link cannot change is deleted first and made again; one whose link can change is updated."""

    def program(material: str) -> None:
        box = Box("box", name="fixed", material=material)
        inner = Box("inner", inside=box.arn)
        Box("innermost", inside=inner.name)
        Box("label", of=inner.arn)

    workshop(lambda: program("oak")).up("dev")
    workshop.cloud.calls()
    assert sorted(operations(workshop(lambda: program("elm")).preview("dev")))[:3] == [
        ("replace", "box"),
        ("replace", "inner"),
        ("replace", "innermost"),
    ]
    result = workshop(lambda: program("elm")).up("dev")
    calls = verbs(workshop.cloud.calls())
    assert calls[:5] == [
        "delete innermost",
        "delete inner",
        "delete fixed",
        "create fixed",
        "create inner",
    ]
    assert sorted(calls[5:]) == ["create innermost", "update label"]
    assert sorted(operations(result)) == [
        ("replace", "box"),
        ("replace", "inner"),
        ("replace", "innermost"),
        ("update", "label"),
    ]
    assert len(workshop.cloud.boxes()) == 4


def test_replacement_reaches_dependents_by_their_new_inputs(workshop: Workshop) -> None:
    """Where the new one comes first, a dependent that cannot change is made after it, and its old one goes first."""

    def program(material: str) -> None:
        box = Box("box", material=material)
        Box("inner", inside=box.arn)

    workshop(lambda: program("oak")).up("dev")
    workshop.cloud.calls()
    workshop(lambda: program("elm")).up("dev")
    assert verbs(workshop.cloud.calls()) == [
        "create box",
        "create inner",
        "delete inner",
        "delete box",
    ]


def test_a_protected_resource_is_neither_replaced_nor_deleted_nor_destroyed(
    workshop: Workshop,
) -> None:
    """Each way of losing it is refused before any handler is called, and removing `protect` opens the way."""
    protect = pulumi.ResourceOptions(protect=True)
    workshop(lambda: Box("box", protect, name="safe", material="oak")).up("dev")
    workshop.cloud.calls()
    with pytest.raises(ProtectedError, match=r"unable to replace .*::box"):
        workshop(lambda: Box("box", protect, name="safe", material="elm")).up("dev")
    with pytest.raises(ProtectedError, match=r"unable to delete .*::box"):
        workshop(lambda: Box("other")).up("dev")
    with pytest.raises(ProtectedError, match=r"unable to delete .*::box"):
        workshop(lambda: None).destroy("dev")
    assert workshop.cloud.calls() == []
    workshop(lambda: Box("box", name="safe", material="oak")).up("dev")
    assert workshop(lambda: None).destroy("dev").count(Op.DELETE) == 2


def test_an_alias_renames_without_replacing(workshop: Workshop) -> None:
    """A resource under a new logical name, and a child under a new parent type, stay what they are."""

    class Shelf(pulumi.ComponentResource):
        def __init__(
            self, name: str, kind: str, box: str, opts: pulumi.ResourceOptions | None = None
        ) -> None:
            super().__init__(kind, name, None, opts)
            Box(box, pulumi.ResourceOptions(parent=self), size=1)

    workshop(lambda: Shelf("shelf", "store:index:Shelf", "shelf-box")).up("dev")
    boxes = workshop.cloud.boxes()
    workshop.cloud.calls()
    alias = pulumi.ResourceOptions(aliases=[pulumi.Alias(name="shelf", type_="store:index:Shelf")])
    result = workshop(lambda: Shelf("rack", "store:index:Rack", "rack-box", alias)).up("dev")
    assert result.changes == ()
    assert workshop.cloud.calls() == []
    assert workshop.cloud.boxes() == boxes
    assert workshop(lambda: Shelf("rack", "store:index:Rack", "rack-box")).up("dev").changes == ()


def test_ignored_changes_stay_as_they_are(workshop: Workshop) -> None:
    """`ignore_changes` keeps an input, or one entry of a map, from the state; an index is refused."""
    opts = pulumi.ResourceOptions(ignore_changes=["size", "labels.a"])
    workshop(lambda: Box("box", opts, size=1, labels={"a": "1"})).up("dev")
    assert workshop(lambda: Box("box", opts, size=2, labels={"a": "2"})).up("dev").changes == ()
    result = workshop(lambda: Box("box", opts, size=2, labels={"a": "2", "b": "3"})).up("dev")
    assert result.changes[0].keys == ("labels",)
    (box,) = workshop.cloud.boxes().values()
    assert (box["size"], box["labels"]) == (1, {"a": "1", "b": "3"})
    indexed = pulumi.ResourceOptions(ignore_changes=["labels[0]"])
    with pytest.raises(ProgramError, match="labels\\[0\\]"):
        workshop(lambda: Box("box", indexed, size=2)).up("dev")


def test_retained_resources_are_forgotten_but_not_deleted(workshop: Workshop) -> None:
    """`retain_on_delete` leaves the box in the cloud when it leaves the program."""
    opts = pulumi.ResourceOptions(retain_on_delete=True)
    workshop(lambda: Box("box", opts)).up("dev")
    assert workshop(lambda: None).up("dev").count(Op.DELETE) == 1
    assert len(workshop.cloud.boxes()) == 1


def test_what_is_deleted_with_another_is_not_deleted_by_itself(workshop: Workshop) -> None:
    """`deleted_with` spares the call when the other goes in the same run."""

    def program() -> None:
        box = Box("box")
        Box("content", pulumi.ResourceOptions(deleted_with=box, depends_on=[box]))

    workshop(program).up("dev")
    workshop.cloud.calls()
    workshop(program).destroy("dev")
    assert verbs(workshop.cloud.calls()) == ["delete box"]


def test_replace_on_changes_forces_a_replacement(workshop: Workshop) -> None:
    """An input that could change in place is replaced where the program says so."""
    opts = pulumi.ResourceOptions(replace_on_changes=["size"])
    workshop(lambda: Box("box", opts, size=1)).up("dev")
    assert workshop(lambda: Box("box", opts, size=2)).up("dev").count(Op.REPLACE) == 1
