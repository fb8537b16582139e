"""What a handler gets of a program's inputs, and how they differ; the rules of Pulumi's bridge."""

# ruff: noqa: A002 - Pulumi's words, and the protocol's arguments

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import pytest

from infra.local.engine.checks import Difference, check, differ, ignore, is_autonamed, with_hashes
from infra.local.engine.errors import ProgramError
from infra.local.engine.handler import Handler, Made
from infra.local.engine.structs import from_struct, to_struct
from infra.local.engine.values import (
    ARCHIVE,
    ASSET,
    DEFAULTS,
    REFERENCE,
    SIGNATURE,
    UNKNOWN,
    for_handler,
    from_handler,
    hide,
    holds,
    is_secret,
    is_unknown,
    reveal,
    secret,
)

if TYPE_CHECKING:
    from pathlib import Path


class Nowhere(Handler):
    """Of a type of which nothing is made."""

    def create(self, cloud: Any, inputs: dict[str, Any]) -> Made:
        """Never."""
        raise NotImplementedError

    def update(
        self, cloud: Any, id: str, old: dict[str, Any], inputs: dict[str, Any]
    ) -> dict[str, Any]:
        """Never."""
        raise NotImplementedError

    def read(self, cloud: Any, id: str, outputs: dict[str, Any]) -> dict[str, Any] | None:
        """Never."""
        raise NotImplementedError

    def delete(self, cloud: Any, id: str, outputs: dict[str, Any]) -> None:
        """Never."""
        raise NotImplementedError


class Box(Nowhere):
    """Named by itself, of a material that cannot change, with tags."""

    replace_on = frozenset({"name", "material"})
    autoname = "name"
    taggable = True


class Lid(Nowhere):
    """Named by the program, without tags; the old one goes first."""

    replace_on = frozenset({"size"})
    delete_before_replace = True


BOX, LID = Box(), Lid()
TAGS: Final = {"project": "store"}


def asset(**members: Any) -> dict[str, Any]:
    """An asset as it is on the wire."""
    return {SIGNATURE: ASSET, **members}


def archive(**members: Any) -> dict[str, Any]:
    """An archive, likewise."""
    return {SIGNATURE: ARCHIVE, **members}


@pytest.mark.parametrize(
    ("own", "tags", "wanted"),
    [
        ({}, TAGS, {"project": "store"}),
        ({"tags": None}, TAGS, {"project": "store"}),
        ({"tags": {"a": "b"}}, TAGS, {"project": "store", "a": "b"}),
        ({"tags": {"project": "own"}}, TAGS, {"project": "own"}),
        ({"tags": secret({"a": "b"})}, TAGS, secret({"project": "store", "a": "b"})),
        ({"tags": UNKNOWN}, TAGS, UNKNOWN),
        ({"tags": {"a": "b"}}, None, {"a": "b"}),
        ({"tags": {"a": "b"}}, {}, {"a": "b"}),
    ],
)
def test_default_tags_are_merged(own: dict[str, Any], tags: Any, wanted: Any) -> None:
    """The program's own win, a secret stays one, and what nobody knows yet is left."""
    assert check(BOX, "box", {"name": "x", **own}, tags=tags) == {"name": "x", "tags": wanted}
    assert check(LID, "lid", own, tags=tags) == own, "a type without tags gets none"


def test_a_name_is_drawn_once() -> None:
    """Kept over updates where it was drawn; the program's own is never taken for one."""
    first = check(BOX, "box", {})
    assert re.fullmatch(r"box-[0-9a-f]{7}", first["name"])
    assert first[DEFAULTS] == ["name"]
    assert is_autonamed(BOX, first)
    assert check(BOX, "box", {"name": None}, old=first) == first
    assert check(BOX, "box", {})["name"] != first["name"]
    chosen = {"name": "mine"}
    assert check(BOX, "box", chosen) == chosen
    assert not is_autonamed(BOX, chosen)
    assert not is_autonamed(LID, first)
    assert check(BOX, "box", {}, old=chosen)["name"] != "mine"
    assert check(LID, "lid", {}) == {}


