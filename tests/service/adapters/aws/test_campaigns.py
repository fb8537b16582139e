"""Rows of campaigns: who began one, a person or a machine, is read as it was written."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from service.adapters.aws.campaigns import DynamoCampaignRecords, campaign_item
from service.settings import RecordSettings
from tests.service.adapters.aws.every_call import CAMPAIGN

if TYPE_CHECKING:
    from service.domain.campaigns import CampaignRecord
    from service.domain.tenants import Tenant
    from tests.service.adapters.aws.answered_line import AnsweredDoor

OF_A_MACHINE = replace(CAMPAIGN, machine="mes", scopes=("fleet/view", "fleet/operate"))


def read(door: AnsweredDoor, acme: Tenant, item: dict[str, Any]) -> CampaignRecord | None:
    """What the adapter makes of a row."""
    door.answer = lambda _: {"Item": item}
    records = DynamoCampaignRecords(aws=door, settings=RecordSettings())
    return asyncio.run(records.read(acme, CAMPAIGN.campaign_id))


@pytest.mark.parametrize("record", [CAMPAIGN, OF_A_MACHINE], ids=["person", "machine"])
def test_a_campaign_is_read_as_it_was_written(
    door: AnsweredDoor, acme: Tenant, record: CampaignRecord
) -> None:
    """With the machine and the scopes of its token, if one began it."""
    assert read(door, acme, campaign_item(record)) == record


def test_a_row_of_a_person_names_no_machine() -> None:
    """It is the row of the release before, which knew persons alone."""
    assert campaign_item(OF_A_MACHINE).keys() - campaign_item(CAMPAIGN).keys() == {
        "machine",
        "scopes",
    }


def test_a_machines_row_without_scopes_has_none(door: AnsweredDoor, acme: Tenant) -> None:
    """Nobody's scopes are made up, and it is a machine's none the less: it stops."""
    item = campaign_item(OF_A_MACHINE)
    del item["scopes"]
    found = read(door, acme, item)
    assert found is not None
    assert (found.machine, found.scopes) == ("mes", ())
