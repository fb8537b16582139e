"""Counterexamples are Cedar's before they are shown, and silence is no proof."""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from infra.commands import policies
from infra.policies import TenantPolicies, load
from infra.policies.comparison.compare import Difference
from infra.policies.comparison.with_deployed import proof_of
from infra.policies.proofs.asking import (
    Answer,
    Document,
    NoProver,
    NotProvedError,
    Question,
    answers_of,
    find_prover,
)
from infra.policies.proofs.replay import readable
from infra.policies.proofs.theorems import CONFINED, prove
from infra.policies.proofs.written_out import end_name, opened, written_out
from service.cedar.device_facts import read_fact
from service.cedar.entities import device_entities
from service.cedar.evaluator import Evaluator
from service.cedar.policy_set import Link, PolicySet
from service.cedar.request import AuthorizationRequest, RequestContext, TokenBearer
from service.cedar.values import EntityUid

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT: Final = Path(__file__).parents[4]
POLICIES: Final = load(ROOT / "policies", TenantPolicies(tenant="this")).policy_set
PERMIT: Final = 'permit (principal, action == Fleet::Action::"StopDevice", resource);'


def uid(kind: str, name: str) -> dict[str, str]:
    """An entity's name in JSON."""
    return {"type": f"Fleet::{kind}", "id": name}


def request(tenant: str) -> dict[str, Any]:
    """Somebody stops a device of a tenant."""
    device = {
        "uid": uid("Device", "d"),
        "attrs": {"tenant": {"__entity": uid("Tenant", tenant)}, "criticality": "high"},
        "parents": [uid("DeviceGroup", "all")],
    }
    return {
        "principal": uid("User", "u"),
        "action": uid("Action", "StopDevice"),
        "resource": uid("Device", "d"),
        "context": {"emergency": True},
        "entities": [device, {"uid": uid("User", "u"), "attrs": {}, "parents": []}],
    }


@dataclass
class Canned:
    """A prover that refutes confinement with one request."""

    request: Mapping[str, Any]

    def ask(self, document: Document) -> Sequence[Answer]:
        """The one answer; every policy decides something."""
        return [
            Answer(
                id=question.id,
                action="StopDevice",
                resource="Fleet::Device",
                request=self.request
                if question.id == CONFINED
                else request("this")
                if question.until_refuted and question.kind != "never_errors"
                else None,
            )
            for question in document.questions
        ]


@dataclass
class Granting:
    """A prover that finds one new grant in an update, or none, and all else proved."""

    request: Mapping[str, Any] | None

    def ask(self, document: Document) -> Sequence[Answer]:
        """What an update grants is refuted; each policy decides something."""
        return [
            Answer(
                id=question.id,
                action="StopDevice",
                resource="Fleet::Device",
                request=self.request
                if question.left == "after"
                else request("this")
                if question.until_refuted and question.kind != "never_errors"
                else None,
            )
            for question in document.questions
        ]


@pytest.mark.parametrize(("tenant", "spurious"), [("another", False), ("this", True)])
def test_a_counterexample_is_asked_of_cedar(tenant: str, spurious: bool) -> None:
    """One that Cedar evaluates otherwise is called spurious, and is no finding."""
    stop = PolicySet(schema=POLICIES.schema, static={"stop": PERMIT}, templates={}, links=())
    found = prove(Canned(request(tenant)), stop)
    (finding,) = found.findings
    assert finding.is_spurious is spurious
    assert found.holds is spurious
    assert str(finding).startswith("spurious") is spurious


def test_a_request_is_written_for_people() -> None:
    """Who asks what on what, and each fact of both."""
    assert readable(request("another")).splitlines() == [
        "User `u` asks StopDevice on Device `d`",
        "  resource in: DeviceGroup `all`",
        '  resource.criticality: "high"',
        "  resource.tenant: Tenant `another`",
        "  context.emergency: true",
    ]


def test_what_the_context_names_is_told_once() -> None:
    """A file's facts, but none of who asks again; lists, and what is no entity, in words."""
    asked = request("another")
    file = {
        "uid": uid("Artifact", "f"),
        "attrs": {"kinds": ["a", "b"], "nothing": []},
        "parents": [],
    }
    asked["entities"] += [file]
    asked["entities"][1]["attrs"]["region"] = "eu"
    asked["context"] = {
        "artifact": {"__entity": uid("Artifact", "f")},
        "requester": {"__entity": uid("User", "u")},
        "token": {"client_id": "app", "scope": []},
    }
    assert readable(asked).splitlines()[1:] == [
        '  principal.region: "eu"',
        "  resource in: DeviceGroup `all`",
        '  resource.criticality: "high"',
        "  resource.tenant: Tenant `another`",
        "  context.artifact: Artifact `f`",
        "  context.requester: User `u`",
        '  context.token: client_id "app", scope none',
        """  Fleet::Artifact 'f'.kinds: "a", "b\"""",
        "  Fleet::Artifact 'f'.nothing: none",
    ]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([], "before its last word"),
        (
            [{"id": "q", "action": "a", "resource": "r", "outcome": "proved", "request": None}],
            "last word",
        ),
        ([{"done": True, "environments": 1}], "not answered for each"),
    ],
)
def test_silence_is_no_proof(lines: list[dict[str, Any]], words: str) -> None:
    """An end too early, and a question without an answer, prove nothing."""
    document = Document(schema={}, questions=[Question(id="q", kind="never_errors", left="s")])
    with pytest.raises(NotProvedError, match=words):
        answers_of(document, [json.dumps(line) for line in lines])


