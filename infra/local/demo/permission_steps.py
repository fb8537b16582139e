"""The demo's steps about permissions: a refusal explained, a what-if that turns it, a proof."""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from infra.local.demo.preparation import DemoRun, ok
from infra.local.setup import ROOT
from infra.policies import TenantPolicies, load
from infra.policies.proofs.asking import NotProvedError, prover_of
from infra.policies.proofs.theorems import prove, prove_update
from service.cedar.binding import THIS_TENANT

if TYPE_CHECKING:
    from infra.local.demo.tenant_app import TenantApp

_POLICY: Final = "emergency-responders-act"
_GUARDS: Final = frozenset({"tenant-guard", "tenant-guard-artifact", _POLICY})
_PERMIT: Final = """permit (principal in Fleet::Group::"operators",
    action == Fleet::Action::"StopDevice", resource is Fleet::Device)
    when { resource has criticality && resource.criticality == "low" };"""


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
            return
        step.check(proved.holds, "no request crosses tenants: proved")
        (granted,) = update.findings
        step.check(
            not granted.is_spurious,
            f"a proposed permit: {granted.words}, e.g. {granted.example.splitlines()[0]}",
        )


def _explained(app: TenantApp, question: dict[str, Any]) -> dict[str, Any]:
    """Why, once the service has copied the tenant's policies."""
    answer = app.answered("/v1/permissions/explain", question, HTTPStatus.SERVICE_UNAVAILABLE)
    return ok(answer)
