"""``may`` and ``why``: what the policies say, and in which words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from cedarfleet.command_line.line import REFUSED, Line, with_line

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rich.console import Console


def _asked(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options of a question."""
    for option in (
        click.option("--emergency", metavar="REASON", help="as if an emergency were declared"),
        click.option("--artifact", help="this file"),
        click.option("--group", help="on this group"),
        click.option("--device", help="on this device"),
        click.argument("what"),
    ):
        function = option(function)
    return function


def _question(what: str, emergency: str | None, about: Mapping[str, Any]) -> dict[str, Any]:
    """An action is written in capitals, ``StopDevice``; a command is not, ``stop``."""
    asked = {name: value for name, value in about.items() if value is not None}
    asked["action" if what[:1].isupper() else "command"] = what
    return asked if emergency is None else {**asked, "emergency": {"reason": emergency}}


@click.command()
@_asked
@with_line
def may(line: Line, *, what: str, emergency: str | None, **about: Any) -> int | None:
    """Whether you may do WHAT, an action or a command; exit 4 if not."""
    with line.fleet() as fleet:
        answer = fleet.may(**_question(what, emergency, about))
    line.show(answer.to_dict(), lambda: _said(answer.allowed, answer.policies, answer.explanation))
    return None if answer.allowed else REFUSED


@click.command()
@_asked
@click.option("--person", help="somebody else's id, for who may view people")
@with_line
def why(
    line: Line, *, what: str, emergency: str | None, person: str | None, **about: Any
) -> int | None:
    """Why you may or may not do WHAT: each condition, what it met, and who may change it."""
    with line.fleet() as fleet:
        found = fleet.why(person=person, **_question(what, emergency, about))
    document = found.to_dict()
    line.show(document, lambda: _said(found.allowed, found.policies, found.explanation))
    if not line.as_json:
        tell_why(line.out, found.policies, document["explained"], document["changers"])
    return None if found.allowed else REFUSED


def _said(allowed: bool, policies: Sequence[str], explanation: str | None) -> str:
    by = f" by {', '.join(policies)}" if policies else ""
    return f"{'allowed' if allowed else 'refused'}{by}" + (
        f": {explanation}" if explanation else ""
    )


def tell_why(
    console: Console,
    policies: Sequence[str],
    explained: Sequence[Mapping[str, Any]],
    changers: Mapping[str, Sequence[str]] | None = None,
) -> None:
    """Print what the API explained of a decision."""
    if policies and not explained:
        console.print(f"  decided by {', '.join(policies)}", markup=False)
    for policy in explained:
        says = "applies" if policy["applies"] else "does not apply"
        console.print(f"  {policy['effect']} {policy['policy']} {says}:", markup=False)
        for one in policy["conditions"]:
            met = ", ".join(f"{name} is {value}" for name, value in one["values"].items())
            holds = "holds" if one["holds"] else "fails"
            words = one["words"] or one["condition"]
            console.print(f"    {holds}: {words}" + (f" ({met})" if met else ""), markup=False)
            who = {action: (changers or {}).get(action, ()) for action in one["may_change"]}
            told = [f"{name} ({', '.join(who[name])})" if who[name] else name for name in who]
            if told:
                console.print(f"      may be changed by {', '.join(told)}", markup=False)


COMMANDS: Final = (may, why)
