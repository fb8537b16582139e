"""Rows of plans: what a filter or names selected is read as it was stored."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest

from service.adapters.aws.cursors import seal
from service.adapters.aws.plans import plan_items
from service.adapters.memory.plans import MemoryPlans
from service.domain.device_filter import DeviceFilter
from service.domain.downloads import TargetKind
from service.domain.plans import Verdict
from service.domain.selections import Selection
from service.errors import InvalidRequestError
from tests.service.adapters.aws.every_call import ID, PLAN, PLANNED, ports_of

if TYPE_CHECKING:
    from service.domain.plans import Plan, PlannedDevice
    from service.domain.tenants import Tenant
    from service.ports import Plans
    from tests.service.adapters.aws.answered_line import Answer, AnsweredDoor, Call


@pytest.mark.parametrize(
    "selection",
    [
        Selection(devices=("press-01", "press-02")),
        Selection(
            wanted=DeviceFilter(
                attributes={"kind": "press"},
                tags={"building": None},
                connected=False,
                versions={"firmware": "2"},
            )
        ),
        Selection(wanted=DeviceFilter()),
    ],
    ids=["names", "filter", "every-device"],
)
def test_a_selection_is_read_as_it_was_stored(
    door: AnsweredDoor, acme: Tenant, selection: Selection
) -> None:
    """Also a filter that asks nothing, which is not none."""
    made = replace(PLAN, target_kind=TargetKind.SELECTION, selection=selection)
    *_, record = plan_items(acme, made, [PLANNED])
    door.answer = lambda _: {"Item": record}

    async def scenario() -> object:
        return await ports_of(door).plans.read(acme, ID)

    assert asyncio.run(scenario()) == made


def test_a_plan_for_a_group_has_no_member_more(acme: Tenant) -> None:
    """A service of the release before reads it, since it takes no member that it does not know."""
    *_, record = plan_items(acme, PLAN, [PLANNED])
    assert "selection" not in json.loads(record["plan"]["S"])


@dataclass
class KeptRows:
    """The commands table, of which the plan's rows are all."""

    rows: dict[str, dict[str, Any]] = field(default_factory=dict[str, "dict[str, Any]"])
    written: list[list[str]] = field(default_factory=list["list[str]"])

    def __call__(self, call: Call) -> Answer:
        """What AWS says."""
        asked = call.arguments
        if call.operation == "TransactWriteItems":
            items = [each["Put"]["Item"] for each in asked["TransactItems"]]
            self.rows |= {item["sk"]["S"]: item for item in items}
            self.written.append([item["sk"]["S"] for item in items])
            return {}
        assert asked["ConsistentRead"] is True
        if call.operation == "GetItem":
            found = self.rows.get(asked["Key"]["sk"]["S"])
            return {} if found is None else {"Item": found}
        assert asked["ExpressionAttributeValues"][":prefix"] == {"S": "part#"}
        return {"Items": [row for sk, row in sorted(self.rows.items()) if sk.startswith("part#")]}


def planned(number: int) -> tuple[Plan, list[PlannedDevice]]:
    """A plan for so many devices, of which each third is denied."""
    devices = [
        replace(PLANNED, id=f"press-{index:04}", origin=f"thing-{index:04}")
        if index % 3 == 0
        else replace(
            PLANNED, id=f"press-{index:04}", verdict=Verdict.ALLOWED, policies=("q", "r"), reason=""
        )
        for index in range(number)
    ]
    return replace(PLAN, counts=dict(Counter(one.verdict for one in devices))), devices


@pytest.mark.parametrize("number", [0, 1, 99, 100, 101, 250, 2600])
@pytest.mark.parametrize("twin", [True, False], ids=["twin", "aws"])
def test_a_plan_is_shown_page_by_page(
    door: AnsweredDoor, acme: Tenant, number: int, *, twin: bool
) -> None:
    """Each device once and in order, by pages of any length; the record is written last of all."""
    kept, (plan, devices) = KeptRows(), planned(number)
    door.answer = kept
    plans: Plans = MemoryPlans() if twin else ports_of(door).plans

    async def paged(limit: int) -> list[list[PlannedDevice]]:
        found: list[list[PlannedDevice]] = []
        cursor = None
        while cursor is not None or not found:
            page = await plans.page(acme, plan, limit=limit, cursor=cursor)
            found.append([*page.devices])
            cursor = page.cursor
        return found

    async def scenario() -> None:
        assert await plans.read(acme, ID) is None
        await plans.store(acme, plan, devices)
        assert await plans.read(acme, ID) == plan
        assert [*await plans.devices(acme, plan)] == devices
        for limit in (1, 40, 100, 150, max(number, 1), number + 1):
            if number // limit > 60:
                continue
            pages = await paged(limit)
            assert [one for page in pages for one in page] == devices
            assert all(len(page) == limit for page in pages[:-1])
            assert len(pages) == max(1, -(-number // limit))

    asyncio.run(scenario())
    if not twin:
        assert kept.written[-1][-1] == "record"
        assert all(len(rows) == 25 for rows in kept.written[:-1])
        assert len(kept.rows) == -(-number // 100) + 1
        assert {row["ttl"]["N"] for row in kept.rows.values()} == {str(plan.expires_at // 1000)}


@pytest.mark.parametrize("twin", [True, False], ids=["twin", "aws"])
def test_a_cursor_of_something_else_is_refused(
    door: AnsweredDoor, acme: Tenant, *, twin: bool
) -> None:
    """Of another plan, or one that somebody has made up; a part that is gone ends the page."""
    kept, (plan, devices) = KeptRows(), planned(250)
    door.answer = kept
    plans: Plans = MemoryPlans() if twin else ports_of(door).plans

    async def scenario() -> None:
        await plans.store(acme, plan, devices)
        made_up = ["x", "", "-1", seal(f"plan:acme:{ID}", "x"), seal("plan:globex:1", "1")]
        for cursor in made_up:
            with pytest.raises(InvalidRequestError, match="cursor"):
                await plans.page(acme, plan, limit=10, cursor=cursor)
        if not twin:
            del kept.rows["part#01"]
            page = await plans.page(acme, plan, limit=150, cursor=None)
            assert [*page.devices] == devices[:100]
            assert page.cursor == seal(f"plan:acme:{ID}", "100")

    asyncio.run(scenario())
