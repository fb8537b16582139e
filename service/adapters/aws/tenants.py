"""The tenant registry: a DynamoDB row per tenant, written by its stack, checked by member."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

import structlog
from boto3.dynamodb.types import TypeDeserializer
from cedarfleet_device import wire

from service.adapters.aws.client.failures import asks
from service.cedar.entities import ROOT_GROUP
from service.cedar.granted import GrantTemplate
from service.cedar.group_tree import CircularGroupsError, with_ancestors
from service.domain.command_rules import rules_of
from service.domain.features import Feature
from service.domain.permissions import COMMANDING, Permission
from service.domain.rates import DEFAULT, MOST_PER_SECOND, Budget, Rate
from service.domain.tenants import Tenant, TenantStatus, is_issuer
from service.errors import ConfigurationError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.adapters.aws.client.door import AwsDoor
    from service.cedar.entities import GroupParents
    from service.domain.command_rules import CommandRules

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()
_REGISTRY: Final = "the tenant registry"
BY_TENANT: Final = "by-tenant"
_ROLE: Final = re.compile(
    r"arn:aws(?:-[a-z]+)*:iam::(?P<account>[0-9]{12}):role/[\w+=,.@/-]{1,512}", re.ASCII
)
_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


@dataclass(frozen=True, kw_only=True)
class DynamoTenantRegistry:
    """Reads rows with the service's own credentials; ``region`` is the platform's."""

    aws: AwsDoor
    table: str
    region: str

    @asks(_REGISTRY)
    async def find(self, issuer: str) -> Tenant | None:
        item = await self._get(issuer)
        # Not served wrongly, but soon: its groups and its role come with its stack's next `up`.
        if item is not None and "groups" not in item:
            log.error("tenants.not_upgraded", issuer=issuer)
            raise UnavailableError("the tenant, whose stack is of an earlier release,")
        return None if item is None else tenant_of(item, region=self.region)

    @asks(_REGISTRY)
    async def named(self, tenant_id: str) -> Tenant | None:
        issuer = await self._issuer_of(tenant_id)
        return None if issuer is None else await self.find(issuer)

    @asks(_REGISTRY)
    async def check(self) -> None:
        await self._get("none")

    async def _get(self, issuer: str) -> dict[str, Any] | None:
        answer = await self.aws.own("dynamodb").call(
            "GetItem", TableName=self.table, Key={"issuer": {"S": issuer}}, ConsistentRead=True
        )
        return answer.get("Item")

    async def _issuer_of(self, tenant_id: str) -> str | None:
        answer = await self.aws.own("dynamodb").call(
            "Query",
            TableName=self.table,
            IndexName=BY_TENANT,
            KeyConditionExpression="tenant = :tenant",
            ExpressionAttributeValues={":tenant": {"S": tenant_id}},
            ProjectionExpression="issuer",
        )
        found = answer["Items"]
        # Fail closed: of two rows of one tenant nobody knows which counts.
        return found[0]["issuer"]["S"] if len(found) == 1 else None


def tenant_of(item: Mapping[str, Any], *, region: str) -> Tenant:
    """A tenant of its DynamoDB item.

    Raises:
        ConfigurationError: a member is missing or not of its form; the tenant is not served until
            its stack is right.
    """
    deserializer = TypeDeserializer()
    row = {name: deserializer.deserialize(value) for name, value in item.items()}
    try:
        tenant = Tenant(
            id=row["tenant"],
            issuer=row["issuer"],
            status=TenantStatus(row["status"]),
            region=row["region"],
            account_id=row["account_id"],
            jwks_uri=row["jwks_uri"],
            sign_in_url=row["sign_in_url"],
            client_ids=frozenset(row["client_ids"]),
            policy_store_id=row["policy_store_id"],
            policy_names=dict(row["policy_names"]),
            role_arn=row["role_arn"],
            thing_group=row["thing_group"],
            bucket=row["bucket"],
            presign_role_arn=row["presign_role_arn"],
            commands=_commands(row["commands"]),
            # A row of an earlier release says of each command its action alone.
            command_rules=_command_rules(row.get("command_rules", {})),
            groups={name: tuple(parents) for name, parents in row["groups"].items()},
            # A row of an earlier release lists nothing, so nothing is bounded.
            lists=_lists(row.get("lists", {})),
            # Of a stack of an earlier release nothing can be granted until its next `up`.
            templates=_templates(row.get("templates", {})),
            # Nor does it name budgets: it has those of a file that says nothing.
            budgets={**DEFAULT, **_budgets(row.get("budgets", {}))},
            console_client_id=row.get("console_client_id"),
            cli_client_id=row.get("cli_client_id"),
            agent_client_id=row.get("agent_client_id"),
            tier=row.get("tier"),
            lacking=_lacking(row.get("features")),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ConfigurationError(
            f"registry row of `{row.get('tenant')}`: member missing or not of its form: {error}"
        ) from error
    for holds, member in (
        (wire.is_tenant_id(tenant.id), "tenant"),
        (is_issuer(tenant.issuer), "issuer"),
        (tenant.region == region, "region"),
        (tenant.jwks_uri.startswith("https://"), "jwks_uri"),
        (tenant.thing_group == tenant.id, "thing_group"),
        (_BUCKET.fullmatch(tenant.bucket) is not None, "bucket"),
        (_is_role(tenant.role_arn, tenant.account_id), "role_arn"),
        (_is_role(tenant.presign_role_arn, tenant.account_id), "presign_role_arn"),
        (all(map(wire.is_command_name, tenant.commands)), "commands"),
        (set(tenant.commands.values()) <= COMMANDING, "commands"),
        (tenant.command_rules.keys() <= tenant.commands.keys(), "command_rules"),
        (_is_tree(tenant.groups), "groups"),
        # Fail closed: a budget of nothing is a slip, one without an end is none.
        (all(map(_is_rate, tenant.budgets.values())), "budgets"),
        (_is_client(tenant, tenant.console_client_id), "console_client_id"),
        (_is_client(tenant, tenant.cli_client_id), "cli_client_id"),
        (_is_agent(tenant), "agent_client_id"),
    ):
        # Fail closed: better no service for the tenant than service with another's resources.
        if not holds:
            raise ConfigurationError(
                f"registry row of `{tenant.id}`: `{member}` is not of its form"
            )
    return tenant


def _commands(column: Mapping[str, str]) -> dict[str, Permission]:
    try:
        return {name: Permission(action) for name, action in column.items()}
    except ValueError as error:
        raise ValueError(f"`commands`: {error}") from error


def _command_rules(column: Mapping[str, str]) -> dict[str, CommandRules]:
    try:
        return {name: rules_of(json.loads(text)) for name, text in column.items()}
    except (AttributeError, TypeError, ValueError) as error:
        raise ValueError(f"`command_rules`: {error}") from error


def _lists(column: object) -> dict[str, frozenset[str]]:
    if not isinstance(column, dict):
        raise ValueError("`lists`: is no mapping")  # noqa: TRY004 - as all that a row can be
    known = cast("dict[str, list[str]]", column)
    return {key: frozenset(listed) for key, listed in known.items()}


def _budgets(column: Mapping[str, Mapping[str, str]]) -> dict[Budget, Rate]:
    try:
        return {
            Budget(name): Rate(per_second=int(rate["per_second"]), burst=int(rate["burst"]))
            for name, rate in column.items()
        }
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"`budgets`: {error}") from error


def _lacking(column: object) -> frozenset[Feature]:
    # A row of a release before there were tiers names none, and its tenant has all.
    if column is None:
        return frozenset()
    if not isinstance(column, dict):
        raise ValueError("`features`: is no mapping")  # noqa: TRY004 - as all that a row can be
    offered = cast("dict[str, object]", column)
    # Fail closed: what a row does not offer in so many words, its tenant does not have.
    return frozenset(feature for feature in Feature if offered.get(feature) != "yes")


def _templates(column: Mapping[str, Mapping[str, str]]) -> dict[str, GrantTemplate]:
    return {
        name: GrantTemplate(
            statement=template["statement"], actions=frozenset(template["actions"].split())
        )
        for name, template in column.items()
    }


def _is_rate(rate: Rate) -> bool:
    return 1 <= rate.per_second <= MOST_PER_SECOND and 1 <= rate.burst <= MOST_PER_SECOND


def _is_tree(groups: GroupParents) -> bool:
    """Whether each group has a group's name and lies in known ones, and none in itself."""
    try:
        with_ancestors(groups, groups)
    except CircularGroupsError:
        return False
    return all(
        wire.is_device_id(group) and group != ROOT_GROUP and set(parents) <= groups.keys()
        for group, parents in groups.items()
    )


def _is_client(tenant: Tenant, client_id: str | None) -> bool:
    """Whether a client, if the row names one, is one whose tokens are accepted."""
    return client_id is None or client_id in tenant.client_ids


def _is_agent(tenant: Tenant) -> bool:
    """Likewise; of an agent it is no other's too, or people would be taken for one."""
    agent = tenant.agent_client_id
    others = (tenant.console_client_id, tenant.cli_client_id)
    return _is_client(tenant, agent) and (agent is None or agent not in others)


def _is_role(arn: str, account_id: str) -> bool:
    match = _ROLE.fullmatch(arn)
    return match is not None and match["account"] == account_id
