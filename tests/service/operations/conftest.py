"""Somebody who asks for operations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from service.domain.identities import Principal, TokenUse, VerifiedClaims

if TYPE_CHECKING:
    from service.adapters.memory.user_pool import MemoryUserPool


@pytest.fixture(scope="session")
def principal(pools: tuple[MemoryUserPool, MemoryUserPool]) -> Principal:
    """Somebody of acme."""
    return Principal(
        tenant=pools[0].tenant,
        subject="somebody",
        token_use=TokenUse.ID,
        groups=(),
        email=None,
        client_id="acmeclient",
        expires_at=1,
        claims=VerifiedClaims({}),
        token="header.claims.signature",
    )
