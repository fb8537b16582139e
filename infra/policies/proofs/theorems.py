"""What is to hold of policies, of every request there can be; and where it does not, which one.

1. No request about what is of another tenant, or with a file of another, is allowed: by all
   policies of a tenant and by every grant that its templates will ever make.
2. An update grants nothing that was not granted, and refuses nothing that was not refused; or here
   is a request that it does.
3. No policy ends in an error: Cedar would leave out a forbid that did. That is proved of moments
   that a service can make (``AT_THE_DOOR``): Cedar's go on for 292 million years, and overflow.
4. What the base refuses everybody (``REFUSED``) is refused, whatever else a tenant's policies and
   grants allow: an agent's approval, grant, and change of people and machines; one's own approval.
5. No policy is vacuous, none is shadowed: each permit allows, and each forbid refuses, a request
   that no other of its kind does. Of a forbid that is whatever anybody may be permitted one day.

What no policy can say is bounded where requests are made: principals are of the tenant's own pool
(the store verifies the token again), and all entities are made of the tenant's own rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from infra.policies.proofs.asking import Document, Question
from infra.policies.proofs.replay import readable, reproduces
from infra.policies.proofs.written_out import opened, with_ends, written_out
from service.cedar.binding import THIS_TENANT
from service.cedar.statement import statement_est

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from infra.policies.proofs.asking import Answer, Prover
    from infra.policies.proofs.written_out import Written
    from service.cedar.policy_set import PolicySet

CONFINED: Final = "confined"
AT_THE_DOOR: Final = """permit (principal, action, resource) when {
    (if context has now
     then context.now >= datetime("0001-01-01")
       && context.now <= datetime("9999-12-31T23:59:59.999Z") else true) &&
    (if resource has security_patch
     then resource.security_patch >= datetime("0001-01-01")
       && resource.security_patch <= datetime("9999-12-31T23:59:59.999Z") else true)
};"""
"""Both are made of a ``datetime`` of Python, which has the years 1 to 9999 (``cedar.request`` and
``cedar.device_facts`` of the service); ``tests/infra/policies/proofs/`` shows their ends."""
REFUSED: Final = {
    "by agents": (
        "an agent may do what no agent may",
        """forbid (
            principal,
            action in [Fleet::Action::"ApproveDownload", Fleet::Action::"GiveGrant",
                Fleet::Action::"ManagePeople", Fleet::Action::"ManageMachines",
                Fleet::Action::"FreezeGroup"],
            resource
        ) when { context has via && context.via == "agent" };""",
    ),
    "one's own": (
        "somebody approves what they asked for themselves",
        """forbid (principal, action == Fleet::Action::"ApproveDownload", resource)
        unless { context has requester && context.requester != principal };""",
    ),
}
"""Name -> what it means that a request is allowed all the same, and which requests these are; said
anew here, so that a base policy that says less is found."""
_ALL: Final = "all"
_PERMIT_ALL: Final = "permit (principal, action, resource);"
_NEW: Final = "grants something new"
_GONE: Final = "refuses something new"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something that does not hold.

    Attributes:
        words: what.
        example: a request of which it does not, in lines; empty where every request shows it.
        is_spurious: Cedar itself does not evaluate the example so: a slip of the prover.
    """

    words: str
    example: str = ""
    is_spurious: bool = False

    def __str__(self) -> str:
        kind = "spurious, Cedar evaluates it otherwise: " if self.is_spurious else ""
        example = "".join(f"\n    {line}" for line in self.example.splitlines())
        return f"{kind}{self.words}{example}"


@dataclass(frozen=True, kw_only=True)
class Proof:
    """What came of it: ``asked`` questions of ``policies`` policies, and what does not hold."""

    policies: int
    asked: int
    findings: tuple[Finding, ...]

    @property
    def holds(self) -> bool:
        """Whether everything does; what is spurious is none of Cedar's."""
        return not any(not finding.is_spurious for finding in self.findings)


def confinement(tenant: str) -> str:
    """What alone may be allowed in a tenant: its own things, with its own files."""
    this = f'Fleet::Tenant::"{tenant}"'
    return f"""permit (principal, action, resource) when {{
        ((resource is Fleet::Tenant && resource == {this}) ||
         (resource has tenant && resource.tenant == {this})) &&
        (if context has artifact
         then context.artifact has tenant && context.artifact.tenant == {this} else true)
    }};"""


