"""Twins of the registrations and of IoT Core's registry of things."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from service.domain.device_rows import DeviceRows, Facts
from service.domain.enrolments import Certificate

if TYPE_CHECKING:
    from service.adapters.memory.devices import MemoryDevices
    from service.domain.devices import Device
    from service.domain.enrolments import Enrolment, SigningRequest
    from service.domain.tenants import Tenant


@dataclass(kw_only=True)
class MemoryEnrolments:
    """Rows beside those of the devices."""

    devices: MemoryDevices

    async def register(
        self, tenant: Tenant, device: Device, enrolment: Enrolment, *, by: str, now_ms: int
    ) -> bool:
        rows = self.devices.rows.get((tenant.id, device.id), DeviceRows())
        if rows.living is not None or rows.unreadable is not None:
            return False
        facts = Facts(
            attributes=device.attributes,
            groups=device.groups,
            tags=device.tags,
            version=(rows.facts.version if rows.facts else 0) + 1,
            origin=enrolment.registration,
            created_at=now_ms,
            changed_at=now_ms,
            changed_by=by,
        )
        stored = replace(enrolment, version=1)
        self.devices.rows[tenant.id, device.id] = rows._replace(
            facts=facts, enrolments={**rows.enrolments, enrolment.registration: stored}
        )
        return True

    async def find(self, tenant: Tenant, device_id: str) -> Enrolment | None:
        rows = self.devices.rows.get((tenant.id, device_id), DeviceRows())
        return None if rows.retired_at is not None else rows.enrolment

    async def retire(
        self, tenant: Tenant, device: Device, *, by: str, now_ms: int
    ) -> frozenset[str]:
        rows = self.devices.rows[tenant.id, device.id]
        if rows.retired_at is None:
            rows = rows._replace(retired={**rows.retired, device.origin: now_ms})
        closed = {
            name: replace(one, version=one.version + 1) for name, one in rows.enrolments.items()
        }
        self.devices.rows[tenant.id, device.id] = rows._replace(enrolments=closed)
        return frozenset(one.certificate_id for one in rows.standing if one.certificate_id)

    async def change(self, tenant: Tenant, enrolment: Enrolment) -> Enrolment | None:
        rows = self.devices.rows[tenant.id, enrolment.device]
        if rows.enrolments[enrolment.registration].version != enrolment.version:
            return None
        changed = replace(enrolment, version=enrolment.version + 1)
        self.devices.rows[tenant.id, enrolment.device] = rows._replace(
            enrolments={**rows.enrolments, enrolment.registration: changed}
        )
        return changed


@dataclass(kw_only=True)
class MemoryThings:
    """Things and certificates.

    Attributes:
        made: (tenant, device) -> the registration that made the thing.
        certificates: by id; ``requests`` has the request of each.
        admitted: (tenant, device) -> ids of the certificates that are let in as the device.
    """

    made: dict[tuple[str, str], str] = field(default_factory=dict[tuple[str, str], str])
    certificates: dict[str, Certificate] = field(default_factory=dict[str, "Certificate"])
    requests: dict[str, SigningRequest] = field(default_factory=dict[str, "SigningRequest"])
    admitted: dict[tuple[str, str], set[str]] = field(
        default_factory=dict[tuple[str, str], "set[str]"]
    )

    async def make(self, tenant: Tenant, enrolment: Enrolment) -> str | None:
        name = (tenant.id, enrolment.device)
        if self.made.setdefault(name, enrolment.registration) != enrolment.registration:
            return None
        return f"thing-{enrolment.registration}"

    async def sign(self, tenant: Tenant, request: SigningRequest) -> Certificate:
        # Another one each time, as IoT Core makes it.
        name = f"{request.key}{len(self.certificates)}"
        made = Certificate(
            id=hashlib.sha256(name.encode()).hexdigest(),
            arn=f"arn:aws:iot:eu-central-1:123456789012:cert/{name}",
            pem=f"-----BEGIN CERTIFICATE-----\n{name}\n-----END CERTIFICATE-----\n",
            active=True,
        )
        self.certificates[made.id], self.requests[made.id] = made, request
        return made

    async def certificate(self, tenant: Tenant, certificate_id: str) -> Certificate | None:
        return self.certificates.get(certificate_id)

    async def admit(self, tenant: Tenant, enrolment: Enrolment, certificate: Certificate) -> None:
        self.admitted.setdefault((tenant.id, enrolment.device), set()).add(certificate.id)

    async def put_off(self, tenant: Tenant, device: Device, certificates: frozenset[str]) -> None:
        for one in certificates | self.admitted.get((tenant.id, device.id), set()):
            self.certificates[one] = replace(self.certificates[one], active=False)

    def revoke(self, certificate_id: str) -> None:
        """An operator revokes a certificate."""
        self.certificates[certificate_id] = replace(self.certificates[certificate_id], active=False)
