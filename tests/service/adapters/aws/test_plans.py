"""Rows of plans: what a filter or names selected is read as it was stored."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from service.adapters.aws.plans import plan_items
from service.domain.device_filter import DeviceFilter
from service.domain.downloads import TargetKind
from service.domain.selections import Selection
from tests.service.adapters.aws.every_call import ID, PLAN, PLANNED, ports_of

if TYPE_CHECKING:
    from service.domain.tenants import Tenant
    from tests.service.adapters.aws.answered_line import AnsweredDoor


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
