"""A text that is no policy is told what is missing, and in which line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from service.cedar.shared_statements import shared_est
from service.cedar.statement import Problem, parse, statement_est

if TYPE_CHECKING:
    from collections.abc import Callable

SCOPE = "permit (principal, action, resource)"


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (f"// Why.\n{SCOPE}\n", 2, "`;` is missing at the end"),
        (f"{SCOPE}\nforbid (principal, action, resource);", 1, "`;` is missing before `forbid`"),
        (
            f"{SCOPE}\nwhen {{\n  true\n;",
            4,
            "`}` is missing before `;`: `{` of line 2 is never closed",
        ),
        (f"{SCOPE}\nwhen {{ true", 2, "`}` is missing: `{` of line 2 is never closed"),
        (f"{SCOPE}\nwhen resource has kind }};", 2, "`{` is missing before `resource`"),
        (f"{SCOPE}\n  context has now }};", 2, "`when {` is missing before `context`"),
        (
            "permit (principal,\n  action, resource\nwhen { true };",
            3,
            "`)` is missing before `when`: `(` of line 1 is never closed",
        ),
        (
            f"{SCOPE}\nwhen {{ ((context has now && (context has token }};",
            2,
            "`)))` is missing before `}`: `(` of line 2 is never closed",
        ),
        ("permit (principal,\n  action resource);", 2, "`,` is missing before `resource`"),
        (f"{SCOPE}\nwhen {{ true true }};", 2, "`&&` is missing before `true`"),
        (f"{SCOPE}\nwhen {{ true ==\n}};", 3, "something is missing before `}`"),
        (f"{SCOPE};;", 1, "`;` is too much"),
        (
            f'{SCOPE}\nwhen {{ resource.kind == "a }};',
            2,
            'a text begins with `"` that is not closed here',
        ),
        (f"{SCOPE}\nwhen {{ => <= }};", 2, "unexpected token `=`"),
        (f"{SCOPE}\nwhen {{ true and false }};", 2, "`and` is written `&&` in Cedar"),
        (f"{SCOPE}\nwhen {{ true OR not (1 = 2) }};", 2, "`OR` is written `||` in Cedar"),
        (f"{SCOPE}\nunless {{ not (1 == 2) }};", 2, "`not` is written `!` in Cedar"),
        (f"{SCOPE}\nwhen {{ context.a = 1 }};", 2, "`=` is written `==` in Cedar"),
        (f"{SCOPE}\nwhere {{ True }};", 2, "`where` is written `when` in Cedar"),
        ("# Why.\nallow (principal, action, resource);", 1, "`#` is written `//` in Cedar"),
        ("deny (principal, action, resource);", 1, "`deny` is written `forbid` in Cedar"),
        (f"{SCOPE}\nwhen {{ context.a == 'x' }};", 2, "`'` is written `\"` in Cedar"),
        (
            SCOPE
            + "\nwhen { \N{LEFT DOUBLE QUOTATION MARK}x\N{RIGHT DOUBLE QUOTATION MARK} == 1 };",
            2,
            '`\N{LEFT DOUBLE QUOTATION MARK}` is written `"` in Cedar',
        ),
    ],
)
def test_what_is_missing_is_said(text: str, line: int, words: str):
    """Cedar says what it found; what should have stood there is what a person needs."""
    assert parse("file", text) == Problem(file="file", line=line, words=words)


def test_brackets_are_counted_as_they_are_open():
    """So many that close again are no depth; one more than the parser is given is refused."""
    flat = " && ".join(["([true] == {a: (1)})"] * 150)
    assert not isinstance(parse("file", f"{SCOPE}\nwhen {{ {flat} }};"), Problem)
    deep = f"{SCOPE}\nwhen {{\n{'(' * 99}true{')' * 99} }};"
    assert not isinstance(parse("file", deep), Problem)
    assert parse("file", deep.replace("true", "(true)")) == Problem(
        file="file", line=3, words="brackets are nested more than 100 deep"
    )


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (f"//\n{SCOPE.replace('permit', 'Permit')}\n;", 2, "Permit; did you mean `permit`?"),
        (f"{SCOPE}\nwenn {{ true }}\n;", 2, "condition: wenn; did you mean `when`?"),
        (f"{SCOPE}\nwhen {{ contxt.a\n}};", 2, "methods; did you mean `context`?"),
        (f"{SCOPE}\nwhen {{ [1].contain(1)\n}};", 2, "method; did you mean `contains`?"),
        ("permit (\nprincipal,\nactoin in [],\nresource);", 3, "did you mean `action`?"),
        (f"{SCOPE}\nwhen {{ true && context\nhass a }};", 3, "`hass`; did you mean `has`?"),
        (f"{SCOPE}\nwhen {{ zzz.a\n}};", 2, "has no fields or methods"),
    ],
)
def test_misspelt_word_of_cedar_is_told_where_it_stands(text: str, line: int, words: str):
    """With the nearest of Cedar's own, if one is near; Cedar's message alone has no line."""
    found = parse("file", text)
    assert isinstance(found, Problem)
    assert (found.line, found.words.endswith(words)) == (line, True), found


@pytest.mark.parametrize("read", [statement_est, shared_est])
@pytest.mark.parametrize("number", [0, 2, 3])
def test_a_text_of_not_one_statement_is_no_statement(
    read: Callable[[str], object], number: int
) -> None:
    """The first of several must not stand for all of them."""
    with pytest.raises(ValueError, match=f"one statement expected, found {number}"):
        read(f'{SCOPE} when {{ resource.kind == "press" }};\n' * number)
