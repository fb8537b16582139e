"""What a caller says of an action, and the service found out by itself: what policies see of it."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

from service.cedar.entities import USER
from service.cedar.request import RequestContext
from service.cedar.values import EntityUid

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from ipaddress import IPv4Address, IPv6Address

    from service.domain.artifacts import Artifact
    from service.domain.audit import AuditChange
    from service.domain.rollouts import Reach


@dataclass(frozen=True, kw_only=True)
class Purpose:
    """What the caller says of an action, for the policies' context.

    Attributes:
        command: name of the command.
        command_action: of a command that is declared: the action that sending it asks for.
        reason: why, where the command needs one or the caller gave one.
        artifact: the file to deliver.
        subject: what the audit names instead of the command; no policy sees it.
        emergency_reason: given only when the caller declares an emergency.
        members_allowed: the server's own finding that each member of the group that is asked for is
            allowed by itself.
        changed_tags: the device's tags that shall be set or removed.
        people_groups: all groups that the person is in, or would be.
        person: whom the action is about; the audit names a pseudonym instead of ``subject``.
        about: what the audit names as what comes of it; no policy sees it.
        change: what the audit shows as it was, and as it would be; no policy sees it.
        reach: how many devices it is for, and, of what was planned, how much of the fleet.
        planned: it is what a plan says.
        approved: a second person has approved it.
        approver_groups: of that second person.
        requester: entity id of who asked for what is to be approved.
        machine_scopes: of the tokens that the secret brings which the caller is told.
        template: what a grant is made of.
        holds_all: the server's own finding that the caller holds all that the template gives.
        to_self: whether the grant is given to the caller.
    """

    command: str | None = None
    command_action: str | None = None
    reason: str | None = None
    artifact: Artifact | None = None
    subject: str | None = None
    emergency_reason: str | None = None
    members_allowed: bool = False
    changed_tags: tuple[str, ...] | None = None
    people_groups: tuple[str, ...] | None = None
    person: str | None = None
    about: Mapping[str, str] = field(default_factory=dict[str, str])
    change: AuditChange | None = None
    template: str | None = None
    holds_all: bool | None = None
    to_self: bool | None = None
    reach: Reach | None = None
    planned: bool = False
    approved: bool = False
    approver_groups: tuple[str, ...] | None = None
    requester: str | None = None
    machine_scopes: tuple[str, ...] | None = None

    def context(
        self, now: datetime, source_ip: str | None, *, via: str | None = None
    ) -> RequestContext:
        """What policies see of it, at this moment, asked from there, by an agent or not."""
        reach, requester = self.reach, self.requester
        return RequestContext(
            now=now,
            emergency=self.emergency_reason is not None,
            via=via,
            reason=self.emergency_reason or self.reason,
            command=self.command,
            command_action=self.command_action,
            artifact=self.artifact.entity() if self.artifact else None,
            # Left out unless found: a policy must not take "not asked" for "not allowed".
            members_allowed=self.members_allowed or None,
            changed_tags=self.changed_tags,
            people_groups=self.people_groups,
            machine_scopes=self.machine_scopes,
            template=self.template,
            holds_all=self.holds_all,
            to_self=self.to_self,
            source_ip=_address(source_ip) if source_ip is not None else None,
            targets=reach.targets if reach else None,
            share_of_fleet=reach.share_of_fleet if reach else None,
            critical_targets=reach.critical_targets if reach else None,
            share_of_critical=reach.share_of_critical if reach else None,
            planned=self.planned or None,
            approved=self.approved or None,
            # Left out of what nobody approved: then no policy sees groups that say nothing.
            approver_groups=self.approver_groups if self.approved else None,
            requester=EntityUid(USER, requester) if requester is not None else None,
        )


@lru_cache(maxsize=1024)
def _address(text: str) -> IPv4Address | IPv6Address:
    return ipaddress.ip_address(text)
