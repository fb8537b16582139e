"""The worker's part of a campaign: each device once, decided as things are when its turn comes."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest
from cedarfleet_device.wire import CommandState

from service.adapters.memory.authorizer import CedarAuthorizer
from service.cedar.decision import Denied
from service.cedar.policy_set import PolicySet
from service.domain.campaigns import CampaignClosing, CampaignState, state_of
from service.domain.command_rules import CommandRules
from service.domain.command_types import CommandTypeRecord
from service.domain.commands import CommandRecordState, IfOffline
from service.domain.devices import Device
from service.domain.permissions import Permission
from service.domain.rates import DEFAULT, microseconds
from service.domain.work import Work
from service.errors import UnavailableError, UpstreamError
from service.operations.budgets import Pace
from service.operations.campaign_sending import CAMPAIGN_COMMANDS
from service.operations.campaigns import advance_campaign
from service.operations.commands import DIRECT_MESSAGES
from service.operations.operations import Operations
from service.settings import TokenSettings
from tests.service.conftest import POLICIES
from tests.service.operations.campaigns import Campaign, begin_campaign, boss
from tests.service.operations.fleet import ULID

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from service.adapters.memory.commands import MemoryCommandBroker
    from service.adapters.memory.user_pool import MemoryUserPool
    from service.cedar.decision import Decision
    from service.cedar.request import AuthorizationRequest, TokenBearer
    from service.domain.commands import CommandRecord, DirectAnswer
    from service.domain.tenants import Tenant

Pools = tuple["MemoryUserPool", "MemoryUserPool"]


def whole(campaign: Campaign) -> tuple[CampaignState, str | None]:
    """Where it stands, and why."""
    return state_of(campaign.stored, now_ms=campaign.now)


def test_each_device_is_sent_its_command_once(pools: Pools, authorizer: CedarAuthorizer) -> None:
    """Three batches; a message that comes again does nothing; each end is counted, then it ends."""

    async def scenario() -> None:
        campaign = await begin_campaign(pools, authorizer, devices=60)
        assert whole(campaign) == (CampaignState.CREATED, None)
        await campaign.work()
        assert campaign.sent_to() == list(campaign.members)
        assert len(campaign.ports.broker.published) == 60
        assert whole(campaign) == (CampaignState.SENT, None)
        assert await campaign.counts() == {"published": 60}
        again = advance_campaign(campaign.tenant, campaign.stored, step=0)
        await campaign.ports.work_queue.send([again] * 2)
        awaited = advance_campaign(campaign.tenant, campaign.stored)
        await campaign.ports.work_queue.send([awaited] * 3)
        await campaign.work()
        assert len(campaign.ports.broker.published) == 60
        awaiting = {work.about["step"] for _, work in campaign.delayed}
        assert len(campaign.delayed) == len(awaiting) == 2, "of three messages one was done"
        campaign.do(*campaign.members[:50])
        campaign.do(*campaign.members[50:], state=CommandState.FAILED)
        for _ in range(4):
            await campaign.pass_time(seconds=60)
        assert await campaign.counts() == {"succeeded": 50, "failed": 10}
        assert whole(campaign) == (CampaignState.ENDED, None)
        assert campaign.delayed == [], "nobody looks any more"
        commands = campaign.ports.command_records.once.records.values()
        assert {one.campaign for one in commands} == {ULID}

    asyncio.run(scenario())


@dataclass
class Between:
    """The real policies; something happens behind the decisions of a batch.

    Attributes:
        seen: contexts of all questions.
    """

    origin: CedarAuthorizer
    then: Callable[[int], object] = lambda _: None
    seen: list[Any] = field(default_factory=list[Any])

    async def decide_all_for(
        self, tenant: Tenant, bearer: TokenBearer, requests: Sequence[AuthorizationRequest]
    ) -> tuple[Decision, ...]:
        """As the policies say."""
        decided = await self.origin.decide_all_for(tenant, bearer, requests)
        self.seen += [one.context for one in requests]
        self.then(len(self.seen))
        return decided


def between(campaign: Campaign, origin: CedarAuthorizer, then: Callable[[int], object]) -> Between:
    """Have something happen between two batches."""
    authorizer = Between(origin, then)
    campaign.ports = replace(campaign.ports, authorizer=authorizer)
    return authorizer


def test_groups_of_now_decide_the_next_batch(pools: Pools, authorizer: CedarAuthorizer) -> None:
    """Taken out of `managers` behind the first batch: all others are denied, by policy, audited."""

    async def scenario() -> None:
        campaign = await begin_campaign(pools, authorizer, devices=60)
        people = campaign.ports.people
        demoted = boss(groups=("operators",))
        between(campaign, authorizer, lambda _: people.add("acme", demoted))
        await campaign.work()
        assert campaign.sent_to() == list(campaign.members[:25])
        assert await campaign.counts() == {"published": 25, "denied": 35}
        batch = await campaign.ports.campaign_batches.read(campaign.tenant, campaign.stored, 2)
        assert batch is not None
        assert batch.devices[0].policies == ("operators-view-only",)
        assert batch.devices[0].reason == "forbidden by policy `operators-view-only`"
        trail = campaign.ports.audit.trail
        assert Counter(len(one.decision.policies) for one in trail) == {1: 60}
        assert all(one.about["campaign"] == ULID for one in trail)
        assert [("command" in one.about) for one in trail] == [True] * 25 + [False] * 35

    asyncio.run(scenario())


@pytest.mark.parametrize("how", ["disabled", "deleted", "another"])
def test_a_requester_who_is_gone_stops_it(
    pools: Pools, authorizer: CedarAuthorizer, how: str
) -> None:
    """Nothing more is sent, and it says why; what was sent stays, and is told how it ended."""

    async def scenario() -> None:
        campaign = await begin_campaign(pools, authorizer, devices=60)
        people = campaign.ports.people

        def leave(_: int) -> None:
            if how == "disabled":
                people.add("acme", boss(enabled=False))
            elif how == "deleted":
                people.known.clear()
            else:
                people.add("acme", replace(boss(), subject="another"))

        between(campaign, authorizer, leave)
        await campaign.work()
        assert campaign.sent_to() == list(campaign.members[:25])
        state, why = whole(campaign)
        assert state is CampaignState.STOPPED
        assert why is not None
        assert why.startswith("who asked for it is")
        campaign.do(*campaign.members)
        for _ in range(5):
            await campaign.pass_time(seconds=61)
        assert await campaign.counts() == {"succeeded": 25, "canceled": 35}
        assert campaign.delayed == [], "nobody looks any more"

    asyncio.run(scenario())


def test_a_cancel_while_it_decides_sends_nothing(pools: Pools, authorizer: CedarAuthorizer) -> None:
    """Of a batch that was begun before the cancel: what was decided meanwhile does not leave."""

    async def scenario() -> None:
        campaign = await begin_campaign(pools, authorizer, devices=3)
        records = campaign.ports.campaign_records.once.records

        def cancel(_: int) -> None:
            canceled = replace(campaign.stored, closing=CampaignClosing.CANCELED)
            records["acme", ULID] = canceled

        between(campaign, authorizer, cancel)
        await campaign.work()
        await campaign.pass_time(seconds=61)
        assert campaign.sent_to() == []
        assert campaign.ports.command_records.once.records == {}
        assert await campaign.counts() == {"canceled": 3}

    asyncio.run(scenario())


def test_policies_see_how_many_it_is_for(pools: Pools, authorizer: CedarAuthorizer) -> None:
    """`targets`, the command and the reason, as of one of its own: a policy can bound it."""

    async def scenario() -> None:
        campaign = await begin_campaign(pools, authorizer, devices=30, reason="order 4711")
        seen = between(campaign, authorizer, lambda _: None).seen
        await campaign.work()
        assert {(one["targets"], one["command"], one["reason"]) for one in seen} == {
            (30, "reboot", "order 4711")
        }

    asyncio.run(scenario())


@pytest.mark.parametrize(("devices", "sent"), [(10, 10), (11, 0)])
def test_a_policy_bounds_how_many_it_is_for(pools: Pools, devices: int, sent: int) -> None:
    """The example of ``policies/README.md``: ten may be stopped at once, and not eleven."""
    page = (POLICIES / "README.md").read_text(encoding="utf-8")
    [policy] = [one for one in page.split("```") if '@id("no-large-stops")' in one]
    static = {
        file.stem: file.read_text(encoding="utf-8")
        for file in (POLICIES / "static").glob("*.cedar")
    }
    bounded = PolicySet(
        schema=(POLICIES / "schema.cedarschema").read_text(encoding="utf-8"),
        static=static | {"no-large-stops": policy.removeprefix("cedar\n")},
        templates={},
        links=(),
    )

    async def scenario() -> None:
        authorizer = CedarAuthorizer(POLICIES, {"acme": bounded})
        campaign = await begin_campaign(pools, authorizer, devices=devices, name="stop")
        await campaign.work()
        assert len(campaign.sent_to()) == sent
        denied = [one for one in campaign.ports.audit.trail if isinstance(one.decision, Denied)]
        assert len(denied) == devices - sent
        assert {one.decision.policies for one in denied} <= {("no-large-stops",)}

    asyncio.run(scenario())


def test_who_cannot_be_decided_on_is_left_out(pools: Pools, authorizer: CedarAuthorizer) -> None:
    """Gone or unreadable since it was planned: `skipped` with a word, and the others get theirs."""

    async def scenario() -> None:
        campaign = await begin_campaign(pools, authorizer, devices=3)
        campaign.ports.devices.death("acme", "d00001", "thing-of-acme--d00001")
        odd = Device(tenant="acme", id="d00002", attributes={"window": "?"})
        campaign.ports.devices.add(odd)
        await campaign.work()
        assert campaign.sent_to() == ["d00000"]
        assert await campaign.counts() == {"published": 1, "skipped": 2}
        batch = await campaign.ports.campaign_batches.read(campaign.tenant, campaign.stored, 0)
        assert batch is not None
        assert [one.reason for one in batch.devices] == [
            None,
            "the device is no more",
            "its facts cannot be read",
        ]

    asyncio.run(scenario())


def declare(campaign: Campaign, **changes: Any) -> None:
    """Have the command that it sends be one of these rules."""
    usual: dict[str, Any] = {
        "tenant": "acme",
        "name": "dance",
        "action": Permission.OPERATE_DEVICE,
        "changed_by": "somebody",
        "changed_at": campaign.now,
    }
    campaign.ports.command_types.rows["acme", "dance"] = CommandTypeRecord(**(usual | changes))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"ended": True}, "the tenant has no command `dance` any more"),
        ({"rules": CommandRules(needs_reason=True)}, "command `dance` was changed: `reason`"),
        ({"rules": CommandRules(max_timeout_seconds=59, timeout_seconds=5)}, "was changed"),
    ],
)
def test_a_command_that_is_another_stops_it(
    pools: Pools, authorizer: CedarAuthorizer, change: dict[str, Any], why: str
) -> None:
    """Ended, or of other rules, between two batches: as a command of its own would be refused."""

    async def scenario() -> None:
        campaign = await begin_campaign(pools, authorizer, devices=60, name="dance")
        declare(campaign)
        between(campaign, authorizer, lambda _: declare(campaign, **change))
        await campaign.work()
        assert len(campaign.sent_to()) == 25
        assert whole(campaign)[0] is CampaignState.STOPPED
        assert why in (campaign.stored.why or "")

    asyncio.run(scenario())


def test_an_action_that_was_changed_is_asked_for(pools: Pools, authorizer: CedarAuthorizer) -> None:
    """What the command asks for now counts, as of a command of its own."""

    async def scenario() -> None:
        campaign = await begin_campaign(pools, authorizer, devices=3, name="dance")
        declare(campaign, action=Permission.MAINTAIN_DEVICE)
        await campaign.work()
        assert {one.action for one in campaign.ports.audit.trail} == {"MaintainDevice"}

    asyncio.run(scenario())


def test_nothing_is_sent_behind_its_window(pools: Pools, authorizer: CedarAuthorizer) -> None:
    """A worker that was down sends nothing the next morning; it is told so before it is there."""

    async def scenario() -> None:
        campaign = await begin_campaign(pools, authorizer, devices=3)
        campaign.later(hours=1)
        over = "the time in which it was to be sent was over"
        assert whole(campaign) == (CampaignState.STOPPED, over)
        await campaign.work()
        assert campaign.sent_to() == []
        assert campaign.stored.closing is CampaignClosing.EXPIRED
        assert whole(campaign) == (CampaignState.STOPPED, over)
        assert await campaign.counts() == {"canceled": 3}

    asyncio.run(scenario())


def test_nobody_waits_for_ever(pools: Pools, authorizer: CedarAuthorizer) -> None:
    """Devices that never answer: an hour behind their commands' end it is over, in few looks."""

    async def scenario() -> None:
        campaign = await begin_campaign(pools, authorizer, devices=3)
        await campaign.work()
        for _ in range(60):
            await campaign.pass_time(seconds=60)
        assert whole(campaign) == (CampaignState.SENT, None)
        for _ in range(20):
            await campaign.pass_time(seconds=60)
        assert whole(campaign) == (CampaignState.ENDED, None)
        assert await campaign.counts() == {"expired": 3}
        assert campaign.delayed == []
        assert campaign.stored.looks < 15

    asyncio.run(scenario())


