"""What the program refuses: bad policies, bad files and the end of what holds data; the cloud stays as it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml

from infra.local.engine import ProgramError, ProtectedError

if TYPE_CHECKING:
    from tests.infra.conftest import Project


def test_what_holds_data_refuses_to_be_destroyed(project: Project) -> None:
    """Neither the platform nor a tenant can be destroyed while its file says `protect`, and nothing is deleted."""
    for stack in ("platform", "acme", "globex"):
        with pytest.raises(ProtectedError):
            project.engine.destroy(stack)
    assert project.cloud.client("dynamodb").describe_table(TableName="cedarfleet-commands")


def test_a_bad_policy_stops_the_stamping_before_anything_is_made(project: Project) -> None:
    """A tenant's policy that does not validate is named with file and line, and the cloud stays as it was."""
    folder = project.root / "tenants" / "wonka" / "policies"
    folder.mkdir(parents=True)
    (folder / "broken.cedar").write_text(
        '// why\n@id("broken")\npermit (principal, action, resource) when {\n'
    )
    document = yaml.safe_load((project.root / "tenants" / "Pulumi.globex.yaml").read_text())
    document["config"]["cedarfleet:tenant"]["policies"] = "wonka/policies"
    (project.root / "tenants" / "Pulumi.wonka.yaml").write_text(yaml.safe_dump(document))

    with pytest.raises(ProgramError, match=r"tenants/wonka/policies/broken\.cedar:\d+"):
        project.up("wonka")
    assert project.named("wonka") == []


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("grups", {}, r"tenants/Pulumi\.umbrella\.yaml: cedarfleet:tenant\.grups: unknown key"),
        (
            "commands",
            {"reboot": "Destroy"},
            r"Pulumi\.umbrella\.yaml: cedarfleet:tenant\.commands\.reboot: the schema",
        ),
        (
            "policies",
            "umbrella/policies",
            r"cedarfleet:tenant\.policies: no such folder: tenants/umbrella/policies",
        ),
        (
            "groups",
            {"managers": "x", "operators": "x", "it-staff": "x"},
            r"globex/policies/\S+\.cedar:\d+: .*regional-operators.* is no group of this tenant",
        ),
    ],
)
def test_a_bad_file_stops_the_stamping_before_anything_is_made(
    project: Project, key: str, value: object, words: str
) -> None:
    """An error in a stack file names file and key, and the cloud stays as it was."""
    document = yaml.safe_load((project.root / "tenants" / "Pulumi.globex.yaml").read_text())
    document["config"]["cedarfleet:tenant"][key] = value
    (project.root / "tenants" / "Pulumi.umbrella.yaml").write_text(yaml.safe_dump(document))

    with pytest.raises(ProgramError, match=words):
        project.up("umbrella")
    assert project.named("umbrella") == []


def test_a_tenant_in_another_region_than_the_platform_is_refused(project: Project) -> None:
    """The tenant's stack fails, and says both regions, before it makes a resource."""
    document = yaml.safe_load((project.root / "tenants" / "Pulumi.globex.yaml").read_text())
    document["config"]["aws:region"] = "us-east-1"
    (project.root / "tenants" / "Pulumi.hooli.yaml").write_text(yaml.safe_dump(document))

    with pytest.raises(
        Exception, match="must be the platform's region `eu-central-1`, is `us-east-1`"
    ):
        project.up("hooli")
    assert project.named("hooli") == []
