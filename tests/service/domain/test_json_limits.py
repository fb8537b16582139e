"""JSON from outside is taken only if every later part can say it again."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.json_limits import MAX_DEPTH, problem_of

anything: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=())),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters()), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(anything)
def test_what_has_no_problem_survives_every_encoder(document: object) -> None:
    """The standard library's strict encoder and that of our answers say it, and it comes back."""
    if problem_of(document) is None:
        said = json.dumps(document, allow_nan=False, ensure_ascii=False).encode()
        assert json.loads(said) == document
        assert msgspec.json.decode(msgspec.json.encode(document)) == document


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"a": "\\ud800"}', "lone surrogate"),
        ('{"\\ud800": 1}', "lone surrogate"),
        ("[1e999]", "JSON cannot say"),
        ("[NaN]", "JSON cannot say"),
        ("[9223372036854775808]", "64 bits"),
        ("[-9223372036854775808]", "64 bits"),
        ("1" * 4_000, "64 bits"),
        ("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1), "nested"),
    ],
)
def test_what_cannot_be_said_again_is_named(text: str, words: str) -> None:
    """The words say what is wrong, wherever it stands."""
    for document in (text, f'{{"deep": [{text}]}}'):
        assert words in str(problem_of(json.loads(document)))


def test_the_bounds_themselves_are_allowed() -> None:
    """The deepest nesting with a value inside, and the largest integers."""
    deepest = json.loads("[" * MAX_DEPTH + "1" + "]" * MAX_DEPTH)
    assert problem_of(deepest) is None
    assert problem_of([2**63 - 1, 1 - 2**63, 1e308, "😀"]) is None
