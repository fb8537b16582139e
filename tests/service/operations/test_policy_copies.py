"""A copy of a tenant's policies is used while registry and store agree on it, and not after."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest
import structlog

from service.adapters.memory.metrics import MemoryMetrics
from service.adapters.memory.policies import MemoryPolicyStores
from service.adapters.memory.revocations import MemoryRevocations
from service.adapters.memory.user_pool import MemoryUserPool
from service.cedar.compiled import CompiledPolicies
from service.domain.instants import now_in_utc
from service.domain.permissions import READING
from service.operations.policy_copies import PolicyCopies
from service.operations.revocations import Revocations
from service.ports.metrics import POLICY_DIFFERENCES
from service.settings import PolicySettings
from tests.service.stamped_policies import PERMIT_ALL, only

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from service.domain.tenants import Tenant

ACME = MemoryUserPool("acme").tenant
FORBID_ALL = "forbid (principal, action, resource);"
SETTINGS = PolicySettings(fresh_seconds=4, compare_seconds=300)


@dataclass
class Watched:
    """Copies on a clock that the test moves; every process looks as late as it may."""

    settings: PolicySettings = SETTINGS
    stores: MemoryPolicyStores = field(default_factory=MemoryPolicyStores)
    metrics: MemoryMetrics = field(default_factory=MemoryMetrics)
    now: float = 1000.0

    def __post_init__(self) -> None:
        self.revoked = MemoryRevocations()
        self.copies = PolicyCopies(
            self.stores,
            self.settings,
            self.metrics,
            Revocations(self.revoked, now_in_utc, now=lambda: self.now),
            now=lambda: self.now,
            chance=lambda: 1.0,
        )

    async def begun(self) -> bool:
        """Whether the first copy is made."""
        return await self.copies.confirm(ACME) is not None

    async def after(self, seconds: float) -> bool:
        """Whether there is a good copy so much later, before anything is done for it beside."""
        self.now += seconds
        return await self.copies.good(ACME) is not None

    async def later(self, seconds: float) -> bool:
        """Whether there is one once what that request found to be due is done."""
        await self.after(seconds)
        await self.copies.settled()
        return await self.copies.good(ACME) is not None


def scenario(steps: Callable[[Watched], Awaitable[None]], watched: Watched | None = None) -> None:
    """Run the steps on copies of a store that holds one policy."""
    watched = watched or Watched()
    watched.stores.stamp(ACME, only(ACME, all=PERMIT_ALL))

    async def run() -> None:
        await steps(watched)
        await watched.copies.close()

    asyncio.run(run())


def test_the_first_copy_is_made_beside_the_requests() -> None:
    """The first requests have none and wait for none; it is made at a moment of the process's."""

    async def steps(watched: Watched) -> None:
        assert not await watched.after(0)
        assert not await watched.after(2.9)
        await watched.copies.settled()
        assert "contents" not in watched.stores.asked
        assert await watched.later(0.2)

    scenario(steps)


def test_a_revoked_policy_ends_within_five_seconds() -> None:
    """As the registry names another digest the copy ends, though the store shows it no change."""

    async def steps(watched: Watched) -> None:
        assert await watched.begun()
        watched.stores.digests["acme"] = "another"
        revoked = watched.now
        while await watched.after(0.1):
            assert watched.now - revoked < 5

    scenario(steps)


def test_a_copy_of_a_store_half_changed_is_not_used() -> None:
    """Between the registry's word and the end of the change the store decides."""

    async def steps(watched: Watched) -> None:
        assert await watched.begun()
        watched.stores.stamp(ACME, only(ACME, all=PERMIT_ALL, none=FORBID_ALL))
        done = watched.stores.held["acme"]
        watched.stores.held["acme"] = only(ACME, none=FORBID_ALL)
        assert not await watched.later(5)
        assert not await watched.later(10)
        watched.stores.held["acme"] = done
        assert await watched.later(60)
        assert not watched.metrics.counts, "nobody but the stack has changed anything"

    scenario(steps)


def test_without_the_registrys_word_there_is_no_copy() -> None:
    """It is used as long as the last word is fresh, and not a moment longer."""

    async def steps(watched: Watched) -> None:
        assert await watched.begun()
        watched.stores.available = False
        assert await watched.after(3.9)
        assert not await watched.after(0.2)
        watched.stores.available = True
        assert await watched.after(0.1)

    scenario(steps)


def test_a_tenant_of_an_earlier_release_has_no_copy() -> None:
    """Its stack says no digest, so the store decides and is not read."""

    async def steps(watched: Watched) -> None:
        watched.stores.digests.clear()
        assert not await watched.later(60)
        assert set(watched.stores.asked) == {"expected"}

    scenario(steps)


