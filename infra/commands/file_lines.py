"""Lines of a tenant's file that a command sets: `suspended`, `protect`; all else stays as it is."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

from infra.stacks.config import stack_file
from infra.stacks.config.tenants import configured

if TYPE_CHECKING:
    from pathlib import Path

_TENANT: Final = re.compile(r"^(?P<indent> +)(\"?)cedarfleet:tenant\2:[ \t]*(#.*)?$", re.MULTILINE)


class FileStyleError(Exception):
    """The file is YAML of a style that the command cannot change; says what is to be done."""


def marked(text: str, key: str, *, on: bool | None) -> str:
    """The text of a tenant's file with the line `<key>: true` or `false`, or without it.

    All else, comments included, stays as it is.

    Args:
        text: of the file.
        key: of `cedarfleet:tenant`.
        on: its value; ``None``: no such line.
    """
    line = re.compile(rf"^ +{key}:[ \t]*(true|false)[ \t]*(#.*)?\n", re.MULTILINE)
    text = line.sub("", text)
    if on is None:
        return text
    words = f"{key}: {str(on).lower()}"
    return _TENANT.sub(lambda found: f"{found[0]}\n{found['indent'] * 2}{words}", text, count=1)


def mark(root: Path, tenant: str, key: str, *, on: bool | None) -> None:
    """Set the line in the tenant's file, or leave the file as it was.

    Raises:
        ConfigError: there is no such file, or it is not of its form.
        FileStyleError: the line cannot be set, as in YAML of another style.
    """
    file = root / stack_file.shown(tenant)
    before = file.read_text(encoding="utf-8")
    _replace(file, marked(before, key, on=on))
    # What could not be marked is not passed over.
    if getattr(configured(root, tenant), key) is not bool(on):
        _replace(file, before)
        words = f"set `{key}: {str(bool(on)).lower()}` in {stack_file.shown(tenant)} by hand"
        raise FileStyleError(f"{words}: it is written in a way that this command does not know")


def _replace(file: Path, text: str) -> None:
    """As a whole, so that a kill leaves the one or the other."""
    new = file.with_name(f".{file.name}.{os.getpid()}")
    new.write_text(text, encoding="utf-8")
    new.replace(file)
