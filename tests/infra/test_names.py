"""Names on AWS: short enough for the longest tenant, and nobody else's."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from botocore.session import Session

from infra import names
from infra.stacks.config.reading import ConfigError
from infra.stacks.config.tenant import TenantConfig
from tests.infra.stamped import resources

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.infra.conftest import Project

ROOT = Path(__file__).parents[2]
LONGEST = "t" * names.TENANT_CHARACTERS
BUCKET_PREFIX = 37  # source: registry documentation of the bucket, `bucket_prefix`
PER_TENANT: tuple[Callable[[str], str], ...] = (
    names.tenant_role,
    names.presign_role,
)


def read(tenant: str) -> TenantConfig:
    """Acme's committed file under another name."""
    document = yaml.safe_load((ROOT / "tenants" / "Pulumi.acme.yaml").read_text())
    return TenantConfig.read(
        f"tenants/Pulumi.{tenant}.yaml",
        document["config"]["cedarfleet:tenant"],
        tenant=tenant,
        root=ROOT,
    )


def limit(service: str, operation: str, member: str) -> int:
    """The most characters that AWS's own model allows for an input of a call."""
    model: Any = Session().get_service_model(service)
    return model.operation_model(operation).input_shape.members[member].metadata["max"]


@pytest.mark.parametrize(
    ("name", "service", "operation", "member"),
    [
        (names.thing_group(LONGEST), "iot", "CreateThingGroup", "thingGroupName"),
        (names.device_policy(LONGEST), "iot", "CreatePolicy", "policyName"),
        (names.presign_role(LONGEST), "iam", "CreateRole", "RoleName"),
        (names.thing_prefix(LONGEST) + "d" * 64, "iot", "CreateThing", "thingName"),
        (names.thing_prefix(LONGEST) + "0" * 26, "iot", "CreateJob", "jobId"),
    ],
)
def test_the_longest_tenants_names_fit(
    name: str, service: str, operation: str, member: str
) -> None:
    """Each name that is built from a tenant id stays in the length of AWS's model."""
    try:
        most = limit(service, operation, member)
    except KeyError:
        most = {"policyName": 128}[
            member
        ]  # the model has a pattern only; source: AWS IoT Core quotas
    assert len(name) <= most


def test_the_longest_tenants_bucket_has_room_for_its_random_end(project: Project) -> None:
    """The bucket's prefix leaves the provider its characters, for the longest id too."""
    (bucket,) = [
        one for one in resources(project.root, "acme") if one.kind == "aws:s3/bucket:Bucket"
    ]
    assert (
        len(bucket.inputs["bucketPrefix"]) - len("acme") + names.TENANT_CHARACTERS <= BUCKET_PREFIX
    )


def test_a_longer_tenant_id_is_refused() -> None:
    """The message names the file and the length that would be right."""
    assert read(LONGEST) == read("acme")
    with pytest.raises(
        ConfigError,
        match=r"tenants/Pulumi\.t{27}\.yaml: `t{27}` is no tenant id: 2 to 26 characters",
    ):
        read("t" * 27)


@pytest.mark.parametrize(
    "tenant", ["platform", "service", "execution", "status-rule", "acme-presign", "x-provisioning"]
)
def test_a_tenant_id_whose_names_are_taken_is_refused(tenant: str) -> None:
    """No id makes a role of the platform, or of another tenant, the tenant's."""
    with pytest.raises(ConfigError, match=f"`{tenant}` is reserved"):
        read(tenant)


def test_every_role_of_the_platform_is_reserved(project: Project) -> None:
    """A role added to the platform is reserved too: a tenant of its name could not be stamped."""
    roles = [
        one.inputs["name"]
        for one in resources(project.root, "platform")
        if one.kind == "aws:iam/role:Role"
    ]
    assert len(roles) > 2
    assert [role for role in roles if not names.is_reserved(role.removeprefix("cedarfleet-"))] == []


def test_no_role_of_one_tenant_is_anothers() -> None:
    """Over ids made to collide, those that are accepted have roles of their own."""
    words = (
        "a1",
        "a1-presign",
        "a1-provisioning",
        "presign",
        "a1-role",
        "a1-presign-x",
        "presign-a1",
    )
    accepted = [word for word in words if not names.is_reserved(word)]
    assert len(accepted) == len(words) - 2
    for one, other in combinations(accepted, 2):
        assert {name(one) for name in PER_TENANT}.isdisjoint({name(other) for name in PER_TENANT})
