"""Statements as text: what is one policy, where its scope is, and that none is fatal."""

from __future__ import annotations

import json

import cedarpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.local.verified_permissions.statements import StatementError, entity_literal, parse

PIECES = st.sampled_from(
    [
        *(
            "permit",
            "forbid",
            "(",
            ")",
            "principal",
            ",",
            "action",
            "resource",
            ";",
            "when",
            "{",
            "}",
            "unless",
            "true",
        ),
        *(
            '"',
            '"(("',
            "\\",
            "//",
            "// (\n",
            "\r",
            "\n",
            "?principal",
            "?resource",
            "==",
            'N::U::"a"',
            "in",
            "is N::U",
        ),
        *(
            "@id",
            '@permit("x(")',
            "@ //\npermit",
            "[",
            "]",
            "!",
            "context.a",
            "permit(principal,action,resource);",
            "&&",
        ),
    ]
)


@pytest.mark.soak
@settings(deadline=None, print_blob=True)
@given(st.lists(PIECES, max_size=25).map(" ".join))
def test_any_text_is_read_as_cedar_reads_it_or_refused(text: str):
    """What is accepted is one policy of Cedar's, with the scope that Cedar sees in it."""
    try:
        statement = parse(text)
    except StatementError:
        return
    whole = json.loads(cedarpy.policies_to_json_str(text))
    (policy,) = [*whole["staticPolicies"].values(), *whole["templates"].values()]
    assert [statement.effect, statement.principal, statement.action, statement.resource] == [
        policy[name] for name in ("effect", "principal", "action", "resource")
    ]
    assert (statement.kind == "template") == bool(whole["templates"])


@pytest.mark.parametrize(
    "condition",
    [
        "true" + " && true" * 1000,
        "if true then true else " * 300 + "true",
        "context" + ".a" * 4000,
        "(" * 90 + "true" + ")" * 90,
        '"' + "(" * 500 + '" == "x"',
        "true // " + "(" * 500 + "\n",
    ],
)
def test_long_policies_are_taken(condition: str):
    """Length is no depth: chains, and brackets in strings and comments, are fine."""
    assert parse(f"permit(principal, action, resource) when {{ {condition} }};").effect == "permit"


@pytest.mark.parametrize("pair", ["()", "[]", "{}"])
@pytest.mark.parametrize("before", ["", '"\\"" == "(" || ', '// "\r', "// \n"])
def test_deep_policies_are_refused_before_the_parser(pair: str, before: str):
    """A thousand brackets, which overflow the parser's stack, never reach it."""
    text = (
        f"permit(principal, action, resource) when {{ {before} {pair[0] * 4000}1{pair[1] * 4000} "
        f"== 1 }};"
    )
    with pytest.raises(StatementError, match="nested"):
        parse(text)


@pytest.mark.soak
@settings(deadline=None, print_blob=True)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
def test_an_entity_literal_names_exactly_its_entity(name: str):
    """Cedar reads back the very id that was written."""
    statement = parse(
        f"permit(principal == {entity_literal({'type': 'N::U', 'id': name})}, action, resource);"
    )
    assert statement.principal["entity"] == {"type": "N::U", "id": name}
