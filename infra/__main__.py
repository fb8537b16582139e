"""The operator's command: `python -m infra GROUP VERB`; `--help` explains every verb."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from infra import garbage
from infra.commands import backups, devices, image, policies, rights, tenants

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT: Final = Path(__file__).resolve().parents[1]


class Group(Protocol):
    """What each module of `infra/commands/` offers."""

    @property
    def GROUP(self) -> str:  # noqa: N802 - a constant of the module
        """The first word after `python -m infra`."""
        ...

    @property
    def ABOUT(self) -> str:  # noqa: N802 - a constant of the module
        """What the group is about, in a few words."""
        ...

    @property
    def VERBS(self) -> Mapping[str, str]:  # noqa: N802 - a constant of the module
        """The second word -> what it does."""
        ...

    def add_arguments(self, verbs: Mapping[str, argparse.ArgumentParser], /) -> None:
        """Give the parser of each verb its arguments."""
        ...

    def run(self, options: argparse.Namespace, /, *, root: Path) -> int:
        """Do what was asked for; the exit code.

        Args:
            options: the arguments, with the verb in `verb` and its parser in `parser`.
            root: the project's folder.
        """
        ...


GROUPS: Final[tuple[Group, ...]] = (policies, devices, tenants, backups, image, rights)


def main(arguments: Sequence[str] | None = None, *, root: Path = ROOT) -> int:
    """Run one command; `root` is the project's folder."""
    garbage.seldom()
    options = _parser().parse_args(arguments)
    group: Group = options.group
    return group.run(options, root=root)


def _parser() -> argparse.ArgumentParser:
    verbs = [
        f"  {group.GROUP} {verb:<10} {what}"
        for group in GROUPS
        for verb, what in group.VERBS.items()
    ]
    parser = argparse.ArgumentParser(
        prog="python -m infra",
        description="Operate Cedarfleet from its stack files and policies.",
        epilog="\n".join(["verbs:", *verbs]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    groups = parser.add_subparsers(required=True, metavar="GROUP")
    for group in GROUPS:
        own = groups.add_parser(group.GROUP, help=group.ABOUT, description=group.ABOUT)
        choices = own.add_subparsers(required=True, metavar="VERB", dest="verb")
        parsers = {
            verb: choices.add_parser(verb, help=what, description=what)
            for verb, what in group.VERBS.items()
        }
        group.add_arguments(parsers)
        for one in parsers.values():
            one.set_defaults(group=group, parser=one)
    return parser


if __name__ == "__main__":
    sys.exit(main())
