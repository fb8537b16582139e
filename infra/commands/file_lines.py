"""Lines of a tenant's file that a command sets (`suspended`, `protect`, `tier`); all else stays."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

import yaml

from infra.stacks.config import stack_file
from infra.stacks.config.reading import ConfigError
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


def worded(text: str, key: str, word: str) -> str:
    """The text of a tenant's file with the line `<key>: <word>`, which keeps its comment.

    Args:
        text: of the file.
        key: of `cedarfleet:tenant`.
        word: its value, of letters, digits and `-`.
    """
    # In quotes where YAML would read another value, as of `on`.
    shown = word if yaml.safe_load(word) == word else f'"{word}"'
    value = r"[\"']?[\w-]+[\"']?(?P<rest>[ \t]*(#.*)?)"
    line = re.compile(rf"^(?P<key> +{key}:[ \t]*){value}$", re.MULTILINE)
    changed, count = line.subn(lambda found: f"{found['key']}{shown}{found['rest']}", text, count=1)
    if count:
        return changed
    words = f"{key}: {shown}"
    return _TENANT.sub(lambda found: f"{found[0]}\n{found['indent'] * 2}{words}", text, count=1)


def set_word(root: Path, tenant: str, key: str, word: str) -> None:
    """Set the line in the tenant's file, or leave the file as it was.

    Raises:
        ConfigError: there is no such file, or it would not be of its form.
        FileStyleError: the line cannot be set, as in YAML of another style.
    """
    file = root / stack_file.shown(tenant)
    before = file.read_text(encoding="utf-8")
    _replace(file, worded(before, key, word))
    try:
        is_set = getattr(configured(root, tenant), key) == word
    except ConfigError:
        _replace(file, before)
        raise
    if not is_set:
        _replace(file, before)
        words = f"set `{key}: {word}` in {stack_file.shown(tenant)} by hand"
        raise FileStyleError(f"{words}: it is written in a way that this command does not know")


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
