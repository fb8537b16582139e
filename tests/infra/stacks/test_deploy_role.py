"""The candidate for the role that stamps fits IAM, and is no wider than its words.

That it is enough for what the embedded engine does is shown where both stacks are stamped with it:
tests/infra/local/resources/test_resources.py.
"""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final

import pytest

from infra import __main__ as program
from infra import names
from infra.local.resources import HANDLERS
from infra.local.resources.provider_calls import CALLS
from infra.stacks import deploy_role
from tests.infra.conftest import ROOT
from tests.infra.stamped import resources

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.infra.conftest import Project

ACCOUNT: Final = "123456789012"
MADE: Final = deploy_role.policies(region="eu-central-1", account_id=ACCOUNT)


def statements() -> Iterator[dict[str, Any]]:
    """Of all documents."""
    for document in MADE.values():
        yield from document["Statement"]


def granted(action: str) -> list[str]:
    """The resources on which the role may do it."""
    return [
        resource
        for statement in statements()
        if action in statement["Action"]
        for resource in statement["Resource"]
    ]


def test_each_policy_fits_and_all_fit_the_role() -> None:
    """Of IAM's characters, blanks apart, and ten policies a role."""
    assert len(MADE) <= 10
    for name, document in MADE.items():
        text = json.dumps(document, separators=(",", ":"))
        assert len(text) <= deploy_role.MANAGED_POLICY, name


def test_every_action_is_spelled_out() -> None:
    """No wildcard in an action, none twice in a statement, statements named apart."""
    for document in MADE.values():
        assert len({one["Sid"] for one in document["Statement"]}) == len(document["Statement"])
    for statement in statements():
        assert statement["Action"]
        assert len(set(statement["Action"])) == len(statement["Action"])
        assert not any("*" in action for action in statement["Action"])


def test_it_may_not_write_itself() -> None:
    """Nor any role that is not the product's; the product's it must."""
    for action in ("iam:PutRolePolicy", "iam:UpdateAssumeRolePolicy", "iam:PassRole"):
        reached = granted(action)
        for mine in (names.SERVICE_ROLE, names.tenant_role("acme")):
            assert any(fnmatchcase(f"arn:aws:iam::{ACCOUNT}:role/{mine}", one) for one in reached)
        for other in (deploy_role.NAME, "OrganizationAccountAccessRole"):
            arn = f"arn:aws:iam::{ACCOUNT}:role/{other}"
            assert not any(fnmatchcase(arn, one) for one in reached), action
    assert granted("iam:AttachRolePolicy") == []


def test_roles_go_to_named_services_alone() -> None:
    """A role passed to anything else, EC2 for one, would be whoever asks for an instance."""
    [passing] = [one for one in statements() if "iam:PassRole" in one["Action"]]
    assert passing["Action"] == ["iam:PassRole"]
    [services] = passing["Condition"].values()
    assert "ec2.amazonaws.com" not in services["iam:PassedToService"]


_NAMED_OTHERWISE: Final = {
    "budgets:CreateBudget": "budgets:ModifyBudget",
    "budgets:CreateNotification": "budgets:ModifyBudget",
}
"""Where IAM's action is not the operation's (source: AWS service authorization reference)."""
_PREFIX: Final = {"elbv2": "elasticloadbalancing", "sesv2": "ses"}


def test_what_is_only_recorded_here_is_granted_too(project: Project) -> None:
    """Each call that the provider would make for it, by the actions that AWS's page names."""
    asked: set[str] = set()
    for stack in ("platform", "acme"):
        for one in resources(project.root, stack):
            if HANDLERS[one.kind].recorded:
                for service, operation, _ in CALLS[one.kind]("123456789012:cedarfleet", one.inputs):
                    action = f"{_PREFIX.get(service, service)}:{operation}"
                    asked.add(_NAMED_OTHERWISE.get(action, action))
    assert asked
    assert {action for action in asked if not granted(action)} == set()


def test_the_command_prints_it(capsys: pytest.CaptureFixture[str]) -> None:
    """All of it, or one document as IAM takes it, for the platform's region."""
    words = ["rights", "deploy-role", "--account", ACCOUNT]
    assert program.main(words, root=ROOT) == 0
    assert json.loads(capsys.readouterr().out) == MADE
    assert program.main([*words, "--policy", "roles"], root=ROOT) == 0
    assert json.loads(capsys.readouterr().out) == MADE["roles"]
    with pytest.raises(SystemExit):
        program.main(["rights", "deploy-role", "--account", "12"], root=ROOT)
