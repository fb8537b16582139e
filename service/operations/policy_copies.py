"""Copies of the tenants' policies: made of their stores, and good only while the registry says so.

Nothing runs by itself: a request finds that something is due, goes on with what there is, and what
is due is done beside it. A process that has just started thus copies the stores of the tenants that
ask, each at a moment of its own.
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import structlog

from service import deadline
from service.cedar.compiled import CompiledPolicies
from service.cedar.digest import policies_digest
from service.cedar.granted import with_granted
from service.domain.permissions import Permission
from service.errors import CedarfleetError
from service.ports.metrics import POLICY_DIFFERENCES

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Mapping
    from typing import Any

    from service.cedar.policy_set import PolicySet
    from service.domain.revocations import RunTimeWord
    from service.domain.tenants import Tenant
    from service.operations.revocations import Revocations
    from service.ports.metrics import Metrics
    from service.ports.policies import PolicyStores
    from service.settings import PolicySettings

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

_REGISTRY: Final = "the tenant registry"
_FIRST_SECONDS: Final = 3.0  # within which a process makes its first copy of a store
_AGAIN_SECONDS: Final = 4.0  # until a store is looked at again that is not as it is to be
_CHANGING_SECONDS: Final = 900.0  # an update of a stack is over by then
_HINDRANCES: Final = (CedarfleetError, ValueError, KeyError, TypeError)
_NAMED: Final = 20  # policies, or tenants, in one line of the log
_IN_USE: Final = 3.0  # times as long as a word is fresh: whoever asked within it may ask again
_TOGETHER: Final = 100  # tenants whose digests are asked for at once


@dataclass(kw_only=True)
class _Known:
    """What is known of one tenant's store.

    Attributes:
        tenant: whose it is, as it last asked.
        used_at: when that was.
        stacks: the digest that its stack says.
        granted: fingerprints of the grants that it is to hold beside that.
        expected: the digest that it is to have, of both.
        expected_at: when the stack's was asked; seconds of the clock, as all moments here.
        expected_since: when the whole was first heard.
        digest: of what the store said last.
        copy: made of that.
        versions: of what the store said last.
        looked_at: when that was asked.
        look_at: when to look again.
        agreed: digest and versions when store and registry were last of one mind.
        odd: how often since then they were not.
        distrusted: a digest whose copy decided otherwise than the store.
    """

    tenant: Tenant
    used_at: float
    stacks: str | None = None
    granted: frozenset[str] = frozenset()
    expected: str | None = None
    expected_at: float = -math.inf
    expected_since: float = -math.inf
    digest: str | None = None
    copy: CompiledPolicies | None = None
    versions: Mapping[str, str] = field(default_factory=dict[str, str])
    looked_at: float = -math.inf
    look_at: float = -math.inf
    agreed: tuple[str, Mapping[str, str]] | None = None
    odd: int = 0
    distrusted: str | None = None
    asking: asyncio.Task[None] | None = None
    looking: asyncio.Task[None] | None = None


class PolicyCopies:
    """One copy a tenant, bounded in bytes; ``None`` wherever there is any doubt.

    Args:
        stores: what is copied.
        settings: how old and how large a copy may be.
        metrics: is told of stores that differ.
        revocations: tells which grants stand.
        now: seconds, monotonic.
        chance: draws between 0 and 1, so that processes that began together part.
    """

    def __init__(
        self,
        stores: PolicyStores,
        settings: PolicySettings,
        metrics: Metrics,
        revocations: Revocations,
        *,
        now: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._stores = stores
        self._settings = settings
        self._metrics = metrics
        self._revocations = revocations
        self._now = now
        self._chance = chance
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()
        # Whose digests are asked for together in a moment.
        self._gathered: list[_Known] = []

    async def good(self, tenant: Tenant) -> CompiledPolicies | None:
        """The copy that decides reads now, or ``None``: then the store is to be asked.

        It has the digest that the registry said at most ``fresh_seconds`` ago, and its store was
        looked at within three times ``compare_seconds``.
        """
        # Fail closed, as each condition below: what is not known to be good is not used.
        if self._settings.total_bytes == 0:
            return None
        known = self._of(tenant)
        age = self._now() - known.expected_at
        if age > self._settings.fresh_seconds:
            async with deadline.within(_REGISTRY):
                await asyncio.shield(self._ask(known))
            if self._now() - known.expected_at > self._settings.fresh_seconds:
                return None
        elif age > self._settings.fresh_seconds / 2:
            self._ask(known)
        if not await self._counts(known, self._revocations.word) or known.expected is None:
            return None
        now = self._now()
        if now >= known.look_at:
            self._look(known)
        if (
            known.digest != known.expected
            or known.distrusted == known.expected
            or now - known.looked_at > 3 * self._settings.compare_seconds
        ):
            return None
        return known.copy

    async def confirm(self, tenant: Tenant) -> CompiledPolicies | None:
        """The good copy, once the registry and the store were asked anew."""
        known = self._of(tenant)
        await asyncio.shield(self._ask(known))
        await asyncio.shield(self._look(known))
        return await self.good(tenant)

    def distrust(self, tenant: Tenant) -> None:
        """Use no copy any more of what the store is to hold now."""
        known = self._of(tenant)
        known.distrusted = known.expected

    async def settled(self) -> None:
        """Return once nothing is done in the background."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def close(self) -> None:
        """End what is done in the background."""
        for task in self._tasks:
            task.cancel()
        await self.settled()

    def _of(self, tenant: Tenant) -> _Known:
        key, now = f"{tenant.issuer} {tenant.policy_store_id}", self._now()
        known = self._known.get(key)
        if known is None:
            first = now + self._chance() * _FIRST_SECONDS
            known = self._known[key] = _Known(tenant=tenant, used_at=now, look_at=first)
            if len(self._known) > self._settings.entries:
                self._known.popitem(last=False)
        else:
            self._known.move_to_end(key)
            known.tenant, known.used_at = tenant, now
        return known

    def _ask(self, known: _Known) -> asyncio.Task[None]:
        if known.asking is None or known.asking.done():
            if not self._gathered:
                self._flight = self._begin(self._asked_together())
            self._gathered.append(known)
            known.asking = self._flight
        return known.asking

    def _look(self, known: _Known) -> asyncio.Task[None]:
        if known.looking is None or known.looking.done():
            known.looking = self._begin(self._looked(known))
        return known.looking

    def _begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = deadline.shared(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _asked_together(self) -> None:
        """Ask for the digests of all who want theirs now, and of who will in a moment.

        With many tenants a question costs next to nothing of each of their requests.
        """
        await asyncio.sleep(0)
        asked, self._gathered = self._gathered, []
        for known in self._soon_due(_TOGETHER - len(asked)):
            known.asking = self._flight
            asked.append(known)
        await self._asked(asked)

    def _soon_due(self, most: int) -> list[_Known]:
        """Those that are in use, and whose word is no more of the freshest."""
        now, fresh = self._now(), self._settings.fresh_seconds
        due: list[_Known] = []
        for known in reversed(self._known.values()):
            if len(due) >= most or now - known.used_at > _IN_USE * fresh:
                break
            is_asked = known.asking is not None and not known.asking.done()
            if not is_asked and fresh / 4 < now - known.expected_at < math.inf:
                due.append(known)
        return due

    async def _asked(self, asked: list[_Known]) -> None:
        began = self._now()
        try:
            words = await self._stores.expected([known.tenant for known in asked])
        # No word, or a row of another form: the store decides, and the request goes on.
        except _HINDRANCES as error:
            log.warning(
                "policies.not_asked",
                tenants=[known.tenant.id for known in asked[:_NAMED]],
                problem=type(error).__name__,
            )
            return
        for known in asked:
            # Fail closed: whose row was not answered keeps the old word, which ends by itself.
            if known.tenant.issuer in words:
                self._hear(known, words[known.tenant.issuer], began)

    async def _counts(self, known: _Known, ask: Callable[[Tenant], Awaitable[RunTimeWord]]) -> bool:
        """Hear which grants stand; ``False``: nobody says."""
        began = self._now()
        try:
            granted = (await ask(known.tenant)).granted
        except CedarfleetError as error:
            problem = type(error).__name__
            log.warning("policies.not_asked", tenants=[known.tenant.id], problem=problem)
            return False
        if granted is not known.granted:
            known.granted = granted
            self._expect(known, began)
        return True

    def _hear(self, known: _Known, stacks: str | None, began: float) -> None:
        known.stacks, known.expected_at = stacks, began
        self._expect(known, began)

    def _expect(self, known: _Known, began: float) -> None:
        stacks = known.stacks
        expected = None if stacks is None else with_granted(stacks, known.granted)
        if expected != known.expected:
            known.expected, known.expected_since, known.odd = expected, began, 0
            # The store is changed after the registry: look as soon as it may be done.
            known.look_at = began + self._chance() * _FIRST_SECONDS

    async def _looked(self, known: _Known) -> None:
        began, tenant = self._now(), known.tenant
        try:
            await self._read(tenant, known)
        # A copy saves time and nothing else: whatever hinders it, the store decides.
        except _HINDRANCES as error:
            log.warning("policies.not_copied", tenant=tenant.id, problem=type(error).__name__)
            known.odd += 1
        else:
            known.looked_at = began
            # After the store, which is changed after the registry: both are of one moment now.
            await self._asked([known])
            if await self._counts(known, self._revocations.anew):
                self._judge(tenant, known)
        known.look_at = self._now() + self._pause(known) * (0.75 + self._chance() / 2)

    async def _read(self, tenant: Tenant, known: _Known) -> None:
        # Before the contents: a change between them shows at the next look.
        versions = await self._stores.versions(tenant)
        if versions == known.versions:
            return
        policies = await self._stores.contents(tenant)
        copy = None
        if _size(policies) <= self._settings.tenant_bytes:
            copy = await asyncio.to_thread(CompiledPolicies, policies, actions=Permission)
        else:
            log.warning("policies.too_large", tenant=tenant.id, bytes=_size(policies))
        known.digest, known.copy, known.versions = policies_digest(policies), copy, versions
        self._make_room(known)

    def _judge(self, tenant: Tenant, known: _Known) -> None:
        """Tell what the registry does not know of: somebody else has changed the store."""
        if known.digest == known.expected:
            known.odd, known.agreed = 0, (known.digest or "", known.versions)
            return
        known.odd += 1
        before, versions = known.agreed or ("", {})
        ours = before != known.expected
        # One look may see a store as it was some seconds ago, and an update takes a while.
        settled = self._now() - known.expected_since > _CHANGING_SECONDS
        if (settled if ours else known.odd > 1) and known.expected is not None:
            changed = dict(known.versions.items() ^ versions.items()) if not ours else {}
            self._metrics.count(POLICY_DIFFERENCES, "store")
            names = (tenant.policy_names.get(one, one) for one in changed)
            log.error(
                "policies.differ",
                tenant=tenant.id,
                policy_store=tenant.policy_store_id,
                changed=sorted(names)[:_NAMED],
            )

    def _pause(self, known: _Known) -> float:
        compare = self._settings.compare_seconds
        return min(compare, _AGAIN_SECONDS * 2 ** min(known.odd - 1, 16)) if known.odd else compare

    def _make_room(self, newest: _Known) -> None:
        total = sum(one.copy.size for one in self._known.values() if one.copy)
        for one in self._known.values():
            if total <= self._settings.total_bytes:
                return
            if one.copy is not None and one is not newest:
                total -= one.copy.size
                one.copy, one.digest, one.versions = None, None, {}


def _size(policies: PolicySet) -> int:
    texts = (policies.schema, *policies.static.values(), *policies.templates.values())
    return sum(map(len, texts)) + sum(
        len(policies.templates.get(link.template, "")) for link in policies.links
    )
