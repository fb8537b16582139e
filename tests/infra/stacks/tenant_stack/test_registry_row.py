"""The tenant's row of the registry: the service reads there what the file says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from infra.local.engine import Op

if TYPE_CHECKING:
    from tests.infra.conftest import Project


def status(project: Project) -> Any:
    """The status column of globex's row as it stands."""
    issuer = project.engine.outputs("globex").outputs["issuer"]
    table = project.cloud.client("dynamodb")
    return table.get_item(TableName="cedarfleet-tenants", Key={"issuer": {"S": issuer}})["Item"][
        "status"
    ]


def changes(project: Project) -> list[tuple[Op, str]]:
    """What stamping globex changes."""
    made = project.up("globex").changes
    return [
        (change.op, change.urn.rpartition("::")[2]) for change in made if change.op is not Op.READ
    ]


def test_a_suspended_tenant_stays_suspended(project: Project) -> None:
    """Suspending changes the row alone, and only the file brings the tenant back."""
    assert status(project) == {"S": "ACTIVE"}
    try:
        project.change("globex", suspended=True)
        assert changes(project) == [(Op.UPDATE, "registry-row")]
        assert status(project) == {"S": "SUSPENDED"}
        assert changes(project) == []
        assert status(project) == {"S": "SUSPENDED"}
    finally:
        project.change("globex", suspended=False)
        project.up("globex")
    assert status(project) == {"S": "ACTIVE"}