def test_what_waits_for_a_retired_device_ends(pools: Pools, authorizer: CedarAuthorizer) -> None:
    """Its count is what the list of its devices says, and nobody waits for it any more."""

    async def scenario() -> None:
        campaign = await begin_campaign(pools, authorizer, devices=2, seconds=3600)
        await campaign.work()
        gone, there = campaign.members
        device = await campaign.ports.devices.find(campaign.tenant, gone)
        assert device is not None
        await campaign.ports.enrolments.retire(
            campaign.tenant, device, by="somebody", now_ms=campaign.now
        )
        campaign.do(there)
        for _ in range(6):
            await campaign.pass_time(minutes=5)
        assert await campaign.counts() == {"succeeded": 1, "interrupted": 1}
        assert whole(campaign) == (CampaignState.ENDED, None)

    asyncio.run(scenario())


def test_who_is_away_fails_where_nobody_waits(pools: Pools, authorizer: CedarAuthorizer) -> None:
    """`if_offline` `refuse`: each is failed at once, for good, and the campaign ends."""

    async def scenario() -> None:
        campaign = await begin_campaign(pools, authorizer, devices=3, if_offline=IfOffline.REFUSE)
        await campaign.work()
        assert await campaign.counts() == {"failed": 3}
        assert whole(campaign) == (CampaignState.ENDED, None)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "failure",
    [None, UnavailableError("the broker", is_lost=False), UpstreamError("lost", is_lost=True)],
)
def test_lost_answers_make_no_second_command(
    pools: Pools, authorizer: CedarAuthorizer, failure: UpstreamError | None
) -> None:
    """The broker answers nothing for minutes: each device gets one command once it does."""

    async def scenario() -> None:
        campaign = await begin_campaign(pools, authorizer, devices=30, seconds=3600)
        broker = campaign.ports.broker
        broker.available, broker.failure = False, failure
        worker = campaign.worker()
        for _ in range(6):
            [received] = await campaign.ports.work_queue.receive()
            await worker.handle(received)
            campaign.due()
            campaign.later(seconds=60)
        assert campaign.sent_to() == []
        assert campaign.stored.sent == 0, "an outage gives up nobody"
        broker.available = True
        await campaign.work()
        assert campaign.sent_to() == list(campaign.members)
        assert len(campaign.ports.command_records.once.records) == 30
        assert await campaign.counts() == {"published": 30}

    asyncio.run(scenario())


