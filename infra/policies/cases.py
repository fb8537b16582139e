"""Reads `policies/cases`: requests, the decision that the policies must give, and the policies that must decide it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from infra.policies import fleet
from infra.policies.bundle import PolicyError, TenantPolicies
from infra.policies.evaluator import Decision, Evaluator, bound
from infra.policies.load import load
from infra.policies.question import Artifact, Circumstances, Question, Target, Who
from service.cedar.statement import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FOLDERS: Final = {"ALLOW": True, "DENY": False}
_KEYS: Final = {"why", "who", "action", "target", "about", "expected"}
_OPTIONAL: Final = {"tenant_policies"}


@dataclass(frozen=True, kw_only=True)
class Case:
    """One case.

    Attributes:
        file: as shown in errors.
        why: what the case is there to prove.
        question: the request.
        expected: the decision.
        tenant_policies: tenant whose own policies come on top of the base, or ``None``.
    """

    file: str
    why: str
    question: Question
    expected: Decision
    tenant_policies: str | None


def read(root: Path) -> Iterator[Case]:
    """All cases below ``root``, the folder ``policies``.

    Raises:
        PolicyError: a file is not of the form that ``policies/README.md`` describes.
    """
    for folder, allowed in FOLDERS.items():
        for path in sorted((root / "cases" / folder).iterdir()):
            shown = path.relative_to(root.parent).as_posix()
            try:
                case = _case(shown, json.loads(path.read_text(encoding="utf-8")))
            except (ValueError, KeyError, TypeError) as error:
                raise PolicyError(
                    (Problem(file=shown, line=0, words=f"is no case: {error!r}"),)
                ) from error
            if case.expected.allowed is not allowed:
                words = f"expects the other decision than its folder {folder}"
                raise PolicyError((Problem(file=shown, line=0, words=words),))
            yield case


class Judge:
    """Decides cases by the files below ``root``; loads each tenant's policies once."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._evaluators: dict[str | None, Evaluator] = {}

    def decide(self, case: Case) -> Decision:
        """What the policies say.

        Raises:
            PolicyError: the policies are not valid.
            ValueError: the request does not fit the schema.
        """
        if case.tenant_policies not in self._evaluators:
            self._evaluators[case.tenant_policies] = self._evaluator(case.tenant_policies)
        return self._evaluators[case.tenant_policies].decide(case.question)

    def problems(self) -> Iterator[Problem]:
        """The cases that come out otherwise than expected."""
        for case in read(self._root):
            try:
                found = self.decide(case)
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

    def _evaluator(self, tenant: str | None) -> Evaluator:
        folder = None if tenant is None else self._root.parent / "tenants" / tenant / "policies"
        policies = TenantPolicies(tenant=fleet.TENANT_ID, folder=folder, grants=fleet.GRANTS)
        loaded = bound(load(self._root, policies), tenant=fleet.TENANT_ID, pool_id=fleet.POOL_ID)
        return Evaluator(loaded, tenant=fleet.TENANT_ID, pool_id=fleet.POOL_ID)


def _case(file: str, data: dict[str, Any]) -> Case:
    if wrong := (_KEYS - set(data)) | (set(data) - _KEYS - _OPTIONAL):
        raise ValueError(f"missing or unknown member: {', '.join(sorted(wrong))}")
    who, about, expected = data["who"], data["about"], data["expected"]
    if set(expected) != {"decision", "policies"} or expected["decision"] not in FOLDERS:
        raise ValueError("`expected` has `decision`, ALLOW or DENY, and `policies`")
    groups, scopes = tuple(who.pop("groups", ())), who.pop("scopes", None)
    artifact = about.pop("artifact", None)
    return Case(
        file=file,
        why=data["why"],
        question=Question(
            who=Who(groups=groups, scopes=None if scopes is None else tuple(scopes), **who),
            action=data["action"],
            target=_target(data["target"]),
            circumstances=Circumstances(
                now=datetime.fromisoformat(about.pop("now")),
                artifact=None if artifact is None else Artifact(**artifact),
                **about,
            ),
        ),
        expected=Decision(
            allowed=FOLDERS[expected["decision"]], policies=tuple(sorted(expected["policies"]))
        ),
        tenant_policies=data.get("tenant_policies"),
    )


def _target(data: str | dict[str, Any]) -> Target:
    if isinstance(data, str):
        return fleet.TARGETS[data]
    return Target(groups=tuple(data.pop("groups", ())), **data)
