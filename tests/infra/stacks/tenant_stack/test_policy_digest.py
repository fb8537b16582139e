"""The registry says which policies the store is to have, and says it before they change."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from infra.local.engine import Op
from infra.policies.store.deployed import read
from infra.stacks.tenant_stack.policy_digest import digest_item
from service.adapters.aws.policies import digest_key
from service.cedar.digest import policies_digest

if TYPE_CHECKING:
    from tests.infra.conftest import Project

ISSUER = "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_abcdef"


def told(project: Project) -> str:
    """The digest in globex's row."""
    issuer = project.engine.outputs("globex").outputs["issuer"]
    row: dict[str, Any] = dict(
        project.cloud.client("dynamodb").get_item(
            TableName="cedarfleet-tenants", Key={"issuer": {"S": digest_key(issuer)}}
        )["Item"]
    )
    return row["digest"]["S"]


def stored(project: Project) -> str:
    """The digest of what globex's store holds, read back from it."""
    store = project.engine.outputs("globex").outputs["policy_store_id"]
    return policies_digest(read(project.cloud.client("verifiedpermissions"), store))


def test_the_row_is_where_the_service_looks() -> None:
    """Under the service's own key, and without what the index by tenant is made of."""
    row = json.loads(digest_item(issuer=ISSUER, digest="ab"))
    assert row == {"issuer": {"S": digest_key(ISSUER)}, "digest": {"S": "ab"}}


def test_the_digest_is_told_before_the_store_changes(project: Project) -> None:
    """What is told is what the store then holds; the row is written before the first policy."""
    assert told(project) == stored(project)
    before = told(project)
    grants = [
        {
            "id": "kim-in-ward-3",
            "template": "certified-for-line",
            "principal": 'Fleet::Group::"managers"',
            "resource": 'Fleet::DeviceGroup::"all"',
        }
    ]
    try:
        project.change("globex", grants=grants)
        made = project.up("globex").changes
        changed = [one.urn.rpartition("::")[2] for one in made if one.op is not Op.READ]
        assert changed[0] == "digest-row"
        assert "policies-link-kim-in-ward-3" in changed
        assert told(project) == stored(project) != before
    finally:
        project.change("globex", grants=[])
        project.up("globex")
    assert told(project) == stored(project)
