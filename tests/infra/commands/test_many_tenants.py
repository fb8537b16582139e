"""One command stamps many tenants, over a kill; how 300 fare, `make bench` measures if asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from infra import names
from tests.infra.bus_listener import BusListener, told
from tests.infra.plenty_of_tenants import plenty_of_tenants

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BOUNDED, FULL, AT_ONCE = 7, 12, 4  # tenants, of which each is a process of two or three seconds
KILLED_AFTER: Final = 3


@pytest.mark.soak
@pytest.mark.timeout(600)  # a process for each tenant, of which some share a core
def test_a_release_over_many_tenants_survives_a_kill(
    tmp_path: Path, faults: Callable[[int, int], int]
) -> None:
    """What is done stays done, all others come, each is told of, and memory does not grow."""
    number = faults(BOUNDED, FULL)
    with plenty_of_tenants(tmp_path, number) as plenty:
        cloud = plenty.project.cloud
        listener = BusListener.begin(cloud)
        killed = plenty.release(parallel=AT_ONCE, kill_after=KILLED_AFTER)
        assert (killed.code, len(killed.ended)) == (-9, KILLED_AFTER), killed.said
        before = {name: one for name, one in plenty.report.stacks.items() if one.state == "done"}
        assert set(killed.ended) <= {*before}

        resumed = plenty.release(parallel=AT_ONCE, resumed=True)
        assert resumed.code == 0, resumed.said
        assert f"{number} of {number} done" in resumed.said[-1]
        assert {one.state for one in plenty.report.stacks.values()} == {"done"}
        assert {name: plenty.report.stacks[name] for name in before} == before
        assert not {*resumed.ended} & {*before}
        registered = {
            row["tenant"]["S"]
            for row in cloud.client("dynamodb").scan(TableName=names.TENANTS_TABLE)["Items"]
            if "tenant" in row
        }
        assert registered == {*plenty.tenants}
        heard = listener.heard()

    expected = [("tenant.onboarded", tenant) for tenant in plenty.tenants]
    assert sorted(set(told(heard))) == expected
    assert len({event["detail"]["id"] for event in heard}) == number
    assert resumed.memory[-1] < 1.1 * resumed.memory[0]
