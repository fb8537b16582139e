"""A chain that was broken anywhere is found broken at the next look, and a whole one never."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from service.adapters.memory.audit import MemoryAuditChain, MemoryAuditSigner
from service.adapters.memory.work import MemoryTimers
from service.adapters.metrics.process_metrics import ProcessMetrics
from service.domain.audit_chain import Noted, UnreadableLinkError
from service.domain.audit_entries import Entry
from service.domain.work import Work, WorkKind
from service.operations.audit_verifying import AuditVerifying, verifying_work
from service.ports.metrics import AUDIT_VERIFIED
from tests.service.audited import AuditedTenant
from tests.service.operations.test_audit_chaining import Dying, Killed

if TYPE_CHECKING:
    from collections.abc import Callable

    from service.adapters.memory.user_pool import MemoryUserPool

DAY = timedelta(days=1)


class DyingPart(Dying):
    """A part that a worker dies in; what the chain says of itself is no call."""

    @property
    def keeps_seconds(self) -> int:
        """As the chain's twin."""
        return MemoryAuditChain().keeps_seconds


@pytest.fixture
def audited(pools: tuple[MemoryUserPool, MemoryUserPool]) -> AuditedTenant:
    """A trail of acme: six links, each signed."""
    made = AuditedTenant(tenant=pools[0].tenant)
    grow(made, 6)
    return made


def grow(audited: AuditedTenant, links: int) -> None:
    """So many links more, of two entries each, two minutes apart."""
    for _ in range(links):
        audited.write(2)
        audited.now += timedelta(minutes=2)
        audited.link()
    audited.queue.delayed.clear()


def verifying(audited: AuditedTenant) -> AuditVerifying:
    """The worker's part, which looks at five entries or some more at a time."""
    return AuditVerifying(
        entries=audited.entries,
        chain=audited.chain,
        signer=audited.signer,
        queue=audited.queue,
        timers=MemoryTimers(),
        metrics=ProcessMetrics(),
        clock=lambda: audited.now,
        most=5,
    )


def verify(audited: AuditedTenant, worker: AuditVerifying | None = None) -> dict[str, int]:
    """Verify the whole chain, message by message; how often it was found whole or broken."""
    worker = worker or verifying(audited)

    async def scenario() -> None:
        await worker.handle(audited.tenant, verifying_work(audited.tenant))
        while audited.queue.waiting:
            [received] = await audited.queue.receive()
            await worker.handle(audited.tenant, Work.decode(received.text))

    asyncio.run(scenario())
    assert isinstance(worker.metrics, ProcessMetrics)
    return {outcome: told for (outcome,), told in worker.metrics.counts[AUDIT_VERIFIED].items()}


def test_a_whole_chain_is_noted_once_a_day(audited: AuditedTenant) -> None:
    """Over several stretches; its timer asks for the next day, and a second look reads nothing."""
    worker = verifying(audited)
    assert verify(audited, worker) == {"whole": 1}
    [noted] = audited.chain.notes["acme"].values()
    links = audited.chain.links["acme"]
    assert (noted.number, noted.link, noted.oldest) == (6, links[-1].hash, 1)
    assert verify(audited, worker) == {"whole": 1}
    assert isinstance(worker.timers, MemoryTimers)
    [(name, (at, work))] = worker.timers.set_for.items()
    assert (name, work.kind, dict(work.about)) == ("acme--audit", WorkKind.VERIFY_AUDIT, {})
    assert at.date() == (audited.now + DAY).date()
    assert Noted.read(noted.text) == noted
    for wrong in ("[]", "{}", noted.text.replace('"number":6', '"number":"6"')):
        with pytest.raises(UnreadableLinkError):
            Noted.read(wrong)


def changed(audited: AuditedTenant) -> None:
    """A refusal becomes an approval."""
    entry = audited.kept()[5]
    other = entry.text.replace('"ALLOW"', '"DENY"')
    assert other != entry.text
    audited.entries.kept["acme"][entry.entry_id] = Entry.read(other)


def dropped(audited: AuditedTenant) -> None:
    """One entry is gone."""
    del audited.entries.kept["acme"][audited.kept()[3].entry_id]


def link_taken(audited: AuditedTenant) -> None:
    """A link in the middle is gone, with its signature."""
    del audited.chain.links["acme"][2]
    del audited.chain.signed["acme"][3]


def end_cut(audited: AuditedTenant) -> None:
    """What was there yesterday at its end is gone, and what is left proves itself."""
    del audited.chain.links["acme"][4:]
    for number in (5, 6):
        del audited.chain.signed["acme"][number]


