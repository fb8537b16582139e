"""Two tenants and the real verification of tokens, over twins of registry and key set."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from service.adapters.memory.authorizer import CedarAuthorizer
from service.adapters.memory.memory_ports import MemoryPorts
from service.adapters.memory.user_pool import MemoryUserPool
from service.operations.authentication import Authenticate
from service.operations.machine_admission import MachineAdmission
from service.operations.revocations import Revocations
from service.settings import TokenSettings


@pytest.fixture(scope="session")
def acme() -> MemoryUserPool:
    """The attacked tenant's pool."""
    return MemoryUserPool("acme")


@pytest.fixture(scope="session")
def globex() -> MemoryUserPool:
    """Another tenant, in which the attacker may have an account."""
    return MemoryUserPool("globex")


@pytest.fixture
def ports(acme: MemoryUserPool, globex: MemoryUserPool) -> MemoryPorts:
    """Both tenants; no policy is ever asked."""
    made = MemoryPorts.around(CedarAuthorizer(Path(__file__).parents[2] / "policies"))
    acme.join(made)
    globex.join(made)
    return made


@pytest.fixture
def authenticate(ports: MemoryPorts) -> Authenticate:
    """The real verification over twins of registry and key set."""
    return Authenticate(
        tenants=ports.tenants,
        signing_keys=ports.signing_keys,
        clock=lambda: datetime.now(UTC),
        settings=TokenSettings(),
        revocations=Revocations(ports.revocations, ports.clock),
        machines=MachineAdmission(ports.machine_records, ports.clock),
    )
