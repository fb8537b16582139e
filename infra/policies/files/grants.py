"""Turns a tenant's grants into templates and links that its policy store will take."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cedarpy import validate_policies

from infra.policies.files import rules
from infra.policies.files.bundle import Grant, Template, TenantPolicies
from infra.policies.files.vocabulary import told
from service.cedar.binding import bind_until, until_text
from service.cedar.entities import DEVICE, DEVICE_GROUP, GROUP, ROOT_GROUP, USER
from service.cedar.granted import written_out
from service.cedar.policy_set import Link
from service.cedar.statement import Problem
from service.cedar.values import EntityUid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cedarpy import Schema

    from service.cedar.statement import Statement


def stamp(
    tenant: TenantPolicies, templates: dict[str, Statement], schema: Schema, problems: list[Problem]
) -> tuple[list[Template], list[Link]]:
    """The templates that the grants need, each once for each end, and the links.

    Each link is written out and validated, as the store does when it is made: by then half of a
    stamping is done. What is wrong is added to ``problems``.
    """
    stamped: dict[str, Template] = {}
    links: list[Link] = []
    for grant in tenant.grants:
        try:
            template, link = _one(tenant, templates, schema, grant)
        except ValueError as error:
            problems.append(
                Problem(file=f"tenant {tenant.tenant}, grant {grant.id}", line=0, words=str(error))
            )
            continue
        stamped[template.id] = template
        links.append(link)
    if words := rules.too_many_templates(len(stamped)):
        problems.append(Problem(file=f"tenant {tenant.tenant}, grants", line=0, words=words))
    return list(stamped.values()), links


def _one(
    tenant: TenantPolicies, templates: dict[str, Statement], schema: Schema, grant: Grant
) -> tuple[Template, Link]:
    if rules.ID.fullmatch(grant.id) is None:
        raise ValueError(f"`{grant.id}`: an id is a-z, 0-9 and single inner `-`, at most 64")
    template = templates.get(grant.template)
    if template is None:
        raise ValueError(
            f"no template `{grant.template}`{told(grant.template, templates, has='there are')}"
        )
    made = _stamped(template, grant)
    # `principal == ?principal`: a group never asks anything itself, so such a link never matches.
    single = template.est["principal"]["op"] == "=="
    principal = _entity(grant.principal, [USER] if single else [GROUP, USER])
    resource = _entity(grant.resource, [DEVICE, DEVICE_GROUP])
    for entity in (principal, resource):
        _refuse_unknown(entity, groups=tenant.groups, lines=tenant.lines)
    _validate(made, principal, resource, schema)
    return made, Link(id=grant.id, template=made.id, principal=principal, resource=resource)


def known_entity(
    text: str, *, groups: frozenset[str] | None, lines: frozenset[str] | None
) -> EntityUid:
    """Read the principal or resource of a grant.

    Args:
        text: as in a policy file.
        groups: those that the tenant has; ``None`` if they are not known.
        lines: the same of its device groups, without ``all``.

    Raises:
        ValueError: it is no entity, or a group or line that the tenant does not have.
    """
    entity = EntityUid.parse(text)
    _refuse_unknown(entity, groups=groups, lines=lines)
    return entity


def _refuse_unknown(
    entity: EntityUid, *, groups: frozenset[str] | None, lines: frozenset[str] | None
) -> None:
    of_lines = None if lines is None else lines | {ROOT_GROUP}
    known = {GROUP: groups, DEVICE_GROUP: of_lines}.get(entity.type)
    if known is not None and entity.id not in known:
        raise ValueError(f"`{entity}`: this tenant has none of that name{told(entity.id, known)}")


def _stamped(template: Statement, grant: Grant) -> Template:
    """The template of a grant, one for each end: a link fills in two entities but no time."""
    if not template.needs_until:
        if grant.until is not None:
            raise ValueError(
                f"template `{template.id}` has no end; leave out `until`, or use another template"
            )
        return Template(id=template.id, why=template.why, statement=template.text)
    if grant.until is None:
        raise ValueError(f"template `{template.id}` ends: say `until`, e.g. 2026-12-24T18:00:00Z")
    if grant.until.tzinfo is None:
        raise ValueError(
            f"`until` {grant.until.isoformat()} has no time zone, e.g. 2026-12-24T18:00:00Z"
        )
    end = until_text(grant.until).replace("-", "").replace(":", "")
    return Template(
        id=f"{template.id}-until-{end}",
        why=template.why,
        statement=bind_until(template.text, grant.until),
    )


def _validate(
    template: Template, principal: EntityUid, resource: EntityUid, schema: Schema
) -> None:
    whole = written_out(template.statement, principal=principal, resource=resource)
    if errors := validate_policies(whole, schema).errors:
        words = "; ".join(error.error for error in errors)
        raise ValueError(
            f"`{principal}` on `{resource}` does not fit template `{template.id}`: {words}"
        )


def _entity(text: str, types: Sequence[str]) -> EntityUid:
    entity = EntityUid.parse(text)
    if entity.type not in types:
        raise ValueError(f"`{text}` is of type `{entity.type}`; it must be {' or '.join(types)}")
    if "|" in entity.id:
        raise ValueError(f"`{text}`: write the bare name, the pool is added at stamping")
    return entity
