"""Reads a tenant's policies from the files, base and own; nothing passes that store or house would refuse."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from cedarpy import Schema

from infra.policies import rules
from infra.policies.binding import GROUP, USER, bind_until, until_text
from infra.policies.bundle import (
    Entity,
    Grant,
    Link,
    PolicyBundle,
    PolicyError,
    Problem,
    StaticPolicy,
    Template,
    TenantPolicies,
)
from infra.policies.schema import SchemaError, schema_json
from infra.policies.statement import Statement, parse

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_RESOURCE_TYPES: Final = ("Fleet::Device", "Fleet::DeviceGroup")


def load(root: Path, tenant: TenantPolicies) -> PolicyBundle:
    """Everything that the tenant's policy store is to hold.

    Args:
        root: the folder ``policies`` with ``schema.cedarschema``, ``static`` and ``templates``.
        tenant: what the tenant adds.

    Raises:
        PolicyError: with every problem of every file, so that one round of corrections is enough.
    """
    base = root.parent
    try:
        schema_text = schema_json((root / "schema.cedarschema").read_text(encoding="utf-8"))
    except SchemaError as error:
        raise PolicyError((Problem(file="policies/schema.cedarschema", line=0, words=str(error)),)) from error
    except OSError as error:
        raise PolicyError((Problem(file=str(root / "schema.cedarschema"), line=0, words="no such file"),)) from error
    schema = Schema.from_json_str(schema_text)
    problems: list[Problem] = []
    static = list(_read(root / "static", base, problems))
    templates = list(_read(root / "templates", base, problems))
    own = list(_read(tenant.folder, base, problems)) if tenant.folder is not None else []
    for statement in (*static, *own):
        problems += [*rules.static(statement), *rules.bindable(statement), *statement.validate(schema)]
    for statement in templates:
        problems += [*rules.template(statement), *rules.bindable(statement), *statement.validate(schema)]
    for statement in own:
        problems += rules.of_a_tenant(statement, tenant.groups)
    if not static:
        problems.append(Problem(file=str(root / "static"), line=0, words="no policy: the base forbids must be there"))
    stamped, links = _grants(tenant, {statement.id: statement for statement in templates}, problems)
    problems += _id_problems([*static, *templates, *own], tenant)
    problems += rules.all_together([*static, *own])
    if len(stamped) > rules.MAX_TEMPLATES:
        problems.append(_too_many_templates(tenant, len(stamped)))
    if problems:
        raise PolicyError(tuple(problems))
    policies = [
        StaticPolicy(id=statement.id, effect=statement.effect, why=statement.why, statement=statement.text)
        for statement in (*static, *own)
    ]
    policies.sort(key=lambda policy: (policy.effect != "forbid", policy.id))
    return PolicyBundle(schema_json=schema_text, static=tuple(policies), templates=tuple(stamped), links=tuple(links))


def _read(folder: Path, base: Path, problems: list[Problem]) -> Iterator[Statement]:
    if not folder.is_dir():
        problems.append(Problem(file=_shown(folder, base), line=0, words="no such folder"))
        return
    for path in sorted(folder.iterdir()):
        shown = _shown(path, base)
        if path.suffix != ".cedar":
            # fail closed: a forbid in a file of another name would silently not be there
            problems.append(Problem(file=shown, line=0, words="only *.cedar files belong here"))
            continue
        try:
            statement = parse(shown, path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            problems.append(Problem(file=shown, line=0, words=f"cannot be read: {error}"))
            continue
        if isinstance(statement, Problem):
            problems.append(statement)
            continue
        problems += rules.named_and_explained(statement, path.stem)
        yield statement


def _grants(
    tenant: TenantPolicies, templates: dict[str, Statement], problems: list[Problem]
) -> tuple[list[Template], list[Link]]:
    stamped: dict[str, Template] = {}
    links: list[Link] = []
    for grant in tenant.grants:
        where = f"tenant {tenant.tenant}, grant {grant.id}"
        if rules.ID.fullmatch(grant.id) is None:
            words = f"`{grant.id}`: an id is a-z, 0-9 and single inner `-`, at most 64"
            problems.append(Problem(file=where, line=0, words=words))
            continue
        template = templates.get(grant.template)
        if template is None:
            known = ", ".join(sorted(templates)) or "none"
            problems.append(Problem(file=where, line=0, words=f"no template `{grant.template}`; there are: {known}"))
            continue
        try:
            principal = _entity(grant.principal, (GROUP, USER))
            resource = _entity(grant.resource, _RESOURCE_TYPES)
            made = _stamped(template, grant)
        except ValueError as error:
            problems.append(Problem(file=where, line=0, words=str(error)))
            continue
        stamped[made.id] = made
        links.append(Link(id=grant.id, template=made.id, principal=principal, resource=resource))
    return list(stamped.values()), links


def _stamped(template: Statement, grant: Grant) -> Template:
    """The template of a grant: one for each end, since a link can fill in two entities but no time."""
    if not template.needs_until:
        if grant.until is not None:
            raise ValueError(f"template `{template.id}` has no end; leave out `until`, or use another template")
        return Template(id=template.id, why=template.why, statement=template.text)
    if grant.until is None:
        raise ValueError(f"template `{template.id}` ends: say `until`, e.g. 2026-12-24T18:00:00Z")
    if grant.until.tzinfo is None:
        raise ValueError(f"`until` {grant.until.isoformat()} has no time zone, e.g. 2026-12-24T18:00:00Z")
    end = until_text(grant.until).replace("-", "").replace(":", "")
    return Template(id=f"{template.id}-until-{end}", why=template.why, statement=bind_until(template.text, grant.until))


def _entity(text: str, types: tuple[str, ...]) -> Entity:
    entity = Entity.parse(text)
    if entity.type not in types:
        raise ValueError(f"`{text}` is of type `{entity.type}`; it must be one of {', '.join(types)}")
    if "|" in entity.id:
        raise ValueError(f"`{text}`: write the bare name, the pool is added at stamping")
    return entity


def _id_problems(statements: Iterable[Statement], tenant: TenantPolicies) -> Iterator[Problem]:
    first: dict[str, str] = {}
    for statement in statements:
        if statement.id and statement.id in first:
            words = f"the id `{statement.id}` is taken by {first[statement.id]}"
            yield statement.problem(words, mentions="@id(")
        first.setdefault(statement.id, statement.file)
    for name, count in Counter(grant.id for grant in tenant.grants).items():
        where = f"tenant {tenant.tenant}, grant {name}"
        if count > 1:
            yield Problem(file=where, line=0, words=f"stands {count} times; each grant needs an id of its own")
        if name in first:
            yield Problem(file=where, line=0, words=f"the id `{name}` is taken by {first[name]}")


def _too_many_templates(tenant: TenantPolicies, count: int) -> Problem:
    return Problem(
        file=f"tenant {tenant.tenant}, grants",
        line=0,
        words=f"{count} templates, one for each template and end; a policy store holds {rules.MAX_TEMPLATES}: "
        "remove grants that have ended, or let several end at the same time",
    )


def _shown(path: Path, base: Path) -> str:
    return path.relative_to(base).as_posix() if path.is_relative_to(base) else str(path)
