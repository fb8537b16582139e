"""DynamoDB's point-in-time recovery: a table as it was, not as it is."""

# ruff: noqa: SLF001 - the emulator is untyped, and private names are all that it has

from __future__ import annotations

import copy
import json
from collections import deque
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from infra.local.cloud.limits.refusals import refusal
from infra.local.cloud.limits.table import RESTORABLE

if TYPE_CHECKING:
    from infra.local.cloud.emulator import Emulator

_DYNAMODB: Final = "services.dynamodb"
_SYSTEM_BACKUP_SECONDS: Final = 35 * 86_400
_KEPT: Final = 20_000
"""Changes of a table that can be undone; AWS keeps 35 days, a laptop less."""


class _Change(NamedTuple):
    at: float
    keys: tuple[Any, Any]
    before: dict[str, Any] | None


@dataclass
class _Journal:
    """What stood before each change of a table, since when that is known.

    It holds the table, so that no other gets its `id()`.
    """

    table: Any
    since: float
    changes: deque[_Change] = field(default_factory=deque[_Change])

    def note(self, change: _Change) -> None:
        """Keep it; the oldest makes room."""
        if len(self.changes) == _KEPT:
            self.since = self.changes.popleft().at
        self.changes.append(change)


def tables_are_restored_to_a_moment(emulator: Emulator) -> None:
    """Restore a table as it stood then; the emulator copies it as it stands, whatever is asked.

    A moment is refused before recovery was switched on, before the oldest change that is known,
    and in the last minutes, as by AWS. Of a cloud that was started again, before its start.
    A table that is deleted while recovery is on leaves a backup of the system (source: DynamoDB
    developer guide, "Before you begin using point in time recovery").
    """
    recovery = _Recovery(emulator)
    for name, correction in {
        "_set_item": recovery.set_item,
        "_remove_item": recovery.remove_item,
        "_update_continuous_backups": recovery.switched,
        "_describe_continuous_backups": recovery.described,
        "_restore_table_to_point_in_time": recovery.restored,
        "_delete_table": recovery.deleted,
        "_list_backups": recovery.listed,
    }.items():
        emulator.replace(_DYNAMODB, name, correction)


class _Recovery:
    """Each method makes of the emulator's function one that notes changes, or asks for them."""

    def __init__(self, emulator: Emulator) -> None:
        self._tables: Any = emulator.module(_DYNAMODB)
        self._limits = emulator.limits
        self._journals: dict[int, _Journal] = {}  # by the table that the emulator holds

    def set_item(self, original: Any) -> Any:
        def change(table: Any, pk: Any, sk: Any, item: Any) -> Any:
            self._note(table, (pk, sk), table["items"].get(pk, {}).get(sk))
            return original(table, pk, sk, item)

        return change

    def remove_item(self, original: Any) -> Any:
        def change(table: Any, pk: Any, sk: Any) -> Any:
            before = original(table, pk, sk)
            if before is not None:
                self._note(table, (pk, sk), before)
            return before

        return change

    def switched(self, original: Any) -> Any:
        def update(data: Any) -> Any:
            answer = original(data)
            if (table := self._tables._tables.get(data["TableName"])) is not None:
                self._journals.pop(id(table), None)
                self._of(table)
            return answer

        return update

    def deleted(self, original: Any) -> Any:
        def delete(data: Any) -> Any:
            name = data["TableName"]
            table, kept = self._tables._tables.get(name), None
            if self._tables._pitr_settings.get(name) and table is not None:
                last = {"TableName": name, "BackupName": f"{name}$DeletedTableBackup"}
                made = json.loads(self._tables._create_backup(last)[2])
                kept = made["BackupDetails"]["BackupArn"]
                self._tables._backups[kept]["BackupDetails"]["BackupType"] = "SYSTEM"
            answer = original(data)
            if name not in self._tables._tables:
                self._journals.pop(id(table), None)
            elif kept is not None:  # it was refused, so nothing was deleted
                del self._tables._backups[kept]
            return answer

        return delete

    def listed(self, original: Any) -> Any:
        """Those of the type that is asked for, the callers' own if none is; for 35 days.

        Source: DynamoDB API reference, `ListBackups`; the emulator lists all, whatever is asked.
        """

        def list_backups(data: Any) -> Any:
            ended = self._limits.clock.now() - _SYSTEM_BACKUP_SECONDS
            for arn, kept in list(self._tables._backups.items()):
                about = kept["BackupDetails"]
                if about["BackupType"] == "SYSTEM" and about["BackupCreationDateTime"] < ended:
                    del self._tables._backups[arn]
            status, headers, body = original(data)
            told, asked = json.loads(body), data.get("BackupType", "USER")
            told["BackupSummaries"] = [
                one for one in told["BackupSummaries"] if asked in ("ALL", one["BackupType"])
            ]
            return status, headers, json.dumps(told).encode()

        return list_backups

    def described(self, original: Any) -> Any:
        def describe(data: Any) -> Any:
            status, headers, body = original(data)
            told = json.loads(body)
            backups = told.get("ContinuousBackupsDescription", {})
            recovery = backups.get("PointInTimeRecoveryDescription", {})
            if recovery.get("PointInTimeRecoveryStatus") != "ENABLED":
                return status, headers, body
            since = self._of(self._tables._tables[data["TableName"]]).since
            recovery["EarliestRestorableDateTime"] = since
            recovery["LatestRestorableDateTime"] = max(since, self._latest())
            return status, headers, json.dumps(told).encode()

        return describe

    def restored(self, original: Any) -> Any:
        def restore(data: Any) -> Any:
            name = data.get("SourceTableName", "")
            source = self._tables._tables.get(name)
            if source is None:
                return original(data)
            if not self._tables._pitr_settings.get(name):
                code = "PointInTimeRecoveryUnavailableException"
                return refusal("dynamodb", code, f"Point in time recovery is not enabled: {name}")
            known, latest = self._of(source), self._latest()
            newest = data.get("UseLatestRestorableTime")
            at = max(known.since, latest) if newest else data.get("RestoreDateTime", 0)
            if not known.since <= at <= max(known.since, latest):
                words = f"The specified restore point is not available: {at}"
                return refusal("dynamodb", "InvalidRestoreTimeException", words)
            answer = original(data)
            if answer[0] == HTTPStatus.OK:
                target = self._tables._tables[data["TargetTableName"]]
                _undo(target["items"], known, at)
                self._tables._items_replaced(target)
            return answer

        return restore

    def _latest(self) -> float:
        return self._limits.clock.now() - self._limits.seconds(RESTORABLE)

    def _note(self, table: Any, keys: tuple[Any, Any], before: Any) -> None:
        # The emulator puts another item in an item's place and never changes one.
        if self._tables._pitr_settings.get(table["TableName"]):
            self._of(table).note(_Change(self._limits.clock.now(), keys, before))

    def _of(self, table: Any) -> _Journal:
        new = _Journal(table, self._limits.clock.now())
        return self._journals.setdefault(id(table), new)


def _undo(items: Any, journal: _Journal, at: float) -> None:
    """Take back what came after the moment, the last first."""
    for change in reversed(journal.changes):
        if change.at <= at:
            return
        pk, sk = change.keys
        if change.before is not None:
            items[pk][sk] = copy.deepcopy(change.before)
        elif pk in items:
            items[pk].pop(sk, None)
            if not items[pk]:
                del items[pk]
