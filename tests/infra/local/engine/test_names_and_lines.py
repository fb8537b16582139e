"""Names of resources with the former ones, and what a run says of itself."""

from __future__ import annotations

import pytest
from pulumi.runtime.proto.alias_pb2 import Alias

from infra.local.engine import urns
from infra.local.engine.result import Change, Op, Result
from infra.local.engine.urns import STACK_TYPE, Aliases

STACK = urns.make("dev", "store", "", STACK_TYPE, "store-dev")
SHELF = urns.make("dev", "store", STACK, "box:Shelf", "shelf")
BOX = urns.make("dev", "store", SHELF, "box:Box", "shelf-box")


def test_a_urn_leads_with_the_types_of_its_parents() -> None:
    """But for the stack's own; a name may hold what parts a URN."""
    assert SHELF == "urn:pulumi:dev::store::box:Shelf::shelf"
    assert BOX == "urn:pulumi:dev::store::box:Shelf$box:Box::shelf-box"
    odd = urns.make("dev", "store", "", "box:Box", "a::b")
    assert urns.name_of(odd) == "a::b"
    assert urns.kind_and_name(BOX) == "box:Box shelf-box"
    assert urns.kind_and_name(odd) == "box:Box a::b"


@pytest.mark.parametrize(
    ("alias", "wanted"),
    [
        (Alias(urn="urn:x"), "urn:x"),
        (Alias(spec=Alias.Spec(name="old")), "urn:pulumi:dev::store::box:Shelf::old"),
        (Alias(spec=Alias.Spec(type="box:Rack")), "urn:pulumi:dev::store::box:Rack::shelf"),
        (Alias(spec=Alias.Spec(stack="prod")), "urn:pulumi:prod::store::box:Shelf::shelf"),
        (Alias(spec=Alias.Spec(project="shop")), "urn:pulumi:dev::shop::box:Shelf::shelf"),
        (
            Alias(spec=Alias.Spec(parentUrn="urn:pulumi:dev::store::box:Room::room")),
            "urn:pulumi:dev::store::box:Room$box:Shelf::shelf",
        ),
    ],
)
def test_an_alias_says_what_was_otherwise(alias: Alias, wanted: str) -> None:
    """All else is as it is now."""
    assert Aliases("dev", "store").of(SHELF, STACK, "box:Shelf", "shelf", [alias]) == [wanted]


def test_children_had_their_parents_former_name() -> None:
    """In the chain of types, and in their own name where it begins with the parent's."""
    known = Aliases("dev", "store")
    renamed = [Alias(spec=Alias.Spec(name="rack", type="box:Rack"))]
    known.of(SHELF, STACK, "box:Shelf", "shelf", renamed)
    assert known.of(BOX, SHELF, "box:Box", "shelf-box", []) == [
        "urn:pulumi:dev::store::box:Rack$box:Box::rack-box"
    ]
    assert known.of("urn:o", SHELF, "box:Box", "other", []) == [
        "urn:pulumi:dev::store::box:Rack$box:Box::other"
    ]
    own = [Alias(spec=Alias.Spec(name="crate"))]
    assert known.of(BOX, SHELF, "box:Box", "shelf-box", own) == [
        "urn:pulumi:dev::store::box:Shelf$box:Box::crate",
        "urn:pulumi:dev::store::box:Rack$box:Box::crate",
        "urn:pulumi:dev::store::box:Rack$box:Box::rack-box",
    ]
    alone = [Alias(spec=Alias.Spec(noParent=True))]
    assert known.of(BOX, SHELF, "box:Box", "shelf-box", alone) == [
        "urn:pulumi:dev::store::box:Box::shelf-box",
        "urn:pulumi:dev::store::box:Rack$box:Box::rack-box",
    ]
    twice = [Alias(urn="urn:x"), Alias(urn="urn:x")]
    assert known.of(SHELF, STACK, "box:Shelf", "shelf", twice) == ["urn:x"]
    assert known.of("urn:p", "", "box:Box", "p", []) == []


def test_a_run_is_told_in_lines() -> None:
    """Warnings, changes, counts, and outputs by name: of secrets nothing, of long ones how many."""
    result = Result(
        changes=(
            Change(op=Op.CREATE, urn=BOX),
            Change(op=Op.UPDATE, urn=SHELF, keys=("a", "b"), recorded=True),
            Change(op=Op.UPDATE, urn=BOX),
        ),
        same=3,
        outputs={"z": "s", "a": [1, 2, 3, 4], "b": [1, 2, 3, 4, 5], "c": {"k": 1}, "d": "x" * 9},
        secret_outputs=frozenset({"z"}),
        recorded=("urn:x", "urn:y"),
        warnings=("take care",),
    )
    assert list(result.lines()) == [
        "warning: take care",
        " + create  box:Box shelf-box",
        " ~ update  box:Shelf shelf [a, b] (only recorded)",
        " ~ update  box:Box shelf-box",
        "1 create, 2 update, 3 unchanged",
        "2 resources are only recorded: nothing stands behind them here",
        "  a: [1, 2, 3, 4]",
        "  b: 5 entries, see `outputs`",
        "  c: {'k': 1}",
        "  d: xxxxxxxxx",
        "  z: [secret]",
    ]
    assert [result.count(op) for op in (Op.SAME, Op.CREATE, Op.UPDATE, Op.DELETE)] == [3, 1, 2, 0]
    assert list(Result(preview=True).lines()) == ["would be: 0 unchanged"]
