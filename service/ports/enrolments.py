"""Registered devices that are not in yet: their codes, and what IoT Core makes of one that is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from service.domain.devices import Device
    from service.domain.enrolments import Certificate, Enrolment, SigningRequest
    from service.domain.tenants import Tenant


class Enrolments(Protocol):
    """How far each registration has come; reads are of this moment."""

    async def register(
        self, tenant: Tenant, device: Device, enrolment: Enrolment, *, by: str, now_ms: int
    ) -> bool:
        """Store a new device with its code; ``False``: the name is somebody's already.

        Args:
            tenant: whose device it is.
            device: its id and facts; those that an earlier device left under this name go.
            enrolment: of the same registration.
            by: entity id of who registers it.
            now_ms: milliseconds since the epoch.
        """
        ...

    async def find(self, tenant: Tenant, device_id: str) -> Enrolment | None:
        """The enrolment of the device that bears the name now; ``None``: it was never registered.

        A device that is gone or retired has none any more.
        """
        ...

    async def retire(
        self, tenant: Tenant, device: Device, *, by: str, now_ms: int
    ) -> frozenset[str]:
        """Write down that a device is retired, with its facts, so that no code lets it in any more.

        Again is fine. Whoever enrols at this moment finds that out at the next step.

        Returns:
            Ids of the certificates that its enrolments got.
        """
        ...

    async def change(self, tenant: Tenant, enrolment: Enrolment) -> Enrolment | None:
        """Store an enrolment that was found; ``None``: somebody else changed it meanwhile.

        Args:
            tenant: whose it is.
            enrolment: as it shall be, with the version with which it was found.
        """
        ...


class Things(Protocol):
    """IoT Core's registry. Each method may be repeated: what is there already stays."""

    async def make(self, tenant: Tenant, enrolment: Enrolment) -> str | None:
        """The device's thing, in the tenant's group; its id.

        ``None``: a thing of this name was made by something else than this registration.
        """
        ...

    async def sign(self, tenant: Tenant, request: SigningRequest) -> Certificate:
        """A new certificate for the request's key, which may do nothing yet."""
        ...

    async def certificate(self, tenant: Tenant, certificate_id: str) -> Certificate | None:
        """A certificate that was signed before; ``None``: it was deleted."""
        ...

    async def put_off(self, tenant: Tenant, device: Device, certificates: frozenset[str]) -> None:
        """Make certificates of a device, these and all others that it has, inactive."""
        ...

    async def admit(self, tenant: Tenant, enrolment: Enrolment, certificate: Certificate) -> None:
        """Let the certificate in as the device: the last step."""
        ...
