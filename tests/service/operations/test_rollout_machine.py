"""A planned rollout as a state machine: whatever comes when, and whoever dies in the midst of it.

Hypothesis draws what happens: time passes, the worker dies at the next calls, people pause, resume,
approve and cancel by service tasks that die at theirs, the requester is disabled, devices end or
are deleted. None is reached that the plan did not allow, none twice, and none forgotten.
"""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from service.domain.downloads import DeliveryState
from service.domain.permissions import Permission
from service.domain.rollouts import Shape, WaveSize
from service.errors import ConflictError
from service.operations.authorization import RequestFacts
from service.operations.operations import Operations
from service.settings import TokenSettings
from tests.service.operations.fleet import ULID, DiedError, Fleet, mortal
from tests.service.operations.rollouts import begin_planned, boss, reached

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from service.adapters.memory.authorizer import CedarAuthorizer
    from service.adapters.memory.user_pool import MemoryUserPool
    from service.operations.authorization import Access

Pools = tuple["MemoryUserPool", "MemoryUserPool"]
SHAPE = Shape(waves=(WaveSize(devices=3), WaveSize(percent=40)), pause_minutes=5, abort_percent=100)
PORTS = (
    *("download_records", "deliveries", "download_jobs", "work_queue", "people", "timers"),
    "devices",
)
FIRST_WAVE = 3


class RolloutMachine(RuleBasedStateMachine):
    """One rollout to 130 devices that asks for an approval."""

    pools: Pools
    authorizer: CedarAuthorizer

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.fleet: Fleet = self.loop.run_until_complete(
            begin_planned(
                self.pools, self.authorizer, devices=130, shape=SHAPE, needs_approval=True
            )
        )
        self.calls_left: int | None = None
        self.stopped_at: int | None = None
        self.gone: set[str] = set()
        self.approver = ""
        dying = mortal(self.fleet.ports, self._dies, *PORTS)
        self.dying = dying

    def _dies(self) -> None:
        if self.calls_left is not None:
            self.calls_left -= 1
            if self.calls_left <= 0:
                self.calls_left = None
                raise DiedError

    def _act(self, act: Callable[[Operations, Access], Coroutine[Any, Any, object]]) -> None:
        """Have a service task do what another manager asks for, as far as it lives."""

        async def asked() -> None:
            operations = Operations(self.dying, TokenSettings())
            token = self.pools[0].id_token("another", ["managers"])
            principal = await operations.authenticate(f"Bearer {token}")
            access = operations.access(
                principal,
                facts=RequestFacts(request_id="r", source_ip=None),
                declared=frozenset(Permission),
            )
            self.approver = principal.entity_id
            with contextlib.suppress(DiedError, ConflictError):
                await act(operations, access)
            await operations.close()

        self.loop.run_until_complete(asked())

    async def _pass(self, minutes: int) -> None:
        fleet = self.fleet
        fleet.ports.clock.now = fleet.now + timedelta(minutes=minutes)
        await fleet.ports.work_queue.send(fleet.ports.timers.due(fleet.now))
        try:
            await fleet.work(self.dying)
        except DiedError:
            fleet.ports.work_queue.abandon()

    @rule(minutes=st.sampled_from([0, 1, 6, 60]))
    def time_passes(self, minutes: int) -> None:
        """And what is due by then is done, as far as whoever does it lives."""
        self.loop.run_until_complete(self._pass(minutes))

    @rule(calls=st.integers(1, 40))
    def the_worker_dies(self, calls: int) -> None:
        """At one of the calls that come next; its messages are given out again."""
        self.calls_left = calls

    @rule(paused=st.booleans())
    def somebody_pauses_or_resumes(self, paused: bool) -> None:
        """Who may cancel may."""

        def act(operations: Operations, access: Access) -> Coroutine[Any, Any, object]:
            planned = operations.planned_downloads
            return (planned.pause if paused else planned.resume)(access, ULID)

        self._act(act)

    @rule()
    def somebody_approves(self) -> None:
        """Twice is as once."""
        self._act(lambda operations, access: operations.planned_downloads.approve(access, ULID))

    @rule(calls=st.integers(1, 12))
    def a_service_task_dies(self, calls: int) -> None:
        """In an approval, at one of its calls: the person may ask again, or never does."""
        self.calls_left = calls
        self.somebody_approves()
        self.calls_left = None

    @precondition(lambda self: self.stopped_at is None)
    @rule()
    def the_requester_is_disabled(self) -> None:
        """From now on nobody else is reached."""
        self.fleet.ports.people.add("acme", boss(enabled=False))
        self.stopped_at = len(reached(self.fleet))

    @precondition(lambda self: bool(reached(self.fleet)))
    @rule(state=st.sampled_from([DeliveryState.SUCCEEDED, DeliveryState.FAILED]))
    def devices_end(self, state: DeliveryState) -> None:
        """All that were reached; failures beyond none, since nobody asks for an abort."""
        self.fleet.end(state, (reached(self.fleet)[0],))

    @rule(number=st.integers(3, 129))
    def a_device_is_deleted(self, number: int) -> None:
        """Whoever is no more is not waited for."""
        name = self.fleet.members[number]
        self.gone.add(name)
        self.fleet.ports.devices.death("acme", name, f"thing-of-acme--{name}")

    @precondition(lambda self: len(reached(self.fleet)) > FIRST_WAVE)
    @rule()
    def somebody_cancels(self) -> None:
        """What has not begun begins no more."""
        self._act(lambda operations, access: operations.downloads.cancel(access, ULID))

    @invariant()
    def nobody_is_reached_twice_or_unplanned(self) -> None:
        """Nor before somebody else has approved, nor once its requester may not sign in."""
        seen = reached(self.fleet)
        assert len(seen) == len(set(seen))
        assert set(seen) <= set(self.fleet.members)
        assert not seen or self.fleet.stored.approved_by == self.approver
        assert self.stopped_at is None or len(seen) == self.stopped_at

    def teardown(self) -> None:
        """Nobody dies any more: what was not canceled or stopped reaches all that are left."""
        self.calls_left = None
        self.somebody_approves()
        self.somebody_pauses_or_resumes(paused=False)
        for _ in range(12):
            self.loop.run_until_complete(self._pass(20))
        self.nobody_is_reached_twice_or_unplanned()
        if self.stopped_at is None and self.fleet.stored.closing is None:
            assert set(self.fleet.members) - set(reached(self.fleet)) <= self.gone
        self.loop.close()


@pytest.mark.soak
def test_a_rollout_keeps_its_plan_in_every_history(
    pools: Pools, authorizer: CedarAuthorizer, faults: Callable[[int, int], int]
) -> None:
    """Twenty-five histories of thirty steps; 1,000 in the soak."""

    class Here(RolloutMachine):
        pass

    Here.pools, Here.authorizer = pools, authorizer
    bounded = settings(max_examples=faults(25, 1_000), stateful_step_count=30, deadline=None)
    run_state_machine_as_test(Here, settings=bounded)