def test_a_foreign_change_is_named_and_rings() -> None:
    """What the registry does not know of ends the copy, and at the second look rings an alarm."""

    async def steps(watched: Watched) -> None:
        assert await watched.begun()
        named = replace(ACME, policy_names={"extra": "added-by-hand"})
        watched.stores.held["acme"] = only(ACME, all=PERMIT_ALL, extra=FORBID_ALL)
        assert await watched.after(200), "nothing is compared yet"
        assert not await watched.later(200)
        assert not watched.metrics.counts, "a store may be seen as it was some seconds ago"
        with structlog.testing.capture_logs() as log:
            watched.now += 60
            await watched.copies.good(named)
            await watched.copies.settled()
        assert watched.metrics.counts[POLICY_DIFFERENCES, ("store",)] == 1
        [rang] = [line for line in log if line["event"] == "policies.differ"]
        assert (rang["tenant"], rang["changed"]) == ("acme", ["added-by-hand"])
        watched.stores.stamp(ACME, only(ACME, all=PERMIT_ALL))
        assert await watched.later(300)

    scenario(steps)


def test_an_update_that_never_ends_rings() -> None:
    """A store that is not as the registry says for longer than an update takes."""

    async def steps(watched: Watched) -> None:
        watched.stores.held["acme"] = only(ACME, none=FORBID_ALL)
        for _ in range(8):
            assert not await watched.later(100)
        assert not watched.metrics.counts
        for _ in range(8):
            assert not await watched.later(100)
        assert watched.metrics.counts[POLICY_DIFFERENCES, ("store",)] > 0

    scenario(steps)


def test_a_store_that_cannot_be_compared_is_not_trusted() -> None:
    """A copy whose store was not looked at for three times the pause is not used."""

    async def steps(watched: Watched) -> None:
        assert await watched.begun()
        held = watched.stores.held.pop("acme")
        assert await watched.later(800)
        assert not await watched.later(200)
        watched.stores.held["acme"] = held
        assert await watched.later(600)

    scenario(steps)


def test_a_store_that_is_not_as_told_is_looked_at_less_and_less() -> None:
    """After some seconds, then twice as many each time, up to the usual pause."""

    async def steps(watched: Watched) -> None:
        watched.stores.held["acme"] = only(ACME, none=FORBID_ALL)
        assert not await watched.begun()
        looks: list[float] = []
        before = watched.now
        while len(looks) < 8:
            asked = watched.stores.asked.count("versions")
            await watched.later(0.5)
            if watched.stores.asked.count("versions") > asked:
                looks.append(watched.now - before)
                before = watched.now
        # Each a quarter longer than it is told: so this clock draws.
        pauses = [min(4 * 2**number, SETTINGS.compare_seconds) * 1.25 for number in range(8)]
        assert looks == pytest.approx(pauses, abs=2)

    scenario(steps)


def test_the_registrys_word_counts_to_its_last_moment() -> None:
    """Of that age it is still fresh: nobody waits for the next one."""

    async def steps(watched: Watched) -> None:
        assert await watched.begun()
        watched.stores.available = False
        assert await watched.after(SETTINGS.fresh_seconds)
        assert not await watched.after(0.01)

    scenario(steps)


@pytest.mark.parametrize("policy", ["permit (principal", "permit (principal, action, resource) x;"])
def test_what_cannot_be_read_is_not_copied(policy: str) -> None:
    """The store decides by it, however it does."""

    async def steps(watched: Watched) -> None:
        watched.stores.stamp(ACME, only(ACME, all=PERMIT_ALL, broken=policy))
        assert not await watched.begun()
        assert not await watched.later(60)

    scenario(steps)


def test_copies_are_bounded_in_bytes() -> None:
    """One tenant's policies, and those of all together: the least recently used copy leaves."""

    async def steps(watched: Watched) -> None:
        globex = MemoryUserPool("globex").tenant
        watched.stores.stamp(globex, only(globex, all=PERMIT_ALL))
        assert await watched.copies.confirm(ACME) is not None
        assert await watched.copies.confirm(globex) is not None
        assert await watched.copies.good(ACME) is None
        assert await watched.copies.good(globex) is not None

    held = only(ACME, all=PERMIT_ALL)
    one = CompiledPolicies(held, actions=READING).size
    scenario(steps, Watched(settings=replace(SETTINGS, total_bytes=int(one * 1.5))))

    async def too_large(watched: Watched) -> None:
        assert await watched.copies.confirm(ACME) is None

    scenario(too_large, Watched(settings=replace(SETTINGS, tenant_bytes=len(held.schema))))
    scenario(too_large, Watched(settings=replace(SETTINGS, total_bytes=0)))


