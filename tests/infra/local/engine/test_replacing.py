"""Replacement: which comes first, what goes with it, and what must never be lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pulumi
import pytest

from infra.local.engine import Op, ProgramError, ProtectedError
from tests.infra.local.engine.folder_cloud import Box

if TYPE_CHECKING:
    from infra.local.engine import Result
    from tests.infra.local.engine.conftest import StoreProject


def operations(result: Result) -> list[tuple[str, str]]:
    """Operation and logical name of each change."""
    return [(change.op.value, change.urn.split("::")[-1]) for change in result.changes]


def verbs(calls: list[str]) -> list[str]:
    """Calls without the drawn part of the names."""
    return [call.split("-")[0] for call in calls]


def test_drawn_name_lets_the_new_one_come_first(store: StoreProject) -> None:
    """A changed material makes a new box under a new name, then deletes the old one."""
    store(lambda: Box("box", material="oak")).up("dev")
    (old,) = store.cloud.boxes()
    store.cloud.calls()
    result = store(lambda: Box("box", material="elm", size=3)).up("dev")
    assert operations(result) == [("replace", "box")]
    assert result.changes[0].keys == ("material", "size")
    (new,) = store.cloud.boxes()
    assert new != old
    assert store.cloud.calls() == [f"create {new}", f"delete {old}"]


def test_a_fixed_name_makes_the_old_one_go_first(store: StoreProject) -> None:
    """Two boxes of one name cannot stand side by side."""
    store(lambda: Box("box", name="fixed", material="oak")).up("dev")
    store.cloud.calls()
    store(lambda: Box("box", name="fixed", material="elm")).up("dev")
    assert store.cloud.calls() == ["delete fixed", "create fixed"]


def test_the_program_can_ask_that_the_old_one_go_first(store: StoreProject) -> None:
    """`delete_before_replace` counts more than the drawn name."""
    opts = pulumi.ResourceOptions(delete_before_replace=True)
    store(lambda: Box("box", opts, material="oak")).up("dev")
    store.cloud.calls()
    store(lambda: Box("box", opts, material="elm")).up("dev")
    assert verbs(store.cloud.calls()) == ["delete box", "create box"]


def test_what_cannot_outlive_a_replaced_resource_goes_before_it(store: StoreProject) -> None:
    """A dependent whose link cannot change is made again first; another is updated."""

    def program(material: str) -> None:
        box = Box("box", name="fixed", material=material)
        inner = Box("inner", inside=box.arn)
        Box("innermost", inside=inner.name)
        Box("label", of=inner.arn)

    store(lambda: program("oak")).up("dev")
    store.cloud.calls()
    assert sorted(operations(store(lambda: program("elm")).preview("dev")))[:3] == [
        ("replace", "box"),
        ("replace", "inner"),
        ("replace", "innermost"),
    ]
    result = store(lambda: program("elm")).up("dev")
    calls = verbs(store.cloud.calls())
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
    assert len(store.cloud.boxes()) == 4


def test_replacement_reaches_dependents_by_their_new_inputs(store: StoreProject) -> None:
    """Where the new one comes first, a dependent is made after it; its old one goes first."""

    def program(material: str) -> None:
        box = Box("box", material=material)
        Box("inner", inside=box.arn)

    store(lambda: program("oak")).up("dev")
    store.cloud.calls()
    store(lambda: program("elm")).up("dev")
    assert verbs(store.cloud.calls()) == [
        "create box",
        "create inner",
        "delete inner",
        "delete box",
    ]


def test_protected_resource_is_neither_replaced_nor_deleted(
    store: StoreProject,
) -> None:
    """Each way of losing it is refused before any handler is called; `protect` off allows it."""
    protect = pulumi.ResourceOptions(protect=True)
    store(lambda: Box("box", protect, name="safe", material="oak")).up("dev")
    store.cloud.calls()
    with pytest.raises(ProtectedError, match=r"unable to replace .*::box"):
        store(lambda: Box("box", protect, name="safe", material="elm")).up("dev")
    with pytest.raises(ProtectedError, match=r"unable to delete .*::box"):
        store(lambda: Box("other")).up("dev")
    with pytest.raises(ProtectedError, match=r"unable to delete .*::box"):
        store(lambda: None).destroy("dev")
    assert store.cloud.calls() == []
    store(lambda: Box("box", name="safe", material="oak")).up("dev")
    assert store(lambda: None).destroy("dev").count(Op.DELETE) == 2


def test_an_alias_renames_without_replacing(store: StoreProject) -> None:
    """A resource under a new logical name, or parent type, stays what it is."""

    class Shelf(pulumi.ComponentResource):
        def __init__(
            self, name: str, kind: str, box: str, opts: pulumi.ResourceOptions | None = None
        ) -> None:
            super().__init__(kind, name, None, opts)
            Box(box, pulumi.ResourceOptions(parent=self), size=1)

    store(lambda: Shelf("shelf", "store:index:Shelf", "shelf-box")).up("dev")
    boxes = store.cloud.boxes()
    store.cloud.calls()
    alias = pulumi.ResourceOptions(aliases=[pulumi.Alias(name="shelf", type_="store:index:Shelf")])
    result = store(lambda: Shelf("rack", "store:index:Rack", "rack-box", alias)).up("dev")
    assert result.changes == ()
    assert store.cloud.calls() == []
    assert store.cloud.boxes() == boxes
    assert store(lambda: Shelf("rack", "store:index:Rack", "rack-box")).up("dev").changes == ()


def test_ignored_changes_stay_as_they_are(store: StoreProject) -> None:
    """`ignore_changes` keeps an input, or a map's entry, from the state; an index is refused."""
    opts = pulumi.ResourceOptions(ignore_changes=["size", "labels.a"])
    store(lambda: Box("box", opts, size=1, labels={"a": "1"})).up("dev")
    assert store(lambda: Box("box", opts, size=2, labels={"a": "2"})).up("dev").changes == ()
    result = store(lambda: Box("box", opts, size=2, labels={"a": "2", "b": "3"})).up("dev")
    assert result.changes[0].keys == ("labels",)
    (box,) = store.cloud.boxes().values()
    assert (box["size"], box["labels"]) == (1, {"a": "1", "b": "3"})
    indexed = pulumi.ResourceOptions(ignore_changes=["labels[0]"])
    with pytest.raises(ProgramError, match="labels\\[0\\]"):
        store(lambda: Box("box", indexed, size=2)).up("dev")


def test_retained_resources_are_forgotten_but_not_deleted(store: StoreProject) -> None:
    """`retain_on_delete` leaves the box in the cloud when it leaves the program."""
    opts = pulumi.ResourceOptions(retain_on_delete=True)
    store(lambda: Box("box", opts)).up("dev")
    assert store(lambda: None).up("dev").count(Op.DELETE) == 1
    assert len(store.cloud.boxes()) == 1


def test_what_is_deleted_with_another_is_not_deleted_by_itself(store: StoreProject) -> None:
    """`deleted_with` spares the call when the other goes in the same run."""

    def program() -> None:
        box = Box("box")
        Box("content", pulumi.ResourceOptions(deleted_with=box, depends_on=[box]))

    store(program).up("dev")
    store.cloud.calls()
    store(program).destroy("dev")
    assert verbs(store.cloud.calls()) == ["delete box"]


def test_replace_on_changes_forces_a_replacement(store: StoreProject) -> None:
    """An input that could change in place is replaced where the program says so."""
    opts = pulumi.ResourceOptions(replace_on_changes=["size"])
    store(lambda: Box("box", opts, size=1)).up("dev")
    assert store(lambda: Box("box", opts, size=2)).up("dev").count(Op.REPLACE) == 1
