"""A door that is answered by the test, made once: reading AWS's models takes a second."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from service.adapters.memory.user_pool import MemoryUserPool
from service.settings import AwsSettings
from tests.service.adapters.aws.answered_line import AnsweredDoor

if TYPE_CHECKING:
    from service.domain.tenants import Tenant

AWS = AwsSettings(
    region="eu-central-1",
    endpoint_url="http://127.0.0.1:1",
    deadline_seconds=30,
    max_attempts=1,
)


@pytest.fixture(scope="session")
def pool() -> MemoryUserPool:
    """The user pool of acme."""
    return MemoryUserPool("acme")


@pytest.fixture(scope="session")
def acme(pool: MemoryUserPool) -> Tenant:
    """The tenant whose calls they are."""
    return pool.tenant


@pytest.fixture(scope="session")
def made_door() -> AnsweredDoor:
    """The door itself; use ``door``."""
    return AnsweredDoor(AWS)


@pytest.fixture
def door(made_door: AnsweredDoor) -> AnsweredDoor:
    """A door that was asked nothing yet, and is answered `{}` until the test says otherwise."""
    made_door.calls.clear()
    made_door.answer = lambda _: {}
    return made_door


@pytest.fixture
def new_door() -> AnsweredDoor:
    """A door that has assumed no role yet, for what counts those."""
    return AnsweredDoor(AWS)
