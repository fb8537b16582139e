"""The tenant registry: rows are checked, remembered, and asked for once."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from infra.stacks.tenant_stack.registry_row import registry_item
from service.adapters.aws.tenants import tenant_of
from service.adapters.cache.tenants import CachedTenantRegistry
from service.adapters.memory.tenants import MemoryTenantRegistry
from service.adapters.memory.user_pool import MemoryUserPool
from service.domain.permissions import Permission
from service.domain.tenants import TenantStatus
from service.errors import ConfigurationError, UnavailableError

if TYPE_CHECKING:
    from service.domain.tenants import Tenant

ROLE = "arn:aws:iam::123456789012:role/cedarfleet/tenants/cedarfleet-acme"
ISSUER = "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_AbCd12345"


def row(**changes: object) -> dict[str, Any]:
    """A row as the tenant's stack writes it, with columns changed (to `None`: left out)."""
    columns: dict[str, Any] = {
        "tenant": "acme",
        "display_name": "Acme",
        "status": "ACTIVE",
        "issuer": ISSUER,
        "region": "eu-central-1",
        "account_id": "123456789012",
        "jwks_uri": f"{ISSUER}/.well-known/jwks.json",
        "sign_in_url": "https://acme.auth.eu-central-1.amazoncognito.com",
        "client_ids": ["client1", "client2"],
        "policy_store_id": "PSacme",
        "policy_names": {"SP1": "managers-everything"},
        "role_arn": ROLE,
        "thing_group": "acme",
        "bucket": "acme-artifacts-1a2b3c4",
        "presign_role_arn": "arn:aws:iam::123456789012:role/cedarfleet/presign/cedarfleet-acme-presign",
        "commands": {"reboot": "OperateDevice"},
    }
    kept = {name: value for name, value in (columns | changes).items() if value is not None}
    return json.loads(registry_item(kept))


def test_what_the_tenants_stack_writes_the_service_reads() -> None:
    """The row of the Pulumi program becomes a tenant."""
    tenant = tenant_of(row(), region="eu-central-1")
    assert (tenant.id, tenant.pool_id) == ("acme", "eu-central-1_AbCd12345")
    assert tenant.client_ids == {"client1", "client2"}
    assert tenant.commands == {"reboot": Permission.OPERATE_DEVICE}


def test_a_suspended_row_is_a_suspended_tenant() -> None:
    """What the tenant's file says reaches the service, and no other word does."""
    assert (
        tenant_of(row(status="SUSPENDED"), region="eu-central-1").status is TenantStatus.SUSPENDED
    )
    for wrong in ("suspended", "RESTING", None):
        with pytest.raises(ConfigurationError, match=r"(?i)status"):
            tenant_of(row(status=wrong), region="eu-central-1")


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("tenant", "globex--x"),
        ("tenant", None),
        ("issuer", "https://attacker.test/pool"),
        ("region", "eu-west-1"),
        ("jwks_uri", "http://cognito-idp.eu-central-1.amazonaws.com/x"),
        ("client_ids", None),
        ("policy_names", None),
        ("role_arn", "arn:aws:iam::999999999999:role/cedarfleet-acme"),
        ("role_arn", "cedarfleet-acme"),
        ("presign_role_arn", ""),
        ("thing_group", "globex"),
        ("bucket", "Bucket/../x"),
        ("commands", {"reboot": "DeleteEverything"}),
        ("commands", {"reboot": "UpdateFirmware"}),
        ("commands", {"re boot": "OperateDevice"}),
    ],
)
def test_a_row_that_is_not_of_the_form_serves_nobody(member: str, value: object) -> None:
    """The tenant is refused with the member's name, instead of being served with something else."""
    with pytest.raises(ConfigurationError, match=member if value is not None else "registry row"):
        tenant_of(row(**{member: value}), region="eu-central-1")


def test_rows_are_asked_for_once_and_strangers_push_nobody_out() -> None:
    """Many callers at once make one look-up; unknown issuers are remembered apart, in bounded number."""
    pool = MemoryUserPool("acme")
    origin = MemoryTenantRegistry(rows={pool.tenant.issuer: pool.tenant})
    registry = CachedTenantRegistry(
        origin, seconds=60, unknown_seconds=60, max_entries=10, max_strangers=4
    )

    async def story() -> None:
        found = await asyncio.gather(*(registry.find(pool.tenant.issuer) for _ in range(50)))
        assert found == [pool.tenant] * 50
        assert origin.lookups == 1
        for number in range(100):
            assert await registry.find(f"stranger-{number}") is None
        assert origin.lookups == 101
        assert await registry.find("stranger-99") is None
        assert await registry.find(pool.tenant.issuer) == pool.tenant
        assert origin.lookups == 101
        assert len(registry._unknown) == 10

    asyncio.run(story())


def test_a_registry_that_does_not_answer_is_asked_again() -> None:
    """A failure is nobody's answer: it is raised to each that waits, and not remembered."""
    pool = MemoryUserPool("acme")
    origin = MemoryTenantRegistry(rows={pool.tenant.issuer: pool.tenant}, available=False)
    registry = CachedTenantRegistry(
        origin, seconds=60, unknown_seconds=60, max_entries=10, max_strangers=4
    )

    async def story() -> None:
        answers = await asyncio.gather(
            *(registry.find(pool.tenant.issuer) for _ in range(5)), return_exceptions=True
        )
        assert {type(answer) for answer in answers} == {UnavailableError}
        origin.available = True
        assert await registry.find(pool.tenant.issuer) == pool.tenant

    asyncio.run(story())


def test_a_flood_of_made_up_issuers_keeps_no_tenant_out() -> None:
    """While strangers fill their share of look-ups, further strangers are refused and a known tenant is read again."""
    pool = MemoryUserPool("acme")
    release = asyncio.Event()

    class Slow(MemoryTenantRegistry):
        async def find(self, issuer: str) -> Tenant | None:
            if issuer.startswith("stranger"):
                await release.wait()
            return await super().find(issuer)

    origin = Slow(rows={pool.tenant.issuer: pool.tenant})
    registry = CachedTenantRegistry(
        origin, seconds=0, unknown_seconds=60, max_entries=10, max_strangers=4
    )

    async def story() -> None:
        assert await registry.find(pool.tenant.issuer) == pool.tenant
        waiting = [
            asyncio.ensure_future(registry.find(f"stranger-{number}")) for number in range(4)
        ]
        await asyncio.sleep(0)
        with pytest.raises(UnavailableError):
            await registry.find("stranger-5")
        assert await registry.find(pool.tenant.issuer) == pool.tenant
        release.set()
        assert await asyncio.gather(*waiting) == [None] * 4

    asyncio.run(story())
