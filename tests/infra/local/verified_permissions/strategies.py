"""Hypothesis strategies: values, entities, statements, as the API and as Cedar write them."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

# Each strategy draws one thing twice: as the API writes it and as Cedar's JSON writes it.
Pair = tuple[Any, Any]

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
NAMES = st.sampled_from(["a", "b", "c", "ключ", "with space", 'quote"'])
IDS = st.sampled_from(["one", "two", "three", 'q"uote', "naïve|x", "back\\slash"])
# Half as many as other properties have, here and in `make soak`: each asks an endpoint.
RECENT = settings(
    max_examples=settings().max_examples // 2,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

SCALARS: st.SearchStrategy[Pair] = st.one_of(
    TEXT.map(lambda text: ({"string": text}, text)),
    st.booleans().map(lambda flag: ({"boolean": flag}, flag)),
    st.integers(-(2**63), 2**63 - 1).map(lambda number: ({"long": number}, number)),
    st.sampled_from(["10.0.0.1", "10.0.0.0/8", "::1", "2001:db8::/32"]).map(
        lambda text: ({"ipaddr": text}, {"__extn": {"fn": "ip", "arg": text}})
    ),
    st.decimals(-1000, 1000, places=4).map(
        lambda number: (
            {"decimal": f"{number:.4f}"},
            {"__extn": {"fn": "decimal", "arg": f"{number:.4f}"}},
        )
    ),
    st.dates().map(
        lambda day: (
            {"datetime": day.isoformat()},
            {"__extn": {"fn": "datetime", "arg": day.isoformat()}},
        )
    ),
    st.integers(0, 10**6).map(
        lambda n: ({"duration": f"-{n}s"}, {"__extn": {"fn": "duration", "arg": f"-{n}s"}}),
    ),
    IDS.map(
        lambda name: (
            {"entityIdentifier": {"entityType": "N::U", "entityId": name}},
            {"__entity": {"type": "N::U", "id": name}},
        )
    ),
)


def _set(pairs: list[Pair]) -> Pair:
    return {"set": [typed for typed, _ in pairs]}, [plain for _, plain in pairs]


def _record(pairs: dict[str, Pair]) -> Pair:
    return {"record": {name: pair[0] for name, pair in pairs.items()}}, {
        name: pair[1] for name, pair in pairs.items()
    }


VALUES: st.SearchStrategy[Pair] = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(_set),
        st.dictionaries(NAMES, inner, max_size=3).map(_record),
    ),
    max_leaves=6,
)
MEMBERS = st.dictionaries(NAMES, VALUES, max_size=4)
UIDS = st.tuples(st.sampled_from(["N::U", "N::G", "N::R"]), IDS)

# Conditions that hold, do not hold or fail, depending on what is drawn.
CONDITIONS = st.sampled_from(
    [
        "",
        "when { principal.a == context.a }",
        "when { resource has a && principal has a && resource.a == principal.a }",
        "unless { principal.b == resource.b }",
        "when { context.a.contains(context.b) }",
        "when { principal.a < 5 }",
        'when { principal in N::G::"one" }',
        'unless { resource in N::G::"two" || context has c }',
        "when { principal.a.b.c }",
        'when { principal.hasTag("a") && principal.getTag("a") == context.a }',
    ]
)


def _literal(uid: tuple[str, str]) -> str:
    return f"{uid[0]}::{json.dumps(uid[1], ensure_ascii=False)}"


def _scope(name: str) -> st.SearchStrategy[str]:
    return st.one_of(
        st.just(name),
        UIDS.map(lambda uid: f"{name} == {_literal(uid)}"),
        UIDS.map(lambda uid: f"{name} in {_literal(uid)}"),
        st.just(f"{name} is N::U"),
        UIDS.map(lambda uid: f"{name} is N::U in {_literal(uid)}"),
    )


STATEMENTS = st.builds(
    lambda effect, principal, resource, condition: (
        f"{effect}({principal}, action, {resource}) {condition};"
    ),
    st.sampled_from(["permit", "permit", "forbid"]),
    _scope("principal"),
    _scope("resource"),
    CONDITIONS,
)


@st.composite
def worlds(draw: st.DrawFn) -> tuple[list[Any], list[Any]]:
    """Entities without cycles, in both forms: parents come later in the list."""
    uids = draw(st.lists(UIDS, unique=True, max_size=6))
    typed: list[Any] = []
    plain: list[Any] = []
    for place, (kind, name) in enumerate(uids):
        parents = (
            draw(st.lists(st.sampled_from(uids[place + 1 :]), unique=True, max_size=2))
            if uids[place + 1 :]
            else []
        )
        attributes, tags = draw(MEMBERS), draw(MEMBERS)
        typed.append(
            {
                "identifier": {"entityType": kind, "entityId": name},
                "attributes": {key: pair[0] for key, pair in attributes.items()},
                "tags": {key: pair[0] for key, pair in tags.items()},
                "parents": [{"entityType": t, "entityId": i} for t, i in parents],
            }
        )
        plain.append(
            {
                "uid": {"type": kind, "id": name},
                "attrs": {key: pair[1] for key, pair in attributes.items()},
                "tags": {key: pair[1] for key, pair in tags.items()},
                "parents": [{"type": t, "id": i} for t, i in parents],
            }
        )
    return typed, plain
