"""Clients that are answered by the test, made once: reading AWS's models takes a second."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from service.adapters.aws.client.calls import AwsCalls
from service.adapters.memory.user_pool import MemoryUserPool
from service.settings import AwsSettings
from tests.service.adapters.aws.answered_sessions import AnsweredSessions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from service.domain.tenants import Tenant

# One thread: what was begun first has ended when the next call is answered.
AWS = AwsSettings(
    region="eu-central-1",
    endpoint_url="http://127.0.0.1:1",
    threads=1,
    max_waiting=100,
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
def made_sessions() -> AnsweredSessions:
    """The clients themselves; use ``sessions``."""
    return AnsweredSessions(AWS)


@pytest.fixture
def sessions(made_sessions: AnsweredSessions) -> AnsweredSessions:
    """Clients that were asked nothing yet, and are answered `{}` until the test says otherwise."""
    made_sessions.calls.clear()
    made_sessions.answer = lambda _: {}
    return made_sessions


@pytest.fixture
def aws() -> Iterator[AwsCalls]:
    """The pool of threads that calls run on."""
    calls = AwsCalls(AWS)
    yield calls
    calls.close()
