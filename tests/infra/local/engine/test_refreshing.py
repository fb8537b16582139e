"""Refresh: the state follows the cloud, and the next up brings the cloud back to the program."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from infra.local.engine import DeploymentFailedError, Op, StateError
from tests.infra.local.engine.folder_cloud import Box

if TYPE_CHECKING:
    from tests.infra.local.engine.conftest import StoreProject


def program() -> None:
    """A box and a lid."""
    box = Box("box", name="box", size=1)
    Box("lid", name="lid", of=box.arn)


def test_what_is_gone_is_made_again(store: StoreProject) -> None:
    """A box deleted by hand leaves the state with the refresh; up makes it, and only it."""
    store(program).up("dev")
    (store.root / "boxes" / "box.json").unlink()
    store.cloud.calls()
    result = store(program).refresh("dev")
    assert [(change.op, change.urn.split("::")[-1]) for change in result.changes] == [
        (Op.DELETE, "box")
    ]
    assert result.same == 1
    store.cloud.calls()
    store(program).up("dev")
    assert store.cloud.calls() == ["create box"]


def test_what_drifted_is_brought_back(store: StoreProject) -> None:
    """A size changed by hand is seen by the refresh and corrected by the next up."""
    store(program).up("dev")
    file = store.root / "boxes" / "box.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "size": 9}))
    assert store(program).refresh("dev").changes[0].keys == ("size",)
    assert store(program).up("dev").changes[0].keys == ("size",)
    assert store.cloud.boxes()["box"]["size"] == 1
    assert store(program).refresh("dev").changes == ()


def test_what_cannot_be_read_fails_without_hiding_the_rest(store: StoreProject) -> None:
    """One unreadable resource is named; the others are refreshed all the same."""
    store(program).up("dev")
    (store.root / "boxes" / "box.json").write_text("{")
    (store.root / "boxes" / "lid.json").unlink()
    with pytest.raises(DeploymentFailedError, match=r"reading .*::box") as raised:
        store(program).refresh("dev")
    assert [change.op for change in raised.value.result.changes] == [Op.DELETE]


def test_a_stack_that_was_never_deployed_is_named(store: StoreProject) -> None:
    """Refresh, destroy and outputs say so instead of doing nothing."""
    for attempt in (
        store(program).refresh,
        store(program).destroy,
        store(program).outputs,
    ):
        with pytest.raises(StateError, match="stack `dev` was never deployed here"):
            attempt("dev")
