"""The worker chains every entry once, whoever dies where, and has the chain signed in its time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import pairwise
from random import Random
from typing import TYPE_CHECKING, cast

import pytest

from service.domain.audit_chain import MOST_ENTRIES
from service.domain.audit_verification import Verification
from service.domain.work import WorkKind
from service.errors import UnavailableError
from service.operations.audit_trail import LINKED_AFTER, AuditTrail
from tests.seed import new_seed
from tests.service.audited import AuditedTenant

if TYPE_CHECKING:
    from service.adapters.memory.user_pool import MemoryUserPool
    from service.domain.audit_chain import Link
    from service.domain.tenants import Tenant
    from service.ports.audit import AuditChain


class Killed(BaseException):
    """The worker's process ended here."""


@dataclass
class Dying:
    """A part that a worker dies in: as it is called for the ``at``-th time, before or after."""

    part: object
    at: int
    after: bool
    calls: int = 0

    def __getattr__(self, name: str) -> object:
        """A method of the part, which may be the last that is called."""
        method = getattr(self.part, name)

        async def called(*args: object, **named: object) -> object:
            self.calls += 1
            if self.calls == self.at and not self.after:
                raise Killed
            answer = await method(*args, **named)
            if self.calls == self.at:
                raise Killed
            return answer

        return called


@pytest.fixture
def audited(pools: tuple[MemoryUserPool, MemoryUserPool]) -> AuditedTenant:
    """An empty trail of acme."""
    return AuditedTenant(tenant=pools[0].tenant)


def whole(audited: AuditedTenant) -> None:
    """Every entry is in the chain once, and an export of it proves itself."""
    assert sorted(audited.chained) == [one.entry_id for one in audited.kept()]
    links = audited.chain.links["acme"]
    assert all(after.previous == before.hash for before, after in pairwise(links))
    found = Verification(trusted={audited.fingerprint}).verify([audited.export()])
    assert (found.problems, found.entries) == ([], len(audited.kept()))


def test_a_look_takes_up_what_is_there_and_a_second_nothing(audited: AuditedTenant) -> None:
    """Also what was written late, with an id before those that are in the chain already."""
    audited.link()
    assert audited.chain.links == {}
    audited.write(3)
    audited.link()
    audited.link()
    assert [len(link.entries) for link in audited.chain.links["acme"]] == [3]
    late = audited.record(late_ms=20_000)
    asyncio.run(audited.entries.write(audited.tenant, late))
    audited.write(1)
    audited.link()
    assert [len(link.entries) for link in audited.chain.links["acme"]] == [3, 2]
    audited.now += timedelta(days=3)
    audited.write(1)
    audited.link()
    whole(audited)


def test_what_is_too_much_for_a_link_comes_into_the_next(audited: AuditedTenant) -> None:
    """A link has a bound, since a row has; nothing is left behind it."""
    for _ in range(MOST_ENTRIES + 5):
        asyncio.run(audited.entries.write(audited.tenant, audited.record()))
    audited.link()
    sizes = [len(link.entries) for link in audited.chain.links["acme"]]
    assert sizes == [MOST_ENTRIES, 5]
    whole(audited)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("part", ["entries", "chain", "signer", "queue"])
