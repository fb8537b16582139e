"""Each guardrail refuses a program that breaks it, before anything is made; ours keep them all."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import pulumi
import pulumi_aws as aws
import pytest

from infra.guardrails import RULES, STACK_RULES, reasons
from infra.local.engine import Engine, GuardedError
from infra.local.guarding import Guardrails
from infra.local.resources import HANDLERS
from tests.infra.guardrails.broken_programs import CASES, TABLE, TAGS, Case, tagged
from tests.infra.local.engine.folder_cloud import HANDLERS as BOXES
from tests.infra.local.engine.folder_cloud import Box, BoxHandler, FolderCloud
from tests.infra.stamped import resources

if TYPE_CHECKING:
    from pathlib import Path

    from infra.local.engine import Cloud, Handler
    from infra.local.engine.program import Program
    from tests.infra.conftest import Project


@dataclass(frozen=True)
class Untouched:
    """A cloud of which nobody may ask anything."""

    region: str = "eu-central-1"
    account_id: str = "123456789012"
    endpoint_url: str = "http://127.0.0.1:0"

    def client(self, service: str, /) -> NoReturn:
        """Nothing may be made."""
        raise AssertionError(f"something asked for {service}")


def engine(
    root: Path, program: Program, cloud: Cloud | None = None, handlers: Any = None
) -> Engine:
    """An engine for a program, with the guardrails."""
    (root / "Pulumi.yaml").write_text("name: broken\nruntime: python\nstackConfigDir: stacks\n")
    (root / "stacks").mkdir(exist_ok=True)
    (root / "stacks" / "Pulumi.dev.yaml").write_text("config: {}\n")
    known: dict[str, Handler] = dict(handlers or HANDLERS)
    return Engine(
        root, root / "state", cloud or Untouched(), known, {}, program=program, guard=Guardrails()
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.rule}: {case.says}")
def test_a_program_that_breaks_a_rule_makes_nothing(case: Case, tmp_path: Path) -> None:
    """`up` names rule, resource and fault, and has not asked the cloud; mended, it is let through.

    Only this one rule refuses it, so the mended program differs in the fault alone.
    """
    with pytest.raises(GuardedError) as refused:
        engine(tmp_path, case.broken).up("dev")
    assert [wrong for _, wrong in refused.value.refusals] == [
        wrong
        for _, wrong in refused.value.refusals
        if wrong.startswith(f"{case.rule}: ") and case.says in wrong
    ]
    assert engine(tmp_path, case.mended).preview("dev").changes != ()


def test_every_rule_has_a_program_that_breaks_it() -> None:
    """No rule is one that nothing can break."""
    assert {case.rule for case in CASES} == {rule.name for rule in (*RULES, *STACK_RULES)}


def test_what_only_the_update_tells_is_asked_then(tmp_path: Path) -> None:
    """A text of another's output is unknown in the preview; `up` refuses it before it is made."""
    (tmp_path / "boxes").mkdir()
    cloud = FolderCloud(tmp_path / "boxes")
    handlers = BOXES | {"aws:iam/rolePolicy:RolePolicy": BoxHandler()}

    def program(resource: str) -> None:
        box = Box("box", name="box")
        document = box.arn.apply(
            lambda arn: json.dumps(
                {
                    "Statement": {
                        "Effect": "Allow",
                        "Action": "dynamodb:GetItem",
                        "Resource": resource if arn.startswith("arn:box") else TABLE,
                    }
                }
            )
        )
        aws.iam.RolePolicy(
            "grant", name="grant", role="cedarfleet-acme", policy=document, opts=tagged()
        )

    broken = engine(tmp_path, lambda: program("*"), cloud, handlers)
    assert broken.preview("dev").changes != ()
    with pytest.raises(GuardedError, match="RolePolicy grant: resources-named: `\\*`"):
        broken.up("dev")
    assert set(cloud.boxes()) == {"box"}, "what it waited for, and not the grant"
    engine(tmp_path, lambda: program(TABLE), cloud, handlers).up("dev")
    assert set(cloud.boxes()) == {"box", "grant"}


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    """A preview goes on to the end, so nobody repairs one fault to hear of the next."""

    def program() -> None:
        opts = tagged()
        aws.sqs.Queue("one", opts=opts)
        aws.cloudwatch.LogGroup("two", opts=opts)

    with pytest.raises(GuardedError) as refused:
        engine(tmp_path, program).preview("dev")
    assert [shown.rpartition(":")[2] for shown, _ in refused.value.refusals] == [
        "LogGroup two",
        "Queue one",
    ]


def test_a_stack_with_a_fault_is_refused_on_stamping(own: Project) -> None:
    """The project's own stamping asks the guardrails: a resource of the program is refused."""
    program = own.engine.project.program
    text = program.read_text()

    def with_a_fault() -> None:
        code = compile(text, str(program), "exec")
        exec(code, {"__name__": "__main__", "__file__": str(program)})  # noqa: S102 - as the engine
        other = aws.Provider("other", region="eu-central-1", default_tags={"tags": TAGS})
        aws.sqs.Queue("forgotten", opts=pulumi.ResourceOptions(provider=other))

    engine = own.engine
    engine._program = with_a_fault
    with pytest.raises(GuardedError) as refused:
        engine.up("platform")
    assert dict(refused.value.refusals).keys() == {"aws:sqs/queue:Queue forgotten"}


def test_every_reason_is_needed(project: Project) -> None:
    """What the guardrails let through by name stands in a stack; a reason without use goes."""
    stamped = [one for stack in ("platform", "acme") for one in resources(project.root, stack)]
    granted = json.dumps(
        [one.inputs.get("policy") for one in stamped if one.kind.startswith("aws:iam/")]
    )
    for action in reasons.WITHOUT_RESOURCE:
        assert re.search(re.escape(action), granted), action
    names = {one.name.partition(" ")[2] for one in stamped}
    assert set(reasons.NOT_ENCRYPTED_BY_US) <= names
    open_ports = {
        one.inputs["fromPort"]
        for one in stamped
        if one.kind.endswith(":SecurityGroupIngressRule") and one.inputs.get("cidrIpv4")
    }
    assert open_ports == set(reasons.OPEN_PORTS)
