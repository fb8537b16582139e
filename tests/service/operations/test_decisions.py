"""Reads are decided by the copy if it is good, changes never, and differences are found."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

import pytest

from service.adapters.memory.metrics import MemoryMetrics
from service.adapters.memory.policies import MemoryPolicyStores
from service.adapters.memory.revocations import MemoryRevocations
from service.adapters.memory.user_pool import MemoryUserPool
from service.cedar.decision import Allowed, Decider, Denied, Refusal
from service.cedar.entities import tenant_entity
from service.cedar.request import AuthorizationRequest, RequestContext, TokenBearer
from service.cedar.values import EntityUid
from service.domain.devices import Device
from service.domain.identities import Principal, TokenUse, VerifiedClaims
from service.domain.instants import now_in_utc
from service.domain.permissions import READING, Permission
from service.errors import UnavailableError
from service.operations.decisions import Decisions
from service.operations.policy_copies import PolicyCopies
from service.operations.revocations import Revocations
from service.ports.metrics import DECISIONS, POLICY_DIFFERENCES
from service.settings import PolicySettings
from tests.service.operations.policies import Policies
from tests.service.stamped_policies import PERMIT_ALL, only, stamped

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from service.cedar.decision import Decision

ACME = MemoryUserPool("acme").tenant
OF_THE_TENANT = {
    Permission.LIST_DEVICES,
    Permission.REGISTER_DEVICE,
    Permission.VIEW_FILE,
    Permission.UPLOAD_FILE,
    Permission.RETIRE_FILE,
}
YES, NO = Allowed(policies=("all",)), Denied(reason=Refusal.NOT_PERMITTED)


def principal(**claims: object) -> Principal:
    """A manager with an ID token of these claims."""
    known = {"cognito:groups": ["managers"], **claims}
    return Principal(
        tenant=ACME,
        subject="boss",
        token_use=TokenUse.ID,
        groups=("managers",),
        email=None,
        client_id="acmeclient",
        expires_at=2**40,
        claims=VerifiedClaims(known),
        token="header.claims.signature",
    )


def question(action: Permission) -> AuthorizationRequest:
    """May the manager do it?"""
    device = Device(tenant="acme", id="press-07", attributes={"kind": "press"}).entities({})
    of_tenant = action in OF_THE_TENANT
    return AuthorizationRequest.of(
        principal=EntityUid("Fleet::User", principal().entity_id),
        action=action,
        entities=(tenant_entity("acme"),) if of_tenant else device,
        context=RequestContext(now=datetime(2026, 10, 1, tzinfo=UTC)),
    )


@dataclass
class Asked:
    """Decisions over a store that answers what the test says, and a copy that permits all."""

    store: Policies
    sample: float = 0
    stores: MemoryPolicyStores = field(default_factory=MemoryPolicyStores)
    metrics: MemoryMetrics = field(default_factory=MemoryMetrics)
    waited: list[float] = field(default_factory=list[float])

    def __post_init__(self) -> None:
        self.stores.stamp(ACME, only(ACME, all=PERMIT_ALL))
        self.revoked = MemoryRevocations()
        revocations = Revocations(self.revoked, now_in_utc)
        copies = PolicyCopies(self.stores, PolicySettings(), self.metrics, revocations)
        self.decisions = Decisions(
            self.store,
            copies,
            self.metrics,
            revocations,
            sample=self.sample,
            chance=lambda: 0.5,
            pause=self._pause,
        )

    async def decide(self, action: Permission, who: Principal | None = None) -> Decision:
        """One decision, and what was asked beside it."""
        decided = await self.decisions.decide(who or principal(), question(action))
        await self.decisions.settled()
        return decided

    async def _pause(self, seconds: float) -> None:
        self.waited.append(seconds)


def scenario(
    steps: Callable[[Asked], Awaitable[None]], answer: Decision, *, sample: float = 0
) -> Asked:
    """Run the steps with a good copy."""
    asked = Asked(Policies([answer]), sample=sample)

    async def run() -> None:
        assert await asked.decisions.prepare(ACME)
        await steps(asked)
        await asked.decisions.close()

    asyncio.run(run())
    return asked


@pytest.mark.parametrize("action", Permission)
def test_only_what_changes_nothing_is_decided_by_copy(action: Permission) -> None:
    """The store would say no: so who decided shows, and says it."""

    async def steps(asked: Asked) -> None:
        decided = await asked.decide(action)
        assert isinstance(decided, Allowed) is (action in READING)
        assert decided.by is (Decider.COPY if action in READING else Decider.STORE)

    scenario(steps, NO)


def test_each_decision_is_counted_by_who_made_it() -> None:
    """What the copy permits and what the store denies, once each."""

    async def steps(asked: Asked) -> None:
        await asked.decide(Permission.VIEW_DEVICE)
        await asked.decide(Permission.STOP_DEVICE)

    counts = scenario(steps, NO).metrics.counts
    assert {labels: number for (what, labels), number in counts.items() if what is DECISIONS} == {
        ("ViewDevice", "allowed", "copy"): 1,
        ("StopDevice", "denied", "store"): 1,
    }


def test_advice_on_what_may_be_read_is_the_copys() -> None:
    """What a list shows is not asked of the store one by one."""

    async def steps(asked: Asked) -> None:
        [advised] = await asked.decisions.advise(principal(), [question(Permission.VIEW_DEVICE)])
        assert advised.by is Decider.COPY

    scenario(steps, NO)


def test_without_a_good_copy_the_store_decides() -> None:
    """As the registry names another digest, and if the store does not answer, nobody is allowed."""

    class Silent(Policies):
        """Does not answer."""

        async def decide(self, principal: object, request: object) -> Decision:  # noqa: ARG002
            raise UnavailableError("the policy store")

    async def run() -> None:
        for store in (Policies([NO]), Silent([])):
            asked = Asked(store)
            asked.stores.digests["acme"] = "another"
            if isinstance(store, Silent):
                with pytest.raises(UnavailableError):
                    await asked.decide(Permission.VIEW_DEVICE)
            else:
                assert await asked.decide(Permission.VIEW_DEVICE) == NO

    asyncio.run(run())


@pytest.mark.parametrize(
    "claims",
    [
        {"email": 7},
        {"custom:region": ["eu"]},
        {"cognito:groups": "managers"},
        {"cognito:groups": ["managers", 7]},
        {"custom": "region"},
        {"cognito": {"username": "x"}},
    ],
    ids=str,
)
def test_a_claim_of_another_form_is_the_stores(claims: dict[str, object]) -> None:
    """Only the store knows what it makes of it."""

    async def steps(asked: Asked) -> None:
        assert await asked.decide(Permission.VIEW_DEVICE, principal(**claims)) == NO

    scenario(steps, NO)


def test_many_reads_are_decided_together() -> None:
    """In their order; one change among them, and the store decides all."""

    async def steps(asked: Asked) -> None:
        reads = [question(action) for action in sorted(READING)]
        decided = await asked.decisions.decide_all(principal(), reads)
        assert [one.by for one in decided] == [Decider.COPY] * len(reads)
        mixed = [*reads, question(Permission.OPERATE_DEVICE)]
        assert await asked.decisions.decide_all(principal(), mixed) == (NO,)

    scenario(steps, NO)


def test_policies_are_named_as_in_our_files() -> None:
    """By the registry's names of the store's ids, as the store's own decisions are."""

    async def run() -> None:
        asked = Asked(Policies([NO]))
        held = stamped(ACME)
        ids = {f"SP{number}": name for number, name in enumerate(held.static)}
        named = replace(held, static={one: held.static[name] for one, name in ids.items()})
        asked.stores.stamp(ACME, named)
        assert await asked.decisions.prepare(ACME)
        who = replace(principal(), tenant=replace(ACME, policy_names=ids))
        decided = await asked.decide(Permission.LIST_DEVICES, who)
        assert (decided, decided.by) == (Allowed(policies=("managers-everything",)), Decider.COPY)

    asyncio.run(run())


