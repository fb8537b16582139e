"""Of each valid policy, each name and each text misspelt in turn is refused."""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from infra.policies.files import meaning, rules
from infra.policies.files.load import of_the_base
from infra.policies.files.vocabulary import Lists, schema_of
from infra.stacks.config.tenants import of_tenant
from service.cedar.statement import Problem, parse
from tests.seed import new_seed

if TYPE_CHECKING:
    from collections.abc import Iterator

PROJECT: Final = Path(__file__).parents[3]
SCHEMA: Final = schema_of((PROJECT / "policies" / "schema.cedarschema").read_text())
BASE: Final = of_the_base(PROJECT / "policies")
FILES: Final = [
    path.relative_to(PROJECT).as_posix()
    for path in sorted(
        [
            *(PROJECT / "policies" / "static").iterdir(),
            *(PROJECT / "policies" / "templates").iterdir(),
            *PROJECT.glob("tenants/*/policies/*.cedar"),
        ]
    )
]
# A comment first, and words for people; then what names: texts, slots and words of any kind.
WORD: Final = re.compile(
    r'//[^\n]*|(?:(?<=@when\()|(?<=@unless\())"[^"]*"'
    r'|(?P<text>"(?:[^"\\]|\\.)*")|(?P<word>[?@]?[A-Za-z_]\w*)'
)
EXAMPLE: Final = """// A policy with each thing that can be named.
@id("example")
@values("*@example.com, a3d4")
forbid (
  principal in Fleet::Group::"it-staff",
  action in [Fleet::Action::"Operate", Fleet::Action::"UpdateFirmware"],
  resource is Fleet::Device in Fleet::DeviceGroup::"line-press"
)
when
{
  (principal has email && principal.email like "*@example.com") ||
  principal == Fleet::User::"a3d4" ||
  (principal has "custom:region" && principal["custom:region"] == "eu-north") ||
  (resource has kind && ["press", "pump"].contains(resource.kind)) ||
  (context has command && context.command == "reboot") ||
  (context has artifact && context.artifact has kind && context.artifact.kind == "firmware") ||
  (context has token.scope && context.token.scope.contains("fleet/view"))
};
"""


def problems(file: str, text: str) -> list[Problem]:
    """What the check says of one policy, of the base or of the tenant whose folder it is in."""
    statement = parse(file, text)
    if isinstance(statement, Problem):
        return [statement]
    lists = BASE
    if file.startswith("tenants/"):
        tenant = of_tenant(PROJECT, file.split("/")[1])
        lists = Lists(groups=tenant.groups, lines=tenant.lines, values=tenant.lists)
    of_place = rules.template if "/templates/" in file else rules.static
    return [
        *rules.named_and_explained(statement, Path(file).stem),
        *of_place(statement),
        *rules.bindable(statement),
        *meaning.problems(statement, SCHEMA, lists),
    ]


def misspelt(text: str, chance: random.Random) -> Iterator[tuple[str, str]]:
    """The text with one name or text misspelt, for each, and what it became."""
    for match in WORD.finditer(text):
        found = match["text"] or match["word"]
        # `\\t` is no letter.
        letters = [one.start() for one in re.finditer(r"(?<!\\)[A-Za-z]", found or "")]
        if not letters:
            continue
        at = chance.choice(letters)
        slips = [found[:at] + found[at + 1 :], found[: at + 1] + found[at:]]
        slip = chance.choice([one for one in slips if one not in ("", found, '""')])
        yield slip, text[: match.start()] + slip + text[match.end() :]


@pytest.mark.parametrize("file", [*FILES, "tenants/acme/policies/example.cedar"])
def test_misspelt_name_is_refused(file: str):
    """Whichever name or text has a letter too few or twice, the check says so."""
    chance = random.Random(new_seed())  # noqa: S311 - slips
    path = PROJECT / file
    text = path.read_text(encoding="utf-8") if path.exists() else EXAMPLE
    assert problems(file, text) == []
    silent = [slip for slip, wrong in misspelt(text, chance) if not problems(file, wrong)]
    # A moment or duration is no name; a slip in one is another moment, or does not parse.
    assert [slip for slip in silent if not re.fullmatch(r'"-?\d*[dhms]*"', slip)] == []
