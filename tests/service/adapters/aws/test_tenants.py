"""The tenant registry: rows are checked, remembered, and asked for once."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from infra.stacks.config.limits import FEATURES
from infra.stacks.tenant_stack.registry_row import registry_item
from service.adapters.aws.tenants import DynamoTenantRegistry, tenant_of
from service.domain.command_rules import CommandRules
from service.domain.features import Feature
from service.domain.permissions import COMMANDING, Permission
from service.domain.rates import DEFAULT, Budget, Rate
from service.domain.tenants import TenantStatus
from service.errors import ConfigurationError, UnavailableError, UpstreamError
from tests.service.adapters.aws.answered_line import Refusal

if TYPE_CHECKING:
    from tests.service.adapters.aws.answered_line import AnsweredDoor

ROLE = "arn:aws:iam::123456789012:role/cedarfleet/tenants/cedarfleet-acme"
PRESIGN_ROLE = "arn:aws:iam::123456789012:role/cedarfleet/presign/cedarfleet-acme-presign"
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
        "presign_role_arn": PRESIGN_ROLE,
        "commands": {"reboot": "OperateDevice"},
        "groups": {"hall-1": [], "line-press": ["hall-1"]},
        "lists": {"kinds": ["press"], "regions": ["eu-central"], "tags": []},
        "budgets": {"commands": {"per_second": "3", "burst": "9"}},
    }
    kept = {name: value for name, value in (columns | changes).items() if value is not None}
    return json.loads(registry_item(kept))


def test_what_the_tenants_stack_writes_the_service_reads() -> None:
    """The row of the Pulumi program becomes a tenant."""
    tenant = tenant_of(row(), region="eu-central-1")
    assert (tenant.id, tenant.pool_id) == ("acme", "eu-central-1_AbCd12345")
    assert tenant.client_ids == {"client1", "client2"}
    assert tenant.commands == {"reboot": Permission.OPERATE_DEVICE}
    assert tenant.groups == {"hall-1": (), "line-press": ("hall-1",)}
    assert tenant.lists == {"kinds": {"press"}, "regions": {"eu-central"}, "tags": set()}
    assert tenant.budgets == {**DEFAULT, Budget.COMMANDS: Rate(per_second=3, burst=9)}
    assert tenant_of(row(budgets=None), region="eu-central-1").budgets == DEFAULT
    assert tenant_of(row(lists=None), region="eu-central-1").lists == {}  # of an earlier release


def test_what_a_row_does_not_offer_is_lacking() -> None:
    """Fail closed, in so many words; a row of a release before there were tiers offers all."""
    offered = dict.fromkeys(Feature, "yes")
    for features, lacking in (
        (None, set[Feature]()),
        (offered, set[Feature]()),
        (offered | {Feature.WEBHOOKS: "no"}, {Feature.WEBHOOKS}),
        (offered | {Feature.MACHINES: "Yes"}, {Feature.MACHINES}),
        ({"campaigns": "yes"}, set(Feature) - {Feature.CAMPAIGNS}),
        ({}, set(Feature)),
    ):
        tenant = tenant_of(row(features=features, tier="small"), region="eu-central-1")
        assert (tenant.lacking, tenant.tier) == (lacking, "small")
    assert set(Feature) == {*FEATURES}


def test_rules_of_commands_are_read_of_the_row() -> None:
    """As the stack writes them; a row of an earlier release has none."""
    assert tenant_of(row(), region="eu-central-1").command_rules == {}
    rules = CommandRules(parameters={"type": "object"}, needs_reason=True)
    column = {"reboot": json.dumps(rules.document())}
    tenant = tenant_of(row(command_rules=column), region="eu-central-1")
    assert tenant.command_rules == {"reboot": rules}


def test_commands_may_ask_for_all_that_commands_may() -> None:
    """Each permission to command, at once; the others are refused below."""
    commands = {f"command-{number}": each for number, each in enumerate(sorted(COMMANDING))}
    tenant = tenant_of(row(commands=commands), region="eu-central-1")
    assert tenant.commands == commands


def test_a_suspended_row_is_a_suspended_tenant() -> None:
    """What the tenant's file says reaches the service, and no other word does."""
    assert (
        tenant_of(row(status="SUSPENDED"), region="eu-central-1").status is TenantStatus.SUSPENDED
    )
    for wrong in ("suspended", "RESTING", None):
        with pytest.raises(ConfigurationError, match=r"(?i)status"):
            tenant_of(row(status=wrong), region="eu-central-1")


