"""Every call of AWS heeds the time of the request that makes it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from service import deadline
from service.adapters.aws.client.breaker import FAILURES
from service.adapters.aws.client.failures import NoAnswerError, NoTimeLeftError, asks
from service.adapters.aws.client.lanes import Lanes
from service.errors import OutOfTimeError, UnavailableError
from tests.service.adapters.aws.answered_line import AnsweredDoor
from tests.service.adapters.aws.conftest import AWS

if TYPE_CHECKING:
    from service.domain.tenants import Tenant

GET: dict[str, Any] = {"TableName": "t", "Key": {"k": {"S": "1"}}}


async def _never() -> dict[str, Any]:
    await asyncio.Event().wait()
    return {}


def test_a_call_without_time_is_not_made(acme: Tenant) -> None:
    """Not even the role is assumed, so it is sure that nothing was done."""
    door = AnsweredDoor(AWS)

    async def scenario() -> None:
        deadline.begin(0)
        with pytest.raises(NoTimeLeftError) as caught:
            await door.tenant(acme, "dynamodb").call("GetItem", **GET)
        assert not caught.value.is_lost

    asyncio.run(scenario())
    assert door.calls == door.line.roles == []


def test_a_hanging_call_ends_with_its_requests_time() -> None:
    """With all its attempts; what it changes may be done, and the caller is told so."""
    door = AnsweredDoor(replace(AWS, max_attempts=3))
    door.answer = lambda _: _never()

    @asks("the part")
    async def ask() -> None:
        await door.own("dynamodb").call("GetItem", **GET)

    async def scenario() -> None:
        deadline.begin(0.05)
        with pytest.raises(OutOfTimeError, match="the part was asked; what the request changes"):
            await ask()

    asyncio.run(scenario())
    assert len(door.calls) == 1


def test_a_roles_session_is_got_for_all_who_wait(acme: Tenant) -> None:
    """The request that asked for it first is out of time: whoever comes after finds it there."""
    door = AnsweredDoor(AWS)
    gate = asyncio.Event()
    assume = door.credentials._assume

    async def slow(tenant: Tenant) -> Any:
        await gate.wait()
        return await assume(tenant)

    door.credentials._assume = slow

    async def scenario() -> None:
        deadline.begin(0.02)
        with pytest.raises(NoTimeLeftError):
            await door.tenant(acme, "dynamodb").call("GetItem", **GET)
        gate.set()
        deadline.begin(10)
        await door.tenant(acme, "dynamodb").call("GetItem", **GET)

    asyncio.run(scenario())
    assert len(door.line.roles) == 1


@pytest.mark.parametrize(("seconds", "is_cut_off"), [(0.02, False), (None, True)])
def test_a_request_out_of_time_cuts_nobody_off(seconds: float | None, *, is_cut_off: bool) -> None:
    """A dependency that had no time to answer is not called broken; one that had it is."""
    settings = replace(AWS, deadline_seconds=0.05, read_seconds=0.03)
    door = AnsweredDoor(settings)
    door._lanes = Lanes(settings)

    async def ask() -> None:
        if seconds is not None:
            deadline.begin(seconds)
        with pytest.raises((NoAnswerError, UnavailableError)):
            await door.own("dynamodb").call("GetItem", **GET)

    async def scenario() -> None:
        # AWS's model is read by the first call, for as long as these shall wait.
        await door.own("dynamodb").call("GetItem", **GET)
        door.answer = lambda _: _never()
        await asyncio.gather(*(asyncio.ensure_future(ask()) for _ in range(FAILURES)))
        assert bool(door._lanes.cut_off) is is_cut_off

    asyncio.run(scenario())