def test_without_a_prover_nothing_is_proved(tmp_path: Path) -> None:
    """And it is said how one is had."""
    with pytest.raises(NotProvedError, match="`make prove` does that, where cargo is"):
        find_prover(tmp_path)
    with pytest.raises(NotProvedError, match="not built"):
        NoProver("not built").ask(Document(schema={}))
    program = tmp_path / ".prover/release/cedarfleet-prover"
    program.parent.mkdir(parents=True)
    program.touch()
    with pytest.raises(NotProvedError, match="cvc5 is not there"):
        find_prover(tmp_path, {"PATH": str(tmp_path)})


def test_the_command_says_what_is_not_proved(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where there is no prover, of the base and of each tenant; nothing is wrong with that."""
    for folder in ("policies", "tenants"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    assert policies.run(argparse.Namespace(verb="prove"), root=tmp_path) == 0
    told = capsys.readouterr().out
    for whose in ("the base", "tenant acme", "tenant globex"):
        assert f"not proved, of {whose}: no request crosses tenants" in told
    assert "`make prove` does that, where cargo is" in told


def test_an_update_says_what_is_proved_of_it() -> None:
    """A request for what it grants, or that nothing is proved; then the steps."""
    after = replace(POLICIES, static={**POLICIES.static, "stop": PERMIT})
    assert proof_of(NoProver("no"), POLICIES, after, tenant="this") == "Not proved: no"
    quiet = {**request("this"), "context": {}}
    told = proof_of(Granting(quiet), POLICIES, after, tenant="this")
    assert "the update grants something new: StopDevice on a Fleet::Device" in told
    assert "User `u` asks StopDevice on Device `d`" in told
    assert "spurious" not in told
    nothing = proof_of(Granting(None), POLICIES, POLICIES, tenant="this")
    assert nothing.startswith("Proved: the update grants nothing new")
    found = Difference(flips=(), schema_changes=True, steps=(), asked=1, whens=(), proof=told)
    assert told in found.table()


def test_an_opened_template_allows_what_any_grant_does() -> None:
    """Each blank and the end of each grant are left open: nothing that a link says is missing."""
    for file in sorted((ROOT / "policies" / "templates").glob("*.cedar")):
        text = file.read_text(encoding="utf-8")
        est = opened(file.stem, text)
        assert est["principal"] == est["resource"] == {"op": "All"}
        assert '"slot"' not in json.dumps(est)
        assert ('"until"' in text) is (end_name(file.stem) in json.dumps(est))
        assert '"until"' not in json.dumps(est).replace("annotations", "")


def test_two_policies_of_one_name_are_refused() -> None:
    """Of two of one name one would not be proved."""
    link = Link(
        id="stop",
        template="t",
        principal=EntityUid("Fleet::Group", "g"),
        resource=EntityUid("Fleet::DeviceGroup", "l"),
    )
    template = "permit (principal in ?principal, action, resource in ?resource);"
    twice = PolicySet(
        schema=POLICIES.schema, static={"stop": PERMIT}, templates={"t": template}, links=(link,)
    )
    with pytest.raises(ValueError, match="two policies are named `stop`"):
        written_out(twice)


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31"])
@pytest.mark.parametrize("year", [1, 9999])
@pytest.mark.parametrize("hours", [-24, 24])
def test_no_moment_of_the_door_makes_a_policy_err(day: str, year: int, hours: int) -> None:
    """At the ends of what the proofs assume, Cedar itself evaluates every policy."""
    bound = POLICIES.bound(tenant="acme", pool_id="pool")
    facts = {**read_fact("security_patch", day), **read_fact("window", "22:00-04:00")}
    entities = device_entities(
        "press-01",
        tenant="acme",
        groups=(),
        parents={},
        attributes={**facts, "utc_offset": timedelta(hours=hours)},
    )
    asked = AuthorizationRequest.of(
        principal=EntityUid("Fleet::User", "pool|someone"),
        action="UpdateFirmware",
        entities=entities,
        context=RequestContext(now=datetime(year, 1 if year == 1 else 12, 1, tzinfo=UTC)),
    ).with_bearer(TokenBearer(groups=("it-staff",)), pool_id="pool")
    assert Evaluator(bound).evaluate(asked).errors == ()