def test_apps_of_people_are_told_apart_by_the_row() -> None:
    """Each app's client is one whose tokens count, and that of agents is nobody else's."""
    apps = {f"{app}_client_id": app for app in ("console", "cli", "agent")}
    known: dict[str, object] = {"client_ids": ["app", *apps.values()], **apps}
    tenant = tenant_of(row(**known), region="eu-central-1")
    assert (tenant.cli_client_id, tenant.agent_client_id) == ("cli", "agent")
    for member, value in (
        *((app, "another") for app in apps),
        ("agent_client_id", "cli"),
        ("agent_client_id", "console"),
    ):
        with pytest.raises(ConfigurationError, match=member):
            tenant_of(row(**known | {member: value}), region="eu-central-1")


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
        ("command_rules", {"stop": json.dumps({})}),
        ("command_rules", {"reboot": "soon"}),
        ("command_rules", {"reboot": "[]"}),
        ("command_rules", {"reboot": json.dumps({"needs_approval": True})}),
        ("command_rules", {"reboot": json.dumps({"parameters": {"type": "array"}})}),
        ("command_rules", {"reboot": json.dumps({"timeout_seconds": "soon"})}),
        ("groups", {"line-press": ["nowhere"]}),
        ("groups", {"line-press": ["line-press"]}),
        ("groups", {"a": ["b"], "b": ["a"]}),
        ("groups", {"all": []}),
        ("groups", {"line press": []}),
        ("lists", "press"),
        ("features", "webhooks"),
        ("budgets", "plenty"),
        ("budgets", {"requests": "plenty"}),
        ("budgets", {"wishes": {"per_second": "1", "burst": "1"}}),
        ("budgets", {"requests": {"per_second": "1"}}),
        ("budgets", {"requests": {"per_second": "many", "burst": "1"}}),
        ("budgets", {"requests": {"per_second": "0", "burst": "1"}}),
        ("budgets", {"requests": {"per_second": "1", "burst": "1000000"}}),
    ],
)
def test_a_row_that_is_not_of_the_form_serves_nobody(member: str, value: object) -> None:
    """The tenant is refused with the member's name, instead of being served with something else."""
    with pytest.raises(ConfigurationError, match=member if value is not None else "registry row"):
        tenant_of(row(**{member: value}), region="eu-central-1")


def test_a_tenant_is_found_by_its_issuer(door: AnsweredDoor) -> None:
    """In the row of now, read as the service itself; an issuer without a row is nobody's."""
    registry = DynamoTenantRegistry(aws=door, table="tenants", region="eu-central-1")
    door.answer = lambda _: {"Item": row()}
    found = asyncio.run(registry.find(ISSUER))
    assert found == tenant_of(row(), region="eu-central-1")
    [call] = door.calls
    assert call.arguments == {
        "TableName": "tenants",
        "Key": {"issuer": {"S": ISSUER}},
        "ConsistentRead": True,
    }
    door.answer = lambda _: {}
    assert asyncio.run(registry.find(ISSUER)) is None


def test_readiness_reads_the_table(door: AnsweredDoor) -> None:
    """A table that answers is ready, whether or not it has a row; one that refuses is not."""
    registry = DynamoTenantRegistry(aws=door, table="tenants", region="eu-central-1")
    asyncio.run(registry.check())
    assert [call.arguments["TableName"] for call in door.calls] == ["tenants"]
    door.answer = lambda _: Refusal("ResourceNotFoundException", 400)
    with pytest.raises(UpstreamError):
        asyncio.run(registry.check())


def test_a_tenant_of_an_earlier_release_is_served_later(door: AnsweredDoor) -> None:
    """Its row names no groups yet: 503 until its stack is stamped again, and no wrong decision."""
    door.answer = lambda _: {"Item": row(groups=None)}
    registry = DynamoTenantRegistry(aws=door, table="tenants", region="eu-central-1")
    with pytest.raises(UnavailableError, match="earlier release"):
        asyncio.run(registry.find(ISSUER))


def test_a_tenant_is_found_by_its_name(door: AnsweredDoor) -> None:
    """By its issuer's row, which is read whole; a name that no row bears is nobody's."""
    registry = DynamoTenantRegistry(aws=door, table="tenants", region="eu-central-1")
    door.answer = lambda call: (
        {"Item": row()} if call.operation == "GetItem" else {"Items": [{"issuer": {"S": ISSUER}}]}
    )
    found = asyncio.run(registry.named("acme"))
    assert found is not None
    assert found.issuer == ISSUER
    assert [call.operation for call in door.calls] == ["Query", "GetItem"]
    door.answer = lambda _: {"Items": []}
    assert asyncio.run(registry.named("nobody")) is None
    assert len(door.calls) == 3