@dataclass
class FailingFor:
    """A broker that answers nothing about one device."""

    origin: MemoryCommandBroker
    device: str

    async def send_direct(
        self, tenant: Tenant, record: CommandRecord, *, now_ms: int
    ) -> DirectAnswer:
        """As the broker does."""
        self._check(record)
        return await self.origin.send_direct(tenant, record, now_ms=now_ms)

    async def publish(self, tenant: Tenant, record: CommandRecord, *, now_ms: int) -> None:
        """As the broker does."""
        self._check(record)
        await self.origin.publish(tenant, record, now_ms=now_ms)

    def _check(self, record: CommandRecord) -> None:
        if record.device == self.device:
            raise UpstreamError("lost", is_lost=True)


def test_one_that_fails_keeps_nobody_waiting(pools: Pools, authorizer: CedarAuthorizer) -> None:
    """Two minutes later the others go on; what may have left of it is not sent again."""

    async def scenario() -> None:
        campaign = await begin_campaign(pools, authorizer, devices=30, seconds=3600)
        broker = campaign.ports.broker
        failing: Any = FailingFor(broker, "d00003")
        ports = replace(campaign.ports, broker=failing)
        worker = campaign.worker(ports)
        for _ in range(3):
            [received] = await campaign.ports.work_queue.receive()
            await worker.handle(received)
            campaign.due()
            campaign.later(seconds=61)
        await campaign.work(ports)
        assert set(campaign.members) - set(campaign.sent_to()) == {"d00003"}
        assert await campaign.counts() == {"published": 29, "unconfirmed": 1}
        [odd] = [
            one
            for one in campaign.ports.command_records.once.records.values()
            if one.device == "d00003"
        ]
        assert odd.state is CommandRecordState.UNCONFIRMED
        assert odd.canceled_at is not None

    asyncio.run(scenario())


