"""Lets a registered device in: code and key are proved, then thing, certificate, attachments.

Every step is written down before the next begins, and each may be repeated, so that whatever is cut
off anywhere goes on at the device's next try with the same code and the same key. The point from
which no new code is given is the certificate that is written down.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import structlog
from cedarfleet_device import wire

from service.cedar.decision import Allowed, Denied, Refusal
from service.domain.audit import AuditRecord
from service.domain.budgets import Bucket
from service.domain.enrolments import SigningRequest, code_digest
from service.domain.instants import milliseconds, new_ulid
from service.domain.rates import Rate
from service.domain.tenants import TenantStatus
from service.errors import (
    EnrolmentFault,
    EnrolmentRefusedError,
    EnrolmentStateError,
    TenantSuspendedError,
    UnavailableError,
)

if TYPE_CHECKING:
    from service.domain.enrolments import Certificate, DeviceEndpoint, Enrolment
    from service.domain.instants import Clock
    from service.domain.tenants import Tenant
    from service.operations.authorization import RequestFacts
    from service.operations.budgets import Budgets
    from service.ports import Ports
    from service.settings import EnrolmentSettings

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()
ACTION: Final = "EnrolDevice"
ENROLMENTS: Final = Bucket(name="enrolments", rate=Rate(per_second=10, burst=5))
"""Of the account: below its 15 certificates a second (`CreateCertificateFromCsr`, assumed)."""
_ROUNDS: Final = 8
"""How often one request begins again since another one changed the registration meanwhile."""


@dataclass(frozen=True, kw_only=True)
class EnrolmentRequest:
    """What a device says; nothing of it is proved, and the code goes into no log."""

    tenant: str
    device: str
    code: str
    csr: str


@dataclass(frozen=True, kw_only=True)
class Enrolled:
    """What a device goes on with."""

    thing: str
    certificate: Certificate
    endpoint: DeviceEndpoint


class Enrol:
    """Enrolments of one process."""

    def __init__(
        self, ports: Ports, budgets: Budgets, settings: EnrolmentSettings, endpoint: DeviceEndpoint
    ) -> None:
        self._ports = ports
        self._budgets = budgets
        self._settings = settings
        self._endpoint = endpoint
        self._tries = Tries(settings.tries_per_second, clock=ports.clock)

    async def __call__(self, asked: EnrolmentRequest, facts: RequestFacts) -> Enrolled:
        """Let a device in, or go on with it.

        Raises:
            InvalidRequestError: the signing request is not of its form, whoever sends it.
            EnrolmentRefusedError: nothing is proved.
            EnrolmentStateError: the code is proved, and the device is not let in all the same.
            TenantSuspendedError: the code is proved, its tenant is suspended.
            UnavailableError: too many at once, or a part does not answer; try again.
        """
        self._tries.take()
        request = SigningRequest.read(asked.csr)
        tenant = await self._tenant(asked.tenant)
        for attempt in range(_ROUNDS):
            enrolment = await self._proved(tenant, asked, facts)
            if tenant.status is not TenantStatus.ACTIVE:
                raise TenantSuspendedError(tenant.id)
            if (fault := self._fault(enrolment, request)) is not None:
                await self._audit(tenant, asked.device, facts, fault)
                raise EnrolmentStateError(fault)
            if enrolment.enrolled_at is None:
                await self._audit(tenant, asked.device, facts)
                if attempt == 0:
                    await self._turn()
            certificate = await self._advance(tenant, enrolment, request)
            if certificate is not None:
                log.info("enrolment.done", thing=wire.thing_name(tenant.id, enrolment.device))
                return Enrolled(
                    thing=wire.thing_name(tenant.id, enrolment.device),
                    certificate=certificate,
                    endpoint=self._endpoint,
                )
        raise UnavailableError("the registration")

    async def _turn(self) -> None:
        """Take one of the enrolments that the account can do in a second, all tasks together.

        Raises:
            UnavailableError: none is left at the moment; try again.
        """
        # Fail closed: a site that comes in all at once waits, and other tenants' do not.
        if not (await self._budgets.spend(ENROLMENTS)).granted:
            raise UnavailableError("enrolment")

    async def _tenant(self, name: str) -> Tenant:
        tenant = await self._ports.tenants.named(name) if wire.is_tenant_id(name) else None
        if tenant is None:
            log.warning("enrolment.refused", reason="unknown tenant")
            raise EnrolmentRefusedError
        return tenant

    async def _proved(
        self, tenant: Tenant, asked: EnrolmentRequest, facts: RequestFacts
    ) -> Enrolment:
        """The registration that the code is for; the same refusal whatever else is wrong."""
        known = wire.is_device_id(asked.device)
        enrolment = await self._ports.enrolments.find(tenant, asked.device) if known else None
        if enrolment is None:
            code_digest(
                tenant.id, asked.device, asked.code
            )  # as long as for a device that there is
            log.warning("enrolment.refused", reason="no registration", tenant=tenant.id)
            raise EnrolmentRefusedError
        right = enrolment.is_proved_by(asked.code)
        # Fail closed: a code of which too many were tried is right for nobody any more.
        if enrolment.tries >= self._settings.max_tries:
            log.warning("enrolment.refused", reason="too many tries", tenant=tenant.id)
            raise EnrolmentRefusedError
        if not right:
            await self._count(tenant, enrolment)
            await self._audit(tenant, enrolment.device, facts, "wrong code")
            raise EnrolmentRefusedError
        return enrolment

    async def _count(self, tenant: Tenant, enrolment: Enrolment) -> None:
        """Write a wrong code down, also where several come at once."""
        for _ in range(_ROUNDS):
            counted = replace(enrolment, tries=enrolment.tries + 1)
            if await self._ports.enrolments.change(tenant, counted) is not None:
                return
            found = await self._ports.enrolments.find(tenant, enrolment.device)
            if found is None or found.tries >= self._settings.max_tries:
                return
            enrolment = found
        raise UnavailableError("the registration")

    def _fault(self, enrolment: Enrolment, request: SigningRequest) -> EnrolmentFault | None:
        if enrolment.key and enrolment.key != request.key:
            return EnrolmentFault.KEY_DIFFERS
        # Whoever has a certificate already shows the same key: an answer that was lost comes again.
        expired = milliseconds(self._ports.clock()) >= enrolment.expires_at
        if expired and not enrolment.certificate_id:
            return EnrolmentFault.CODE_EXPIRED
        return None

    async def _advance(
        self, tenant: Tenant, enrolment: Enrolment, request: SigningRequest
    ) -> Certificate | None:
        """Take the steps that are left; ``None``: another request changed something meanwhile."""
        enrolments, things = self._ports.enrolments, self._ports.things
        now: Enrolment | None = enrolment
        if not enrolment.key:
            now = await enrolments.change(tenant, replace(enrolment, key=request.key))
        if now is not None and not now.thing_id:
            thing_id = await things.make(tenant, now)
            if thing_id is None:
                raise EnrolmentStateError(EnrolmentFault.NAME_TAKEN)
            now = await enrolments.change(tenant, replace(now, thing_id=thing_id))
        if now is None:
            return None
        if now.certificate_id:
            certificate = await things.certificate(tenant, now.certificate_id)
            # Fail closed: what was revoked is not let in again by an old code.
            if certificate is None or not certificate.active:
                raise EnrolmentStateError(EnrolmentFault.REVOKED)
        else:
            certificate = await things.sign(tenant, request)
            now = await enrolments.change(tenant, replace(now, certificate_id=certificate.id))
        if now is not None and now.enrolled_at is None:
            await things.admit(tenant, now, certificate)
            at = milliseconds(self._ports.clock())
            now = await enrolments.change(tenant, replace(now, enrolled_at=at))
        return None if now is None else certificate

    async def _audit(
        self, tenant: Tenant, device: str, facts: RequestFacts, refused: str | None = None
    ) -> None:
        at = milliseconds(self._ports.clock())
        refusal = Denied(reason=Refusal.NOT_PERMITTED)
        record = AuditRecord(
            audit_id=new_ulid(at),
            at=at,
            tenant=tenant.id,
            principal=f"device {device}",
            action=ACTION,
            resource=f'Fleet::Device::"{device}"',
            decision=Allowed(policies=()) if refused is None else refusal,
            request_id=facts.request_id,
            source_ip=facts.source_ip,
            subject=refused,
        )
        if refused is not None:
            log.warning("enrolment.refused", reason=refused, tenant=tenant.id, device=device)
        await self._ports.audit.write(tenant, record)


class Tries:
    """So many a second of one process, and as many at once.

    Args:
        per_second: how many.
        clock: tells the time.
    """

    def __init__(self, per_second: int, *, clock: Clock) -> None:
        self._per_second = per_second
        self._clock = clock
        self._left, self._at = float(per_second), -math.inf

    def take(self) -> None:
        """Take one.

        Raises:
            UnavailableError: none is left at the moment.
        """
        now = self._clock().timestamp()
        self._left = min(
            float(self._per_second), self._left + max(0.0, now - self._at) * self._per_second
        )
        self._at = now
        # Fail closed: who proves nothing must not take the account's rates from others.
        if self._left < 1:
            raise UnavailableError("enrolment")
        self._left -= 1
