"""Twins of the machines: what is known of them, and their app clients in the pools."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from service.domain.machines import MOST_SECRETS, USED_MS, NewSecret
from service.errors import ConflictError, NotFoundError, UnavailableError

if TYPE_CHECKING:
    from service.domain.machines import Machine
    from service.domain.tenants import Tenant


@dataclass(kw_only=True)
class MemoryMachines:
    """Machines by tenant and id.

    Attributes:
        clients: the machine of each app client whose tokens count.
        uses: how often a use was written.
        available: ``False`` makes every question fail.
    """

    rows: dict[tuple[str, str], Machine] = field(default_factory=dict[tuple[str, str], "Machine"])
    clients: dict[tuple[str, str], str] = field(default_factory=dict[tuple[str, str], str])
    uses: int = 0
    available: bool = True

    async def find(self, tenant: Tenant, machine_id: str) -> Machine | None:
        self._check()
        return self.rows.get((tenant.id, machine_id))

    async def following(
        self, tenant: Tenant, *, after: str | None, limit: int
    ) -> tuple[Machine, ...]:
        self._check()
        found = [
            machine
            for (owner, id_), machine in sorted(self.rows.items(), key=lambda row: row[0])
            if owner == tenant.id and (after is None or id_ > after)
        ]
        return tuple(found[:limit])

    async def put(self, tenant: Tenant, machine: Machine) -> Machine | None:
        self._check()
        known = self.rows.get((tenant.id, machine.id))
        if (known.version if known else 0) != machine.version:
            return None
        stored = replace(machine, version=machine.version + 1)
        self.rows[tenant.id, machine.id] = stored
        return stored

    async def admit(self, tenant: Tenant, client_id: str, machine_id: str) -> None:
        self._check()
        self.clients[tenant.id, client_id] = machine_id

    async def admitted(self, tenant: Tenant, client_id: str) -> str | None:
        self._check()
        return self.clients.get((tenant.id, client_id))

    async def used(self, tenant: Tenant, machine_id: str, *, at_ms: int) -> None:
        self._check()
        known = self.rows.get((tenant.id, machine_id))
        if known is not None and (known.last_used_at or 0) < at_ms - USED_MS:
            self.rows[tenant.id, machine_id] = replace(known, last_used_at=at_ms)
            self.uses += 1

    def _check(self) -> None:
        if not self.available:
            raise UnavailableError("the commands table")


@dataclass(kw_only=True)
class MemoryMachineClients:
    """App clients by tenant and client id.

    Attributes:
        names: of the app clients.
        held: their secrets, by id.
        fails: the methods that do not answer, before they do anything.
        lost: the methods that do what they are asked, and whose answer is lost.
    """

    names: dict[tuple[str, str], str] = field(default_factory=dict[tuple[str, str], str])
    held: dict[str, dict[str, str]] = field(default_factory=dict[str, "dict[str, str]"])
    fails: set[str] = field(default_factory=set[str])
    lost: set[str] = field(default_factory=set[str])
    _made: int = 0

    async def make(self, tenant: Tenant, machine: Machine) -> tuple[str, NewSecret]:
        self._ask("make")
        self._made += 1
        client_id = f"{tenant.id}client{self._made}"
        self.names[tenant.id, client_id] = machine.client_name
        self.held[client_id] = {}
        secret = self._secret(client_id)
        self._answer("make")
        return client_id, secret

    async def named(self, tenant: Tenant, name: str) -> tuple[str, ...]:
        self._ask("named")
        return tuple(
            id_ for (owner, id_), known in self.names.items() if (owner, known) == (tenant.id, name)
        )

    async def delete(self, tenant: Tenant, client_id: str) -> None:
        self._ask("delete")
        if self.names.pop((tenant.id, client_id), None) is not None:
            del self.held[client_id]
        self._answer("delete")

    async def add_secret(self, tenant: Tenant, client_id: str) -> NewSecret:
        self._ask("add_secret")
        if (tenant.id, client_id) not in self.names:
            raise NotFoundError("app client", client_id)
        if len(self.held[client_id]) >= MOST_SECRETS:
            raise ConflictError("there are two already: delete one first")
        secret = self._secret(client_id)
        self._answer("add_secret")
        return secret

    async def secrets(self, tenant: Tenant, client_id: str) -> frozenset[str]:
        self._ask("secrets")
        known = (tenant.id, client_id) in self.names
        return frozenset(self.held[client_id]) if known else frozenset()

    async def delete_secret(self, tenant: Tenant, client_id: str, secret_id: str) -> None:
        self._ask("delete_secret")
        if (tenant.id, client_id) in self.names:
            held = self.held[client_id]
            if secret_id in held and len(held) == 1:
                raise ConflictError("the last one is not deleted: revoke the machine")
            held.pop(secret_id, None)
        self._answer("delete_secret")

    def _secret(self, client_id: str) -> NewSecret:
        self._made += 1
        secret = NewSecret(id=f"{client_id}--{self._made}", value=secrets.token_hex(26))
        self.held[client_id][secret.id] = secret.value
        return secret

    def _ask(self, method: str) -> None:
        if method in self.fails:
            raise UnavailableError("the user pool", is_lost=False)

    def _answer(self, method: str) -> None:
        if method in self.lost:
            raise UnavailableError("the user pool")