def test_a_difference_that_stays_rings_and_ends_the_copy() -> None:
    """A sample that the store decides otherwise is asked again; then the copy is used no more."""

    async def steps(asked: Asked) -> None:
        assert (await asked.decide(Permission.VIEW_DEVICE)).by is Decider.COPY
        assert (await asked.decide(Permission.VIEW_DEVICE)).by is Decider.STORE

    asked = scenario(steps, NO, sample=1)
    assert asked.metrics.counts[POLICY_DIFFERENCES, ("decision",)] == 1
    assert asked.waited == [10]


def test_equal_decisions_ring_nothing() -> None:
    """The same answer by the same policies, whoever gave it."""

    async def steps(asked: Asked) -> None:
        for _ in range(3):
            assert (await asked.decide(Permission.VIEW_DEVICE)).by is Decider.COPY

    asked = scenario(steps, YES, sample=1)
    assert not asked.metrics.labels_of(POLICY_DIFFERENCES)
    assert len(asked.store.asked) == 3


def test_a_change_between_two_decisions_rings_nothing() -> None:
    """The store knew already what the registry tells now."""

    async def steps(asked: Asked) -> None:
        asked.stores.digests["acme"] = "another"
        assert (await asked.decide(Permission.VIEW_DEVICE)).by is Decider.COPY

    asked = scenario(steps, NO, sample=1)
    assert asked.waited
    assert not asked.metrics.labels_of(POLICY_DIFFERENCES)


