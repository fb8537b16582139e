"""DynamoDB: tables and single items."""

# ruff: noqa: A002 - `id` is Pulumi's word, and the engine's

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from infra.local.engine.handler import Handler, Made
from infra.local.resources.absence import absent_is_fine, unless_absent
from infra.local.resources.tags import changed, differ, pairs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.local.engine.handler import Cloud


class Table(Handler):
    """`aws.dynamodb.Table`, on demand."""

    replace_on = frozenset({"name", "hashKey", "rangeKey", "attributes", "globalSecondaryIndexes"})
    autoname = "name"
    taggable = True

    def create(self, cloud: Cloud, inputs: dict[str, Any]) -> Made:
        """CreateTable, then what it does not take: point-in-time recovery and TTL."""
        client = cloud.client("dynamodb")
        indexes = [
            {
                "IndexName": index["name"],
                "KeySchema": [
                    {"AttributeName": key["attributeName"], "KeyType": key["keyType"]}
                    for key in index["keySchemas"]
                ],
                "Projection": {"ProjectionType": index["projectionType"]},
            }
            for index in inputs.get("globalSecondaryIndexes", [])
        ]
        keys = [{"AttributeName": inputs["hashKey"], "KeyType": "HASH"}]
        if "rangeKey" in inputs:
            keys.append({"AttributeName": inputs["rangeKey"], "KeyType": "RANGE"})
        made = client.create_table(
            TableName=inputs["name"],
            BillingMode=inputs["billingMode"],
            AttributeDefinitions=[
                {"AttributeName": attribute["name"], "AttributeType": attribute["type"]}
                for attribute in inputs["attributes"]
            ],
            KeySchema=keys,
            SSESpecification={
                "Enabled": inputs.get("serverSideEncryption", {}).get("enabled", False)
            },
            DeletionProtectionEnabled=inputs.get("deletionProtectionEnabled", False),
            Tags=pairs(inputs),
            **({"GlobalSecondaryIndexes": indexes} if indexes else {}),
        )["TableDescription"]
        self._set(cloud, inputs, {})
        return Made(inputs["name"], {**inputs, "arn": made["TableArn"]})

    def update(
        self, cloud: Cloud, id: str, old: dict[str, Any], inputs: dict[str, Any]
    ) -> dict[str, Any]:
        """UpdateTable for protection and encryption, then recovery, TTL and tags."""
        if differ(old, inputs, "billingMode", "deletionProtectionEnabled", "serverSideEncryption"):
            cloud.client("dynamodb").update_table(
                TableName=id,
                BillingMode=inputs["billingMode"],
                DeletionProtectionEnabled=inputs.get("deletionProtectionEnabled", False),
                SSESpecification={
                    "Enabled": inputs.get("serverSideEncryption", {}).get("enabled", False)
                },
            )
        self._set(cloud, inputs, old)
        client = cloud.client("dynamodb")
        if tags := pairs(inputs):
            client.tag_resource(ResourceArn=old["arn"], Tags=tags)
        if gone := changed(old, inputs):
            client.untag_resource(ResourceArn=old["arn"], TagKeys=gone)
        return {**inputs, "arn": old["arn"]}

    def read(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> dict[str, Any] | None:
        """DescribeTable, and what it does not tell: point-in-time recovery and TTL."""
        client = cloud.client("dynamodb")
        answer = unless_absent(client.describe_table, TableName=id)
        if answer is None:
            return None
        table = answer["Table"]
        found = {
            **outputs,
            "name": id,
            "arn": table["TableArn"],
            "deletionProtectionEnabled": table.get("DeletionProtectionEnabled", False),
        }
        if "pointInTimeRecovery" in outputs:
            backups = client.describe_continuous_backups(TableName=id)
            recovery = backups["ContinuousBackupsDescription"].get(
                "PointInTimeRecoveryDescription", {}
            )
            enabled = recovery.get("PointInTimeRecoveryStatus") == "ENABLED"
            found["pointInTimeRecovery"] = {**outputs["pointInTimeRecovery"], "enabled": enabled}
        if "ttl" in outputs:
            ttl = client.describe_time_to_live(TableName=id)["TimeToLiveDescription"]
            found["ttl"] = {
                **outputs["ttl"],
                "attributeName": ttl.get("AttributeName", ""),
                "enabled": ttl.get("TimeToLiveStatus") == "ENABLED",
            }
        return found

    def delete(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> None:
        """DeleteTable; refused by DynamoDB while deletion protection is on."""
        del outputs
        with absent_is_fine():
            cloud.client("dynamodb").delete_table(TableName=id)

    def find(self, cloud: Cloud, inputs: dict[str, Any]) -> str | None:
        """The table of that name."""
        return inputs["name"] if self.read(cloud, inputs["name"], {}) is not None else None

    def _set(self, cloud: Cloud, inputs: dict[str, Any], old: dict[str, Any]) -> None:
        client = cloud.client("dynamodb")
        recovery = inputs.get("pointInTimeRecovery", {}).get("enabled", False)
        if recovery != old.get("pointInTimeRecovery", {}).get("enabled", False):
            client.update_continuous_backups(
                TableName=inputs["name"],
                PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": recovery},
            )
        if (ttl := inputs.get("ttl")) and ttl != old.get("ttl"):
            client.update_time_to_live(
                TableName=inputs["name"],
                TimeToLiveSpecification={
                    "AttributeName": ttl["attributeName"],
                    "Enabled": ttl.get("enabled", False),
                },
            )


class TableItem(Handler):
    """`aws.dynamodb.TableItem`: one row that the stack owns."""

    replace_on = frozenset({"tableName", "hashKey", "rangeKey"})

    def create(self, cloud: Cloud, inputs: dict[str, Any]) -> Made:
        """PutItem; another row of the same key is refused, as the real provider does."""
        cloud.client("dynamodb").put_item(
            TableName=inputs["tableName"],
            Item=json.loads(inputs["item"]),
            ConditionExpression="attribute_not_exists(#key)",
            ExpressionAttributeNames={"#key": inputs["hashKey"]},
        )
        return Made(
            f"{inputs['tableName']}|{inputs['hashKey']}|{json.dumps(_key(inputs))}", dict(inputs)
        )

    def update(
        self, cloud: Cloud, id: str, old: dict[str, Any], inputs: dict[str, Any]
    ) -> dict[str, Any]:
        """PutItem; the row of a key that has changed leaves after the new one stands."""
        del id
        client = cloud.client("dynamodb")
        client.put_item(TableName=inputs["tableName"], Item=json.loads(inputs["item"]))
        if _key(old) != _key(inputs):
            client.delete_item(TableName=old["tableName"], Key=_key(old))
        return dict(inputs)

    def read(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> dict[str, Any] | None:
        """GetItem; a row that somebody else has changed shows."""
        del id
        answer = unless_absent(
            cloud.client("dynamodb").get_item,
            TableName=outputs["tableName"],
            Key=_key(outputs),
            ConsistentRead=True,
        )
        if answer is None or "Item" not in answer:
            return None
        item = answer["Item"]
        for value in item.values():
            if "SS" in value:
                value["SS"] = sorted(value["SS"])
        return {**outputs, "item": json.dumps(item, sort_keys=True)}

    def delete(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> None:
        """DeleteItem."""
        del id
        with absent_is_fine():
            cloud.client("dynamodb").delete_item(TableName=outputs["tableName"], Key=_key(outputs))


def _key(properties: dict[str, Any]) -> dict[str, Any]:
    item: dict[str, Any] = json.loads(properties["item"])
    return {
        properties[name]: item[properties[name]]
        for name in ("hashKey", "rangeKey")
        if name in properties
    }


HANDLERS: Final[Mapping[str, Handler]] = {
    "aws:dynamodb/table:Table": Table(),
    "aws:dynamodb/tableItem:TableItem": TableItem(),
}
