"""Rows of a later release, beside which this one runs for a while, are read as something honest."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from service.adapters.aws.commands import DynamoCommandRecords
from service.adapters.aws.files import DynamoFileRecords
from service.domain.commands import CommandRecord, CommandRecordState, IfOffline, status_of
from service.domain.files import FileState, FileVersion
from service.domain.grants import GrantState
from service.domain.machines import MachineState
from service.domain.wanted_versions import WishState
from service.settings import RecordSettings

if TYPE_CHECKING:
    from service.domain.tenants import Tenant
    from tests.service.adapters.aws.answered_line import AnsweredDoor, Call

NEW = {"S": "of-2030"}
COMMAND = CommandRecord(
    command_id="01J00000000000000000000000",
    tenant="acme",
    device="press-07",
    name="reboot",
    arguments={},
    created_by="someone",
    created_at=1,
    expires_at=2,
    state=CommandRecordState.PUBLISHING,
)


class Written:
    """Keeps what was put, and answers reads with that, changed as a later release would."""

    def __init__(self, door: AnsweredDoor, **changes: dict[str, Any]) -> None:
        self.items: dict[str, dict[str, Any]] = {}
        self.changes = changes
        door.answer = self

    def __call__(self, call: Call) -> dict[str, Any]:
        """One call of DynamoDB."""
        arguments = call.arguments
        puts = [one["Put"]["Item"] for one in arguments.get("TransactItems", ()) if "Put" in one]
        for item in [*puts, *([arguments["Item"]] if "Item" in arguments else [])]:
            self.items[item["sk"]["S"]] = item
        if call.operation == "GetItem":
            item = self.items.get(arguments["Key"]["sk"]["S"])
            return {"Item": self._later(item)} if item else {}
        if call.operation == "Query":
            return {"Items": [self._later(one) for one in self.items.values()]}
        return {}

    def _later(self, item: dict[str, Any]) -> dict[str, Any]:
        return item | {name: text for name, text in self.changes.items() if name in item}


@pytest.mark.parametrize(
    "states", [CommandRecordState, FileState, GrantState, MachineState, WishState]
)
def test_a_state_of_a_later_release_is_unknown(states: Any) -> None:
    """Each state that this release has is itself, whatever else stands there is `unknown`."""
    assert [states.of_row(str(one)) for one in states] == [*states]
    assert [states.of_row(text) for text in ("of-2030", "")] == [states.UNKNOWN] * 2


def test_a_commands_later_state_is_unknown(door: AnsweredDoor, acme: Tenant) -> None:
    """Not final, before and after its time, and nobody sends it again or calls it anything else."""
    Written(door, state=NEW, if_offline=NEW)
    records = DynamoCommandRecords(aws=door, settings=RecordSettings())

    async def scenario() -> CommandRecord:
        await records.create(acme, COMMAND, None)
        found = await records.read(acme, COMMAND.command_id)
        assert found is not None
        assert await records.unanswered(acme, "press-07", since_ms=0) == [found.record]
        return found.record

    record = asyncio.run(scenario())
    assert (record.state, record.if_offline) == (CommandRecordState.UNKNOWN, IfOffline.REFUSE)
    for now in (1, 10**9):
        status = status_of(record, (), now_ms=now, retired_at=None)
        assert (status.state, status.is_final) == ("unknown", False)
        assert not record.may_be_claimed(now)
    for state in CommandRecordState:
        assert not record.may_become(replace(COMMAND, state=state))


def test_what_is_settled_passes_over_no_later_state(door: AnsweredDoor, acme: Tenant) -> None:
    """The condition names the states that a release knows to come before, and no other."""
    records = DynamoCommandRecords(aws=door, settings=RecordSettings())
    asyncio.run(records.settle(acme, replace(COMMAND, state=CommandRecordState.PUBLISHED)))
    [call] = door.calls
    values = {
        one["S"] for one in call.arguments["ExpressionAttributeValues"].values() if "S" in one
    }
    assert {"created", "publishing", "unconfirmed", "published"} <= values
    assert not {"received", "failed", "unknown"} & values


def test_a_files_later_state_is_unknown(door: AnsweredDoor, acme: Tenant) -> None:
    """It is shown, and no device gets it."""
    Written(door, state=NEW)
    records = DynamoFileRecords(aws=door, settings=RecordSettings())
    file = FileVersion(
        file_id="01J00000000000000000000000",
        tenant="acme",
        name="recipes/steel.json",
        size=1,
        sha256="ab" * 32,
        part_size=5,
        upload="upload",
        created_by="someone",
        created_at=1,
        changed_at=1,
        state=FileState.AVAILABLE,
    )

    async def scenario() -> FileVersion | None:
        await records.create(acme, file, None)
        return await records.read(acme, file.file_id)

    found = asyncio.run(scenario())
    assert found is not None
    assert found.state is FileState.UNKNOWN
    assert found.artifact().sha256 is None