def test_few_decisions_are_asked_twice() -> None:
    """The share of the settings, and a draw above it is none."""

    async def steps(asked: Asked) -> None:
        await asked.decide(Permission.VIEW_DEVICE)

    assert scenario(steps, YES, sample=0.49).store.asked == []
    assert len(scenario(steps, YES, sample=0.51).store.asked) == 1


FLEET = [
    Device(tenant="acme", id=f"d-{number}", attributes={"kind": ("press", "pump")[number % 2]})
    for number in range(6)
]
PRESSES = (
    'permit (principal, action, resource) when { resource has kind && resource.kind == "press" };'
)


def asked_of(device: Device, action: Permission = Permission.VIEW_DEVICE) -> AuthorizationRequest:
    """May the manager do it to the device?"""
    return AuthorizationRequest.of(
        principal=EntityUid("Fleet::User", principal().entity_id),
        action=action,
        entities=device.entities({}),
        context=RequestContext(now=datetime(2026, 10, 1, tzinfo=UTC)),
    )


@pytest.mark.parametrize(
    ("action", "compared"), [(Permission.VIEW_DEVICE, 1), (Permission.STOP_DEVICE, 0)]
)
def test_a_copy_decides_a_list_and_is_compared(action: Permission, compared: int) -> None:
    """In the order of the devices; each kind is one question, and what is shown by it a read."""
    asked = Asked(Policies([Allowed(policies=("presses",))]), sample=1)
    asked.stores.stamp(ACME, only(ACME, presses=PRESSES))

    async def run() -> tuple[Decision, ...]:
        assert await asked.decisions.prepare(ACME)
        decided = await asked.decisions.advise_on_devices(
            principal(), action, FLEET, partial(asked_of, action=action)
        )
        await asked.decisions.settled()
        await asked.decisions.close()
        return decided

    yes = Allowed(policies=("presses",))
    assert asyncio.run(run()) == (yes, NO, yes, NO, yes, NO)
    assert len(asked.store.asked) == compared
    counted = [number for (what, _), number in asked.metrics.counts.items() if what is DECISIONS]
    assert sum(counted) == 2 * compared


def test_without_a_good_copy_each_device_of_a_list_is_asked_for() -> None:
    """Nothing is taken from one device for another by policies that nobody has read."""
    asked = Asked(Policies([YES] * len(FLEET)))
    asked.stores.digests["acme"] = "another"

    async def run() -> None:
        decided = await asked.decisions.advise_on_devices(
            principal(), Permission.VIEW_DEVICE, FLEET, asked_of
        )
        assert decided == (YES,) * len(FLEET)
        await asked.decisions.close()

    asyncio.run(run())
    assert [request.resource.id for request in asked.store.asked] == [one.id for one in FLEET]


BY_EMAIL = """permit (principal, action, resource)
when { principal has email && principal.email == "ann@acme.test" };"""


@pytest.mark.parametrize(("email", "allowed"), [("ann@acme.test", True), ("bob@acme.test", False)])
def test_another_is_considered_by_what_policies_know_of_people(
    email: str, *, allowed: bool
) -> None:
    """Claims that the schema has decide, and any other one is left out: of itself and of others."""
    bearer = TokenBearer(groups=("managers",), claims={"email": email, "custom:unknown": "x"})

    async def steps(asked: Asked) -> None:
        asked.stores.stamp(ACME, only(ACME, all=BY_EMAIL))
        assert await asked.decisions.prepare(ACME)
        request = question(Permission.OPERATE_DEVICE)
        found = await asked.decisions.consider(principal(), request, bearer=bearer)
        assert isinstance(found.decision, Allowed) is allowed
        about = await asked.decisions.advise_about(ACME, request, [bearer])
        assert [isinstance(one, Allowed) for one in about.people] == [allowed]

    scenario(steps, NO)


def test_closing_ends_what_copies_wait_for() -> None:
    """Nothing is left behind, though the registry never answers."""

    class Silent(MemoryPolicyStores):
        """Answers never."""

        async def expected(self, tenants: object) -> dict[str, str | None]:  # noqa: ARG002 - the port's
            await asyncio.get_running_loop().create_future()
            return {}

    async def steps() -> int:
        asked = Asked(Policies([YES]), stores=Silent())
        waiting = asyncio.ensure_future(asked.decisions.prepare(ACME))
        await asyncio.sleep(0)
        await asyncio.wait_for(asked.decisions.close(), 10)
        await asyncio.gather(waiting, return_exceptions=True)
        return len(asyncio.all_tasks()) - 1

    assert asyncio.run(steps()) == 0