def test_a_worker_that_dies_leaves_one_chain(
    audited: AuditedTenant, part: str, *, after: bool
) -> None:
    """Killed before or after each of its calls, its message comes again and the chain goes on."""
    kills = 0
    for look in range(12):
        audited.write(2)
        # Each third look is too early to sign.
        audited.now += timedelta(seconds=0 if look % 3 == 2 else 70)
        dying = Dying(getattr(audited, part), at=1 + look // 3, after=after)
        worker = replace(audited.chaining(), **{part: dying})
        try:
            asyncio.run(worker.handle(audited.tenant, audited.work))
        except Killed:
            kills += 1
        audited.link()
    assert kills >= 1
    audited.now += timedelta(seconds=70)
    audited.link()
    whole(audited)


def test_workers_side_by_side_make_one_chain(audited: AuditedTenant) -> None:
    """Who writes entries waits for no worker; of two links of one number one is made."""
    random = Random(new_seed())  # noqa: S311 - which order it is

    class Slow:
        """A chain whose answers come in any order."""

        def __getattr__(self, name: str) -> object:
            method = getattr(audited.chain, name)

            async def called(*args: object, **named: object) -> object:
                for _ in range(random.randrange(4)):
                    await asyncio.sleep(0)
                return await method(*args, **named)

            return called

    async def write() -> None:
        for _ in range(30):
            await audited.entries.write(
                audited.tenant, audited.record(late_ms=random.randrange(20_000))
            )
            audited.now += timedelta(milliseconds=random.randrange(4000))
            await asyncio.sleep(0)

    async def work() -> None:
        for _ in range(12):
            worker = replace(audited.chaining(), chain=cast("AuditChain", Slow()))
            await worker.handle(audited.tenant, audited.work)

    async def scenario() -> None:
        await asyncio.gather(write(), write(), work(), work(), work())

    asyncio.run(scenario())
    audited.now += timedelta(seconds=70)
    audited.write(1)
    audited.link()
    whole(audited)


def test_a_chain_that_others_always_grow_is_given_up(audited: AuditedTenant) -> None:
    """The message comes again, as after any fault; nothing is made twice."""

    class Taken:
        """A chain in which somebody else is always quicker."""

        async def append(self, tenant: Tenant, link: Link) -> bool:
            return link.tenant != tenant.id

        def __getattr__(self, name: str) -> object:
            return getattr(audited.chain, name)

    audited.write(1)
    worker = replace(audited.chaining(), chain=cast("AuditChain", Taken()))
    with pytest.raises(UnavailableError):
        asyncio.run(worker.handle(audited.tenant, audited.work))


def test_the_chain_is_signed_once_a_minute_and_to_its_end(audited: AuditedTenant) -> None:
    """The first link at once; a later one in its minute, for which the worker has itself woken."""
    audited.write(1)
    audited.link()
    assert sorted(audited.chain.signed["acme"]) == [1]
    audited.queue.delayed.clear()
    for _ in range(3):
        audited.write(1)
        audited.link()
    assert sorted(audited.chain.signed["acme"]) == [1]
    [(seconds, work)] = [
        one for one in audited.queue.delayed if one[1].kind is WorkKind.CHAIN_AUDIT
    ]
    assert (work, 50 <= seconds <= 60) == (audited.work, True)
    audited.now += timedelta(seconds=seconds)
    audited.link()
    assert sorted(audited.chain.signed["acme"]) == [1, 4]
    audited.link()
    assert sorted(audited.chain.signed["acme"]) == [1, 4]
    whole(audited)


def test_a_signature_that_is_not_good_is_not_kept(audited: AuditedTenant) -> None:
    """Whatever signs, what nobody would believe is refused, and asked for again."""

    class Wrong:
        """Signs something else."""

        async def public_key(self) -> bytes:
            return await audited.signer.public_key()

        async def sign(self, message: bytes) -> bytes:
            return await audited.signer.sign(message + b" ")

    audited.write(1)
    worker = audited.chaining(signer=Wrong())
    with pytest.raises(UnavailableError):
        asyncio.run(worker.handle(audited.tenant, audited.work))
    assert audited.chain.signed == {}
    audited.link()
    whole(audited)


def test_the_worker_is_told_behind_what_stands(audited: AuditedTenant) -> None:
    """One message for what is written while it is on its way, and another for what is not."""
    at = [0.0]
    trail = AuditTrail(log=audited.entries, queue=audited.queue, now=lambda: at[0])

    async def written(now: float) -> int:
        at[0] = now
        await trail.write(audited.tenant, audited.record())
        return len(audited.queue.delayed)

    assert [asyncio.run(written(now)) for now in (0.0, 1.0, 2.4, 2.6, 4.0)] == [1, 1, 1, 2, 2]
    assert {seconds for seconds, _ in audited.queue.delayed} == {LINKED_AFTER}
    audited.queue.available = False
    assert asyncio.run(written(9.0)) == 2
    audited.queue.available = True
    assert asyncio.run(written(9.1)) == 3, "who could not be told is told with the next"
    audited.entries.available = False
    with pytest.raises(UnavailableError):
        asyncio.run(written(20.0))
    assert len(audited.queue.delayed) == 3, "nobody is told of what does not stand"
