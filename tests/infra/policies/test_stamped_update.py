"""The Pulumi program changes a tenant's policies without a gap, in the order of the plan."""

from __future__ import annotations

import itertools
import threading
from typing import TYPE_CHECKING

import yaml

from infra.local.engine import Op
from infra.policies import load
from infra.policies.cases.personas import AT_NIGHT
from infra.policies.cases.reference_fleet import ReferenceFleet
from infra.policies.cases.requests import all_requests
from infra.policies.store.update_order import pieces, plan
from infra.stacks.config.tenants import of_tenant
from service.cedar.evaluator import Evaluator
from service.cedar.request import TokenBearer
from tests.infra.policies.conftest import store_allows

if TYPE_CHECKING:
    from service.cedar.policy_set import PolicySet
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
    """While other policies are stamped, every decision is that of the old or of the new files."""
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
    old = Evaluator(before)
    write(project, NEW)
    after = of_files(project, pool_id)
    new = Evaluator(after)

    press = ReferenceFleet.read(project.root / "policies").device("press-07")
    asked = all_requests(
        TokenBearer(groups=("lookers",)),
        AT_NIGHT,
        {"press-07": press},
        tenant=TENANT,
        pool_id=pool_id,
    )
    requests = [request for _, _, request in asked]
    right = [{old.evaluate(request).allowed, new.evaluate(request).allowed} for request in requests]
    assert [True, False] in [sorted(answers, reverse=True) for answers in right]
    wrong: list[tuple[str, bool]] = []
    rounds = [0]
    done = threading.Event()
    client = project.cloud.client("verifiedpermissions")

    def ask() -> None:
        for request, answers in itertools.cycle(zip(requests, right, strict=True)):
            if request is requests[0]:
                rounds[0] += 1
                if done.is_set():
                    return
            allowed = store_allows(client, made["policy_store_id"], request)
            if allowed not in answers:
                wrong.append((request.action, allowed))

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
    assert [store_allows(client, made["policy_store_id"], q) for q in requests] == [
        new.evaluate(q).allowed for q in requests
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
            f'{effect} (principal in Fleet::Group::"{group}", action in {actions}, '
            "resource is Fleet::Device);\n"
        )


def of_files(project: Project, pool_id: str) -> PolicySet:
    """What the files say now."""
    loaded = load(project.root / "policies", of_tenant(project.root, TENANT))
    return loaded.policy_set.bound(tenant=TENANT, pool_id=pool_id)
