"""Who calls: each claim of a token, changed in turn, decides whether it proves an identity."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from service.adapters.memory.memory_ports import MemoryPorts
from service.domain.identities import TokenUse
from service.domain.tenants import TenantStatus
from service.errors import TenantSuspendedError, UnauthenticatedError
from service.operations.authentication import Authenticate
from service.operations.machine_admission import MachineAdmission
from service.operations.revocations import Revocations
from service.settings import TokenSettings

if TYPE_CHECKING:
    from service.adapters.memory.authorizer import CedarAuthorizer
    from service.adapters.memory.user_pool import MemoryUserPool
    from service.domain.identities import Principal

LEFT_OUT = None


@dataclass
class Door:
    """Authentication over twins with one tenant, and how often each twin was asked."""

    ports: MemoryPorts
    pool: MemoryUserPool
    authenticate: Authenticate

    def enter(self, text: str | None) -> Principal:
        """Who calls with this header."""
        return asyncio.run(self.authenticate(text))

    def refused(self, text: str | None, words: str) -> None:
        """Nobody, for this reason."""
        with pytest.raises(UnauthenticatedError, match=words):
            self.enter(text)


@pytest.fixture
def door(authorizer: CedarAuthorizer, pools: tuple[MemoryUserPool, MemoryUserPool]) -> Door:
    """A fresh one."""
    pool, _ = pools
    ports = MemoryPorts.around(authorizer)
    pool.join(ports)
    authenticate = Authenticate(
        tenants=ports.tenants,
        signing_keys=ports.signing_keys,
        clock=ports.clock,
        settings=TokenSettings(),
        revocations=Revocations(ports.revocations, ports.clock),
        machines=MachineAdmission(ports.machine_records, ports.clock),
    )
    return Door(ports, pool, authenticate)


def test_a_person_and_a_machine_are_who_their_tokens_say(door: Door) -> None:
    """A person's groups are texts, a machine's subject is its client."""
    groups: Any = ["operators", 7]
    person = door.enter(f"Bearer {door.pool.id_token('ann', groups)}")
    assert (person.token_use, person.groups) == (TokenUse.ID, ("operators",))
    assert person.email == "ann@acme.test"
    machine = door.enter(f"bearer {door.pool.access_token('m', 'fleet/read')}")
    assert (machine.token_use, machine.subject) == (TokenUse.ACCESS, door.pool.client_id)
    assert (machine.groups, machine.email) == ((), None)


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic abc", "abc"])
def test_without_a_bearer_token_nobody_calls(door: Door, header: str | None) -> None:
    """Another scheme, or a scheme alone, is no token."""
    door.refused(header, "no bearer token")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"token_use": "refresh"}, "unknown use"),
        ({"token_use": ["id"]}, "unknown use"),
        ({"token_use": LEFT_OUT}, "no `token_use`"),
        ({"aud": "another"}, "another app client"),
        ({"aud": ["acmeclient"]}, "another app client"),
        ({"aud": LEFT_OUT}, "another app client"),
        ({"aud": LEFT_OUT, "client_id": "acmeclient"}, "another app client"),
        ({"sub": ""}, "without subject"),
        ({"sub": LEFT_OUT}, "no `sub`"),
        ({"exp": 1}, "token expired"),
        ({"exp": 4_000_000_000.5}, "integer expiry"),
        ({"exp": True}, "token expired"),
        ({"exp": LEFT_OUT}, "no `exp`"),
        ({"iat": 4_000_000_000}, "its `iat` is to come"),
        ({"nbf": 4_000_000_000}, "its `nbf` is to come"),
        ({"iss": LEFT_OUT}, "without key id or issuer"),
        ({"iss": "https://attacker.test"}, "unknown issuer"),
        (
            {"iss": "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_other"},
            "unknown issuer",
        ),
    ],
)
def test_each_claim_of_a_persons_token_counts(
    door: Door, changes: dict[str, Any], words: str
) -> None:
    """Changed or left out, the token proves nothing."""
    door.refused(f"Bearer {door.pool.id_token('ann', **changes)}", words)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"client_id": "another", "sub": "another"}, "another app client"),
        ({"client_id": LEFT_OUT, "aud": "acmeclient"}, "another app client"),
        ({"sub": "a-person"}, "access token of a person"),
        ({"username": "ann"}, "access token of a person"),
    ],
)
def test_each_claim_of_a_machines_token_counts(
    door: Door, changes: dict[str, Any], words: str
) -> None:
    """People send ID tokens: an access token of theirs is refused."""
    door.refused(f"Bearer {door.pool.access_token('m', 'fleet/read', **changes)}", words)


def test_groups_make_an_access_token_a_persons(door: Door) -> None:
    """Also where its subject is the client."""
    claims = {"sub": "acmeclient", "client_id": "acmeclient", "token_use": "access"}
    changed = door.pool.claims("m", ["managers"], **claims)
    door.refused(f"Bearer {door.pool.sign(changed)}", "access token of a person")


def test_a_signature_of_another_key_proves_nothing(
    door: Door, pools: tuple[MemoryUserPool, MemoryUserPool]
) -> None:
    """Nor does a key id that the pool does not know, or a changed claim."""
    _, other = pools
    text = door.pool.id_token("ann")
    door.refused(f"Bearer {door.pool.sign(door.pool.claims('ann'), kid='made-up')}", "unknown key")
    forged = other.sign(door.pool.claims("ann"), kid=door.pool.key_id)
    door.refused(f"Bearer {forged}", "another key signed it")
    head, _, signature = text.split(".")
    payload = other.sign(door.pool.claims("bob")).split(".")[1]
    door.refused(f"Bearer {head}.{payload}.{signature}", "another key signed it")


def test_a_known_token_is_verified_once_and_ends_with_its_expiry(door: Door) -> None:
    """Not past the second of `exp`; the tenant's row is asked for each time."""
    text = f"Bearer {door.pool.id_token('ann')}"
    first = door.enter(text)
    lookups = door.ports.tenants.lookups
    door.ports.signing_keys.keys.clear()
    assert door.enter(text) == first
    assert door.ports.tenants.lookups == lookups + 1
    door.ports.clock.now = datetime.fromtimestamp(first.expires_at - 1, UTC)
    assert door.enter(text) == first
    door.ports.clock.now = datetime.fromtimestamp(first.expires_at, UTC)
    door.refused(text, "token expired")


def test_a_suspended_tenant_is_told_apart_from_an_unknown_one(door: Door) -> None:
    """Only to whoever holds a good token; also when the token is known already."""
    text = f"Bearer {door.pool.id_token('ann')}"
    door.enter(text)
    tenant = door.pool.tenant
    door.ports.tenants.rows[tenant.issuer] = replace(tenant, status=TenantStatus.SUSPENDED)
    with pytest.raises(TenantSuspendedError, match="acme"):
        door.enter(text)
    door.refused(f"Bearer {door.pool.id_token('ann', aud='another')}", "another app client")
    del door.ports.tenants.rows[tenant.issuer]
    door.refused(text, "unknown issuer")


def test_a_secret_never_stands_in_what_is_printed(door: Door) -> None:
    """Neither token nor claims are in a principal's text."""
    text = door.pool.id_token("ann")
    printed = repr(door.enter(f"Bearer {text}"))
    assert text not in printed
    assert json.dumps("ann@acme.test") not in printed
