"""Whether an access token is of a machine made at run time, and when that machine was last seen."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

import structlog

from service import deadline
from service.bounded_cache import BoundedCache
from service.domain.instants import milliseconds
from service.domain.machines import USED_MS
from service.errors import CedarfleetError

if TYPE_CHECKING:
    from collections.abc import Callable

    from service.domain.instants import Clock
    from service.domain.tenants import Tenant
    from service.ports.machines import MachineRecords

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()
_KNOWN_SECONDS: Final = 300
_UNKNOWN_SECONDS: Final = 2
_MOST: Final = 4096


class MachineAdmission:
    """Knows app clients that the service made itself.

    An app client is one machine's for good, and what ends its tokens is their revocation, so what
    is known may be old. Of an unknown one it is asked anew soon: it may be made at this moment.

    Args:
        records: of machines.
        clock: of what is written down.
        elapsed: seconds, monotonic; what is known ends by it.
    """

    def __init__(
        self,
        records: MachineRecords,
        clock: Clock,
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:
        self._records = records
        self._clock = clock
        self._machines: BoundedCache[tuple[str, str], str] = BoundedCache(
            max_entries=_MOST, clock=elapsed
        )
        self._seen: BoundedCache[tuple[str, str], bool] = BoundedCache(
            max_entries=_MOST, clock=elapsed
        )
        self._tasks: set[asyncio.Task[None]] = set()

    async def admits(self, tenant: Tenant, client_id: str) -> bool:
        """Whether tokens of the app client count; only ask for one whose signature holds.

        Raises:
            UnavailableError: nobody says whether (fail closed).
        """
        key = (tenant.issuer, client_id)
        machine = self._machines.get(key)
        if machine is None:
            machine = await self._records.admitted(tenant, client_id) or ""
            seconds = _KNOWN_SECONDS if machine else _UNKNOWN_SECONDS
            self._machines.put(key, machine, seconds=seconds)
        return machine != ""

    def seen(self, tenant: Tenant, client_id: str) -> None:
        """Have it written down that a machine was seen, once in some minutes, in the background."""
        key = (tenant.issuer, client_id)
        machine = self._machines.get(key)
        if not machine or self._seen.get(key):
            return
        self._seen.put(key, True, seconds=USED_MS / 1000)
        task = deadline.shared(self._write(tenant, machine))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """End what is done in the background."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _write(self, tenant: Tenant, machine: str) -> None:
        try:
            await self._records.used(tenant, machine, at_ms=milliseconds(self._clock()))
        except CedarfleetError as error:
            # The next request of some minutes later writes it.
            log.warning("machine.use_not_written", problem=type(error).__name__)