def test_many_requests_ask_once() -> None:
    """However many come at once, the registry is asked once, and the store is read once."""

    async def steps(watched: Watched) -> None:
        await watched.after(0)
        watched.now += 5
        watched.stores.asked.clear()
        await asyncio.gather(*(watched.copies.good(ACME) for _ in range(50)))
        await watched.copies.settled()
        assert sorted(watched.stores.asked) == ["contents", "expected", "expected", "versions"]

    scenario(steps)


def test_many_tenants_are_asked_for_at_once() -> None:
    """Whoever asks takes along those in use whose word grows old, and nobody else."""

    @dataclass(kw_only=True)
    class Counting(MemoryPolicyStores):
        """Notes whose digests were asked for together."""

        together: list[set[str]] = field(default_factory=list[set[str]])

        async def expected(self, tenants: Sequence[Tenant]) -> Mapping[str, str | None]:
            self.together.append({tenant.id for tenant in tenants})
            return await super().expected(tenants)

    async def steps(watched: Watched) -> None:
        assert isinstance(watched.stores, Counting)
        names = [f"t{number:03}" for number in range(250)]
        tenants = [replace(ACME, id=name, issuer=f"{ACME.issuer}{name}") for name in names]
        for tenant in tenants:
            watched.stores.digests[tenant.id] = "some"
        asked = watched.stores.together
        await asyncio.gather(*(watched.copies.good(tenant) for tenant in tenants))
        await watched.copies.settled()
        assert [len(one) for one in asked] == [250]
        asked.clear()
        watched.now += 3
        await watched.copies.good(tenants[0])
        await watched.copies.settled()
        await watched.copies.good(tenants[1])
        await watched.copies.settled()
        assert [len(one) for one in asked] == [100, 100]
        assert not asked[0] & asked[1]
        asked.clear()
        watched.now += 60
        await watched.copies.good(tenants[2])
        await watched.copies.settled()
        assert asked == [{"t002"}], "nobody else asks any more"

    scenario(steps, Watched(stores=Counting()))


def test_who_is_missing_in_an_answer_keeps_no_copy() -> None:
    """A row that was not read is no word, and the others' words stand."""

    @dataclass(kw_only=True)
    class Forgetful(MemoryPolicyStores):
        """Leaves tenants out."""

        left_out: set[str] = field(default_factory=set[str])

        async def expected(self, tenants: Sequence[Tenant]) -> Mapping[str, str | None]:
            words = await super().expected(tenants)
            return {name: word for name, word in words.items() if name not in self.left_out}

    async def steps(watched: Watched) -> None:
        assert isinstance(watched.stores, Forgetful)
        globex = MemoryUserPool("globex").tenant
        watched.stores.stamp(globex, only(globex, all=PERMIT_ALL))
        assert await watched.begun()
        assert await watched.copies.confirm(globex) is not None
        watched.stores.left_out.add(ACME.issuer)
        assert await watched.after(3.9)
        await watched.copies.settled()
        assert not await watched.after(0.2)
        assert await watched.copies.good(globex) is not None

    scenario(steps, Watched(stores=Forgetful()))


def test_a_row_of_another_form_is_no_word() -> None:
    """Whoever wrote it, requests go on, and the store decides them."""

    class Garbled(MemoryPolicyStores):
        """Cannot be read."""

        async def expected(self, tenants: object) -> dict[str, str | None]:  # noqa: ARG002 - the port's
            raise KeyError("digest")

    async def steps(watched: Watched) -> None:
        assert not await watched.begun()
        assert not await watched.later(60)

    scenario(steps, Watched(stores=Garbled()))


def test_closing_leaves_nothing_behind() -> None:
    """What is asked in the background ends with the service, whatever it waits for."""

    class Silent(MemoryPolicyStores):
        """Answers never."""

        async def expected(self, tenants: object) -> dict[str, str | None]:  # noqa: ARG002 - the port's
            await asyncio.get_running_loop().create_future()
            return {}

    async def steps() -> int:
        copies = PolicyCopies(
            Silent(), SETTINGS, MemoryMetrics(), Revocations(MemoryRevocations(), now_in_utc)
        )
        waiting = asyncio.ensure_future(copies.good(ACME))
        await asyncio.sleep(0)
        await copies.close()
        await asyncio.gather(waiting, return_exceptions=True)
        return len(asyncio.all_tasks()) - 1

    assert asyncio.run(steps()) == 0