def prove(
    prover: Prover,
    policies: PolicySet,
    *,
    templates: Mapping[str, str] | None = None,
    tenant: str = THIS_TENANT,
    known: frozenset[str] = frozenset(),
) -> Proof:
    """Prove 1, 3, 4 and 5 of a tenant's policies.

    Args:
        prover: that answers.
        policies: all of the tenant, as its files or its store have them.
        templates: all that grants may be made of, by name; each is opened.
        tenant: as the policies name it.
        known: policies of which 3 and 5 are proved already, as those of the base.

    Raises:
        NotProvedError: there is no answer.
    """
    templates = templates or {}
    static = written_out(policies)
    opens = {name: opened(name, text) for name, text in templates.items()}
    whole: Written = {**static, **{f"any {name}": est for name, est in opens.items()}}
    document = Document(schema=with_ends(policies.schema, templates))
    document.sets = {_ALL: whole, CONFINED: {CONFINED: statement_est(confinement(tenant))}}
    document.questions = [Question(id=CONFINED, kind="implies", left=_ALL, right=CONFINED)]
    words = {CONFINED: "a request that crosses tenants is allowed"}
    for name, (meaning, forbid) in REFUSED.items():
        words[name] = meaning
        document.sets[name] = {_ALL: statement_est(_PERMIT_ALL), name: statement_est(forbid)}
        document.questions.append(Question(id=name, kind="implies", left=_ALL, right=name))
    for name, est in whole.items():
        if name in known:
            continue
        one, rest = f"one {name}", f"without {name}"
        bounded = f"{one}, bounded"
        document.sets |= {one: {name: est}, bounded: {name: _bounded(est)}}
        errs, never, shadow = f"{name} errs", f"{name} is vacuous", f"{name} is shadowed"
        words[errs] = f"policy `{name}` ends in an error"
        document.questions += [
            Question(id=errs, kind="never_errors", left=bounded, until_refuted=True),
            Question(id=never, kind="never_matches", left=one, until_refuted=True),
        ]
        # Not opened templates: whatever some grant could stand for would be shadowed.
        others = {other: policy for other, policy in static.items() if other != name}
        if est["effect"] == "forbid":
            others = {
                other: policy for other, policy in others.items() if policy["effect"] == "forbid"
            } | {_ALL: statement_est(_PERMIT_ALL)}
        document.sets[rest] = others
        with_it = f"with {name}"
        document.sets[with_it] = {**others, name: est}
        left, right = (with_it, rest) if est["effect"] == "permit" else (rest, with_it)
        document.questions.append(
            Question(id=shadow, kind="implies", left=left, right=right, until_refuted=True)
        )
    answers = prover.ask(document)
    return Proof(
        policies=len(whole),
        asked=len(document.questions),
        findings=(*_refuted(document, answers, words), *_silent(document, answers)),
    )


def _bounded(est: Mapping[str, Any]) -> dict[str, Any]:
    """The policy, for requests with moments that can come in at the door."""
    door = statement_est(AT_THE_DOOR)["conditions"]
    return {**est, "conditions": [*door, *est["conditions"]]}


def prove_update(prover: Prover, before: PolicySet, after: PolicySet) -> Proof:
    """Prove 2: a finding for each kind of request that is newly granted, or newly refused.

    Args:
        prover: that answers.
        before: what the store holds.
        after: what it is to hold, bound alike.

    Raises:
        NotProvedError: there is no answer.
    """
    document = Document(schema=with_ends(after.schema, {}))
    document.sets = {"before": written_out(before), "after": written_out(after)}
    document.questions = [
        Question(id=_NEW, kind="implies", left="after", right="before"),
        Question(id=_GONE, kind="implies", left="before", right="after"),
    ]
    answers = prover.ask(document)
    words = {one: f"the update {one}" for one in (_NEW, _GONE)}
    return Proof(
        policies=len(document.sets["after"]),
        asked=len(document.questions),
        findings=tuple(_refuted(document, answers, words)),
    )


def _refuted(
    document: Document, answers: Sequence[Answer], words: Mapping[str, str]
) -> list[Finding]:
    questions = {question.id: question for question in document.questions}
    return [
        Finding(
            words=f"{words[answer.id]}: {answer.action} on a {answer.resource}",
            example=readable(answer.request),
            is_spurious=not reproduces(questions[answer.id], document, answer.request),
        )
        for answer in answers
        if answer.request is not None and answer.id in words
    ]


def _silent(document: Document, answers: Sequence[Answer]) -> list[Finding]:
    """Policies of which no kind of request refutes that they decide nothing."""
    decided = {answer.id for answer in answers if answer.request is not None}
    vacuous = [
        one.id
        for one in document.questions
        if one.kind == "never_matches" and one.id not in decided
    ]
    shadowed = [
        one.id
        for one in document.questions
        if one.kind == "implies" and one.until_refuted and one.id not in decided
    ]
    told = [Finding(words=f"policy {one}: it applies to no request") for one in vacuous]
    silent = {one.removesuffix(" is vacuous") for one in vacuous}
    return told + [
        Finding(words=f"policy {one}: without it every request is decided alike")
        for one in shadowed
        if one.removesuffix(" is shadowed") not in silent
    ]
