"""The Pulumi program changes a tenant's policies without a gap: its engine takes the steps in the order of the plan."""

from __future__ import annotations

import itertools
import json
import threading
from typing import TYPE_CHECKING, Any

import yaml

from infra.local.engine import Op
from infra.policies import fleet, load
from infra.policies.evaluator import Evaluator, bound
from infra.policies.personas import AT_NIGHT
from infra.policies.question import Who
from infra.policies.update import pieces, plan
from infra.stacks.config.tenants import of_tenant

if TYPE_CHECKING:
    from infra.policies.evaluator import BoundPolicies
    from infra.policies.question import Question
    from tests.infra.conftest import Project

TENANT = "hooli"
OLD = {
    "look": ("permit", '[Fleet::Action::"View", Fleet::Action::"Operate"]', "lookers"),
    "no-stops": ("forbid", '[Fleet::Action::"StopDevice"]', "lookers"),
}
# Operate moves to another policy, the view stays, a forbid goes and one comes.
NEW = {
    "look": ("permit", '[Fleet::Action::"View"]', "lookers"),
    "run": ("permit", '[Fleet::Action::"Operate", Fleet::Action::"Maintain"]', "lookers"),
    "no-parameters": ("forbid", '[Fleet::Action::"SetParameters"]', "lookers"),
}


def test_stamping_changes_policies_without_a_gap(project: Project) -> None:
    """While a tenant is stamped with other policies, every decision is that of the old or of the new files."""
    stack = yaml.safe_load((project.root / "tenants" / "Pulumi.acme.yaml").read_text())
    tenant = stack["config"]["cedarfleet:tenant"]
    tenant |= {"policies": f"{TENANT}/policies", "protect": False}
    tenant["groups"]["lookers"] = "Look and run"
    tenant["sign_in"]["domain_prefix"] = f"cedarfleet-{TENANT}"
    (project.root / "tenants" / f"Pulumi.{TENANT}.yaml").write_text(yaml.safe_dump(stack))
    write(project, OLD)
    made = project.up(TENANT).outputs
    pool_id = made["user_pool_id"]
    before = of_files(project, pool_id)
    old = Evaluator(before, tenant=TENANT, pool_id=pool_id)
    write(project, NEW)
    after = of_files(project, pool_id)
    new = Evaluator(after, tenant=TENANT, pool_id=pool_id)

    lookers = Who(groups=("lookers",))
    questions = [
        question for _, _, question in fleet.ask(lookers, AT_NIGHT, {"press-07": fleet.PRESS})
    ]
    right = [{old.decide(question).allowed, new.decide(question).allowed} for question in questions]
    assert [True, False] in [sorted(answers, reverse=True) for answers in right]
    wrong: list[tuple[str, bool]] = []
    rounds = [0]
    done = threading.Event()
    client = project.cloud.client("verifiedpermissions")

    def ask() -> None:
        for question, answers in itertools.cycle(zip(questions, right, strict=True)):
            if question is questions[0]:
                rounds[0] += 1
                if done.is_set():
                    return
            allowed = allows(client, made["policy_store_id"], question, pool_id)
            if allowed not in answers:
                wrong.append((question.action, allowed))

    asker = threading.Thread(target=ask)
    asker.start()
    try:
        changes = project.up(TENANT).changes
    finally:
        done.set()
        asker.join()
    assert wrong == []
    assert rounds[0] > 2
    names = [(change.op, change.urn.rpartition("::")[2]) for change in changes]
    assert any(op is Op.DELETE and name == "policies-policy-no-stops" for op, name in names), names
    assert [allows(client, made["policy_store_id"], q, pool_id) for q in questions] == [
        new.decide(q).allowed for q in questions
    ]
    assert [str(step) for step in plan(pieces(before), pieces(after))] == [
        "create forbid no-parameters",
        "create permit look",
        "create permit run",
        "delete permit look",
        "delete forbid no-stops",
    ]
    project.engine.destroy(TENANT)


def write(project: Project, policies: dict[str, tuple[str, str, str]]) -> None:
    """The tenant's own policies, and no others."""
    folder = project.root / "tenants" / TENANT / "policies"
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        path.unlink()
    for name, (effect, actions, group) in policies.items():
        (folder / f"{name}.cedar").write_text(
            f'// For the test.\n@id("{name}")\n'
            f'{effect} (principal in Fleet::Group::"{group}", action in {actions}, resource is Fleet::Device);\n'
        )


def of_files(project: Project, pool_id: str) -> BoundPolicies:
    """What the files say now."""
    loaded = load(project.root / "policies", of_tenant(project.root, TENANT))
    return bound(loaded, tenant=TENANT, pool_id=pool_id)


def allows(client: Any, store_id: str, question: Question, pool_id: str) -> bool:
    """Ask the store."""
    request, entities = question.cedar(tenant=TENANT, pool_id=pool_id)
    answer = client.is_authorized(
        policyStoreId=store_id,
        principal={
            "entityType": request["principal"]["type"],
            "entityId": request["principal"]["id"],
        },
        action={"actionType": request["action"]["type"], "actionId": request["action"]["id"]},
        resource={"entityType": request["resource"]["type"], "entityId": request["resource"]["id"]},
        context={"cedarJson": json.dumps(request["context"])},
        entities={"cedarJson": json.dumps(entities)},
    )
    return answer["decision"] == "ALLOW" and not answer["errors"]
