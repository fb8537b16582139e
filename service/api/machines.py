"""Machines: made, listed, rotated by a second secret, and revoked, while requests go on."""

from datetime import datetime
from typing import Annotated

from litestar import Response, delete, get, post
from litestar.params import FromPath, JSONBody
from msgspec import Meta, Struct

from service.api.guard import needs
from service.api.parameters import Caller, Cursor, Limit, Ops, utc
from service.domain.features import Feature
from service.domain.instants import milliseconds
from service.domain.machines import (
    MAX_DESCRIPTION,
    MAX_ID,
    Machine,
    MachinePage,
    MachineSecret,
    NewMachine,
    NewSecret,
)
from service.domain.permissions import Permission

MachineId = Annotated[str, Meta(min_length=1, max_length=MAX_ID)]
End = Annotated[datetime, Meta(tz=True)]


class NewMachineBody(Struct, forbid_unknown_fields=True, frozen=True):
    """A machine to make; `expires_at` is the end of its first secret, none if left out."""

    id: MachineId
    scopes: Annotated[list[str], Meta(min_length=1, max_length=3)]
    """What it may: some of `view`, `operate`, `update`."""
    description: Annotated[str, Meta(max_length=MAX_DESCRIPTION)] = ""
    expires_at: End | None = None


class NewSecretBody(Struct, forbid_unknown_fields=True, frozen=True):
    """A second secret to make; without `expires_at` it has no end."""

    expires_at: End | None = None


class SecretOut(Struct, frozen=True):
    """What is known of a secret: never the secret itself."""

    id: str
    created_at: datetime | None
    created_by: str
    expires_at: datetime | None

    @classmethod
    def of(cls, secret: MachineSecret) -> "SecretOut":
        """A secret for the answer."""
        return cls(
            id=secret.id,
            created_at=utc(secret.created_at),
            created_by=secret.created_by,
            expires_at=utc(secret.expires_at),
        )


class MachineOut(Struct, frozen=True):
    """A machine; ``last_used_at`` may be five minutes behind, ``state`` ends with `revoked`."""

    id: str
    client_id: str | None
    state: str
    scopes: list[str]
    description: str
    secrets: list[SecretOut]
    last_used_at: datetime | None
    created_by: str
    created_at: datetime | None
    changed_at: datetime | None

    @classmethod
    def of(cls, machine: Machine) -> "MachineOut":
        """A machine for the answer."""
        return cls(
            id=machine.id,
            client_id=machine.client_id,
            state=machine.state,
            scopes=list(machine.scopes),
            description=machine.description,
            secrets=[SecretOut.of(one) for one in machine.secrets if not one.ending],
            last_used_at=utc(machine.last_used_at),
            created_by=machine.created_by,
            created_at=utc(machine.created_at),
            changed_at=utc(machine.changed_at),
        )


class ToldSecretOut(Struct, frozen=True):
    """A secret, told this once: it stands nowhere here."""

    id: str
    secret: str
    expires_at: datetime | None

    @classmethod
    def of(cls, secret: NewSecret, known: MachineSecret) -> "ToldSecretOut":
        """A secret for the answer that makes it."""
        return cls(id=secret.id, secret=secret.value, expires_at=utc(known.expires_at))


class MadeMachineOut(Struct, frozen=True):
    """A machine and its first secret, which nobody is told again."""

    machine: MachineOut
    secret: ToldSecretOut
    token_url: str
    """Where a token is asked for, grant `client_credentials`."""


class MachinePageOut(Struct, frozen=True):
    """One page of machines in the order of their ids; ``cursor`` asks for the next."""

    machines: list[MachineOut]
    cursor: str | None

    @classmethod
    def of(cls, page: MachinePage) -> "MachinePageOut":
        """A page for the answer."""
        return cls(machines=[MachineOut.of(one) for one in page.machines], cursor=page.cursor)


@get("/machines", opt=needs(Permission.VIEW_MACHINES))
async def list_machines(
    access: Caller, operations: Ops, limit: Limit = 50, cursor: Cursor = None
) -> MachinePageOut:
    """Machines that were made by this API, revoked ones for 90 days; not those of the file."""
    page = await operations.machines.page(access, limit=limit, cursor=cursor)
    return MachinePageOut.of(page)


@post("/machines", opt=needs(Permission.MANAGE_MACHINES, begins=Feature.MACHINES))
async def make_machine(
    access: Caller, operations: Ops, data: JSONBody[NewMachineBody]
) -> Response[MadeMachineOut]:
    """Make a machine, and be told its secret: this answer is the only one that has it.

    It is made once: a repeated request is 409. Whoever lost the answer adds a second secret.
    """
    new = NewMachine(
        id=data.id,
        scopes=tuple(data.scopes),
        description=data.description,
        expires_at=_instant(data.expires_at),
    )
    machine, secret = await operations.machines.make(access, new)
    told = MadeMachineOut(
        machine=MachineOut.of(machine),
        secret=ToldSecretOut.of(secret, machine.secrets[0]),
        token_url=f"{access.principal.tenant.sign_in_url}/oauth2/token",
    )
    where = {"Location": f"/v1/machines/{machine.id}"}
    return Response(told, status_code=201, headers=where)


@get("/machines/{machine:str}", opt=needs(Permission.VIEW_MACHINES))
async def read_machine(access: Caller, operations: Ops, machine: FromPath[str]) -> MachineOut:
    """One machine: its scopes, what is known of its secrets, and when it was last seen."""
    return MachineOut.of(await operations.machines.read(access, machine))


@post("/machines/{machine:str}/secrets", opt=needs(Permission.MANAGE_MACHINES))
async def add_machine_secret(
    access: Caller, operations: Ops, machine: FromPath[str], data: JSONBody[NewSecretBody]
) -> Response[ToldSecretOut]:
    """Make a second secret, told in this answer alone; the first one goes on.

    At most two; a repeated request makes another one, or is 409.
    """
    known, secret = await operations.machines.add_secret(
        access, machine, expires_at=_instant(data.expires_at)
    )
    where = {"Location": f"/v1/machines/{machine}"}
    return Response(ToldSecretOut.of(secret, known), status_code=201, headers=where)


@delete(
    "/machines/{machine:str}/secrets/{secret_id:str}",
    opt=needs(Permission.MANAGE_MACHINES),
    status_code=200,
)
async def delete_machine_secret(
    access: Caller, operations: Ops, machine: FromPath[str], secret_id: FromPath[str]
) -> MachineOut:
    """Delete one of two secrets; tokens of before are refused within 5 seconds.

    By which secret a token was given nobody can see, so the machine asks for a new one.
    """
    return MachineOut.of(await operations.machines.delete_secret(access, machine, secret_id))


@delete("/machines/{machine:str}", opt=needs(Permission.MANAGE_MACHINES), status_code=200)
async def revoke_machine(access: Caller, operations: Ops, machine: FromPath[str]) -> MachineOut:
    """End a machine for good: its tokens are refused within 5 seconds. Its id may be used again."""
    return MachineOut.of(await operations.machines.revoke(access, machine))


def _instant(given: datetime | None) -> int | None:
    return None if given is None else milliseconds(given)
