"""The demo's steps about permissions: a refusal explained and turned, a replay, a proof."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from infra.local.demo.preparation import DemoRun, ok
from infra.local.setup import ROOT, TENANTS
from infra.policies import TenantPolicies, load
from infra.policies.cases.reference_fleet import POOL_ID, ReferenceFleet
from infra.policies.comparison.compare import difference
from infra.policies.proofs.asking import NotProvedError, prover_of
from infra.policies.proofs.theorems import prove, prove_update
from service.cedar.binding import THIS_TENANT

if TYPE_CHECKING:
    from infra.local.demo.report import Step
    from infra.local.demo.tenant_app import TenantApp
    from service.cedar.policy_set import PolicySet

_POLICY: Final = "emergency-responders-act"
_GUARDS: Final = frozenset({"tenant-guard", "tenant-guard-artifact", _POLICY})
_PERMIT: Final = """permit (principal in Fleet::Group::"operators",
    action == Fleet::Action::"StopDevice", resource is Fleet::Device)
    when { resource has criticality && resource.criticality == "low" };"""


_NEW_RULE: Final = "maintenance-needs-a-reason"
_REASONS: Final = """@unless("a reason is given")
forbid (principal, action in Fleet::Action::"Maintain", resource)
    unless { context has reason && context.reason != "" };"""
_TENANT: Final = "acme"


def refusal_is_explained(run: DemoRun) -> None:
    """A refused responder learns which condition failed; the manager, what would turn it."""
    with run.report.step("a refusal says why, and what would turn it") as step:
        device = run.devices["acme"].device
        manager, responder = run.apps["acme", "managers"], run.apps["acme", "emergency-responders"]
        ok(manager.patch(f"/v1/devices/{device}", {"criticality": "high"}))
        question = {"command": "stop", "device": device}
        why = _explained(responder, question)
        (policy,) = [one for one in why["explained"] if one["policy"] == _POLICY]
        words = [one["words"] for one in policy["conditions"]]
        step.check(
            words == ["an emergency is declared", "a reason is given"],
            f"refused: policy `{_POLICY}` lacks: {'; '.join(words)}",
        )
        simulated = ok(
            manager.post(
                "/v1/permissions/simulate",
                {
                    "question": question | {"emergency": {"reason": "smoke at the press"}},
                    "persona": {"groups": ["emergency-responders"]},
                },
            )
        )
        turned = simulated["then"]
        step.check(
            turned["allowed"] and turned["policies"] == [_POLICY],
            f"what if an emergency were declared: allowed, by `{_POLICY}`",
        )
        ok(manager.patch(f"/v1/devices/{device}", {"criticality": "low"}))


def policy_is_replayed(run: DemoRun) -> None:
    """Before a policy is changed, it is run against what was decided: who would be refused now."""
    with run.report.step("a proposed policy is replayed against recorded decisions") as step:
        manager, device = run.apps["acme", "managers"], run.devices["acme"].device
        # The trail has what was decided here, and the copy of the policies is good.
        proposed = {"policies": {"added": {_NEW_RULE: _REASONS}}, "most": 500}
        answer = manager.answered(
            "/v1/permissions/replay", proposed, HTTPStatus.SERVICE_UNAVAILABLE
        )
        found = ok(answer)
        flips = found["flips"]
        step.check(
            flips and found["asked"] > len(flips),
            f"`{_NEW_RULE}`: {len(flips)} of {found['asked']} recorded decisions would flip",
        )
        by = {tuple(flip["then"]["policies"]) for flip in flips}
        step.check(
            by == {(_NEW_RULE,)} and not any(flip["then"]["allowed"] for flip in flips),
            f"each would be refused, by `{_NEW_RULE}`",
        )
        first = flips[-1]
        step.check(
            first["recorded"] and first["now"]["allowed"],
            f"e.g. {first['action']} on {first['resource']}, which was allowed without a reason",
        )
        questions = {"command": TENANTS["acme"].measure, "device": device}
        unchanged = ok(manager.post("/v1/permissions/check", {"checks": [questions]}))
        step.check(unchanged["answers"][0]["allowed"], "nothing has changed: it still is allowed")


def policies_are_proved(run: DemoRun) -> None:
    """The guards hold of every request; of a proposed permit the prover shows what it grants."""
    with run.report.step("the prover, where it is built, is asked about every request") as step:
        base = load(ROOT / "policies", TenantPolicies(tenant=THIS_TENANT)).policy_set
        guards = {name: text for name, text in base.static.items() if name in _GUARDS}
        before = replace(base, static=guards)
        after = replace(base, static={**guards, "operators-stop": _PERMIT})
        prover = prover_of(ROOT)
        try:
            proved = prove(prover, before, known=frozenset(guards))
            update = prove_update(prover, before, after)
        except NotProvedError as error:
            step.check(error.args, f"not proved here: {error}")
            _compared(step, before, after)
            return
        step.check(proved.holds, "no request crosses tenants: proved")
        (granted,) = update.findings
        step.check(
            not granted.is_spurious,
            f"a proposed permit: {granted.words}, e.g. {granted.example.splitlines()[0]}",
        )


def _compared(step: Step, before: PolicySet, after: PolicySet) -> None:
    """What is left where nothing is proved: both sets are asked the same, one by one."""
    found = difference(
        before.bound(tenant=_TENANT, pool_id=POOL_ID),
        after.bound(tenant=_TENANT, pool_id=POOL_ID),
        fleet=ReferenceFleet.read(ROOT / "policies"),
        tenant=_TENANT,
        pool_id=POOL_ID,
        now=datetime.now(UTC),
    )
    step.check(
        found.flips and all("StopDevice" in flip.action for flip in found.flips),
        f"the sampled comparison ran instead: a proposed permit flips {len(found.flips)} of"
        f" {found.asked} decisions, e.g. {found.flips[0].action} by {found.flips[0].who}",
    )


def _explained(app: TenantApp, question: dict[str, Any]) -> dict[str, Any]:
    """Why, once the service has copied the tenant's policies."""
    answer = app.answered("/v1/permissions/explain", question, HTTPStatus.SERVICE_UNAVAILABLE)
    return ok(answer)
