"""Binds what policy files say of every tenant to one tenant and its user pool.

Verified Permissions names a person ``<pool id>|<sub>`` and a Cognito group ``<pool id>|<group>`` (docs: Verified
Permissions, "Mapping Amazon Cognito tokens to schema"). Policy files say ``Fleet::Group::"managers"``; a bare group
name would never match a token.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from infra.policies.bundle import Entity

USER: Final = "Fleet::User"
GROUP: Final = "Fleet::Group"
TENANT: Final = "Fleet::Tenant"
DEVICE: Final = "Fleet::Device"
DEVICE_GROUP: Final = "Fleet::DeviceGroup"
THIS_TENANT: Final = "this"
UNTIL: Final = 'datetime("until")'

# A comment and a string stand first, so that what looks like an entity inside them is left alone.
_TOKEN: Final = re.compile(
    r'//[^\n]*|(?P<type>Fleet::(?:Group|User|Tenant))::"(?P<id>[^"\\]*)"|"(?:[^"\\]|\\.)*"'
)


def bind(statement: str, *, tenant: str, pool_id: str) -> str:
    """The statement with groups and users of the tenant's pool and with ``Fleet::Tenant::"this"`` as the tenant.

    Everything else, comments and ``@id`` included, stays as it is.
    """

    def replace(match: re.Match[str]) -> str:
        if match["type"] is None:
            return match[0]
        return str(
            bind_entity(Entity(type=match["type"], id=match["id"]), tenant=tenant, pool_id=pool_id)
        )

    return _TOKEN.sub(replace, statement)


def bind_entity(entity: Entity, *, tenant: str, pool_id: str) -> Entity:
    """As the tenant's store names it: ``Fleet::Group::"managers"`` -> ``Fleet::Group::"<pool>|managers"``."""
    if entity.type in (GROUP, USER):
        return Entity(type=entity.type, id=f"{pool_id}|{entity.id}")
    if entity.type == TENANT and entity.id == THIS_TENANT:
        return Entity(type=TENANT, id=tenant)
    return entity


def unbind_entity(entity: Entity, *, tenant: str, pool_id: str) -> Entity:
    """The inverse of ``bind_entity``: how a policy file would name what the store holds."""
    if entity.type in (GROUP, USER):
        return Entity(type=entity.type, id=entity.id.removeprefix(f"{pool_id}|"))
    if entity.type == TENANT and entity.id == tenant:
        return Entity(type=TENANT, id=THIS_TENANT)
    return entity


def bind_until(statement: str, until: datetime) -> str:
    """A template's statement with its end written in, in UTC to the second."""
    return statement.replace(UNTIL, f'datetime("{until_text(until)}")')


def until_text(until: datetime) -> str:
    """The end of a grant as Cedar writes a time: ``2026-12-24T18:00:00Z``."""
    return until.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
