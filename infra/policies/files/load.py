"""Reads a tenant's policies from the files, base and own, and refuses what a store would refuse."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

from infra.policies.files import meaning, rules
from infra.policies.files.bundle import PolicyBundle, PolicyError, StaticPolicy, TenantPolicies
from infra.policies.files.grants import stamp
from infra.policies.files.schema_json import Actions, SchemaError
from infra.policies.files.vocabulary import Lists, schema_of
from service.cedar.entities import DEVICE_GROUP, GROUP
from service.cedar.granted import GrantTemplate
from service.cedar.statement import Problem, Statement, named_entities, parse

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from infra.policies.files.vocabulary import Schema


def load(root: Path, tenant: TenantPolicies) -> PolicyBundle:
    """Everything that the tenant's policy store is to hold.

    Args:
        root: the folder ``policies`` with ``schema.cedarschema``, ``static`` and ``templates``.
        tenant: what the tenant adds.

    Raises:
        PolicyError: with every problem of every file, so that one round of corrections is enough.
    """
    base = root.parent
    schema = _schema(root)
    actions = Actions(schema.json)
    of_base = of_the_base(root)
    of_tenant = Lists(groups=tenant.groups, lines=tenant.lines, values=tenant.lists)
    problems: list[Problem] = []
    static = list(_read(root / "static", base, problems))
    templates = list(_read(root / "templates", base, problems))
    own = list(_read(tenant.folder, base, problems)) if tenant.folder is not None else []
    for statement in (*static, *own):
        lists = of_tenant if statement in own else of_base
        problems += [
            *rules.static(statement),
            *rules.bindable(statement),
            *meaning.problems(statement, schema, lists),
        ]
    for statement in templates:
        problems += [
            *rules.template(statement),
            *rules.bindable(statement),
            *meaning.problems(statement, schema, of_base),
        ]
    for statement in own:
        problems += rules.of_a_tenant(statement, actions)
    if not static:
        problems.append(
            Problem(
                file=str(root / "static"), line=0, words="no policy: the base forbids must be there"
            )
        )
    valid = {statement.id: statement for statement in templates}
    stamped, links = stamp(tenant, valid, schema.validator, problems)
    problems += _id_problems([*static, *templates, *own], tenant)
    problems += rules.all_together([*static, *own])
    if problems:
        raise PolicyError(tuple(problems))
    policies = [
        StaticPolicy(
            id=statement.id, effect=statement.effect, why=statement.why, statement=statement.text
        )
        for statement in (*static, *own)
    ]
    policies.sort(key=lambda policy: (policy.effect != "forbid", policy.id))
    return PolicyBundle(
        schema_json=schema.json,
        static=tuple(policies),
        templates=tuple(stamped),
        links=tuple(links),
        lendable={
            one.id: GrantTemplate(
                statement=one.text, actions=frozenset(actions.of(one.est["action"]))
            )
            for one in templates
            if one.needs_until
        },
    )


def read_schema(root: Path) -> str:
    """The schema of ``root``, the folder ``policies``, in its JSON form.

    Raises:
        PolicyError: it is not there, or is none.
    """
    return _schema(root).json


def of_the_base(root: Path) -> Lists:
    """What the base policies may name: the groups and lines that the reference fleet is in.

    Raises:
        PolicyError: the fleet is not there, or is no JSON.
    """
    path = root / "cases" / "entities.json"
    try:
        uids = set(named_entities(json.loads(path.read_text(encoding="utf-8"))))
    except (OSError, ValueError) as error:
        problem = Problem(file="policies/cases/entities.json", line=0, words=repr(error))
        raise PolicyError((problem,)) from error
    groups = frozenset(uid.id for uid in uids if uid.type == GROUP)
    return Lists(
        whose="the base (policies/cases/entities.json)",
        groups=groups,
        lines=frozenset(uid.id for uid in uids if uid.type == DEVICE_GROUP),
        values={"groups": groups},
    )


def _schema(root: Path) -> Schema:
    path = root / "schema.cedarschema"
    try:
        schema = schema_of(path.read_text(encoding="utf-8"))
        _ = schema.json  # fails where a part of the language is not converted
    except SchemaError as error:
        problem = Problem(file="policies/schema.cedarschema", line=0, words=str(error))
        raise PolicyError((problem,)) from error
    except OSError as error:
        problem = Problem(file=str(path), line=0, words="no such file")
        raise PolicyError((problem,)) from error
    return schema


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
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            line = error.object.count(b"\n", 0, error.start) + 1
            problems.append(Problem(file=shown, line=line, words="is not UTF-8: save it as UTF-8"))
            continue
        except OSError as error:
            problems.append(Problem(file=shown, line=0, words=f"cannot be read: {error}"))
            continue
        if text.startswith("\N{BYTE ORDER MARK}"):
            words = "begins with a byte order mark: save it as UTF-8 without one"
            problems.append(Problem(file=shown, line=1, words=words))
            continue
        statement = parse(shown, text)
        if isinstance(statement, Problem):
            problems.append(statement)
            continue
        problems += rules.named_and_explained(statement, path.stem)
        yield statement


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
            yield Problem(
                file=where, line=0, words=f"stands {count} times; each grant needs an id of its own"
            )
        if name in first:
            yield Problem(file=where, line=0, words=f"the id `{name}` is taken by {first[name]}")


def _shown(path: Path, base: Path) -> str:
    return path.relative_to(base).as_posix() if path.is_relative_to(base) else str(path)
