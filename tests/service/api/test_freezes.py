"""Managers freeze a group and thaw it, over HTTP; what is cut off in it lets nothing through."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from service.adapters.memory.freezes import MemoryFreezePolicies
from service.domain.freezes import FreezeState

if TYPE_CHECKING:
    from service.domain.freezes import Freeze
    from service.domain.tenants import Tenant
    from tests.service.conftest import ServiceUnderTest

URL = "/v1/groups/line-press/freeze"
WHY = {"reason": "a recall"}


def told(service: ServiceUnderTest) -> frozenset[str]:
    """Fingerprints that every process is told of."""
    return service.ports.revocations.granted.get("acme", frozenset())


def held(service: ServiceUnderTest) -> list[str]:
    """Statements of freezes in acme's store."""
    policies = service.ports.freeze_policies.held
    return [text for (owner, _), text in policies.items() if owner == "acme"]


def row(service: ServiceUnderTest) -> Freeze:
    """The group's row."""
    return service.ports.freeze_records.rows["acme", "line-press"]


def test_a_group_is_frozen_once_and_thawed(service: ServiceUnderTest) -> None:
    """Told and held while it stands; a repetition changes nothing; frozen anew it is another."""
    answer = service.call("PUT", URL, json=WHY)
    assert answer.status_code == 200, answer.text
    frozen = answer.json()
    assert (frozen["group"], frozen["state"], frozen["reason"]) == (
        "line-press", "frozen", "a recall",
    )  # fmt: skip
    [statement] = held(service)
    assert 'resource in Fleet::DeviceGroup::"line-press"' in statement
    assert told(service) == {row(service).mark}
    assert service.call("PUT", URL, json={"reason": "again"}).json() == frozen
    assert service.call("GET", URL, as_="operators").json() == frozen
    assert (held(service), len(told(service))) == ([statement], 1)

    thawed = service.call("DELETE", URL)
    assert (thawed.status_code, thawed.json()["state"]) == (200, "thawed")
    assert (held(service), told(service)) == ([], frozenset())
    for method in ("GET", "DELETE"):
        assert service.call(method, URL).status_code == 404
    again = service.call("PUT", URL, json=WHY).json()
    assert again["policy"] != frozen["policy"]
    assert row(service).over_by == ""


def test_who_may_not_is_refused(service: ServiceUnderTest) -> None:
    """Neither freezing nor thawing; and nothing of it is done."""
    for method, body in (("PUT", {"json": WHY}), ("DELETE", {})):
        answer = service.call(method, URL, as_="operators", **body)
        assert answer.status_code == 403, answer.text
    assert (held(service), told(service)) == ([], frozenset())
    service.call("PUT", URL, json=WHY)
    assert service.call("DELETE", URL, as_="operators").status_code == 403
    assert len(held(service)) == 1


@pytest.mark.parametrize("method", ["PUT", "GET", "DELETE"])
def test_a_group_that_is_not_there_is_404(service: ServiceUnderTest, method: str) -> None:
    """A freeze of it would look like a switch that works."""
    body: dict[str, Any] = {"json": WHY} if method == "PUT" else {}
    answer = service.call(method, "/v1/groups/line-pres/freeze", **body)
    assert answer.status_code == 404, answer.text
    assert service.ports.freeze_records.rows == {}


@pytest.mark.parametrize("body", [{}, {"reason": ""}, {"reason": "x" * 501}, {"reason": 1}])
def test_a_freeze_needs_a_reason(service: ServiceUnderTest, body: dict[str, Any]) -> None:
    """For whoever meets it."""
    assert service.call("PUT", URL, json=body).status_code == 400
    assert service.ports.freeze_records.rows == {}


def test_the_whole_fleet_can_be_frozen(service: ServiceUnderTest) -> None:
    """By the group that every device is in."""
    answer = service.call("PUT", "/v1/groups/all/freeze", json=WHY)
    assert answer.status_code == 200, answer.text
    assert 'DeviceGroup::"all"' in held(service)[0]


def test_what_was_cut_off_goes_on_by_a_repetition(service: ServiceUnderTest) -> None:
    """With the policy that was begun; until then no copy decides, since it is told."""
    store = service.ports.freeze_policies
    store.available = False
    assert service.call("PUT", URL, json=WHY).status_code == 503
    begun = row(service)
    assert (begun.state, told(service)) == (FreezeState.FREEZING, {begun.mark})
    store.available = True
    assert service.call("PUT", URL, json=WHY).json()["state"] == "frozen"
    assert row(service).freeze_id == begun.freeze_id

    store.available = False
    assert service.call("DELETE", URL).status_code == 503
    assert service.call("GET", URL).json()["state"] == "thawing"
    assert len(held(service)) == 1, "as long as the store has it, it forbids"
    store.available = True
    assert service.call("DELETE", URL).json()["state"] == "thawed"
    assert (held(service), told(service)) == ([], frozenset())


def test_a_freeze_after_a_thaw_that_was_cut_off(service: ServiceUnderTest) -> None:
    """The thaw is ended first, so that of two policies none is left behind."""
    store = service.ports.freeze_policies
    service.call("PUT", URL, json=WHY)
    store.available = False
    service.call("DELETE", URL)
    store.available = True
    assert service.call("PUT", URL, json={"reason": "anew"}).json()["reason"] == "anew"
    assert held(service) == [row(service).statement]
    assert told(service) == {row(service).mark}


def test_a_store_without_room_is_409(service: ServiceUnderTest) -> None:
    """And then nothing is told or recorded as if it stood."""
    service.ports.freeze_policies.full = True
    assert service.call("PUT", URL, json=WHY).status_code == 409
    assert (row(service).state, told(service)) == (FreezeState.THAWED, frozenset())


def test_who_thaws_meanwhile_wins(service: ServiceUnderTest) -> None:
    """A freeze that is overtaken takes its policy back, and says so."""
    records = service.ports.freeze_records
    freezes = service.app.state.operations.freezes

    class Overtaken(MemoryFreezePolicies):
        async def put(self, tenant: Tenant, freeze: Freeze) -> str:
            # Somebody else has ended it before the store took it.
            records.rows[tenant.id, freeze.group] = replace(
                freeze, state=FreezeState.THAWED, version=freeze.version + 2
            )
            return await super().put(tenant, freeze)

    store = Overtaken()
    service.app.state.operations.freezes = replace(freezes, policies=store)
    answer = service.call("PUT", URL, json=WHY)
    assert (answer.status_code, store.held, told(service)) == (409, {}, frozenset())
    assert row(service).state is FreezeState.THAWED


def test_both_are_in_the_audit(service: ServiceUnderTest) -> None:
    """With the action, the group and the reason."""
    service.call("PUT", URL, json=WHY)
    service.call("DELETE", URL)
    entries = service.call("GET", "/v1/audit", params={"action": "FreezeGroup"}).json()["entries"]
    assert [one["decision"] for one in entries] == ["ALLOW", "ALLOW"]
    assert {one["resource"] for one in entries} == {'Fleet::DeviceGroup::"line-press"'}
    assert entries[-1]["subject"] == "a recall"
