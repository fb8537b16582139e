"""A move to another tier is told once, as what it was, wherever the command was cut off."""

from __future__ import annotations

import json
from typing import Any

import pytest

from infra import names
from infra.commands.account import Account
from infra.commands.tier_moves import Move, TierMoves
from tests.infra.commands.held_account import CutOffError, HeldAccount


def moves(held: HeldAccount) -> TierMoves:
    """Of that account."""
    return TierMoves(Account(client=held.client, region="eu-central-1"))


def details(held: HeldAccount) -> list[tuple[Any, Any]]:
    """What the bus was told: from where to where."""
    told = [json.loads(one["Detail"]) for one in held.told]
    assert all(one["by"] == "arn:aws:iam::1:user/operator" for one in told)
    return [(one.get("from"), one.get("to")) for one in told]


@pytest.mark.parametrize(
    ("came_from", "to"), [("a", "b"), (None, "b"), ("a", None)], ids=["moved", "came", "went"]
)
def test_a_move_is_told_once(came_from: str | None, to: str | None) -> None:
    """Of no tier and to none too; to another tier than the file says it is not told."""
    held = HeldAccount()
    own = moves(held)
    assert own.of("globex") is None
    assert not own.end("globex", tier=to)
    own.begin("globex", came_from=came_from, to=to)
    under_way = own.of("globex")
    assert isinstance(under_way, Move)
    assert (under_way.came_from, under_way.to) == (came_from, to)
    assert not own.end("globex", tier="elsewhere")
    assert own.end("globex", tier=to)
    assert not own.end("globex", tier=to)
    assert details(held) == [(came_from, to)]
    assert own.of("globex") is None


def test_a_move_that_is_noted_again_stands() -> None:
    """The same is left as it began; one to elsewhere comes from the tier that was told last."""
    held = HeldAccount()
    own = moves(held)
    own.note("globex", came_from="a", to="b")
    key = names.tier_move_row("globex")
    held.rows[key]["began_at"] = {"S": "before"}
    own.note("globex", came_from="x", to="b")
    assert own.of("globex") == Move(came_from="a", to="b", began_at="before")
    own.note("globex", came_from="b", to="c")
    under_way = own.of("globex")
    assert under_way is not None
    assert (under_way.came_from, under_way.to) == ("a", "c")
    assert under_way.began_at != "before"


def test_a_move_back_is_not_told() -> None:
    """Nobody heard that it was away."""
    held = HeldAccount()
    own = moves(held)
    own.note("globex", came_from="a", to="b")
    own.note("globex", came_from="b", to="a")
    assert not own.end("globex", tier="a")
    assert (own.of("globex"), held.told) == (None, [])


def test_a_move_that_begins_while_one_is_told_stays() -> None:
    """The row is of the next by then: it is not taken away with the former's."""
    held = HeldAccount()
    own = moves(held)
    own.begin("globex", came_from="a", to="b")
    key = names.tier_move_row("globex")

    class Telling(list[Any]):
        """While the bus takes it, another operator begins the next."""

        def __iadd__(self, entries: Any) -> Any:
            held.rows[key] = {**held.rows[key], "to": {"S": "c"}, "began_at": {"S": "later"}}
            return super().__iadd__(entries)

    held.told = Telling()
    assert own.end("globex", tier="b")
    under_way = own.of("globex")
    assert under_way == Move(came_from="a", to="c", began_at="later")


@pytest.mark.parametrize("late", [False, True], ids=["not done", "done but not answered"])
def test_a_move_cut_off_anywhere_is_told_by_the_next(*, late: bool) -> None:
    """At least once, and each time with the same id."""

    def moved(own: TierMoves) -> None:
        own.note("globex", came_from="a", to="b")
        own.end("globex", tier="b")

    whole = HeldAccount()
    own = moves(whole)
    begun = len(whole.calls)
    moved(own)
    for number in range(begun, len(whole.calls)):
        held = HeldAccount()
        own = moves(held)
        held.late, held.cut_off_at = late, number
        with pytest.raises(CutOffError):
            moved(own)
        if not (late and number == len(whole.calls) - 1):  # else there is nothing to repeat
            moved(own)
        assert set(details(held)) == {("a", "b")}
        assert own.of("globex") is None
        assert len({json.loads(one["Detail"])["id"] for one in held.told}) == 1
