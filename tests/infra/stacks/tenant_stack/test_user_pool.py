"""What a tenant's user pool is, as Cognito has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.infra.conftest import Project


def test_a_pool_pays_for_what_it_uses(project: Project) -> None:
    """The plan is LITE: Cognito's default one is dearer, and nothing of it is used."""
    pool = project.engine.outputs("acme").outputs["user_pool_id"]
    told = project.cloud.client("cognito-idp").describe_user_pool(UserPoolId=pool)
    assert told["UserPool"]["UserPoolTier"] == "LITE"
