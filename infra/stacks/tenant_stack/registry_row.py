"""The tenant's row of the registry: by it the service finds everything else of the tenant from a token's issuer."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws


@dataclass(frozen=True, kw_only=True)
class RegistryRowArgs:
    """The table and every column of the row; the names are the columns', and `suspended` decides `status`."""

    tenants_table: pulumi.Output[str]
    tenant: str
    display_name: str
    suspended: bool
    issuer: pulumi.Output[str]
    region: pulumi.Output[str]
    account_id: pulumi.Output[str]
    jwks_uri: pulumi.Output[str]
    sign_in_url: pulumi.Output[str]
    client_ids: list[pulumi.Output[str]]
    policy_store_id: pulumi.Output[str]
    policy_names: pulumi.Output[dict[str, str]]
    role_arn: pulumi.Output[str]
    thing_group: pulumi.Output[str]
    bucket: pulumi.Output[str]
    presign_role_arn: pulumi.Output[str]
    commands: dict[str, str]


class RegistryRow(pulumi.ComponentResource):
    """One item of the registry table, written last: the service knows a tenant only when all of it stands."""

    def __init__(
        self, name: str, args: RegistryRowArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("cedarfleet:tenant:RegistryRow", name, None, opts)
        columns = {
            key: value
            for key, value in vars(args).items()
            if key not in ("tenants_table", "suspended")
        }
        columns["status"] = "SUSPENDED" if args.suspended else "ACTIVE"
        aws.dynamodb.TableItem(
            f"{name}-row",
            table_name=args.tenants_table,
            hash_key="issuer",
            item=pulumi.Output.all(**columns).apply(registry_item),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({})


def registry_item(columns: dict[str, Any]) -> str:
    """The row in DynamoDB's JSON: texts as S, `client_ids` as SS, the two maps as M of S."""
    item: dict[str, Any] = {}
    for column, value in columns.items():
        if isinstance(value, str):
            item[column] = {"S": value}
        elif isinstance(value, list):
            item[column] = {"SS": sorted(value)}  # pyright: ignore[reportUnknownArgumentType] - texts, by the args
        else:
            item[column] = {"M": {key: {"S": text} for key, text in value.items()}}
    return json.dumps(item, sort_keys=True)
