"""A stack's life: preview, up, no-op up, update, destroy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pulumi

from infra.local.engine import Op
from tests.infra.local.engine.folder_cloud import Box

if TYPE_CHECKING:
    from tests.infra.local.engine.conftest import StoreProject


def two_boxes(size: int = 1) -> None:
    """A box, and a lid that knows its address."""
    box = Box("box", size=size, material="oak")
    Box("lid", of=box.arn)
    pulumi.export("arn", box.arn)


def test_preview_names_every_create_and_calls_no_handler(store: StoreProject) -> None:
    """A preview of a new stack lists stack and resources as creates, and makes none."""
    result = store(two_boxes).preview("dev")
    assert result.preview
    assert [change.urn.split("::")[-1] for change in result.changes] == ["store-dev", "box", "lid"]
    assert result.count(Op.CREATE) == 3
    assert store.cloud.calls() == []
    assert result.outputs == {}


def test_up_makes_resources_in_the_order_of_their_dependencies(store: StoreProject) -> None:
    """A resource that takes another's output is made after it and gets the real value."""
    result = store(two_boxes).up("dev")
    first, second = store.cloud.calls()
    assert first.startswith("create box-")
    assert second.startswith("create lid-")
    box = next(name for name in store.cloud.boxes() if name.startswith("box-"))
    lid = next(name for name in store.cloud.boxes() if name.startswith("lid-"))
    assert store.cloud.boxes()[lid]["of"] == f"arn:box:{box}"
    assert result.outputs == {"arn": f"arn:box:{box}"}


def test_a_second_up_changes_nothing(store: StoreProject) -> None:
    """The same program over the same state calls no handler and keeps the drawn names."""
    store(two_boxes).up("dev")
    boxes = store.cloud.boxes()
    store.cloud.calls()
    result = store(two_boxes).up("dev")
    assert result.changes == ()
    assert result.same == 3
    assert store.cloud.calls() == []
    assert store.cloud.boxes() == boxes


def test_an_input_that_may_change_is_updated_in_place(store: StoreProject) -> None:
    """A changed size is one update that names the input; the other resource stays."""
    store(two_boxes).up("dev")
    store.cloud.calls()
    result = store(lambda: two_boxes(size=2)).up("dev")
    assert [(change.op, change.keys) for change in result.changes] == [(Op.UPDATE, ("size",))]
    (call,) = store.cloud.calls()
    assert call.startswith("update box-")


def test_what_leaves_the_program_leaves_the_cloud(store: StoreProject) -> None:
    """A resource that the program no longer declares is deleted, after all else went well."""
    store(two_boxes).up("dev")
    result = store(lambda: Box("box", size=1, material="oak")).up("dev")
    assert [(change.op, change.urn.split("::")[-1]) for change in result.changes] == [
        (Op.DELETE, "lid")
    ]
    assert [name.split("-")[0] for name in store.cloud.boxes()] == ["box"]


def test_destroy_deletes_dependents_first_and_leaves_nothing(store: StoreProject) -> None:
    """Everything goes, in reverse order, and the stack can be made again."""
    store(two_boxes).up("dev")
    store.cloud.calls()
    result = store(two_boxes).destroy("dev")
    assert [call.split("-")[0] for call in store.cloud.calls()] == ["delete lid", "delete box"]
    assert result.count(Op.DELETE) == 3
    assert store.cloud.boxes() == {}
    assert store(two_boxes).up("dev").count(Op.CREATE) == 3


def test_recorded_resources_are_named_as_such(store: StoreProject) -> None:
    """A handler that only records shows in the changes, the result and the printed lines."""
    result = store(lambda: Box("note", kind="Note")).up("dev")
    assert [change.recorded for change in result.changes] == [False, True]
    assert [urn.split("::")[-1] for urn in result.recorded] == ["note"]
    assert any("only recorded" in line for line in result.lines())
