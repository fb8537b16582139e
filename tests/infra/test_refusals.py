"""What the program refuses before it makes anything: bad policies, bad files, deletion."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml

from infra.local.engine import ProgramError, ProtectedError
from tests.infra.conftest import ROOT

if TYPE_CHECKING:
    from infra.local.engine import Engine
    from tests.infra.conftest import Project


def test_what_holds_data_refuses_to_be_destroyed(project: Project) -> None:
    """No stack can be destroyed while its file says `protect`, and nothing is deleted."""
    for stack in ("platform", "acme", "globex"):
        with pytest.raises(ProtectedError):
            project.engine.destroy(stack)
    assert project.cloud.client("dynamodb").describe_table(TableName="cedarfleet-commands")


def test_a_bad_policy_stops_the_stamping_before_anything_is_made(project: Project) -> None:
    """A policy that does not validate is named with file and line; the cloud stays as it was."""
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
            r"Pulumi\.umbrella\.yaml: cedarfleet:tenant\.commands\.reboot: `Destroy` is no action",
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

    words = "tenants/Pulumi.hooli.yaml: aws:region: must be the platform's region `eu-central-1`, "
    for other in ("", "us-east-1"):
        platform = project.root / "tenants" / "Pulumi.platform.yaml"
        before = platform.read_text()
        try:
            # Once more with a platform's file that lies: then what is deployed refuses.
            platform.write_text(before.replace("eu-central-1", other) if other else before)
            with pytest.raises(ProgramError) as refused:
                project.up("hooli")
        finally:
            platform.write_text(before)
        assert str(refused.value).endswith(f": {words}is `us-east-1`")
        assert "Output object" not in str(refused.value)
        assert project.named("hooli") == []


@pytest.mark.parametrize(
    "until",
    [
        "2026-12-24",
        "2026-12-24 18:00:00",
        "2026-12-24T18:00:00",
        '"2026-12-24"',
        '"2026-12-24T18:00:00"',
    ],
)
def test_end_without_offset_stops_the_preview(own: Project, until: str) -> None:
    """YAML would make an unquoted one a moment of UTC; it is refused as one in quotes is."""
    place = r"Pulumi\.acme\.yaml: cedarfleet:tenant\.grants\[0\]\.until: "
    with pytest.raises(ProgramError, match=f"{place}.*offset.*2026-12-31T18:00:00.01:00"):
        with_end(own, until).preview("acme")


def test_end_in_no_quotes_is_the_same_moment(own: Project) -> None:
    """A moment with its offset ends the grant at the same second, in quotes or not."""
    written = ('"2026-12-24T17:00:00Z"', "2026-12-24T17:00:00Z", "2026-12-24 18:00:00 +01:00")
    made = [with_end(own, until).preview("acme").changes for until in written]
    ends = [sorted(change.urn for change in one if "-until-" in change.urn) for one in made]
    assert len(ends[0]) == 1
    assert ends == [ends[0]] * 3


def with_end(project: Project, until: str) -> Engine:
    """An engine over acme's file, with a first grant whose end is written so."""
    file = project.root / "tenants" / "Pulumi.acme.yaml"
    head, key, rest = (ROOT / "tenants" / "Pulumi.acme.yaml").read_text().partition("    grants:")
    comment, _, rest = rest.partition("\n")
    grant = f"""
      - id: visit
        template: technician-for-line
        principal: Fleet::User::"a3d4e8b2-70f1-7093-1c5e-8c1d2f3a4b5c"
        resource: Fleet::DeviceGroup::"line-press"
        until: {until}
"""
    file.write_text(head + key + comment + grant + rest)
    return project.engine