@pytest.mark.parametrize(
    ("handler", "old", "new", "on", "wanted"),
    [
        (BOX, {"a": 1}, {"a": 1}, (), Difference()),
        (BOX, {"a": 1}, {"a": 2}, (), Difference(("a",))),
        (BOX, {"a": 1}, {"b": 1}, (), Difference(("a", "b"))),
        (BOX, {"a": secret(1)}, {"a": 1}, (), Difference()),
        (BOX, {DEFAULTS: ["name"]}, {}, (), Difference()),
        (BOX, {"a": 1}, {"a": 2}, ("a.b",), Difference(("a",), ("a",), delete_first=True)),
        (BOX, {"a": 1}, {"a": 2}, ("a[0]",), Difference(("a",), ("a",), delete_first=True)),
        (BOX, {"a": 1}, {"a": 2}, ("b",), Difference(("a",))),
        (BOX, {"a": 1}, {"a": 2}, ("*",), Difference(("a",), ("a",), delete_first=True)),
        (LID, {"size": 1, "a": 1}, {"size": 2, "a": 2}, (),
         Difference(("a", "size"), ("size",), delete_first=True)),
        (LID, {"a": 1}, {"a": 2}, (), Difference(("a",))),
        (BOX, {"name": "x", "material": 1}, {"name": "x", "material": 2}, (),
         Difference(("material",), ("material",), delete_first=True)),
        (BOX, {"name": "x"}, {"name": "y"}, (), Difference(("name",), ("name",))),
        (BOX, {"name": "x", "material": 1, DEFAULTS: ["name"]},
         {"name": "x", "material": 2, DEFAULTS: ["name"]}, (),
         Difference(("material",), ("material",))),
        (LID, {"a": asset(hash="1", path="x")}, {"a": asset(hash="1", path="y")}, (), Difference()),
        (LID, {"a": archive(hash="1")}, {"a": archive(hash="2")}, (), Difference(("a",))),
    ],
)  # fmt: skip
def test_inputs_differ(handler: Handler, old: Any, new: Any, on: Any, wanted: Difference) -> None:
    """What differs, what of it replaces, and whether two of one name would stand side by side."""
    assert differ(handler, old, new, on) == wanted


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("a", {"a": {"b": 1, "c": 1}, "n": 2}),
        ("a.b", {"a": {"b": 1, "c": 2}, "n": 2}),
        ("n", {"a": {"b": 2, "c": 2}}),
        ("n.x", {"a": {"b": 2, "c": 2}}),
        ("a.d", {"a": {"b": 2, "c": 2}, "n": 2}),
        ("z", {"a": {"b": 2, "c": 2}, "n": 2}),
    ],
)
def test_what_is_ignored_is_as_in_the_state(path: str, wanted: dict[str, Any]) -> None:
    """Also inside of an object, and what the state has not is not made."""
    new = {"a": {"b": 2, "c": 2}, "n": 2}
    assert ignore({"a": {"b": 1, "c": 1}}, new, [path]) == wanted
    assert new == {"a": {"b": 2, "c": 2}, "n": 2}
    assert ignore({}, {"a": {"b": 2}}, ["a.b"]) == {"a": {}}


@pytest.mark.parametrize("path", ["a[0]", "a.*", "*"])
def test_a_path_that_is_not_followed_is_refused(path: str) -> None:
    """Rather than read as another."""
    with pytest.raises(ProgramError, match="only names joined by dots are understood here"):
        ignore({"a": 1}, {"a": 2}, [path])


