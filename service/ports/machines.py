"""Machines of the tenants: what is known of them, and their app clients in the user pools."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from service.domain.machines import Machine, NewSecret
    from service.domain.tenants import Tenant


class MachineRecords(Protocol):
    """What is known of machines that were made at run time; no secret stands here."""

    async def find(self, tenant: Tenant, machine_id: str) -> Machine | None:
        """One machine, as of now."""
        ...

    async def following(
        self, tenant: Tenant, *, after: str | None, limit: int
    ) -> tuple[Machine, ...]:
        """Machines in the order of their ids, behind ``after``."""
        ...

    async def put(self, tenant: Tenant, machine: Machine) -> Machine | None:
        """Store it if the row is at its version; ``None``: it is not."""
        ...

    async def admit(self, tenant: Tenant, client_id: str, machine_id: str) -> None:
        """Let tokens of the app client count from now on."""
        ...

    async def admitted(self, tenant: Tenant, client_id: str) -> str | None:
        """The machine whose app client this is; ``None``: its tokens do not count."""
        ...

    async def used(self, tenant: Tenant, machine_id: str, *, at_ms: int) -> None:
        """Write down that it was seen, unless somebody did some minutes ago."""
        ...


class MachineClients(Protocol):
    """App clients of the tenant's user pool, each with at most two secrets."""

    async def make(self, tenant: Tenant, machine: Machine) -> tuple[str, NewSecret]:
        """Make an app client; its id and its first secret.

        Raises:
            ConflictError: the pool takes no more.
        """
        ...

    async def named(self, tenant: Tenant, name: str) -> tuple[str, ...]:
        """The app clients of this name."""
        ...

    async def delete(self, tenant: Tenant, client_id: str) -> None:
        """Delete an app client with its secrets; one that is gone is fine."""
        ...

    async def add_secret(self, tenant: Tenant, client_id: str) -> NewSecret:
        """Make a further secret.

        Raises:
            ConflictError: there are two.
            NotFoundError: the app client is gone.
        """
        ...

    async def secrets(self, tenant: Tenant, client_id: str) -> frozenset[str]:
        """The ids of its secrets; none of an app client that is gone."""
        ...

    async def delete_secret(self, tenant: Tenant, client_id: str, secret_id: str) -> None:
        """Delete one secret; one that is gone is fine.

        Raises:
            ConflictError: it is the only one.
        """
        ...
