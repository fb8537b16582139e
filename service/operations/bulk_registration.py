"""Registers many devices of one request, a result a row, in the order of the rows.

The caller's rights are asked once for each set of groups and tags that occurs, before anything is
stored. Rows are stored a few at a time, at a pace that leaves the tenant's partition to others: a
partition takes 1,000 write units a second (source: DynamoDB developer guide, "partition key
design"), and a device is two writes. Whoever repeats a request finds the devices of the first one
there; codes that were lost with its answer are made anew only if that is asked for.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from service.errors import CallerError, ConflictError, PermissionDeniedError, UpstreamError
from service.operations.devices import find_device
from service.operations.known_groups import knowing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from service.domain.tenants import Tenant
    from service.operations.authorization import Access
    from service.operations.registration import NewDevice, Registered, Registration

MAX_ROWS: Final = 10_000
AT_ONCE: Final = 16
ROWS_PER_SECOND: Final = 250
_Asked = tuple[tuple[str, ...], tuple[str, ...]]


@dataclass(frozen=True, kw_only=True)
class RowResult:
    """What came of one row.

    Attributes:
        row: counted from 1.
        device: the id that it names, if it names one.
        status: ``registered``, ``code-renewed``, ``exists`` or ``refused``.
        registered: with the code, where there is one.
        problem: what was wrong, and what would be right.
    """

    row: int
    device: str
    status: str
    registered: Registered | None = None
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class BulkRegistration:
    """Registers devices of the caller's tenant by rows.

    Attributes:
        sleep: waits so many seconds.
    """

    registration: Registration
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def allowed(
        self, access: Access, rows: Sequence[NewDevice | CallerError]
    ) -> dict[_Asked, PermissionDeniedError | None]:
        """Which sets of groups and tags the caller may register, each asked and audited once.

        Raises:
            PermissionDeniedError: none of them, or no row is a device.
            UnavailableError: the policies or the trail do not answer; nothing was stored.
        """
        found: dict[_Asked, PermissionDeniedError | None] = {}
        tenant = await self._tenant(access, rows)
        for row in rows:
            if isinstance(row, CallerError):
                continue
            asked = _asked(row)
            if asked in found or not self._is_good(tenant, row):
                continue
            try:
                subject = f"{len(rows)} rows"
                await self.registration.require(access, tenant, asked, subject=subject)
            except PermissionDeniedError as error:
                found[asked] = error
            else:
                found[asked] = None
        denied = [error for error in found.values() if error is not None]
        # Fail closed: who may register none of it is refused as for one device.
        if not access.granted:
            if denied:
                raise denied[0]
            subject = f"{len(rows)} rows"
            await self.registration.require(access, tenant, ((), ()), subject=subject)
        return found

    async def store(
        self,
        access: Access,
        rows: Sequence[NewDevice | CallerError],
        allowed: dict[_Asked, PermissionDeniedError | None],
        *,
        renew_codes: bool,
    ) -> AsyncIterator[RowResult]:
        """A result for each row, in order, as they are stored."""
        seen: set[str] = set()
        tenant = await self._tenant(access, rows)
        for start in range(0, len(rows), AT_ONCE):
            batch: list[Awaitable[RowResult]] = []
            for number, row in enumerate(rows[start : start + AT_ONCE], start + 1):
                name = "" if isinstance(row, CallerError) else row.id
                twice = bool(name) and name in seen
                seen.add(name)
                batch.append(
                    self._one(access, number, row, (tenant, allowed), (renew_codes, twice))
                )
            began = asyncio.get_running_loop().time()
            for result in await asyncio.gather(*batch):
                yield result
            took = asyncio.get_running_loop().time() - began
            await self.sleep(max(0.0, AT_ONCE / ROWS_PER_SECOND - took))

    async def _one(
        self,
        access: Access,
        number: int,
        row: NewDevice | CallerError,
        known: tuple[Tenant, dict[_Asked, PermissionDeniedError | None]],
        how: tuple[bool, bool],
    ) -> RowResult:
        renew_codes, twice = how
        tenant, allowed = known
        if isinstance(row, CallerError):
            return RowResult(row=number, device="", status="refused", problem=str(row))

        def refused(words: str) -> RowResult:
            return RowResult(row=number, device=row.id, status="refused", problem=words)

        if twice:
            return refused("`id`: stands in an earlier row too")
        try:
            self.registration.check(tenant, row)
            if (denied := allowed[_asked(row)]) is not None:
                return refused(str(denied))
            return await self._stored(access, number, row, renew_codes=renew_codes)
        except (CallerError, UpstreamError) as error:
            return refused(str(error))

    async def _tenant(self, access: Access, rows: Sequence[NewDevice | CallerError]) -> Tenant:
        """The caller's tenant, with the groups that the rows name."""
        named = {group for row in rows if not isinstance(row, CallerError) for group in row.groups}
        return await knowing(self.registration.groups, access.principal.tenant, named)

    def _is_good(self, tenant: Tenant, row: NewDevice) -> bool:
        """Whether the row has its form: others are refused before anybody is asked."""
        try:
            self.registration.check(tenant, row)
        except CallerError:
            return False
        return True

    async def _stored(
        self, access: Access, number: int, row: NewDevice, *, renew_codes: bool
    ) -> RowResult:
        tenant = access.principal.tenant
        try:
            made = await self.registration.store(access, row)
        except ConflictError:
            found = await find_device(self.registration.devices, tenant, row.id)
        else:
            return RowResult(row=number, device=row.id, status="registered", registered=made)
        # The former code ends: only for a device of the same groups, which the caller may register.
        same = found.groups == tuple(sorted(row.groups))
        if renew_codes and same and not found.enrolled:
            made = await self.registration.store_code(tenant, found)
            return RowResult(row=number, device=row.id, status="code-renewed", registered=made)
        return RowResult(row=number, device=row.id, status="exists")


def _asked(row: NewDevice) -> _Asked:
    return tuple(sorted(row.groups)), tuple(sorted(row.tags))
