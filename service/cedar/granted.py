"""Policies that are made at run time: those of grants, each written out of a template, and freezes.

A link of a template holds no time, and a store takes 40 templates (Verified Permissions user guide,
"Quotas"), so a grant with an end is a static policy. Its ``@id`` tells it from those of a stack,
whose ids have no capital letter.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from service.cedar.binding import bind_until

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from service.cedar.values import EntityUid

# A comment and a string stand first, so that what looks like a slot inside them is left alone.
_SLOT: Final = re.compile(r'//[^\n]*|"(?:[^"\\]|\\.)*"|\?(?P<slot>principal|resource)\b')
_BODY: Final = re.compile(r"^permit\b", re.MULTILINE)
_GRANTED: Final = re.compile(r'@id\("(?:grant|freeze)-[0-9A-HJKMNP-TV-Z]{26}"\)\n')


@dataclass(frozen=True, kw_only=True)
class GrantTemplate:
    """What grants with an end are made of.

    Attributes:
        statement: bound to the tenant's pool, with a place for the end.
        actions: that it gives, each by its name in the schema.
    """

    statement: str
    actions: frozenset[str]


def written_out(template: str, *, principal: EntityUid, resource: EntityUid) -> str:
    """A template's statement with its slots filled in."""
    filled = {"principal": str(principal), "resource": str(resource)}
    return _SLOT.sub(lambda match: filled[match["slot"]] if match["slot"] else match[0], template)


def granted_statement(
    template: str, *, grant_id: str, principal: EntityUid, resource: EntityUid, until: datetime
) -> str:
    """The policy of a grant, without the template's comments and its id.

    Args:
        template: bound to the tenant's pool, with a place for its end.
        grant_id: a ULID.
        principal: one person, bound to the pool.
        resource: a device or a group of devices.
        until: the end.

    Raises:
        ValueError: the template is no permit.
    """
    body = _BODY.search(template)
    if body is None:
        raise ValueError("the template is no permit")
    text = written_out(template[body.start() :], principal=principal, resource=resource)
    return f'@id("grant-{grant_id}")\n{bind_until(text, until)}'


def is_granted(statement: str) -> bool:
    """Whether a policy of a store is of a grant or freeze, and not of the tenant's stack."""
    return _GRANTED.match(statement) is not None


def fingerprint(statement: str) -> str:
    """By which a grant's policy is known: the first 128 bits of its SHA-256, in hexadecimal."""
    return hashlib.sha256(statement.encode()).hexdigest()[:32]


def with_granted(digest: str, fingerprints: Iterable[str]) -> str:
    """The digest of a stack's policies together with grants; without one, as it was."""
    known = sorted(fingerprints)
    return hashlib.sha256("\n".join((digest, *known)).encode()).hexdigest() if known else digest
