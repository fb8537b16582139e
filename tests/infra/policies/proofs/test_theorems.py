"""The prover finds what is broken in each of the four ways, and what is not is proved.

Needs the prover that ``make prove`` builds; without it these tests are skipped, and say so.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from infra.policies import TenantPolicies, load
from infra.policies.proofs.asking import BuiltProver, Document, NotProvedError, Question, prover_of
from infra.policies.proofs.theorems import prove, prove_update
from service.cedar.policy_set import Link, PolicySet
from service.cedar.statement import statement_est
from service.cedar.values import EntityUid

if TYPE_CHECKING:
    from infra.policies.proofs.asking import Prover

ROOT: Final = Path(__file__).parents[4]
LINE: Final = """permit (principal in ?principal, action == Fleet::Action::"StopDevice",
    resource in ?resource);"""
STOP: Final = """permit (principal in Fleet::Group::"keepers",
    action == Fleet::Action::"StopDevice", resource) when { resource has criticality };"""


@pytest.fixture(scope="module")
def prover() -> Prover:
    """The prover of this checkout."""
    found = prover_of(ROOT)
    if not isinstance(found, BuiltProver):
        pytest.skip(f"{found}: `make prove` builds it")
    return found


@pytest.fixture(scope="module")
def base() -> PolicySet:
    """The guards of the base, and its schema."""
    policies = load(ROOT / "policies", TenantPolicies(tenant="this")).policy_set
    guards = {name: text for name, text in policies.static.items() if name.startswith("tenant-")}
    return replace(policies, static=guards)


def with_static(base: PolicySet, **static: str) -> PolicySet:
    """The guards with further policies."""
    return replace(base, static={**base.static, **static})


def forbid(condition: str) -> str:
    """A forbid of stopping, where a condition holds."""
    return f"""forbid (principal, action == Fleet::Action::"StopDevice", resource)
        when {{ {condition} }};"""


def test_a_guard_that_lets_one_action_through_is_found(prover: Prover, base: PolicySet) -> None:
    """Here is a request that crosses tenants; with the guard as it is there is none."""
    whole = with_static(base, stop=STOP)
    known = frozenset(whole.static)
    assert prove(prover, whole, known=known).findings == ()
    text = base.static["tenant-guard"]
    broken = text.replace(
        "forbid (principal, action,", 'forbid (principal, action == Fleet::Action::"ViewDevice",'
    )
    assert broken != text
    found = prove(prover, with_static(whole, **{"tenant-guard": broken}), known=known)
    (finding,) = found.findings
    assert (
        finding.words == "a request that crosses tenants is allowed: StopDevice on a Fleet::Device"
    )
    assert "asks StopDevice on Device" in finding.example
    assert not finding.is_spurious
    assert not found.holds


def test_a_grant_that_crosses_tenants_is_found(prover: Prover, base: PolicySet) -> None:
    """A link is no blank spot, and neither is a template of which no grant was made yet."""
    link = Link(
        id="for-line",
        template="line",
        principal=EntityUid("Fleet::Group", "keepers"),
        resource=EntityUid("Fleet::DeviceGroup", "line-press"),
    )
    without_guard = replace(base, static={}, templates={"line": LINE}, links=(link,))
    linked = prove(prover, without_guard, known=frozenset({"for-line"}))
    assert [one.words for one in linked.findings] == [
        "a request that crosses tenants is allowed: StopDevice on a Fleet::Device"
    ]
    nobody = replace(base, static={})
    grants = prove(prover, nobody, templates={"line": LINE}, known=frozenset({"any line"}))
    assert [one.words for one in grants.findings] == [one.words for one in linked.findings]
    guarded = prove(prover, base, templates={"line": LINE}, known=frozenset(base.static))
    assert guarded.findings == ()


def test_an_agent_that_may_approve_is_found(prover: Prover, base: PolicySet) -> None:
    """Of every action that no agent may do, whatever a tenant lets everybody do; grants too."""
    text = (ROOT / "policies" / "static" / "agents-approve-nothing.cedar").read_text("utf-8")
    everything = """permit (principal, action in Fleet::Action::"Administer", resource)
        when { context has requester && context.requester != principal };"""
    template = """permit (principal == ?principal, action == Fleet::Action::"GiveGrant",
        resource in ?resource);"""

    def found(agents: str) -> list[str]:
        whole = with_static(base, agents=agents, everything=everything)
        known = frozenset([*whole.static, "any gives"])
        proof = prove(prover, whole, templates={"gives": template}, known=known)
        assert not any(one.is_spurious for one in proof.findings)
        assert all('context.via: "agent"' in one.example for one in proof.findings)
        return [
            one.words.removeprefix("an agent may do what no agent may: ") for one in proof.findings
        ]

    assert found(text) == []
    for action, of in (
        ("ApproveDownload", ["Device", "DeviceGroup"]),
        ("GiveGrant", ["Device", "DeviceGroup"]),
        ("ManagePeople", ["Tenant"]),
        ("ManageMachines", ["Tenant"]),
        ("FreezeGroup", ["DeviceGroup"]),
    ):
        broken = text.replace(f'Fleet::Action::"{action}"', 'Fleet::Action::"ViewDevice"')
        assert broken != text
        assert found(broken) == [f"{action} on a Fleet::{kind}" for kind in of]


def test_an_approval_of_ones_own_is_found(prover: Prover, base: PolicySet) -> None:
    """Whoever may approve everything else may not approve that."""
    approves = """permit (principal, action == Fleet::Action::"ApproveDownload", resource)
        unless { context has via };"""
    text = (ROOT / "policies" / "static" / "approved-by-another.cedar").read_text("utf-8")
    whole = with_static(base, four=text, approves=approves)
    known = frozenset([*whole.static, "approves"])
    assert prove(prover, whole, known=known).findings == ()
    broken = with_static(whole, four=text.replace("context.requester != principal", "true"))
    for finding in (proof := prove(prover, broken, known=known)).findings:
        assert finding.words.startswith("somebody approves what they asked for themselves: Approve")
        assert not finding.is_spurious
    assert not proof.holds


def test_what_an_update_changes_is_found_both_ways(prover: Prover, base: PolicySet) -> None:
    """A forbid that widens from high to medium takes medium away, which samples had missed."""
    before = with_static(
        base, stop=STOP, limit=forbid('resource has criticality && resource.criticality == "high"')
    )
    assert prove_update(prover, before, before).findings == ()
    after = with_static(
        before,
        limit=forbid(
            'resource has criticality && ["high", "medium"].contains(resource.criticality)'
        ),
    )
    (refused,) = prove_update(prover, before, after).findings
    assert refused.words.startswith("the update refuses something new: StopDevice")
    assert 'resource.criticality: "medium"' in refused.example
    (granted,) = prove_update(prover, after, before).findings
    assert granted.words.startswith("the update grants something new: StopDevice")
    assert not granted.is_spurious


def test_a_forbid_that_can_err_is_found(prover: Prover, base: PolicySet) -> None:
    """An offset that no bound is asked of overflows the clock, and Cedar would skip the forbid."""
    errs = forbid(
        "context has now && resource has utc_offset && "
        'context.now.offset(resource.utc_offset).toTime() < duration("8h")'
    )
    bounded = forbid(
        "context has now && resource has utc_offset && "
        'resource.utc_offset >= duration("-24h") && resource.utc_offset <= duration("24h") && '
        'context.now.offset(resource.utc_offset).toTime() < duration("8h")'
    )
    found = prove(prover, with_static(base, night=errs), known=frozenset(base.static))
    assert [one.words for one in found.findings] == [
        "policy `night` ends in an error: StopDevice on a Fleet::Device"
    ]
    assert prove(prover, with_static(base, night=bounded), known=frozenset(base.static)).holds


def test_a_policy_that_decides_nothing_is_found(prover: Prover, base: PolicySet) -> None:
    """One that can never apply, and one that others say already, permit or forbid."""
    high = 'resource has criticality && resource.criticality == "high"'
    found = prove(
        prover,
        with_static(
            base,
            stop=STOP,
            never=STOP.replace(
                "resource has criticality",
                f'{high} && resource.criticality == "low"',
            ),
            again=STOP.replace("resource has criticality", high),
            limit=forbid("resource has criticality"),
            narrow=forbid(high),
        ),
        known=frozenset([*base.static, "stop", "limit"]),
    )
    assert sorted(one.words.partition(":")[0] for one in found.findings) == [
        "policy again is shadowed",
        "policy narrow is shadowed",
        "policy never is vacuous",
    ]


@pytest.mark.parametrize("member", ["templates", "templateLinks"])
def test_the_prover_refuses_what_it_cannot_see(
    prover: Prover, base: PolicySet, member: str
) -> None:
    """Blanks and links were once passed over in silence by the compiler: here they are refused."""

    class WithBlanks(Document):
        """Sends the set with a template, or a link."""

        def json(self) -> dict[str, Any]:
            """As the prover is not to be asked."""
            document = super().json()
            blanks = {"t": statement_est(LINE)} if member == "templates" else [{"templateId": "t"}]
            document["sets"]["all"][member] = blanks
            return document

    document = WithBlanks(schema=json.loads(base.schema))
    document.sets = {"all": {"stop": statement_est(STOP)}}
    document.questions = [Question(id="q", kind="never_errors", left="all")]
    with pytest.raises(NotProvedError, match=f"set `all` has `{member}`"):
        prover.ask(document)
