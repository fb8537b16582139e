"""Hypothesis strategies of the shop: statements, items, contexts and claims of its schema."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

if TYPE_CHECKING:
    from tests.infra.local.verified_permissions.strategies import Pair

POOL = "eu-central-1_AbCdEfGhI"
# Each group of actions is in the next; `view` reaches `all` only through `read`.
ACTIONS = {"view": ["read"], "edit": ["write", "all"], "read": ["all"], "write": [], "all": []}
PEOPLE = st.sampled_from(["alice", "bob", 'q"uote'])
GROUPS = st.sampled_from(["managers", "operators", "night shift"])
ITEMS = st.sampled_from(["hat", "scarf"])
SHELVES = st.sampled_from(["top", "middle", "shop"])
ASKED = st.sampled_from(["view", "edit"])
NUMBERS = st.sampled_from([0, 4, 2**62, -(2**63), 2**63 - 1])


def _literal(kind: str, name: str) -> str:
    return f"Shop::{kind}::{json.dumps(name, ensure_ascii=False)}"


def _scope(
    part: str,
    kind: str,
    own: st.SearchStrategy[str],
    container: str,
    holders: st.SearchStrategy[str],
) -> Any:
    return st.one_of(
        st.just(part),
        own.map(lambda name: f"{part} == {_literal(kind, name)}"),
        holders.map(lambda name: f"{part} in {_literal(container, name)}"),
        st.just(f"{part} is Shop::{kind}"),
        holders.map(lambda name: f"{part} is Shop::{kind} in {_literal(container, name)}"),
    )


ACTION_SCOPES = st.one_of(
    st.just("action"),
    ASKED.map(lambda name: f"action == {_literal('Action', name)}"),
    st.sampled_from(list(ACTIONS)).map(lambda name: f"action in {_literal('Action', name)}"),
    st.lists(st.sampled_from(list(ACTIONS)), min_size=1, max_size=3, unique=True).map(
        lambda names: f"action in [{', '.join(_literal('Action', name) for name in names)}]"
    ),
)
# All validate; some fail when a number is too large.
CONDITIONS = st.sampled_from(
    [
        "",
        'when { principal has email && principal.email like "a*" }',
        "when { principal has level && principal.level * 2 > 3 }",
        "unless { context has mfa && context.mfa }",
        "when { resource has owner && resource.owner == principal }",
        (
            "when { resource has price && principal has level && "
            "resource.price - 1 <= principal.level }"
        ),
        'when { context has now && context.now < datetime("2026-06-01") }',
        (
            "when { context has token && context.token has scope && "
            'context.token.scope.contains("shop/write") }'
        ),
        (
            "unless { context has token && context.token has client_id && "
            'context.token.client_id == "web" }'
        ),
        (
            "when { principal has custom && principal.custom has dept && "
            'principal.custom.dept == "hats" }'
        ),
        f"unless {{ principal in {_literal('Group', POOL + '|managers')} }}",
        f"when {{ action in {_literal('Action', 'all')} }}",
    ]
)
STATEMENTS = st.builds(
    "{}({}, {}, {}) {};".format,
    st.sampled_from(["permit", "permit", "forbid"]),
    _scope(
        "principal",
        "User",
        PEOPLE.map(f"{POOL}|{{}}".format),
        "Group",
        GROUPS.map(f"{POOL}|{{}}".format),
    ),
    ACTION_SCOPES,
    _scope("resource", "Item", ITEMS, "Shelf", SHELVES),
    CONDITIONS,
)
CONTEXTS: st.SearchStrategy[Pair] = st.fixed_dictionaries(
    {},
    optional={
        "mfa": st.booleans().map(lambda flag: ({"boolean": flag}, flag)),
        "now": st.dates().map(
            lambda day: ({"datetime": f"{day}"}, {"__extn": {"fn": "datetime", "arg": f"{day}"}}),
        ),
    },
).map(
    lambda drawn: (
        {key: pair[0] for key, pair in drawn.items()},
        {key: pair[1] for key, pair in drawn.items()},
    )
)


@st.composite
def shelved(draw: st.DrawFn, item: str) -> tuple[list[Any], list[Any]]:
    """The item on a shelf on a shelf, in both forms."""
    attributes: Any = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "price": NUMBERS.map(lambda number: ({"long": number}, number)),
                "owner": PEOPLE.map(
                    lambda name: (
                        {
                            "entityIdentifier": {
                                "entityType": "Shop::User",
                                "entityId": f"{POOL}|{name}",
                            }
                        },
                        {"__entity": {"type": "Shop::User", "id": f"{POOL}|{name}"}},
                    )
                ),
            },
        )
    )
    chain = [
        ("Shop::Item", item),
        *(("Shop::Shelf", name) for name in draw(st.lists(SHELVES, unique=True))),
    ]
    typed: list[Any] = []
    plain: list[Any] = []
    for place, (kind, name) in enumerate(chain):
        members, above = (attributes if place == 0 else {}), chain[place + 1 : place + 2]
        typed.append(
            {
                "identifier": {"entityType": kind, "entityId": name},
                "attributes": {key: pair[0] for key, pair in members.items()},
                "parents": [{"entityType": t, "entityId": i} for t, i in above],
            }
        )
        plain.append(
            {
                "uid": {"type": kind, "id": name},
                "attrs": {key: pair[1] for key, pair in members.items()},
                "parents": [{"type": t, "id": i} for t, i in above],
            }
        )
    return typed, plain


ITEMS_SHELVED = ITEMS.flatmap(lambda item: st.tuples(st.just(item), shelved(item)))
CLAIMS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "email": st.sampled_from(["a@example.com", "b@example.com", ""]),
        "level": NUMBERS,
        "custom:dept": st.sampled_from(["hats", "scarves"]),
        "cognito:groups": st.lists(GROUPS, unique=True),
        "scope": st.sampled_from(["shop/write", "shop/read shop/write", "openid", ""]),
        "undeclared": st.sampled_from([1, "text", ["a"], {"deep": None}]),
    },
)
