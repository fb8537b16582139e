"""What the program asks for a tenant's policies, read off the resources that it registers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi
import pytest
import yaml

from infra.local.engine import Engine
from infra.local.engine.program import from_file
from infra.local.resources import HANDLERS, INVOKES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.infra.conftest import Project

TENANT = "initrode"
POLICY = "aws:verifiedpermissions/policy:Policy"
TEMPLATE = "aws:verifiedpermissions/policyTemplate:PolicyTemplate"


@dataclass(frozen=True, kw_only=True)
class Registered:
    """One resource as the program registered it."""

    kind: str
    name: str
    replace_on_changes: tuple[str, ...]


@pytest.fixture(scope="module")
def registered(project: Project) -> Iterator[list[Registered]]:
    """A preview of a tenant with policies called `store`, as the store is, and as a link is."""
    folder = project.root / "tenants" / TENANT / "policies"
    folder.mkdir(parents=True)
    for name in ("store", "link-firmware-hall-1"):
        statement = "forbid (principal, action, resource) when { resource has kind };"
        text = f'// For the test.\n@id("{name}")\n{statement}\n'
        (folder / f"{name}.cedar").write_text(text)
    document = yaml.safe_load((project.root / "tenants" / "Pulumi.acme.yaml").read_text())
    document["config"]["cedarfleet:tenant"]["policies"] = f"{TENANT}/policies"
    file = project.root / "tenants" / f"Pulumi.{TENANT}.yaml"
    file.write_text(yaml.safe_dump(document))
    found: list[Registered] = []

    def take(args: pulumi.ResourceTransformationArgs) -> None:
        found.append(
            Registered(
                kind=args.type_,
                name=args.name,
                replace_on_changes=tuple(args.opts.replace_on_changes or ()),
            )
        )

    program = from_file(project.engine.project.program)

    def watched() -> None:
        pulumi.runtime.register_stack_transformation(take)
        program()

    Engine(
        project.root, project.root / "state", project.cloud, HANDLERS, INVOKES, program=watched
    ).preview(TENANT)
    yield found
    file.unlink()


def test_a_changed_policy_is_a_new_one_beside_the_old(registered: list[Registered]) -> None:
    """All are replaced on any change: the provider would change a `when` in place."""
    asked = {
        (one.kind, one.replace_on_changes) for one in registered if one.kind in (POLICY, TEMPLATE)
    }
    assert asked == {(POLICY, ("definition",)), (TEMPLATE, ("statement",))}


def test_no_name_of_a_policy_is_another_resources(registered: list[Registered]) -> None:
    """However policies are called, each resource of the store has a logical name of its own."""
    names = [one.name for one in registered if one.name.startswith("policies-")]
    assert {"policies-store", "policies-policy-store", "policies-link-firmware-hall-1"} <= set(
        names
    )
    assert len(names) == len(set(names))
