"""Refresh: the state follows the cloud, and the next up brings the cloud back to the program."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from infra.local.engine import DeploymentFailedError, Op, StateError
from tests.infra.local.engine.folder_cloud import Box

if TYPE_CHECKING:
    from tests.infra.local.engine.conftest import Workshop


def program() -> None:
    """A box and a lid."""
    box = Box("box", name="box", size=1)
    Box("lid", name="lid", of=box.arn)


def test_what_is_gone_is_made_again(workshop: Workshop) -> None:
    """A box deleted by hand leaves the state with the refresh; up makes it, and only it."""
    workshop(program).up("dev")
    (workshop.root / "boxes" / "box.json").unlink()
    workshop.cloud.calls()
    result = workshop(program).refresh("dev")
    assert [(change.op, change.urn.split("::")[-1]) for change in result.changes] == [
        (Op.DELETE, "box")
    ]
    assert result.same == 1
    workshop.cloud.calls()
    workshop(program).up("dev")
    assert workshop.cloud.calls() == ["create box"]


def test_what_drifted_is_brought_back(workshop: Workshop) -> None:
    """A size changed by hand is seen by the refresh and corrected by the next up."""
    workshop(program).up("dev")
    file = workshop.root / "boxes" / "box.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "size": 9}))
    assert workshop(program).refresh("dev").changes[0].keys == ("size",)
    assert workshop(program).up("dev").changes[0].keys == ("size",)
    assert workshop.cloud.boxes()["box"]["size"] == 1
    assert workshop(program).refresh("dev").changes == ()


def test_what_cannot_be_read_fails_without_hiding_the_rest(workshop: Workshop) -> None:
    """One unreadable resource is named; the others are refreshed all the same."""
    workshop(program).up("dev")
    (workshop.root / "boxes" / "box.json").write_text("{")
    (workshop.root / "boxes" / "lid.json").unlink()
    with pytest.raises(DeploymentFailedError, match=r"reading .*::box") as raised:
        workshop(program).refresh("dev")
    assert [change.op for change in raised.value.result.changes] == [Op.DELETE]


def test_a_stack_that_was_never_deployed_is_named(workshop: Workshop) -> None:
    """Refresh, destroy and outputs say so instead of doing nothing."""
    for attempt in (
        workshop(program).refresh,
        workshop(program).destroy,
        workshop(program).outputs,
    ):
        with pytest.raises(StateError, match="stack `dev` was never deployed here"):
            attempt("dev")
