"""What becomes of a program's inputs before a handler sees them; and how inputs differ.

The same rules serve the in-process engine and the provider plugin. They follow pulumi-aws
(pulumi-terraform-bridge): default tags are merged into the input ``tags``; a name that the program
leaves out is drawn once, kept over updates, listed in ``__defaults``, and drawn anew for a
replacement.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.local.engine.errors import ProgramError
from infra.local.engine.values import (
    ARCHIVE,
    ASSET,
    DEFAULTS,
    UNKNOWN,
    Value,
    is_secret,
    reveal,
    rewrite,
    secret,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from infra.local.engine.handler import Handler


def check(
    handler: Handler,
    name: str,
    inputs: Mapping[str, Any],
    *,
    old: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return the inputs that the resource is made of.

    Args:
        handler: Of the resource's type.
        name: The resource's logical name.
        inputs: Wire values from the program.
        old: Inputs in the state; none for a create and for the new half of a replacement.
        tags: The provider's default tags.
    """
    checked = dict(inputs)
    if handler.taggable and tags and checked.get("tags") != UNKNOWN:
        own = checked.get("tags") or {}
        merged = {**tags, **reveal(own)}
        checked["tags"] = secret(merged) if is_secret(own) else merged
    named = handler.autoname
    if named and checked.get(named) is None:
        kept = (old or {}).get(named) if named in (old or {}).get(DEFAULTS, []) else None
        checked[named] = kept or f"{name}-{secrets.token_hex(4)[:7]}"
        checked[DEFAULTS] = [named]
    return checked


def is_autonamed(handler: Handler, inputs: Mapping[str, Any]) -> bool:
    """Whether ``check`` drew the name."""
    return handler.autoname is not None and handler.autoname in inputs.get(DEFAULTS, [])


@dataclass(frozen=True)
class Difference:
    """How two sets of inputs differ.

    Attributes:
        keys: Inputs that differ.
        replacing: Those of them that force a replacement.
        delete_first: Whether the old one must go before the new one is made.
    """

    keys: tuple[str, ...] = ()
    replacing: tuple[str, ...] = ()
    delete_first: bool = False


def differ(
    handler: Handler, old: Mapping[str, Any], new: Mapping[str, Any], replace_on: Iterable[str] = ()
) -> Difference:
    """Compare checked inputs; ``replace_on`` adds ``replace_on_changes`` (``*`` is all)."""
    keys = {
        key
        for key in {*old, *new} - {DEFAULTS}
        if _comparable(old.get(key)) != _comparable(new.get(key))
    }
    wanted = {path.split(".")[0].split("[")[0] for path in replace_on}
    replacing = keys if "*" in wanted else keys & (handler.replace_on | wanted)
    name = handler.autoname
    fixed = name is not None and old.get(name) == new.get(name) and not is_autonamed(handler, new)
    return Difference(
        tuple(sorted(keys)),
        tuple(sorted(replacing)),
        bool(replacing) and (handler.delete_before_replace or fixed),
    )


def _comparable(value: Value) -> Value:
    """Assets are equal if their contents are."""
    plain = reveal(value)
    for tag in (ASSET, ARCHIVE):
        plain = rewrite(plain, tag, lambda item: item.get("hash"))
    return plain


def ignore(old: Mapping[str, Any], new: Mapping[str, Any], paths: Iterable[str]) -> dict[str, Any]:
    """Take the inputs at ``paths`` (``tags``, ``tags.owner``) from the state, not the program.

    Raises:
        ProgramError: A path has an index or a wildcard, which this engine does not follow.
    """
    kept = dict(new)
    for path in paths:
        if "[" in path or "*" in path:
            raise ProgramError(
                f"ignore_changes `{path}`: only names joined by dots are understood here"
            )
        head, _, rest = path.partition(".")
        if rest and isinstance(kept.get(head), dict):
            kept[head] = ignore(old.get(head) or {}, kept[head], [rest])
        elif head in old:
            kept[head] = old[head]
        else:
            kept.pop(head, None)
    return kept


def with_hashes(inputs: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Make the paths of assets absolute, and add hashes of the contents.

    In the program they are relative to its folder.

    Raises:
        ProgramError: A file cannot be read.
    """
    hashed: dict[str, Any] = dict(inputs)
    for tag in (ARCHIVE, ASSET):
        hashed = rewrite(hashed, tag, lambda item: _hashed(item, folder))
    return hashed


def _hashed(item: dict[str, Any], folder: Path) -> dict[str, Any]:
    found = {**item, "path": str(folder / item["path"])} if "path" in item else dict(item)
    if "assets" in item:
        found["assets"] = with_hashes(item["assets"], folder)
    digest = hashlib.sha256()
    try:
        for part in _parts(found):
            digest.update(part)
    except OSError as error:
        raise ProgramError(f"asset {found.get('path')}: {error.strerror}") from error
    return {**found, "hash": digest.hexdigest()}


def _parts(item: dict[str, Any]) -> Iterable[bytes]:
    if "path" in item:
        path = Path(item["path"])
        for file in (
            sorted(found for found in path.rglob("*") if found.is_file())
            if path.is_dir()
            else [path]
        ):
            if path.is_dir():
                yield f"{file.relative_to(path)}\0".encode()
            with file.open("rb") as stream:
                while block := stream.read(1 << 20):
                    yield block
    elif "assets" in item:
        yield from (
            f"{name}\0{part['hash']}\0".encode() for name, part in sorted(item["assets"].items())
        )
    else:
        yield str(item.get("text", item.get("uri"))).encode()
