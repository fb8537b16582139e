"""Every limit of the types of stack files, found in the types themselves: at it, and one beyond."""

from __future__ import annotations

import re
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
import yaml
from hypothesis import given, seed, settings
from hypothesis import strategies as st
from msgspec import inspect

from infra.stacks.config.platform import PlatformConfig
from infra.stacks.config.reading import ConfigError, read
from infra.stacks.config.tenant import TenantConfig
from tests.seed import new_seed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hypothesis.strategies import SearchStrategy

ROOT = Path(__file__).parents[4]
WHERE = "tenants/Pulumi.test.yaml: cedarfleet:test"
TABLES, LISTS = (
    (inspect.StructType, inspect.DictType),
    (inspect.VarTupleType, inspect.TupleType),
)
VALUES: tuple[Any, ...] = ("no form", 8, 2.5, True, ["x"], {"x": "y"}, None)
RIGHT: dict[tuple[type[Any], ...], type[Any]] = {
    TABLES: dict,
    LISTS: list,
    (inspect.StrType,): str,
    (inspect.IntType,): int,
    (inspect.BoolType,): bool,
    (inspect.LiteralType, inspect.DateTimeType): object,  # none of the values is one
}
JSON: SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=6,
)


def document(kind: type[Any]) -> dict[str, Any]:
    """A file that says all that a file can say."""
    return deepcopy(_document(kind))


@cache
def _document(kind: type[Any]) -> dict[str, Any]:
    stack = "acme" if kind is TenantConfig else "platform"
    text = (ROOT / "tenants" / f"Pulumi.{stack}.yaml").read_text()
    data = yaml.safe_load(text)["config"]
    found = data["cedarfleet:tenant" if kind is TenantConfig else "cedarfleet:platform"]
    if kind is TenantConfig:
        found["grants"][0]["until"] = "2026-12-31T18:00:00+01:00"
        found |= {"suspended": False, "machines": {"mes": ["view"]}}
        found |= {"line_parents": {"line-press": ["zone-hall-1"]}}
        rate = {"per_second": 20, "burst": 20}
        found["budget"] = {"requests": rate, "commands": dict(rate)}
        found["sign_in"] |= {"flows": ["srp"], "token_minutes": 60, "refresh_days": 30}
        metadata = {"metadata_url": "https://idp.acme.example/metadata"}
        found["sign_in"]["saml"] = {"AcmeSaml": metadata | {"attributes": {"email": "mail"}}}
        oidc = {"issuer": "https://idp.acme.example", "client_id": "the-pool"}
        oidc |= {"client_secret": "acme/entra", "scopes": ["email", "openid"]}
        found["sign_in"]["oidc"] = {"Entra": oidc | {"attributes": {"email": "email"}}}
    else:
        password = {"length": 14, "symbols": True, "remembered": 3, "invitation_days": 3}
        found["tiers"]["starter"] |= {"mfa": "on", "password": password}
        found["tiers"]["starter"]["threat_protection"] = "audit-only"
    return found


@dataclass(frozen=True)
class Place:
    """A value of a file: its type, as msgspec describes it, and the way to it."""

    kind: type[Any]
    node: Any
    path: tuple[str | int, ...]
    optional: bool = False

    def __str__(self) -> str:
        return self.kind.__name__ + "".join(f".{one}" for one in self.path)

    @property
    def shown(self) -> str:
        """The place as a refusal shows it; a list of scopes is refused as a whole."""
        path = self.path[:2] if self.path[:1] == ("machines",) else self.path
        return "".join(f"[{one}]" if isinstance(one, int) else f".{one}" for one in path)

    @property
    def file(self) -> Any:
        """A right file, the caller's own."""
        return document(self.kind)

    def value(self) -> Any:
        """What the right file holds here."""
        found = self.file
        for step in self.path:
            found = found[step]
        return found

    def set_to(self, value: object) -> Any:
        """The file with another value here."""
        if not self.path:
            return value
        file = inner = self.file
        for step in self.path[:-1]:
            inner = inner[step]
        inner[self.path[-1]] = value
        return file

    def refusal(self, value: object) -> str:
        """Why another value here is refused, without file and place."""
        with pytest.raises(ConfigError) as refused:
            read(self.kind, WHERE, self.set_to(value))
        words = str(refused.value)
        assert words.startswith(WHERE + self.shown), words
        return words.removeprefix(WHERE + self.shown)

    def accepts(self, value: object) -> bool:
        """Whether another value here fits."""
        try:
            read(self.kind, WHERE, self.set_to(value))
        except ConfigError:
            return False
        return True


