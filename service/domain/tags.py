"""Tags of a device: facts that its tenant gives names to, for its own policies and lists."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from service.domain.tenants import check_listed
from service.errors import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_TAGS: Final = 50
"""Of one device. Verified Permissions bounds the whole request alone, at 1 MB (its quotas; botocore
model, shape ``EntityCedarTags``): 50 tags take 80 KB of it at most, where each character takes 12.
"""
MAX_NAME: Final = 64
MAX_TEXT: Final = 128
_NAME: Final = re.compile(rf"[A-Za-z][A-Za-z0-9_.-]{{0,{MAX_NAME - 1}}}")


def name_problem(name: str) -> str | None:
    """What is wrong with the name of a tag, if anything is."""
    if _NAME.fullmatch(name) is None:
        return f"must be a letter and up to {MAX_NAME - 1} letters, digits, `_`, `.` and `-`"
    return None


def text_problem(text: str) -> str | None:
    """What is wrong with the text of a tag, if anything is."""
    if not 1 <= len(text) <= MAX_TEXT or not text.isprintable() or text != text.strip():
        return (
            f"must be 1 to {MAX_TEXT} printable characters, without blanks at the beginning or end"
        )
    return None


def problem(tags: Mapping[str, str]) -> str | None:
    """What is wrong with stored tags, if anything is."""
    if len(tags) > MAX_TAGS:
        return f"{len(tags)} tags, at most {MAX_TAGS} can be decided on"
    for name, text in tags.items():
        for wrong in (name_problem(name), text_problem(text)):
            if wrong is not None:
                return f"tag `{name[:MAX_NAME]}`: {wrong}"
    return None


def check_tags(lists: Mapping[str, frozenset[str]], changes: Mapping[str, str | None]) -> None:
    """Refuse changes that could not be read back, and tags that the tenant's file does not list.

    Raises:
        InvalidRequestError: names the tag, and what would be right.
    """
    if not changes:
        raise InvalidRequestError("tags", "give at least one tag to set, or to remove with null")
    for name, text in changes.items():
        if (wrong := name_problem(name)) is not None:
            raise InvalidRequestError("tags", f"`{name[:MAX_NAME]}`: {wrong}")
        # Whatever stands there from before the tenant's file named its tags can be removed.
        if text is None:
            continue
        check_listed(lists, "tags", name, field=f"tags.{name}")
        if (wrong := text_problem(text)) is not None:
            raise InvalidRequestError(f"tags.{name}", wrong)


def check_count(tags: Mapping[str, str]) -> None:
    """Refuse a device with more tags than can be decided on.

    Raises:
        InvalidRequestError: says how many there would be.
    """
    if len(tags) > MAX_TAGS:
        raise InvalidRequestError(
            "tags", f"the device would have {len(tags)} tags; it can have at most {MAX_TAGS}"
        )