@pytest.mark.parametrize(("budgets", "seconds"), [(None, 7.0), (DEFAULT, 8.75)])
def test_a_campaign_keeps_its_pace(
    pools: Pools, authorizer: CedarAuthorizer, budgets: Any, seconds: float
) -> None:
    """Of 200 commands 25 at once, then 25 a second of all tenants', and 20 of one by default."""

    async def scenario() -> None:
        campaign = await begin_campaign(pools, authorizer, devices=200)
        if budgets is not None:
            tenant = replace(campaign.tenant, budgets=budgets)
            campaign.ports.tenants.rows[tenant.issuer] = tenant
        began = campaign.now
        await campaign.work()
        records = campaign.ports.command_records.once.records.values()
        at = Counter((one.created_at - began) // 1000 for one in records)
        assert max(at.values()) <= DIRECT_MESSAGES.rate.per_second
        last = max(one.created_at for one in records) - began
        assert last / 1000 == pytest.approx(seconds, abs=0.5)
        assert campaign.sent_to() == list(campaign.members)

    asyncio.run(scenario())


def test_campaigns_keep_no_other_work_waiting(pools: Pools, authorizer: CedarAuthorizer) -> None:
    """A task is at four of them at once; one more comes again in seconds, and nothing is lost."""

    async def scenario() -> None:
        campaign = await begin_campaign(pools, authorizer, devices=3)
        [received] = await campaign.ports.work_queue.receive()
        operations = Operations(campaign.ports, TokenSettings())
        waits = asyncio.Event()

        async def sleep(_: float) -> None:
            await waits.wait()
            campaign.later(seconds=10)

        # The account's bucket is empty: whoever is at a batch waits for its turn.
        full_at = microseconds(campaign.now / 1000) + CAMPAIGN_COMMANDS.rate.span
        campaign.ports.buckets.rows[CAMPAIGN_COMMANDS.key] = full_at
        pace = Pace(campaign.ports.buckets, campaign.ports.clock, sleep=sleep)
        sending = operations.work_handlers.campaign_sending(pace)
        work = Work.decode(received.text)
        at_it = [asyncio.ensure_future(sending.advance(campaign.tenant, work)) for _ in range(5)]
        done, waiting = await asyncio.wait(at_it, timeout=0.2)
        assert (len(done), len(waiting)) == (1, 4)
        assert campaign.ports.work_queue.delayed == [(3, work)]
        waits.set()
        await asyncio.wait(waiting)
        await campaign.pass_time(seconds=61)
        assert campaign.sent_to() == list(campaign.members)

    asyncio.run(scenario())


@pytest.mark.soak
@pytest.mark.timeout(300)  # the soak: 10,000 devices
def test_a_whole_fleet_gets_its_command(
    pools: Pools, authorizer: CedarAuthorizer, faults: Callable[[int, int], int]
) -> None:
    """10,000 devices (1,000) in 400 batches, in the time of the pace; each has one, and ends."""

    async def scenario() -> None:
        devices = faults(1_000, 10_000)
        campaign = await begin_campaign(pools, authorizer, devices=devices, seconds=3600)
        began = campaign.now
        await campaign.work()
        assert campaign.now - began < 1000 * devices / 25 * 1.05
        assert campaign.sent_to() == list(campaign.members)
        assert len(campaign.ports.broker.published) == devices
        campaign.do(*campaign.members)
        for _ in range(8):
            await campaign.pass_time(seconds=61)
        assert await campaign.counts() == {"succeeded": devices}
        assert whole(campaign) == (CampaignState.ENDED, None)

    asyncio.run(scenario())