def places(kind: type[Any]) -> Iterator[Place]:
    """Each place of a file that has a type, the first entry of each mapping and list."""
    yield from below(Place(kind, inspect.type_info(kind), ()))


def below(place: Place) -> Iterator[Place]:
    """A place and all in it."""
    node, optional = place.node, place.optional
    while isinstance(node, (inspect.Metadata, inspect.UnionType)):
        if isinstance(node, inspect.UnionType):
            optional = True
            (node,) = (one for one in node.types if not isinstance(one, inspect.NoneType))
        else:
            node = node.type
    yield Place(place.kind, node, place.path, optional)
    inner: list[tuple[str | int, Any]] = []
    if isinstance(node, inspect.StructType):
        inner = [(field.name, field.type) for field in node.fields]
    # Whatever a schema of a command holds has tests of its own.
    elif isinstance(node, inspect.DictType) and not isinstance(node.value_type, inspect.AnyType):
        inner = [(next(iter(place.value())), node.value_type)]
    elif isinstance(node, inspect.VarTupleType):
        inner = [(0, node.item_type)]
    for step, kind in inner:
        yield from below(Place(place.kind, kind, (*place.path, step)))


ALL = [*places(TenantConfig), *places(PlatformConfig)]


def of(*nodes: type[Any]) -> list[Place]:
    """The places of some types."""
    found = [place for place in ALL if isinstance(place.node, nodes)]
    assert found
    return found


def test_every_limit_is_among_the_places() -> None:
    """What the tests below find in the types is what a stack file can say."""
    shown = {str(place) for place in ALL}
    assert {"TenantConfig.grants.0.until", "PlatformConfig.log_days"} <= shown
    assert len(of(inspect.IntType)) == 27
    assert len(of(inspect.StrType)) > 15


@pytest.mark.parametrize("place", of(inspect.IntType), ids=str)
def test_number_is_taken_up_to_its_limits(place: Place) -> None:
    """The least and the most are taken, one less and one more are refused with both limits."""
    least, most = place.node.ge, place.node.le
    # Two that bound each other; the type's limits are the same.
    pairs = (("tasks_min", "tasks_max"), ("timeout_seconds", "max_timeout_seconds"))
    partners = {one: other for pair in pairs for one, other in (pair, pair[::-1])}
    partner = partners.get(str(place.path[-1]))
    for value in (least, most):
        file = place.set_to(value)
        if partner:
            beside = file
            for step in place.path[:-1]:
                beside = beside[step]
            beside[partner] = value
        assert read(place.kind, WHERE, file)
    for value in (least - 1, most + 1):
        assert place.refusal(value) == (
            f": must be a whole number from {least} to {most}, is `{value}`"
        )


@pytest.mark.parametrize(
    "place", [place for place in of(inspect.StrType) if place.node.max_length], ids=str
)
def test_text_is_taken_up_to_its_length(place: Place) -> None:
    """As many characters as the type allows are taken, one more is refused with the number."""
    most = place.node.max_length
    begin = "A" if place.path[0] == "commands" else "a"
    if "_url" in str(place) or place.path[-1] == "issuer":
        begin = "https://"
    longest = begin + "a" * (most - len(begin))
    assert place.accepts(longest)
    assert place.refusal(longest + "a") == f": must have at most {most} characters, has {most + 1}"


@pytest.mark.parametrize(
    "place", [place for place in of(inspect.DictType) if place.node.max_length], ids=str
)
def test_mapping_is_taken_up_to_its_size(place: Place) -> None:
    """As many entries as AWS has room for are taken, one more is refused with the number."""
    most = place.node.max_length
    item = next(iter(place.value().values()))
    rest = {f"n{index}": item for index in range(most - len(place.value()))}
    assert place.accepts(place.value() | rest)
    with pytest.raises(ConfigError, match=f"must have at most {most} entries, has {most + 1}"):
        read(place.kind, WHERE, place.set_to(place.value() | rest | {"more": item}))


@pytest.mark.parametrize(
    "place", [place for place in of(inspect.VarTupleType) if place.node.max_length], ids=str
)
def test_list_is_taken_up_to_its_size(place: Place) -> None:
    """The same of lists: names, and sign-in pages that a client may send a person back to."""
    most = place.node.max_length
    before = "https://app.example/" if str(place.path[-1]).endswith("_urls") else "t"
    items = [f"{before}{index}" for index in range(most + 1)]
    assert place.accepts(items[:most])
    with pytest.raises(ConfigError, match=f"must have at most {most} entries, has {most + 1}"):
        read(place.kind, WHERE, place.set_to(items))


