"""A machine of a real pool: two secrets that bring tokens, a deleted one, and a stack's `up`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from infra.local.engine import Op
from infra.local.people import SignInError, machine_token
from tests.service.adapters.on_the_embedded_cloud.waiting import within

if TYPE_CHECKING:
    from tests.service.adapters.on_the_embedded_cloud.conftest import DeployedService

URL = "/v1/machines"


def status(deployed: DeployedService, token: str) -> int:
    """How the bearer of a token is answered."""
    return deployed.http.get(
        "/v1/devices", headers={"Authorization": f"Bearer {token}"}
    ).status_code


def token(deployed: DeployedService, client: str, secret: str) -> str:
    """A token of the pool's token endpoint."""
    return machine_token(at=deployed.setup.cloud.endpoint_url, client_id=client, secret=secret)


def test_a_machine_is_rotated_and_revoked(deployed: DeployedService) -> None:
    """`up` finds it untouched between two secrets; then each end is felt within 5 s."""
    made = deployed.call("POST", URL, json={"id": "mes", "scopes": ["view"]})
    assert made.status_code == 201, made.text
    client, first = made.json()["machine"]["client_id"], made.json()["secret"]
    assert status(deployed, token(deployed, client, first["secret"])) == 200
    added = deployed.call("POST", f"{URL}/mes/secrets", json={})
    assert added.status_code == 201, added.text
    second = added.json()
    assert deployed.call("POST", f"{URL}/mes/secrets", json={}).status_code == 409
    before: Any = deployed.call("GET", f"{URL}/mes").json()
    assert before["last_used_at"] is not None

    changes = deployed.setup.stamp("acme").changes
    assert {change.op for change in changes} <= {Op.READ}
    assert deployed.call("GET", f"{URL}/mes").json() == before
    tokens = [token(deployed, client, one["secret"]) for one in (first, second)]
    assert [status(deployed, one) for one in tokens] == [200, 200]

    ended = deployed.call("DELETE", f"{URL}/mes/secrets/{first['id']}")
    assert ended.status_code == 200, ended.text
    within(5, lambda: [status(deployed, one) for one in tokens] == [401, 401])
    with pytest.raises(SignInError):
        token(deployed, client, first["secret"])
    # A token of the very second of the revocation is one of before.
    within(5, lambda: status(deployed, token(deployed, client, second["secret"])) == 200)
    last = token(deployed, client, second["secret"])

    assert deployed.call("DELETE", f"{URL}/mes").json()["state"] == "revoked"
    within(5, lambda: status(deployed, last) == 401)
    with pytest.raises(SignInError):
        token(deployed, client, second["secret"])
    logs = (deployed.setup.state_dir / f"{name}.log" for name in ("service", "worker"))
    told = "".join(one.read_text() for one in logs)
    assert not any(one["secret"] in told for one in (first, second))


def test_another_client_of_the_pool_is_nobody(deployed: DeployedService) -> None:
    """One that somebody makes by hand has a token, and no way in."""
    cognito: Any = deployed.setup.cloud.client("cognito-idp")
    by_hand = cognito.create_user_pool_client(
        UserPoolId=deployed.setup.stacks["acme"]["user_pool_id"],
        ClientName="by-hand",
        GenerateSecret=True,
        AllowedOAuthFlowsUserPoolClient=True,
        AllowedOAuthFlows=["client_credentials"],
        AllowedOAuthScopes=["fleet/view"],
    )["UserPoolClient"]
    assert status(deployed, token(deployed, by_hand["ClientId"], by_hand["ClientSecret"])) == 401
