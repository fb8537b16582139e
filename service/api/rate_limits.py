"""The tenant's budgets over HTTP: spent before a request is served, told with every answer.

The fields are those of draft-ietf-httpapi-ratelimit-headers-09, "RateLimit header fields for HTTP":
``RateLimit-Policy`` names each budget with its quota ``q`` and the seconds ``w`` in which so much
comes again, ``RateLimit`` what remains of it (``r``), and if nothing does, for how many seconds
(``t``). What remains is as far as this process knows: a hint, no promise, as the draft has it.
"""

import hashlib
import math
from typing import Any, Final

import structlog
from litestar.datastructures import ResponseHeader
from litestar.types import Scope

from service.domain.budgets import Bucket, Standing
from service.domain.rates import Budget
from service.domain.tenants import Tenant
from service.errors import OverBudgetError
from service.operations.operations import Operations

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()
_STATE: Final = "standings"


async def spend(operations: Operations, tenant: Tenant, budget: Budget, scope: Scope) -> None:
    """Take one of the tenant's budget, and note for the answer how it stands.

    Raises:
        OverBudgetError: nothing is left of it.
    """
    rate = tenant.budgets[budget]
    standing = await operations.budgets.spend(Bucket(name=budget, rate=rate, tenant=tenant))
    note(scope, standing)
    if not standing.granted:
        if budget is Budget.REQUESTS and (caller := caller_of(scope)):
            operations.budgets.remember(caller, standing.bucket)
        log.warning("budget.used_up", budget=budget)
        raise refusal(standing)


def refusal(standing: Standing) -> OverBudgetError:
    """What a tenant is told of a budget that is used up."""
    rate = standing.bucket.rate
    return OverBudgetError(
        standing.bucket.name,
        per_second=rate.per_second,
        burst=rate.burst,
        wait_seconds=standing.wait_seconds,
    )


def caller_of(scope: Any) -> bytes | None:
    """The digest of a request's one authorization header."""
    given = [text for name, text in scope["headers"] if name.lower() == b"authorization"]
    return hashlib.sha256(given[0]).digest() if len(given) == 1 else None


def note(scope: Any, standing: Standing) -> None:
    """Have the answer say how a budget stands."""
    scope["state"].setdefault(_STATE, []).append(standing)


def headers(scope: Any) -> list[tuple[bytes, bytes]]:
    """The fields of an answer; none where no tenant was proved."""
    standings: list[Standing] = scope["state"].get(_STATE, [])
    if not standings:
        return []
    return [
        (b"ratelimit-policy", ", ".join(map(_policy, standings)).encode()),
        (b"ratelimit", ", ".join(map(_remaining, standings)).encode()),
    ]


def retry_after(wait_seconds: float) -> str:
    """Whole seconds, at least one (source: RFC 9110, 10.2.3)."""
    return str(max(1, math.ceil(wait_seconds)))


def _policy(standing: Standing) -> str:
    rate = standing.bucket.rate
    return f'"{standing.bucket.name}";q={rate.burst};w={math.ceil(rate.burst / rate.per_second)}'


def _remaining(standing: Standing) -> str:
    told = f'"{standing.bucket.name}";r={standing.remaining}'
    return told if standing.remaining else f"{told};t={retry_after(standing.wait_seconds)}"


FIELDS: Final = (
    ResponseHeader(
        name="RateLimit-Policy",
        documentation_only=True,
        description="the tenant's budgets: quota `q` that comes again in `w` seconds",
    ),
    ResponseHeader(
        name="RateLimit",
        documentation_only=True,
        description="what remains of them: `r`, and if nothing does, seconds `t` until it does",
    ),
)