@pytest.mark.parametrize("key", ["groups", "lines", "machines"])
def test_name_is_taken_up_to_its_length(key: str) -> None:
    """The names of a mapping are as bounded as its values."""
    (place,) = (one for one in ALL if one.path == (key,))
    most = place.node.key_type.type.max_length
    item = next(iter(place.value().values()))
    # A grant names one of the groups, so the names of the file stay.
    assert place.accepts(place.value() | {"n" * most: item})
    with pytest.raises(ConfigError, match=f"must have at most {most} characters, has {most + 1}"):
        read(place.kind, WHERE, place.set_to(place.value() | {"n" * (most + 1): item}))


@pytest.mark.soak
@pytest.mark.parametrize(
    "place", [place for place in of(inspect.StrType) if place.node.pattern], ids=str
)
def test_text_is_taken_if_it_has_its_form(place: Place, faults: Callable[[int, int], int]) -> None:
    """Texts of the form are taken, with a line break at the end they are refused, others too."""
    form: str = place.node.pattern
    most = place.node.max_length or 10_000

    @seed(new_seed())
    @settings(max_examples=faults(20, 600), deadline=None, database=None)
    @given(text=st.from_regex(form) | st.text(max_size=9) | st.text("aZ09-_.\n", max_size=9))
    def check(text: str) -> None:
        fits = re.search(form, text) is not None and 0 < len(text) <= most
        assert place.accepts(text) is fits
        if fits and form.endswith(r"\Z"):
            assert "must " in place.refusal(text + "\n")

    check()


@pytest.mark.parametrize("place", of(inspect.LiteralType), ids=str)
def test_word_is_one_of_its_choices(place: Place) -> None:
    """Each choice is taken, and anything else is refused with all of them."""
    for value in place.node.values:
        assert place.accepts(value)
    words = place.refusal("none")
    assert all(str(value) in words for value in place.node.values)


@pytest.mark.parametrize("place", ALL, ids=str)
def test_value_of_another_type_is_refused(place: Place) -> None:
    """A value of each other type of JSON is refused at its place, in words."""
    (right,) = (one for nodes, one in RIGHT.items() if isinstance(place.node, nodes))
    for value in VALUES:
        if type(value) is not right and not (value is None and place.optional):
            # YAML 1.1 reads a bare `on` as a truth value, and the file may mean the word.
            if value is True and place.path[-1:] == ("mfa",):
                continue
            assert place.refusal(value).startswith(": must ")


@pytest.mark.soak
@pytest.mark.parametrize("place", of(inspect.StructType), ids=str)
def test_unknown_key_is_refused_with_the_nearest(
    place: Place, faults: Callable[[int, int], int]
) -> None:
    """A key that the type does not have is named, with those that there are and the one meant."""
    known = [field.name for field in place.node.fields]

    @seed(new_seed())
    @settings(max_examples=faults(20, 600), deadline=None, database=None)
    @given(key=st.text(min_size=1, max_size=20).filter(lambda key: key not in known))
    def check(key: str) -> None:
        words = place.refusal(place.value() | {key: 1})
        assert words.startswith(f".{key}: unknown key; known are `{min(known)}`")

    check()
    for name in known:
        slip = f"{name}x"
        words = place.refusal(place.value() | {slip: 1})
        assert words.startswith(f".{slip}: unknown key; known are ")
        assert words.endswith(f"; did you mean `{name}`?")


@pytest.mark.parametrize("place", of(inspect.StructType), ids=str)
def test_missing_key_is_refused_if_required(place: Place) -> None:
    """What has no default is asked for by name; what has one may be left out."""
    for field in place.node.fields:
        value = cast("dict[str, Any]", place.value())
        value.pop(field.name, None)
        if field.required:
            assert place.refusal(value) == f".{field.name}: missing"
        else:
            assert place.accepts(value)


@pytest.mark.soak
@pytest.mark.parametrize("kind", [TenantConfig, PlatformConfig])
def test_no_value_ends_the_reading_without_words(
    kind: type[Any], faults: Callable[[int, int], int]
) -> None:
    """Whatever stands anywhere in a file, it is read, or refused with the file's name."""
    mine = [place for place in ALL if place.kind is kind]

    @seed(new_seed())
    @settings(max_examples=faults(100, 3000), deadline=None, database=None)
    @given(place=st.sampled_from(mine), value=JSON)
    def check(place: Place, value: object) -> None:
        try:
            read(kind, WHERE, place.set_to(value))
        except ConfigError as error:
            assert str(error).startswith(WHERE)  # noqa: PT017 - reading it is right too
            assert "Expected" not in str(error)  # noqa: PT017 - msgspec's words say no file

    check()
