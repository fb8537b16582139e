"""The one form of policy files: Cedar's own formatter at the house's line length."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cedarpy import format_policies

from service.cedar.statement import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LINE_WIDTH: Final = 120


def unformatted(root: Path) -> Iterator[tuple[Path, str]]:
    """Every policy file below ``root``, the project's folder, of another form, with its right form.

    A file that does not parse, or is no text, is left out: ``load`` says that, with the line.
    """
    for path in policy_files(root):
        try:
            text = path.read_text(encoding="utf-8")
            formatted = format_policies(text, line_width=LINE_WIDTH)
        except ValueError:  # of a text that is not UTF-8 too
            continue
        if formatted != text:
            yield path, formatted


def problems(root: Path) -> Iterator[Problem]:
    """The same as problems."""
    for path, _ in unformatted(root):
        shown = path.relative_to(root).as_posix()
        yield Problem(
            file=shown,
            line=0,
            words="is not in the house form; `python -m infra policies format` rewrites it",
        )


def policy_files(root: Path) -> Iterator[Path]:
    """The policy files of the base and of all tenants."""
    yield from sorted((root / "policies").glob("*/*.cedar"))
    yield from sorted((root / "tenants").glob("*/policies/*.cedar"))
