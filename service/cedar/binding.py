"""Binds what policy files say of every tenant to one tenant and its user pool.

Verified Permissions names a person ``<pool id>|<sub>`` and a Cognito group ``<pool id>|<group>``
(docs: Verified Permissions, "Mapping Amazon Cognito tokens to schema"). Policy files say
``Fleet::Group::"managers"``; a bare group name would never match a token.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from service.cedar.entities import GROUP, TENANT, USER
from service.cedar.values import EntityUid

if TYPE_CHECKING:
    from service.cedar.entities import Entity

THIS_TENANT: Final = "this"
UNTIL: Final = 'datetime("until")'

# A comment and a string stand first, so that what looks like an entity inside them is left alone.
_TOKEN: Final = re.compile(
    r'//[^\n]*|(?P<type>Fleet::(?:Group|User|Tenant))::"(?P<id>[^"\\]*)"|"(?:[^"\\]|\\.)*"'
)


def bind(statement: str, *, tenant: str, pool_id: str) -> str:
    """The statement with groups and users of the tenant's pool, and with the tenant for ``"this"``.

    Everything else, comments and ``@id`` included, stays as it is.
    """

    def literal(match: re.Match[str]) -> str:
        if match["type"] is None:
            return match[0]
        return str(bind_uid(EntityUid(match["type"], match["id"]), tenant=tenant, pool_id=pool_id))

    return _TOKEN.sub(literal, statement)


def bind_uid(uid: EntityUid, *, tenant: str, pool_id: str) -> EntityUid:
    """As the tenant's store names it: ``managers`` -> ``<pool>|managers``."""
    if uid.type in (GROUP, USER):
        return EntityUid(uid.type, f"{pool_id}|{uid.id}")
    if uid.type == TENANT and uid.id == THIS_TENANT:
        return EntityUid(TENANT, tenant)
    return uid


def unbind_uid(uid: EntityUid, *, tenant: str, pool_id: str) -> EntityUid:
    """The inverse of ``bind_uid``: how a policy file would name what the store holds."""
    if uid.type in (GROUP, USER):
        return EntityUid(uid.type, uid.id.removeprefix(f"{pool_id}|"))
    if uid.type == TENANT and uid.id == tenant:
        return EntityUid(TENANT, THIS_TENANT)
    return uid


def bind_entity(entity: Entity, *, tenant: str, pool_id: str) -> Entity:
    """The entity with its own name and its parents' as the tenant's store names them."""

    def bound(uid: EntityUid) -> EntityUid:
        return bind_uid(uid, tenant=tenant, pool_id=pool_id)

    return replace(entity, uid=bound(entity.uid), parents=tuple(map(bound, entity.parents)))


def bind_until(statement: str, until: datetime) -> str:
    """A template's statement with its end written in, in UTC to the second."""
    return statement.replace(UNTIL, f'datetime("{until_text(until)}")')


def until_text(until: datetime) -> str:
    """The end of a grant as Cedar writes a time: ``2026-12-24T18:00:00Z``."""
    return until.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