def test_an_assets_hash_is_of_its_content(tmp_path: Path) -> None:
    """Of a file, a folder with its names, a text and an address; of parts with theirs."""
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        (folder / "sub").mkdir(parents=True)
        (folder / "sub" / "a").write_text("a")
        (folder / "b").write_bytes(b"b" * 3_000_000)

    def hash_of(item: dict[str, Any]) -> str:
        return with_hashes({"x": [item]}, tmp_path)["x"][0]["hash"]

    for make in (asset, archive):
        assert hash_of(make(path="one")) == hash_of(make(path="two"))
        assert with_hashes({"x": make(path="one")}, tmp_path)["x"]["path"] == str(one)
        (two / "sub" / "a").rename(two / "sub" / "c")
        assert hash_of(make(path="one")) != hash_of(make(path="two"))
        (two / "sub" / "c").rename(two / "sub" / "a")
    whole = hash_of(asset(path="one/b"))
    (one / "b").write_bytes(b"b" * 2_999_999 + b"c")
    assert hash_of(asset(path="one/b")) != whole
    assert hash_of(asset(text="t")) == hash_of(asset(uri="t")) != hash_of(asset(text="u"))
    parts = [
        hash_of(archive(assets={name: asset(text=text)}))
        for name, text in (("a", "t"), ("b", "t"), ("a", "u"))
    ]
    assert len(set(parts)) == 3
    held = with_hashes({"x": archive(assets={"a": asset(path="one/b")})}, tmp_path)["x"]
    assert held["assets"]["a"]["path"] == str(one / "b")
    with pytest.raises(ProgramError, match=r"asset .*nothing: No such file"):
        hash_of(asset(path="nothing"))


def test_what_a_handler_gets_is_plain() -> None:
    """Secrets shown, references as ids, an asset as it was sent; and no more than it was given."""
    sent = asset(text="t")
    given = {
        "a": secret({"b": secret([1])}),
        "r": {SIGNATURE: REFERENCE, "urn": "u", "id": "i"},
        "u": {SIGNATURE: REFERENCE, "urn": "u", "id": ""},
        "f": sent,
        "n": None,
        DEFAULTS: ["a"],
    }
    assert for_handler(given) == {"a": {"b": [1]}, "r": "i", "u": "u", "f": sent}


def test_what_a_handler_returns_must_be_json() -> None:
    """It is told by its place; what is None is left out at the top alone."""
    assert from_handler({"a": None, "b": (1, 2.5, True, None), "c": {1: None}}) == {
        "b": [1, 2.5, True, None],
        "c": {"1": None},
    }
    with pytest.raises(TypeError, match=r"output `a\.b` is a datetime"):
        from_handler({"a": {"b": [datetime.now(UTC)]}})


@pytest.mark.parametrize("inside", [lambda x: x, lambda x: [1, x], lambda x: {"a": {"b": [x]}}])
def test_secrets_and_unknowns_are_found_at_every_depth(inside: Any) -> None:
    """And nothing else is taken for one."""
    assert is_secret(inside(secret(1)))
    assert is_unknown(inside(UNKNOWN))
    assert not is_secret(inside(asset(text="t")))
    assert not is_unknown(inside("x"))
    assert not holds(inside(1), lambda item: item == 2)
    assert reveal(inside(secret(secret(1)))) == inside(1)
    assert hide({"k": inside(1), "o": 1}, ["k"]) == {"k": secret(inside(1)), "o": 1}
    held = {"k": inside(secret(1))}
    assert hide(held, ["k"]) == held


def test_whole_numbers_are_whole_again() -> None:
    """The wire has doubles; a fraction stays one, and a null goes at the top alone."""
    given = {"a": 1, "b": [2, {"c": 3}], "d": 0.5, "e": None, "f": True, "g": [None], "h": "1"}
    found = from_struct(to_struct(given))
    assert found == {key: value for key, value in given.items() if key != "e"}
    assert [type(found["a"]), type(found["d"]), type(found["f"])] == [int, float, bool]
    assert type(found["b"][1]["c"]) is int
