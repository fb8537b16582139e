"""Reads `policies/cases`: requests, and the decision that must come out, by the policies named.

A case is an authorization request in Cedar's JSON form with ``why`` and ``expected``. The entities
are those of ``entities.json``; a case's own ``entities`` stand in the place of those of the same
uid.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from infra.policies.cases.cedar_json import SchemaReader, read_object, read_uid
from infra.policies.cases.reference_fleet import POOL_ID, TENANT_ID, ReferenceFleet
from infra.policies.files.bundle import PolicyError, TenantPolicies
from infra.policies.files.load import load, read_schema
from service.cedar.binding import bind_entity, bind_uid
from service.cedar.decision import Evaluation
from service.cedar.entities import USER
from service.cedar.evaluator import Evaluator
from service.cedar.request import ACTION, AuthorizationRequest
from service.cedar.statement import Problem
from service.cedar.values import EntityUid

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from service.cedar.entities import Entity

FOLDERS: Final = {"ALLOW": True, "DENY": False}
_MEMBERS: Final = {"why", "principal", "action", "resource", "context", "expected"}
_OPTIONAL: Final = {"tenant_policies", "entities"}


@dataclass(frozen=True, kw_only=True)
class Case:
    """One case.

    Attributes:
        file: as shown in errors.
        why: what the case is there to prove.
        request: bound to the pool of the reference fleet.
        expected: what the engine must answer.
        tenant_policies: tenant whose own policies come on top of the base, or ``None``.
    """

    file: str
    why: str
    request: AuthorizationRequest
    expected: Evaluation
    tenant_policies: str | None


def read(root: Path) -> Iterator[Case]:
    """All cases below ``root``, the folder ``policies``.

    Raises:
        PolicyError: files are not of the form that ``policies/README.md`` describes; raised after
            the last case, with the problem of each of them.
    """
    wrong: list[Problem] = []
    # each bound to its pool once for all cases
    fleet = {uid: _bound(one) for uid, one in ReferenceFleet.read(root).entities.items()}
    reader = SchemaReader(read_schema(root))
    for folder, allowed in FOLDERS.items():
        for path in sorted((root / "cases" / folder).iterdir()):
            shown = path.relative_to(root.parent).as_posix()
            try:
                case = _case(shown, json.loads(path.read_text(encoding="utf-8")), fleet, reader)
            except ValueError as error:
                # The parser's own words do not say that they are about JSON.
                told = repr(error) if isinstance(error, json.JSONDecodeError) else str(error)
                wrong.append(Problem(file=shown, line=0, words=f"is no case: {told}"))
                continue
            if case.expected.allowed is not allowed:
                words = f"expects the other decision than its folder {folder}"
                wrong.append(Problem(file=shown, line=0, words=words))
                continue
            yield case
    if wrong:
        raise PolicyError(tuple(wrong))


class CaseEvaluator:
    """Evaluates cases by the files below ``root``; loads each tenant's policies once."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._evaluators: dict[str | None, Evaluator] = {}

    def evaluate(self, case: Case) -> Evaluation:
        """What the policies say.

        Raises:
            PolicyError: the policies are not valid.
            ValueError: the request does not fit the schema.
        """
        if case.tenant_policies not in self._evaluators:
            policies = case_policies(self._root, case.tenant_policies)
            bundle = load(self._root, policies)
            bound = bundle.policy_set.bound(tenant=TENANT_ID, pool_id=POOL_ID)
            self._evaluators[case.tenant_policies] = Evaluator(bound)
        return self._evaluators[case.tenant_policies].evaluate(case.request)

    def problems(self) -> Iterator[Problem]:
        """The cases that come out otherwise than expected."""
        for case in read(self._root):
            try:
                found = self.evaluate(case)
            except ValueError as error:
                yield Problem(file=case.file, line=0, words=str(error))
                continue
            except PolicyError as error:
                yield from error.problems
                continue
            if found != case.expected:
                words = f"expected `{case.expected}`, decided `{found}`" + "".join(
                    f"; {e}" for e in found.errors
                )
                yield Problem(file=case.file, line=0, words=words)


def case_policies(root: Path, tenant: str | None) -> TenantPolicies:
    """What decides a case: the fleet's grants, and ``tenant``'s own policies if it is named."""
    folder = None if tenant is None else root.parent / "tenants" / tenant / "policies"
    grants = ReferenceFleet.read(root).grants
    return TenantPolicies(tenant=TENANT_ID, folder=folder, grants=grants)


def _bound(entity: Entity) -> Entity:
    return bind_entity(entity, tenant=TENANT_ID, pool_id=POOL_ID)


def _case(
    file: str, document: object, fleet: dict[EntityUid, Entity], reader: SchemaReader
) -> Case:
    data = read_object(document, "a case")
    if wrong := (_MEMBERS - set(data)) | (set(data) - _MEMBERS - _OPTIONAL):
        raise ValueError(f"missing or unknown member: {', '.join(sorted(wrong))}")
    expected = _expected(data["expected"])
    tenant = data.get("tenant_policies")
    own = reader.entities(data.get("entities", []))
    entities = fleet | {uid: _bound(entity) for uid, entity in own.items()}
    principal = read_uid(data["principal"], "`principal`")
    action = read_uid(data["action"], "`action`")
    # A slip in a name is denied by every policy set: such a case would prove nothing.
    if principal.type != USER or principal not in entities:
        raise ValueError(f"`principal`: no person or machine `{principal}` in entities.json")
    if action.type != ACTION:
        raise ValueError(f'`action` is written {ACTION}::"ViewDevice"')
    return Case(
        file=file,
        why=str(data["why"]),
        request=AuthorizationRequest(
            principal=bind_uid(principal, tenant=TENANT_ID, pool_id=POOL_ID),
            action=action.id,
            resource=read_uid(data["resource"], "`resource`"),
            context={
                name: bind_uid(value, tenant=TENANT_ID, pool_id=POOL_ID)
                if isinstance(value, EntityUid)
                else value
                for name, value in reader.context(data["context"]).items()
            },
            entities=tuple(entities.values()),
        ),
        expected=expected,
        tenant_policies=None if tenant is None else str(tenant),
    )


def _expected(document: object) -> Evaluation:
    data: dict[str, Any] = read_object(document, "`expected`")
    if set(data) != {"decision", "policies"} or data["decision"] not in FOLDERS:
        raise ValueError("`expected` has `decision`, ALLOW or DENY, and `policies`")
    policies = tuple(sorted(map(str, data["policies"])))
    return Evaluation(engine_allows=FOLDERS[data["decision"]], policies=policies)