def beginning_cut(audited: AuditedTenant) -> None:
    """The first links are gone, long before their time."""
    del audited.chain.links["acme"][:2]


def written_anew(audited: AuditedTenant) -> None:
    """Somebody who can write, and not sign by our key, makes a chain of their own."""
    ours = audited.signer
    audited.chain.links["acme"].clear()
    audited.chain.signed["acme"].clear()
    audited.signer = MemoryAuditSigner()
    audited.link()
    audited.signer = ours


def everything_gone(audited: AuditedTenant) -> None:
    """There is no chain any more."""
    audited.chain.links["acme"].clear()
    audited.chain.signed["acme"].clear()


def unsigned(audited: AuditedTenant) -> None:
    """No signature is left."""
    audited.chain.signed["acme"].clear()


def of_another_form(audited: AuditedTenant) -> None:
    """A row is no link any more."""

    class Overwritten(MemoryAuditChain):
        async def since(self, *_: object, **__: object) -> list[object]:  # type: ignore[override]
            raise UnreadableLinkError("no link: KeyError")

    audited.chain = Overwritten(
        links=audited.chain.links, signed=audited.chain.signed, notes=audited.chain.notes
    )


BREAKS: list[Callable[[AuditedTenant], None]] = [
    changed,
    dropped,
    link_taken,
    end_cut,
    beginning_cut,
    written_anew,
    everything_gone,
    unsigned,
    of_another_form,
]


@pytest.mark.parametrize("breaks", BREAKS, ids=lambda one: one.__name__)
def test_a_broken_chain_is_told_of_each_day(
    audited: AuditedTenant, breaks: Callable[[AuditedTenant], None]
) -> None:
    """It was whole the day before; then it is broken until it is as it was."""
    assert verify(audited) == {"whole": 1}
    audited.now += DAY
    breaks(audited)
    for _ in range(2):
        assert verify(audited) == {"broken": 1}
        audited.now += DAY
    assert len(audited.chain.notes["acme"]) == 1


def test_a_cut_before_a_new_link_is_found(audited: AuditedTenant) -> None:
    """Links that come after the cut take the numbers, and have other hashes."""
    assert verify(audited) == {"whole": 1}
    end_cut(audited)
    audited.now += DAY
    grow(audited, 4)
    assert verify(audited) == {"broken": 1}


def test_what_has_left_in_its_time_is_not_missed(audited: AuditedTenant) -> None:
    """Rows go when they are as old as they may be, entries before the link that holds them."""
    kept = timedelta(seconds=audited.chain.keeps_seconds)
    audited.now += kept - 3 * DAY
    grow(audited, 3)
    assert verify(audited) == {"whole": 1}
    audited.now += 4 * DAY
    for entry in audited.kept()[:12]:
        del audited.entries.kept["acme"][entry.entry_id]
    assert verify(audited) == {"whole": 1}
    del audited.chain.links["acme"][:6]
    audited.now += DAY
    assert verify(audited) == {"whole": 1}
    assert max(audited.chain.notes["acme"].values(), key=lambda one: one.at).oldest == 7
    # Nothing of it is left in the end: there is nothing to verify, and nothing is wrong.
    audited.now += kept
    everything_gone(audited)
    assert verify(audited) == {}


def test_a_chain_that_begins_is_no_broken_one(
    pools: tuple[MemoryUserPool, MemoryUserPool],
) -> None:
    """Nothing yet, or a link that waits for its signature, is neither whole nor broken."""
    audited = AuditedTenant(tenant=pools[0].tenant)
    assert verify(audited) == {}
    audited.write()
    audited.link()
    audited.queue.delayed.clear()
    signed = audited.chain.signed.pop("acme")
    assert verify(audited) == {}
    audited.chain.signed["acme"] = signed
    assert verify(audited) == {"whole": 1}


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("part", ["entries", "chain", "signer", "queue", "timers"])
def test_a_worker_that_dies_verifies_again(
    audited: AuditedTenant, part: str, *, after: bool
) -> None:
    """Killed at each call, its message comes again: whole stays whole, and broken is told."""
    kills = 0
    for call in range(1, 8):
        whole = verifying(audited)
        try:
            verify(audited, replace(whole, **{part: DyingPart(getattr(whole, part), call, after)}))
        except Killed:
            kills += 1
        audited.queue.waiting.clear()
        verify(audited)
        audited.now += DAY
    assert kills >= 1
    assert len(audited.chain.notes["acme"]) == 7
    changed(audited)
    assert verify(audited) == {"broken": 1}
