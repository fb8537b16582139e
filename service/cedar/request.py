"""An authorization request: may the principal do the action on the resource, in this context?"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import msgspec

from service.cedar.entities import GROUP, USER, Entity
from service.cedar.values import EntityUid, json_value

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime
    from ipaddress import IPv4Address, IPv6Address

    from service.cedar.values import Value

ACTION: Final = "Fleet::Action"
AGENT: Final = "agent"
CONSOLE: Final = "console"
COMMAND_LINE: Final = "cli"
"""What policies are told of a person's token, by the app client that it was given to."""
_SHARED: Final = 4096  # groups of people, of all tenants
TOKEN: Final = frozenset({"sub", "client_id", "scope"})
"""What policies see of an access token, in the context's `token`."""


@dataclass(frozen=True, kw_only=True)
class RequestContext:
    """What the service knows of a request beside who, what and on what: never the caller's making.

    Attributes:
        now: the service's clock, with a time zone.
        emergency: the caller declared an emergency.
        via: by what a person asks, if it is an app of ours: ``AGENT`` and so on.
        reason: why, in the caller's words.
        command: name of the command.
        command_action: of ManageCommandTypes: the action that sending it asks for.
        artifact: the file to deliver.
        members_allowed: of a group: the service asked for each member, and each was allowed.
        changed_tags: the device's tags that shall be set or removed.
        people_groups: of ManagePeople: all groups that the person is in, or would be.
        machine_scopes: of ManageMachines, if a secret is told: what its tokens would have.
        template: of GiveGrant: what the grant is made of.
        holds_all: of GiveGrant: the service asked for each action that the template gives, and the
            caller was allowed each.
        to_self: of GiveGrant: it is given to the caller.
        source_ip: where the request came from.
        targets: how many devices a delivery is for.
        share_of_fleet: of all devices of the tenant, in percent, rounded up; as the next two and
            `planned` only of what was planned.
        critical_targets: those of high criticality.
        share_of_critical: of all devices of high criticality, in percent, rounded up.
        planned: a plan was made, and it is this that is delivered.
        approved: a second person has approved it.
        approver_groups: all groups of the second person. As texts: what asks the store with a token
            may send no principals and no groups (source: Verified Permissions API reference,
            IsAuthorizedWithToken, ``entities``: "You can't include principals in this parameter").
        requester: of ApproveDownload: who asked for it.
    """

    now: datetime
    emergency: bool = False
    via: str | None = None
    reason: str | None = None
    command: str | None = None
    command_action: str | None = None
    artifact: Entity | None = None
    members_allowed: bool | None = None
    changed_tags: tuple[str, ...] | None = None
    people_groups: tuple[str, ...] | None = None
    machine_scopes: tuple[str, ...] | None = None
    template: str | None = None
    holds_all: bool | None = None
    to_self: bool | None = None
    source_ip: IPv4Address | IPv6Address | None = None
    targets: int | None = None
    share_of_fleet: int | None = None
    critical_targets: int | None = None
    share_of_critical: int | None = None
    planned: bool | None = None
    approved: bool | None = None
    approver_groups: tuple[str, ...] | None = None
    requester: EntityUid | None = None

    def values(self) -> dict[str, Value]:
        """The members that are there, as policies see them."""
        members: dict[str, Value | None] = {
            **vars(self),
            "artifact": self.artifact.uid if self.artifact else None,
        }
        return {name: value for name, value in members.items() if value is not None}


