"""A tenant as its row of the registry describes it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from service.domain.rates import DEFAULT
from service.errors import InvalidRequestError, NotInTierError
from service.nearest_name import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.cedar.entities import GroupParents
    from service.cedar.granted import GrantTemplate
    from service.domain.command_rules import CommandRules
    from service.domain.features import Feature
    from service.domain.permissions import Permission
    from service.domain.rates import Budget, Rate

_ISSUER: Final = re.compile(
    r"https://cognito-idp\.(?P<region>[a-z]{2}(?:-[a-z]+)+-[0-9])\.amazonaws\.com"
    r"/(?P<pool>(?P=region)_[A-Za-z0-9]{1,55})"
)


class TenantStatus(StrEnum):
    """Whether the tenant may use the service."""

    ACTIVE = "ACTIVE"
    SUSPENDED = "SUSPENDED"


@dataclass(frozen=True, kw_only=True)
class Tenant:
    """Where everything of one tenant is.

    Attributes:
        id: e.g. ``acme``.
        issuer: of its user pool's tokens; the registry's key.
        jwks_uri: HTTPS address of the pool's signing keys.
        client_ids: app clients whose tokens are accepted.
        console_client_id: of these the console's; ``None``: its stack is of a release without one.
        cli_client_id: that which people at a command line sign in with; ``None`` likewise.
        agent_client_id: that which people let an agent act by; ``None`` likewise.
        policy_names: name of each policy in our files, by the policy store's id of it.
        role_arn: assumed for every AWS call on behalf of the tenant.
        thing_group: the one of all its devices, the tenant id itself.
        commands: what each command name asks for.
        command_rules: of those of which the file says more than that.
        groups: its device groups without ``all``, each with the groups that it lies in directly.
        lists: key of its stack file, of ``kinds``, ``regions`` and ``tags`` -> what it lists there.
        budgets: how much of each is let through.
        templates: with an end, of which grants are made.
        tier: the name of its terms, for messages; ``None``: its file names none.
        lacking: of which it may begin nothing new.
    """

    id: str
    issuer: str
    status: TenantStatus
    region: str
    account_id: str
    jwks_uri: str
    sign_in_url: str
    client_ids: frozenset[str]
    policy_store_id: str
    policy_names: Mapping[str, str]
    role_arn: str
    thing_group: str
    bucket: str
    presign_role_arn: str
    commands: Mapping[str, Permission]
    groups: GroupParents
    lists: Mapping[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
    command_rules: Mapping[str, CommandRules] = field(default_factory=dict[str, "CommandRules"])
    budgets: Mapping[Budget, Rate] = field(default_factory=lambda: DEFAULT)
    console_client_id: str | None = None
    cli_client_id: str | None = None
    agent_client_id: str | None = None
    templates: Mapping[str, GrantTemplate] = field(default_factory=dict[str, "GrantTemplate"])
    tier: str | None = None
    lacking: frozenset[Feature] = frozenset()

    def check_offered(self, feature: Feature) -> None:
        """Refuse to begin something new of what the tenant's tier does not offer.

        Raises:
            NotInTierError: it does not.
        """
        if feature in self.lacking:
            raise NotInTierError(feature, tier=self.tier)

    @property
    def pool_id(self) -> str:
        """The user pool: the last segment of the issuer."""
        return self.issuer.rsplit("/", 1)[1]


def is_issuer(text: str) -> bool:
    """Whether ``text`` has the form of a Cognito user pool's issuer.

    Source: Cognito, "Verifying JSON web tokens".
    """
    return _ISSUER.fullmatch(text) is not None


def check_listed(lists: Mapping[str, frozenset[str]], key: str, name: str, *, field: str) -> None:
    """Refuse what the tenant's file does not list, so that no policy misses it for a slip.

    Args:
        lists: ``Tenant.lists``.
        key: of these; one that lists nothing bounds nothing.
        name: what is looked for.
        field: the member or parameter that says it.

    Raises:
        InvalidRequestError: with the list, and what may be meant.
    """
    known = lists.get(key, frozenset())
    if not known or name in known:
        return
    meant = did_you_mean(name, known)
    raise InvalidRequestError(
        field,
        f"`{name}` is none of the `{key}` of the tenant's file: {', '.join(sorted(known))}{meant}",
    )
