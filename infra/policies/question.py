"""One question to the policies, in words of the fleet: who wants to do what to which device, when, and why."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Literal

from service.cedar.entities import GROUP, TENANT, USER

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

ALL_DEVICES: Final = "all"  # the device group that holds every device of the tenant
_OFFSET: Final = re.compile(r"(?P<sign>[+-])(?P<hours>\d{2}):(?P<minutes>\d{2})")
_WINDOW: Final = re.compile(r"(\d{2}):(\d{2})-(\d{2}):(\d{2})")
_PLAIN: Final = frozenset({"kind", "region", "criticality"})

Json = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Who:
    """A person with the claims of an ID token, or who comes with the scopes of an access token.

    Attributes:
        user: the token's subject.
        groups: Cognito groups.
        region: the claim `custom:region`.
        email: the claim `email`.
        scopes: of an access token; ``None`` for an ID token.
        client: the app client that the access token is for; ``None`` for a machine, which is its own subject.
    """

    user: str = "someone"
    groups: tuple[str, ...] = ()
    region: str | None = None
    email: str | None = None
    scopes: tuple[str, ...] | None = None
    client: str | None = None


@dataclass(frozen=True, kw_only=True)
class Target:
    """What the action is done to.

    Attributes:
        kind: ``tenant``, ``group`` or ``device``.
        id: the device or device group; of no meaning for the tenant.
        groups: lines and zones of a device, without ``all``.
        attributes: a device's attributes as IoT Core holds them: ``{"utc_offset": "+02:00", "window": "22:00-04:00"}``.
        tenant: whose it is; ``None`` for the tenant whose policies are asked.
        known: whether the entity is passed at all; the policies must hold without it.
    """

    kind: Literal["tenant", "group", "device"]
    id: str = ""
    groups: tuple[str, ...] = ()
    attributes: Mapping[str, str] = field(default_factory=dict[str, str])
    tenant: str | None = None
    known: bool = True

    @property
    def type(self) -> str:
        """The entity type in the schema, without namespace."""
        return {"tenant": "Tenant", "group": "DeviceGroup", "device": "Device"}[self.kind]


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """The file to deliver: ``kind`` is ``file`` or ``firmware``; ``tenant`` as in ``Target``."""

    kind: str = "file"
    size: int = 1
    tenant: str | None = None


@dataclass(frozen=True, kw_only=True)
class Circumstances:
    """The server-made context."""

    now: datetime
    emergency: bool = False
    reason: str | None = None
    artifact: Artifact | None = None
    members_allowed: bool | None = None
    command: str | None = None
    source_ip: str | None = None


@dataclass(frozen=True, kw_only=True)
class Question:
    """Who wants to do what, to what, under which circumstances."""

    who: Who
    action: str
    target: Target
    circumstances: Circumstances

    def to(self, target: Target) -> Question:
        """The same question of another target."""
        return replace(self, target=target)

    def cedar(self, *, tenant: str, pool_id: str) -> tuple[Json, list[Json]]:
        """The request and its entities in Cedar's JSON, as a decision with a token would make them.

        Raises:
            ValueError: a device attribute is not of its form.
        """
        principal = {"type": USER, "id": f"{pool_id}|{self.who.user}"}
        owner = self.target.tenant or tenant
        resource = {
            "type": f"Fleet::{self.target.type}",
            "id": owner if self.target.kind == "tenant" else self.target.id,
        }
        context, artifacts = self._context(tenant)
        entities = [
            {
                "uid": principal,
                "attrs": {
                    name: claim
                    for name, claim in (
                        ("email", self.who.email),
                        ("custom:region", self.who.region),
                    )
                    if claim is not None
                },
                "parents": [
                    {"type": GROUP, "id": f"{pool_id}|{group}"} for group in self.who.groups
                ],
            },
            {"uid": {"type": TENANT, "id": owner}, "attrs": {}, "parents": []},
            *(self._resource(resource, owner) if self.target.known else []),
            *artifacts,
        ]
        action = {"type": "Fleet::Action", "id": self.action}
        return {
            "principal": principal,
            "action": action,
            "resource": resource,
            "context": context,
        }, entities

    def _resource(self, resource: Json, owner: str) -> list[Json]:
        if self.target.kind == "tenant":
            return []
        belongs = {"tenant": {"__entity": {"type": TENANT, "id": owner}}}
        whole = {"type": "Fleet::DeviceGroup", "id": ALL_DEVICES}
        entities: list[Json] = [
            {"uid": whole, "attrs": belongs, "parents": [{"type": TENANT, "id": owner}]}
        ]
        if self.target.kind == "group":
            if self.target.id != ALL_DEVICES:
                entities.append({"uid": resource, "attrs": belongs, "parents": [whole]})
            return entities
        lines = [
            {"type": "Fleet::DeviceGroup", "id": group}
            for group in self.target.groups
            if group != ALL_DEVICES
        ]
        entities += [{"uid": line, "attrs": belongs, "parents": [whole]} for line in lines]
        attributes = {**belongs, **device_attributes(self.target.attributes)}
        entities.append({"uid": resource, "attrs": attributes, "parents": [*lines, whole]})
        return entities

    def _context(self, tenant: str) -> tuple[Json, list[Json]]:
        about = self.circumstances
        context: Json = {"now": _extension("datetime", about.now.strftime("%Y-%m-%dT%H:%M:%S%z"))}
        context["emergency"] = about.emergency
        if about.reason is not None:
            context["reason"] = about.reason
        if about.members_allowed is not None:
            context["members_allowed"] = about.members_allowed
        if about.command is not None:
            context["command"] = about.command
        if about.source_ip is not None:
            context["source_ip"] = _extension("ip", about.source_ip)
        if self.who.scopes is not None:
            client = self.who.client or self.who.user
            context["token"] = {
                "sub": self.who.user,
                "client_id": client,
                "scope": list(self.who.scopes),
            }
        if about.artifact is None:
            return context, []
        owner = {"type": TENANT, "id": about.artifact.tenant or tenant}
        file = {
            "type": "Fleet::Artifact",
            "id": f"{owner['id']}/{about.artifact.kind}-{about.artifact.size}",
        }
        context["artifact"] = {"__entity": file}
        attributes = {
            "kind": about.artifact.kind,
            "size": about.artifact.size,
            "tenant": {"__entity": owner},
        }
        return context, [{"uid": file, "attrs": attributes, "parents": [owner]}]


def device_attributes(attributes: Mapping[str, str]) -> Json:
    """IoT Core's attribute strings as the attributes of ``Fleet::Device``.

    ``utc_offset`` ``+02:00`` -> duration, ``window`` ``22:00-04:00`` -> ``window_start`` and ``window_end``,
    ``security_patch`` ``2026-10-01`` -> datetime.

    Raises:
        ValueError: an unknown attribute, or one that is not of its form.
    """
    found: Json = {}
    for name, value in attributes.items():
        if name in _PLAIN:
            found[name] = value
        elif name == "security_patch":
            found[name] = _extension("datetime", value)
        elif name == "utc_offset" and (offset := _OFFSET.fullmatch(value)):
            sign = "-" if offset["sign"] == "-" else ""
            found[name] = _extension(
                "duration", f"{sign}{int(offset['hours'])}h{int(offset['minutes'])}m"
            )
        elif name == "window" and (window := _WINDOW.fullmatch(value)):
            for edge, (hours, minutes) in {
                "window_start": window.group(1, 2),
                "window_end": window.group(3, 4),
            }.items():
                found[edge] = _extension("duration", f"{int(hours)}h{int(minutes)}m")
        else:
            raise ValueError(f"device attribute `{name}` = `{value}` is not of its form")
    return found


def _extension(function: str, argument: str) -> Json:
    return {"__extn": {"fn": function, "arg": argument}}