@dataclass(frozen=True, kw_only=True)
class TokenBearer:
    """Who asks, as the policy store knows a person or a machine by its token.

    Source: Verified Permissions, "Mapping Amazon Cognito tokens to schema".

    Attributes:
        subject: the token's ``sub``.
        groups: Cognito groups, without the pool's prefix.
        claims: of an ID token: ``email``, ``custom:region``.
        scopes: of an access token; ``None`` for an ID token.
        client_id: the client that an access token is for; ``None`` for a machine, its own subject.
    """

    subject: str = "someone"
    groups: tuple[str, ...] = ()
    claims: Mapping[str, str] = field(default_factory=dict[str, str])
    scopes: tuple[str, ...] | None = None
    client_id: str | None = None

    def uid(self, pool_id: str) -> EntityUid:
        """The principal of the bearer's requests."""
        return EntityUid(USER, f"{pool_id}|{self.subject}")

    def entities(self, pool_id: str) -> tuple[Entity, ...]:
        """The principal and its groups."""
        groups = tuple([_group_of_people(pool_id, group) for group in self.groups])
        parents = tuple([group.uid for group in groups])
        return (Entity(uid=self.uid(pool_id), attributes=self.claims, parents=parents), *groups)

    def context(self) -> dict[str, Value]:
        """What an access token adds to the context."""
        if self.scopes is None:
            return {}
        client = self.client_id or self.subject
        return {"token": {"sub": self.subject, "client_id": client, "scope": self.scopes}}


@dataclass(frozen=True, kw_only=True)
class AuthorizationRequest:
    """May ``principal`` do ``action`` on ``resource``?

    Attributes:
        principal: bound to the tenant's pool.
        action: its name in the schema.
        context: what ``RequestContext.values`` made, and what the bearer's token adds.
        entities: the resource, all its ancestors and whatever the context names; an evaluation in
            this process needs the principal and its groups too.
    """

    principal: EntityUid
    action: str
    resource: EntityUid
    context: Mapping[str, Value]
    entities: tuple[Entity, ...]

    @classmethod
    def of(
        cls,
        *,
        principal: EntityUid,
        action: str,
        entities: Iterable[Entity],
        context: RequestContext,
    ) -> AuthorizationRequest:
        """The request on the first of ``entities``, as they are at the moment of the context."""
        artifact = [context.artifact] if context.artifact else []
        seen = tuple(entity.at(context.now) for entity in (*entities, *artifact))
        return cls(
            principal=principal,
            action=action,
            resource=seen[0].uid,
            context=context.values(),
            entities=seen,
        )

    def with_bearer(self, bearer: TokenBearer, *, pool_id: str) -> AuthorizationRequest:
        """The request with what the policy store itself reads from the token."""
        return of_bearer([self], bearer, pool_id=pool_id)[0]

    def json(self) -> dict[str, Any]:
        """The request in Cedar's JSON form, without its entities."""
        return self._with({name: json_value(value) for name, value in self.context.items()})

    def asked(self, members: frozenset[str] | None = None) -> dict[str, Any]:
        """The same for the engine, which takes the context as text.

        Args:
            members: of the context, without the others; ``None``: all.
        """
        seen = {
            name: json_value(value)
            for name, value in self.context.items()
            if members is None or name in members
        }
        return self._with(msgspec.json.encode(seen).decode())

    def _with(self, context: Any) -> dict[str, Any]:
        return {
            "principal": self.principal.json(),
            "action": EntityUid(ACTION, self.action).json(),
            "resource": self.resource.json(),
            "context": context,
        }


@lru_cache(maxsize=_SHARED)
def _group_of_people(pool_id: str, group: str) -> Entity:
    return Entity(uid=EntityUid(GROUP, f"{pool_id}|{group}"), attributes={})


def of_bearer(
    requests: Iterable[AuthorizationRequest], bearer: TokenBearer, *, pool_id: str
) -> list[AuthorizationRequest]:
    """Requests of one bearer, who is made once for all of them.

    Args:
        requests: without what the policy store itself reads from the token.
        bearer: of the token.
        pool_id: of the tenant.
    """
    principal, who, token = bearer.uid(pool_id), bearer.entities(pool_id), bearer.context()
    return [
        AuthorizationRequest(
            principal=principal,
            action=one.action,
            resource=one.resource,
            context={**one.context, **token} if token else one.context,
            entities=(*who, *one.entities),
        )
        for one in requests
    ]
