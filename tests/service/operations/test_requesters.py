"""Who began something is asked for again as they are now, and whoever is not them is refused."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from service.adapters.memory.budgets import MemoryBuckets
from service.adapters.memory.machines import MemoryMachines
from service.adapters.memory.people import MemoryPeople
from service.adapters.memory.user_pool import MemoryUserPool
from service.cedar.request import TokenBearer
from service.domain.machines import Machine, MachineState
from service.domain.people import Person
from service.errors import UnavailableError
from service.operations.budgets import Pace
from service.operations.people import READS
from service.operations.requesters import RequesterGoneError, machine_now, requester_now

ACME = MemoryUserPool("acme").tenant
KIM = Person(id="kim", subject="sub-kim", email="kim@acme.example", state="active", enabled=True)
KIMS = f"{ACME.pool_id}|sub-kim"
PRESS = Machine(
    tenant="acme",
    id="press-line",
    scopes=("view", "operate"),
    created_by="somebody",
    created_at=1,
    changed_at=1,
    client_id="client-1",
    state=MachineState.ACTIVE,
)
PRESSES = f"{ACME.pool_id}|client-1"
TOKEN = ("fleet/view", "fleet/operate")


def person_now(person: Person | None, entity_id: str = KIMS) -> Person:
    """The person of a pool that has this one, or nobody."""
    people = MemoryPeople()
    if person is not None:
        people.add("acme", person)
    pace = Pace(MemoryBuckets(), lambda: datetime(2026, 10, 1, tzinfo=UTC))
    return asyncio.run(requester_now(people, pace, ACME, name="kim", entity_id=entity_id))


def bearer_now(
    machine: Machine | None, entity_id: str = PRESSES, scopes: tuple[str, ...] = TOKEN
) -> TokenBearer:
    """The machine of rows that have this one, or none."""
    machines = MemoryMachines()
    if machine is not None:
        machines.rows["acme", machine.id] = machine
    asked = machine_now(machines, ACME, machine_id="press-line", entity_id=entity_id, scopes=scopes)
    return asyncio.run(asked)


def test_a_person_is_who_the_pool_shows_now() -> None:
    """With the groups of now."""
    now = replace(KIM, groups=("technicians",))
    assert person_now(now) == now


@pytest.mark.parametrize(
    ("person", "entity_id", "why"),
    [
        (None, KIMS, "not in the user pool any more"),
        (replace(KIM, subject="sub-other"), KIMS, "not in the user pool any more"),
        (KIM, "another-pool|sub-kim", "not in the user pool any more"),
        (KIM, "sub-kim", "not in the user pool any more"),
        (replace(KIM, enabled=False), KIMS, "is disabled"),
    ],
    ids=["gone", "same_name", "other_pool", "no_pool", "disabled"],
)
def test_a_person_who_is_not_them_now_is_refused(
    person: Person | None, entity_id: str, why: str
) -> None:
    """Gone, somebody else of the same name or id, or disabled."""
    with pytest.raises(RequesterGoneError, match=why):
        person_now(person, entity_id)


def test_questions_about_people_keep_the_pools_pace() -> None:
    """Of all tasks together: one more than the pool takes at once waits for its turn."""
    people, waited = MemoryPeople(), list[float]()
    people.add("acme", KIM)
    now = datetime(2026, 10, 1, tzinfo=UTC)

    async def sleep(seconds: float) -> None:
        nonlocal now
        waited.append(seconds)
        now += timedelta(seconds=seconds)

    async def scenario() -> None:
        pace = Pace(MemoryBuckets(), lambda: now, sleep=sleep)
        for _ in range(READS.rate.burst):
            await requester_now(people, pace, ACME, name="kim", entity_id=KIMS)
        assert waited == []
        await requester_now(people, pace, ACME, name="kim", entity_id=KIMS)
        assert len(waited) == 1

    asyncio.run(scenario())


@pytest.mark.parametrize("what", ["the pool", "its pace", "the machine's row"])
def test_an_answer_that_is_missing_lets_nobody_go_on(what: str) -> None:
    """Nobody is taken for gone either: it is asked again."""
    people, buckets, machines = MemoryPeople(), MemoryBuckets(), MemoryMachines()
    people.add("acme", KIM)
    machines.rows["acme", PRESS.id] = PRESS
    if what == "the pool":
        people.fails.add("find")
    buckets.available = what != "its pace"
    machines.available = what != "the machine's row"
    pace = Pace(buckets, lambda: datetime(2026, 10, 1, tzinfo=UTC))
    asked: Any = (
        machine_now(machines, ACME, machine_id=PRESS.id, entity_id=PRESSES, scopes=TOKEN)
        if what == "the machine's row"
        else requester_now(people, pace, ACME, name="kim", entity_id=KIMS)
    )
    with pytest.raises(UnavailableError):
        asyncio.run(asked)


@pytest.mark.parametrize(
    ("now", "token", "left"),
    [
        (("view", "operate"), TOKEN, TOKEN),
        (("view",), TOKEN, ("fleet/view",)),
        (("view", "operate", "update"), ("fleet/operate",), ("fleet/operate",)),
    ],
    ids=["same", "fewer", "more"],
)
def test_a_machine_has_no_scope_that_it_lost_or_won(
    now: tuple[str, ...], token: tuple[str, ...], left: tuple[str, ...]
) -> None:
    """Those of its token that it has still."""
    found = bearer_now(replace(PRESS, scopes=now), scopes=token)
    assert found == TokenBearer(subject="client-1", scopes=left)


@pytest.mark.parametrize(
    ("machine", "entity_id", "scopes", "why"),
    [
        (None, PRESSES, TOKEN, "is no more"),
        (replace(PRESS, client_id="client-2"), PRESSES, TOKEN, "is no more"),
        (replace(PRESS, client_id=None), f"{ACME.pool_id}|None", TOKEN, "is no more"),
        (PRESS, "another-pool|client-1", TOKEN, "is no more"),
        *(
            (replace(PRESS, state=state), PRESSES, TOKEN, f"is {state}")
            for state in MachineState
            if state is not MachineState.ACTIVE
        ),
        (replace(PRESS, scopes=("update",)), PRESSES, TOKEN, "none of its token's scopes"),
        (PRESS, PRESSES, (), "none of its token's scopes"),
    ],
)
def test_a_machine_that_is_not_it_now_is_refused(
    machine: Machine | None, entity_id: str, scopes: tuple[str, ...], why: str
) -> None:
    """Gone, made anew, unfinished, revoked, of a later release's state, or without a scope."""
    with pytest.raises(RequesterGoneError, match=why):
        bearer_now(machine, entity_id, scopes)
