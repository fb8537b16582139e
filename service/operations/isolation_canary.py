"""The canary of isolation: what one tenant must not reach of another is tried, all the time.

Two tenants are named by the operator. In each one's session, which is all that the service has for
a tenant, a call for something of the other's is made of each part, and must be refused. The same
call for its own must be let in: without that a refusal would show nothing. No token is needed and
none is kept: no request can name another tenant (its token's issuer says which it is), so the
boundary that could be opened by a slip is that of the roles (docs/adr/0067).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from service.domain.isolation import Part
from service.errors import CedarfleetError, ConfigurationError
from service.ports.metrics import ISOLATION

if TYPE_CHECKING:
    from service.domain.tenants import Tenant
    from service.ports.isolation import IsolationProbes
    from service.ports.metrics import Metrics
    from service.ports.tenants import TenantRegistry

_REFUSED: Final = "refused"
_REACHED: Final = "reached"
_FAILED: Final = "failed"
log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class IsolationCanary:
    """Tries the boundary between two tenants, in both directions.

    Attributes:
        pair: their ids.
        seconds: from the end of one trial to the next.
    """

    tenants: TenantRegistry
    probes: IsolationProbes
    metrics: Metrics
    pair: tuple[str, str]
    seconds: float = 300

    async def run(self) -> None:
        """Try again and again, until it is canceled."""
        while True:
            await self.once()
            await asyncio.sleep(self.seconds)

    async def once(self) -> None:
        """One trial; what it found is counted, and logged unless all is as it must be."""
        try:
            first, second = [await self._tenant(one) for one in self.pair]
            # Both, whatever the first one shows.
            found = [await self._crossed(first, second), await self._crossed(second, first)]
        except CedarfleetError as error:
            log.warning("isolation.untried", problem=str(error))
            found = [_FAILED]
        except Exception:
            # A fault of ours must not end the trials, nor look like one that was passed.
            log.exception("isolation.untried")
            found = [_FAILED]
        # The worst counts; passed is only what was refused altogether.
        worst = next(one for one in (_REACHED, _FAILED, _REFUSED) if one in found)
        self.metrics.count(ISOLATION, worst)

    async def _crossed(self, by: Tenant, of: Tenant) -> str:
        """What became of the calls in the session of ``by``."""
        outcome = _REFUSED
        for part in Part:
            about = {"part": part, "by": by.id, "of": of.id}
            try:
                if await self.probes.reaches(by, part, of):
                    log.error("isolation.broken", **about)
                    outcome = _REACHED
                elif not await self.probes.reaches(by, part, by):
                    log.warning("isolation.untried", problem="not let in to its own", **about)
                    outcome = outcome if outcome == _REACHED else _FAILED
            except CedarfleetError as error:
                log.warning("isolation.untried", problem=str(error), **about)
                outcome = outcome if outcome == _REACHED else _FAILED
        return outcome

    async def _tenant(self, tenant_id: str) -> Tenant:
        found = await self.tenants.named(tenant_id)
        if found is None:
            raise ConfigurationError(f"there is no tenant `{tenant_id}`")
        return found
