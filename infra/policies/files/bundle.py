"""A tenant's policies as values: what its files ask for, what is stamped, what is wrong."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from service.cedar.policy_set import PolicySet

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

    from service.cedar.granted import GrantTemplate
    from service.cedar.policy_set import Link
    from service.cedar.statement import Effect, Problem


@dataclass(frozen=True, kw_only=True)
class Grant:
    """One link of a template that a tenant asks for.

    Attributes:
        id: unique among the tenant's policies, e.g. ``line-press-certified``.
        template: name of a file in ``policies/templates``, without its ending.
        principal: who, as in a policy file: ``Fleet::Group::"certified-line-press"`` or
            ``Fleet::User::"<sub>"``.
        resource: where, as in a policy file: ``Fleet::DeviceGroup::"line-press"`` or
            ``Fleet::Device::"press-07"``.
        until: end of the grant, with a time zone; needed by a template that says
            ``datetime("until")``, refused by the others.
    """

    id: str
    template: str
    principal: str
    resource: str
    until: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class TenantPolicies:
    """What one tenant adds to the base policies.

    Attributes:
        tenant: tenant id.
        folder: the tenant's own ``*.cedar`` files, or ``None`` if it has none.
        grants: its template links.
        groups: the groups of its user pool; its own policies may name no other, since one with a
            slip in a name would match nobody. ``None`` if they are not known.
        lines: its device groups, without ``all``; its own policies and grants may name no other.
            ``None`` as above.
        lists: the values that its stack file lists, by the key there (``vocabulary.LISTS``); what
            its own policies compare with a listed attribute must be one of them. ``None`` as above.
    """

    tenant: str
    folder: Path | None = None
    grants: tuple[Grant, ...] = ()
    groups: frozenset[str] | None = None
    lines: frozenset[str] | None = None
    lists: Mapping[str, frozenset[str]] | None = None


@dataclass(frozen=True, kw_only=True)
class StaticPolicy:
    """One policy to stamp; ``statement`` is not yet bound to a pool (see ``binding.bind``)."""

    id: str
    effect: Effect
    why: str
    statement: str


@dataclass(frozen=True, kw_only=True)
class Template:
    """One template to stamp; one that ends, once for each end, as ``<file>-until-<time>``."""

    id: str
    why: str
    statement: str


@dataclass(frozen=True, kw_only=True)
class PolicyBundle:
    """Everything that a tenant's policy store is to hold, valid against the schema.

    Attributes:
        schema_json: for ``PutSchema``.
        static: forbids first, then permits, as they are to be created (see ``update_order``).
        templates: those that ``links`` need, all of effect permit.
        links: the grants.
        lendable: templates with an end, of which grants are made at run time; not yet bound.
    """

    schema_json: str
    static: tuple[StaticPolicy, ...]
    templates: tuple[Template, ...]
    links: tuple[Link, ...]
    lendable: Mapping[str, GrantTemplate] = field(default_factory=dict[str, "GrantTemplate"])

    @property
    def forbids(self) -> tuple[StaticPolicy, ...]:
        """The forbids, to be created before every permit and every link, and deleted after them."""
        return tuple(policy for policy in self.static if policy.effect == "forbid")

    @property
    def permits(self) -> tuple[StaticPolicy, ...]:
        """The static permits."""
        return tuple(policy for policy in self.static if policy.effect == "permit")

    @property
    def policy_set(self) -> PolicySet:
        """What decides, not yet bound to a tenant's pool."""
        return PolicySet(
            schema=self.schema_json,
            static={policy.id: policy.statement for policy in self.static},
            templates={template.id: template.statement for template in self.templates},
            links=self.links,
        )


class PolicyError(Exception):
    """The policies cannot be stamped.

    Attributes:
        problems: all that is wrong; the message has one problem a line.
    """

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems
