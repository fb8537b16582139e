"""`python -m infra policies`: check the policies, format them, show who may do what, and compare.

Exit code 0: in order; 1: something is wrong, or `diff --exit-code` found a difference; 3: `diff
--exit-code` found one of which its questions do not reach all. Each problem is one line
`file:line: words`.
"""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from infra import names
from infra.commands import aws_failure
from infra.policies.cases import matrix
from infra.policies.cases.cases import FOLDERS, CaseEvaluator
from infra.policies.cases.reference_fleet import ReferenceFleet
from infra.policies.comparison.recorded import (
    NotReadableError,
    entries_of,
    recorded_difference,
)
from infra.policies.comparison.with_deployed import difference_of
from infra.policies.files import formatting
from infra.policies.files.bundle import PolicyError, TenantPolicies
from infra.policies.files.load import load
from infra.policies.proofs import building
from infra.policies.proofs.asking import NotProvedError, prover_of
from infra.policies.proofs.theorems import prove
from infra.policies.store import deployed
from infra.policies.store.deployed import NotDeployedError, Store
from infra.stacks.config.reading import ConfigError
from infra.stacks.config.tenants import (
    check_commands,
    configured,
    of_tenant,
    platform_problems,
    prefixes_twice,
    region,
    stray,
    tenants,
)
from service.cedar.binding import THIS_TENANT

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping, Sequence

TABLE: Final = "CEDARFLEET_TENANTS_TABLE"  # the service's setting of the same name
UNREACHED: Final = 3  # argparse's own is 2
GROUP: Final = "policies"
ABOUT: Final = "The policies of the tenants."
VERBS: Final = {
    "check": "validate policies, tenants and cases, and compare form and matrix",
    "format": "rewrite policy files to the house form",
    "matrix": "who may do what, as a table",
    "prover": "build the program that proves, where cargo is, or say why it is not",
    "prove": "of all requests: none crosses tenants, no policy errs, none is vacuous or shadowed",
    "diff": "which decisions flip between what is deployed and the files",
}


def add_arguments(verbs: Mapping[str, argparse.ArgumentParser]) -> None:
    """Give the parser of each verb its arguments."""
    verbs["matrix"].add_argument("--write", action="store_true", help="rewrite policies/matrix.md")
    verbs["prover"].add_argument(
        "--seconds", type=float, help="that it may be compiled; as long as it takes, if not given"
    )
    diff = verbs["diff"]
    diff.add_argument(
        "tenant", help="tenant id; AWS or the embedded cloud as AWS_ENDPOINT_URL says"
    )
    diff.add_argument(
        "--store", help="policy store id, if not from the tenant registry; needs --pool"
    )
    diff.add_argument("--pool", help="user pool id, if not from the tenant registry")
    diff.add_argument(
        "--recorded",
        type=Path,
        metavar="FILE",
        help="also which decisions of the tenant's trail flip: entries as GET /v1/audit gives them,"
        " e.g. of `cedarfleet audit list --json`",
    )
    diff.add_argument(
        "--exit-code",
        action="store_true",
        help="exit with 1 if there is a difference, 3 if not all of it is told",
    )


def run(options: argparse.Namespace, *, root: Path) -> int:  # noqa: PLR0911 - one per verb
    """Do what was asked for, or say on the standard error what is wrong."""
    try:
        match options.verb:
            case "check":
                return _check(root)
            case "format":
                return _format(root)
            case "prover":
                return _prover(root, options.seconds)
            case "prove":
                return _prove(root)
            case "matrix":
                return _matrix(root, write=options.write)
            case _:
                return _diff(root, options)
    except (PolicyError, ConfigError, NotDeployedError, NotReadableError) as error:
        return _report([str(error)])
    except (BotoCoreError, ClientError) as error:  # no credentials, no network, not allowed
        return _report([f"cannot read what is deployed: {aws_failure.words(error)}"])


def _check(root: Path) -> int:
    wrong = _report(_problems(root))
    if not wrong:
        _say(_checked(root))
        for note in _notes(root, now=datetime.now(UTC)):
            _say(f"note: {note}")
    return wrong


def _notes(root: Path, *, now: datetime) -> Iterator[str]:
    """What is in order and hardly meant; a check that was green does not turn red by the clock."""
    for tenant in tenants(root):
        own, file = of_tenant(root, tenant), f"tenants/Pulumi.{tenant}.yaml"
        if names.MANAGERS not in (own.groups or ()):
            yield (
                f"{file}: has no group `{names.MANAGERS}`; by the policies of every tenant nobody "
                "else may name a manager, a machine or an approver"
            )
        for grant in own.grants:
            if grant.until is not None and grant.until <= now:
                yield (
                    f"{file}: grant `{grant.id}` has ended ({grant.until.isoformat()}) and "
                    "permits nothing; take it out, or give it a later `until`"
                )


def _checked(root: Path) -> str:
    """What a check that found nothing looked at."""
    own = [of_tenant(root, tenant) for tenant in tenants(root)]
    cases = root / "policies" / "cases"
    counts = {
        "base policies": len(list((root / "policies" / "static").iterdir())),
        "templates": len(list((root / "policies" / "templates").iterdir())),
        "cases": sum(len(list((cases / folder).iterdir())) for folder in FOLDERS),
    }
    base = ", ".join(f"{count} {words}" for words, count in counts.items())
    lines = [f"policies: {base}, the matrix and the form are right"]
    for policies in own:
        found = len(list(policies.folder.iterdir())) if policies.folder else 0
        lines.append(
            f"tenant {policies.tenant}: {found} policies of its own, "
            f"{len(policies.grants)} grants, {len(policies.groups or ())} groups, "
            f"{len(policies.lines or ())} lines"
        )
    lines.append("every name and value in them is known, and every policy and condition can apply")
    return "\n".join(lines)


def _problems(root: Path) -> Iterator[str]:
    base = True
    try:
        load(root / "policies", ReferenceFleet.read(root / "policies").policies)
    except PolicyError as error:
        base = False
        yield str(error)
    if base:  # with a broken base each tenant and each case would say the same again
        for tenant in tenants(root):
            try:
                bundle = load(root / "policies", of_tenant(root, tenant))
                check_commands(tenant, configured(root, tenant), bundle)
            except (PolicyError, ConfigError) as error:
                yield str(error)
        yield from prefixes_twice(root)
        yield from platform_problems(root)
        yield from stray(root)
        try:
            yield from map(str, CaseEvaluator(root / "policies").problems())
        except PolicyError as error:
            yield str(error)
        if (root / "policies" / matrix.FILE).read_text(encoding="utf-8") != matrix.render(
            root / "policies"
        ):
            yield (
                f"policies/{matrix.FILE}: is not what the policies say; "
                "`python -m infra policies matrix --write`"
            )
    yield from map(str, formatting.problems(root))


def _prover(root: Path, seconds: float | None) -> int:
    """Build the prover; only sources of ours that do not compile are wrong."""
    outcome = building.build(root, seconds=seconds)
    match outcome.built:
        case building.Built.YES:
            return 0
        case building.Built.NOT_HERE:
            _say(f"the prover is not built, so nothing is proved: {outcome.words}")
            return 0
        case building.Built.BROKEN:
            return _report([outcome.words])


def _prove(root: Path) -> int:
    """Prove the base and every tenant, or say what is not proved."""
    prover = prover_of(root)
    texts = {
        path.stem: path.read_text(encoding="utf-8")
        for path in sorted((root / "policies" / "templates").glob("*.cedar"))
    }
    wrong: list[str] = []
    base = load(root / "policies", TenantPolicies(tenant=THIS_TENANT)).policy_set
    sets = {"the base": (base, frozenset[str]())}
    known = frozenset([*base.static, *(f"any {name}" for name in texts)])
    for tenant in tenants(root):
        own = load(root / "policies", of_tenant(root, tenant)).policy_set
        sets[f"tenant {tenant}"] = (own, known)
    for name, (policies, proved) in sets.items():
        try:
            found = prove(prover, policies, templates=texts, known=proved)
        except NotProvedError as error:
            _say(f"not proved, of {name}: no request crosses tenants, no policy errs, each decides")
            _say(f"  {error}")
            continue
        wrong += [f"{name}: {finding}" for finding in found.findings if not finding.is_spurious]
        if found.holds:
            _say(
                f"proved of {name}, {found.policies} policies and every grant to come: no request "
                "crosses tenants, no policy errs, none is vacuous or shadowed"
            )
    return _report(wrong)


def _format(root: Path) -> int:
    for path, text in formatting.unformatted(root):
        path.write_text(text, encoding="utf-8")
        _say(f"formatted {path.relative_to(root).as_posix()}")
    return 0


def _matrix(root: Path, *, write: bool) -> int:
    text = matrix.render(root / "policies")
    if write:
        (root / "policies" / matrix.FILE).write_text(text, encoding="utf-8")
    else:
        _say(text)
    return 0


def _diff(root: Path, options: argparse.Namespace) -> int:
    if bool(options.store) is not bool(options.pool):
        options.parser.error(
            "--store and --pool go together: the groups in the store are named after the pool"
        )
    tenant: str = options.tenant
    wanted = load(root / "policies", of_tenant(root, tenant))
    aws = boto3.Session(region_name=os.environ.get("AWS_REGION") or region(root, tenant))
    if options.store:
        store = Store(policy_store_id=options.store, pool_id=options.pool)
    else:
        table = os.environ.get(TABLE, names.TENANTS_TABLE)
        store = deployed.find(aws.client("dynamodb"), tenant, table=table)
    client = aws.client("verifiedpermissions")
    entries = None if options.recorded is None else entries_of(options.recorded)
    found = difference_of(
        client,
        store,
        wanted,
        fleet=ReferenceFleet.read(root / "policies"),
        tenant=tenant,
        now=datetime.now(UTC),
        prover=prover_of(root),
    )
    _say(found.table())
    if entries is not None:
        held = deployed.read(client, store.policy_store_id, grants=store.granted)
        files = wanted.policy_set.bound(tenant=tenant, pool_id=store.pool_id)
        again = recorded_difference(entries, held, files, tenant=tenant, pool_id=store.pool_id)
        _say(f"\n{again.table()}")
    if not options.exit_code:
        return 0
    return UNREACHED if found.unreached else int(bool(found))


def _report(problems: Iterator[str] | Sequence[str]) -> int:
    found = dict.fromkeys(
        line for problem in problems for line in problem.splitlines()
    )  # a tenant's cases repeat
    for line in found:
        sys.stderr.write(f"{line}\n")
    return int(bool(found))


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
