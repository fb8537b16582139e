"""The key under which a caller may repeat a request and have it done once."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class IdempotencyKey:
    """A key, bound to its caller, with the digest of the request that it stands for."""

    tenant: str
    digest: str
    request_digest: str

    @classmethod
    def of(cls, *, tenant: str, principal: str, key: str, request: str) -> IdempotencyKey:
        """Bind the caller's ``key`` to the caller and to the canonical text of the request."""
        bound = hashlib.sha256(f"{principal}\n{key}".encode()).hexdigest()
        return cls(
            tenant=tenant, digest=bound, request_digest=hashlib.sha256(request.encode()).hexdigest()
        )
