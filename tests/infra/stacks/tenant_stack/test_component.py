"""`cedarfleet:index:Tenant`: its schema is inferred, and a project of somebody else adds one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import yaml
from pulumi.provider.experimental.component import ComponentProvider

from infra.local.engine import Engine, Op
from infra.local.engine.urns import kind_and_name
from infra.local.guarding import Guardrails
from infra.local.resources import HANDLERS, INVOKES
from infra.stacks.outputs import TenantOutputs
from infra.stacks.tenant_stack.component import Tenant

if TYPE_CHECKING:
    from pathlib import Path

    from tests.infra.conftest import Project

_PROGRAM: Final = """
import json
import pulumi, pulumi_aws as aws
from infra.stacks.tenant_stack.component import Tenant

platform = pulumi.StackReference("organization/cedarfleet/platform")
config = pulumi.Config()
region = config.require("region")
made = Tenant(
    "kiwi",
    {
        "tenant": "kiwi",
        "config": config.require_object("kiwi"),
        "region": region,
        "platform": platform.outputs,
        "tiers": {"basic": {"artifact_days": 365}},
    },
    pulumi.ResourceOptions(
        providers=[
            aws.Provider(
                "here",
                region=region,
                default_tags={
                    "tags": {"tenant": "kiwi", "stack": "shop/kiwi", "managed-by": "pulumi"}
                },
            )
        ]
    ),
)
pulumi.export("issuer", made.issuer)
"""


def test_its_schema_is_inferred() -> None:
    """Each argument with its words, what may be left out, and an output for what a stack says."""
    schema = json.loads(ComponentProvider([Tenant], "cedarfleet").schema or "")
    kind = schema["resources"]["cedarfleet:index:Tenant"]
    assert kind["isComponent"] is True
    assert set(kind["requiredInputs"]) == {"tenant", "config", "region", "platform"}
    assert set(kind["inputProperties"]) == {*kind["requiredInputs"], "tiers", "project"}
    assert all(each.get("description") for each in kind["inputProperties"].values())
    said = {name.replace("_", "").lower() for name in TenantOutputs.__dataclass_fields__}
    assert {name.lower() for name in kind["properties"]} == said - {"tenant"}


def _elsewhere(folder: Path, project: Project, **config: object) -> Engine:
    """Another Pulumi project, whose stack `kiwi` reads the platform of this one."""
    (folder / "__main__.py").write_text(_PROGRAM)
    (folder / "Pulumi.yaml").write_text("name: shop\nruntime: python\n")
    file = yaml.safe_load((project.root / "tenants" / "Pulumi.globex.yaml").read_text())
    kiwi = file["config"]["cedarfleet:tenant"] | config
    kiwi["sign_in"] |= {"domain_prefix": "kiwi-farms-elsewhere"}
    here = {"shop:kiwi": kiwi, "shop:region": project.cloud.region}
    (folder / "Pulumi.kiwi.yaml").write_text(yaml.safe_dump({"config": here}))
    # One folder of state for both projects, as one login of Pulumi's.
    stacks = project.root / "state"
    return Engine(folder, stacks, project.cloud, HANDLERS, INVOKES, guard=Guardrails())


def test_a_project_of_somebody_else_adds_a_tenant(own: Project, tmp_path: Path) -> None:
    """It imports the component, and gets all that a tenant of ours gets, under one parent."""
    folder = tmp_path / "shop"
    folder.mkdir()
    seen = _elsewhere(folder, own, tier="basic", policies=None, grants=[]).preview("kiwi")
    assert {change.op for change in seen.changes} == {Op.CREATE, Op.READ}
    kinds = {kind_and_name(change.urn).split(" ")[0] for change in seen.changes}
    wanted = {
        "aws:verifiedpermissions/policyStore:PolicyStore",
        "aws:cognito/userPool:UserPool",
        "aws:iot/thingGroup:ThingGroup",
        "aws:s3/bucket:Bucket",
        "aws:iam/role:Role",
        "cedarfleet:index:Tenant",
    }
    assert wanted <= kinds
    inside = [change.urn for change in seen.changes if "cedarfleet:index:Tenant$" in change.urn]
    assert len(inside) > 60
