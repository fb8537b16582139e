"""Where a tenant's people sign in: told to anybody, and nothing else of the tenant."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.service.conftest import ServiceUnderTest


def test_the_sign_in_page_and_its_clients_are_told(service: ServiceUnderTest) -> None:
    """Page and public clients, without a token; nothing else of its row."""
    for pool in (service.acme, service.globex):
        tenant = pool.tenant
        answer = service.client.get(f"/sign-in/{tenant.id}")
        assert answer.status_code == 200
        assert answer.json() == {
            "tenant": tenant.id,
            "sign_in": tenant.sign_in_url,
            "command_line": tenant.cli_client_id,
            "agent": tenant.agent_client_id,
            "console": tenant.console_client_id,
        }
        for secret in (tenant.role_arn, tenant.policy_store_id, tenant.issuer, tenant.account_id):
            assert secret not in answer.text + str(answer.headers)


@pytest.mark.parametrize("name", ["nobody", "%3Cscript%3E", "a" * 200, "acme'x", "ACME"])
def test_nobody_has_no_sign_in_page(service: ServiceUnderTest, name: str) -> None:
    """A name of no tenant is a problem, whatever stands in it."""
    answer = service.client.get(f"/sign-in/{name}")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "urn:cedarfleet:problem:not-found"
