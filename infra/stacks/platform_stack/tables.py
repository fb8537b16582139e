"""The shared tables (tenants, devices, commands, audit), keyed so that IAM parts the tenants."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from infra import names


@dataclass(frozen=True, kw_only=True)
class TablesArgs:
    """`protect`: refuse to delete the tables, by Pulumi and by DynamoDB."""

    protect: bool


class Tables(pulumi.ComponentResource):
    """DynamoDB tables, on demand, encrypted, restorable to any second of the last 35 days.

    The keys of devices, commands and audit start with `<tenant>--`: `dynamodb:LeadingKeys` in the
    tenant's role confines it to its own rows. Rows of commands and audit leave by the attribute
    `ttl` (epoch seconds); what is known of a device stays.

    All devices of a tenant are one partition, `<tenant>--devices`. A partition gives 3,000 read
    units a second (source: DynamoDB developer guide, "partition key design"), and a device's rows
    are read for each command: when a tenant passes about 5,000 devices, `<tenant>--devices` becomes
    `<tenant>--devices#0` to `#7`, by the first hex digit of the device id's SHA-256. The role's
    prefix admits these already; rules, adapter and take-over then take the digit into the key. Not
    built.
    """

    tenants: aws.dynamodb.Table
    devices: aws.dynamodb.Table
    commands: aws.dynamodb.Table
    audit: aws.dynamodb.Table

    def __init__(
        self, name: str, args: TablesArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("cedarfleet:platform:Tables", name, None, opts)
        child = pulumi.ResourceOptions(parent=self, protect=args.protect)
        common: dict[str, Any] = {
            "billing_mode": "PAY_PER_REQUEST",
            "point_in_time_recovery": {"enabled": True},
            "server_side_encryption": {"enabled": True},
            "deletion_protection_enabled": args.protect,
        }
        self.tenants = aws.dynamodb.Table(
            f"{name}-tenants",
            name=names.TENANTS_TABLE,
            hash_key="issuer",
            attributes=[{"name": "issuer", "type": "S"}, {"name": "tenant", "type": "S"}],
            global_secondary_indexes=[
                {
                    "name": names.TENANTS_BY_TENANT_INDEX,
                    "key_schemas": [{"attribute_name": "tenant", "key_type": "HASH"}],
                    "projection_type": "ALL",
                }
            ],
            **common,
            opts=child,
        )
        self.devices = aws.dynamodb.Table(
            f"{name}-devices",
            name=names.DEVICES_TABLE,
            hash_key="partition",
            range_key="sk",
            attributes=[{"name": "partition", "type": "S"}, {"name": "sk", "type": "S"}],
            **common,
            opts=child,
        )
        self.commands = aws.dynamodb.Table(
            f"{name}-commands",
            name=names.COMMANDS_TABLE,
            hash_key="thing",
            range_key="sk",
            attributes=[{"name": "thing", "type": "S"}, {"name": "sk", "type": "S"}],
            ttl={"attribute_name": "ttl", "enabled": True},
            **common,
            opts=child,
        )
        self.audit = aws.dynamodb.Table(
            f"{name}-audit",
            name=names.AUDIT_TABLE,
            hash_key="partition",
            range_key="sk",
            attributes=[{"name": "partition", "type": "S"}, {"name": "sk", "type": "S"}],
            ttl={"attribute_name": "ttl", "enabled": True},
            **common,
            opts=child,
        )
        self.register_outputs(
            {
                "tenants": self.tenants.name,
                "devices": self.devices.name,
                "commands": self.commands.name,
                "audit": self.audit.name,
            }
        )
