"""A table that was deleted comes back from the backup that its deletion leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from infra.local.cloud import EmbeddedCloud


def _system_backups(client: Any, table: str) -> list[dict[str, Any]]:
    return client.list_backups(TableName=table, BackupType="SYSTEM")["BackupSummaries"]


def test_deleted_table_comes_back_in_its_own_name(embedded_cloud: EmbeddedCloud) -> None:
    """Protection comes off first; then its rows are back, without recovery, `ttl`, protection."""
    client = embedded_cloud.client("dynamodb")
    name = "was-deleted"
    client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        DeletionProtectionEnabled=True,
    )
    client.update_continuous_backups(
        TableName=name, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
    )
    client.put_item(TableName=name, Item={"id": {"S": "row"}, "value": {"S": "kept"}})

    with pytest.raises(ClientError, match="protected against deletion"):
        client.delete_table(TableName=name)
    assert _system_backups(client, name) == [], "nothing was deleted, so nothing is kept"

    client.update_table(TableName=name, DeletionProtectionEnabled=False)
    client.delete_table(TableName=name)
    (backup,) = _system_backups(client, name)
    assert backup["BackupName"] == f"{name}$DeletedTableBackup"
    own = client.list_backups(TableName=name)["BackupSummaries"]
    assert own == [], "a caller's own are listed if no type is asked for"
    assert len(client.list_backups(TableName=name, BackupType="ALL")["BackupSummaries"]) == 1

    client.restore_table_from_backup(TargetTableName=name, BackupArn=backup["BackupArn"])
    assert client.scan(TableName=name)["Items"] == [{"id": {"S": "row"}, "value": {"S": "kept"}}]
    told = client.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
    recovery = told["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"]
    table = client.describe_table(TableName=name)["Table"]
    assert (recovery, table.get("DeletionProtectionEnabled", False)) == ("DISABLED", False)


def test_table_without_recovery_leaves_no_backup(embedded_cloud: EmbeddedCloud) -> None:
    """What was deleted with recovery off is gone for good."""
    client = embedded_cloud.client("dynamodb")
    client.create_table(
        TableName="was-never-kept",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
    )
    client.delete_table(TableName="was-never-kept")
    assert _system_backups(client, "was-never-kept") == []
