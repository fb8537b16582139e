"""Each route says what it asks for; the guard turns the caller's token into that one access."""

import ipaddress
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from typing import Any

import litestar.routes.http
import structlog
from litestar.connection import ASGIConnection, Request
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.handlers.base import BaseRouteHandler
from litestar.params import SkipValidation
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from service.api.rate_limits import spend
from service.domain.features import Feature
from service.domain.permissions import Permission
from service.domain.rates import Budget
from service.errors import ConfigurationError, UnauthenticatedError
from service.operations.authorization import Access, RequestFacts
from service.operations.operations import Operations


@dataclass(frozen=True)
class Needs:
    """The route asks the tenant's policies for one of these actions, out of these budgets.

    ``feature``: of which it begins something new, which the tenant's tier must offer.
    """

    actions: frozenset[Permission]
    budgets: tuple[Budget, ...] = (Budget.REQUESTS,)
    feature: Feature | None = None


@dataclass(frozen=True)
class SignedIn:
    """The route answers anyone with a valid token about the caller, and asks no policy for that.

    What it tells of others it asks for, by one of ``actions``.
    """

    actions: frozenset[Permission] = frozenset()
    budgets: tuple[Budget, ...] = (Budget.REQUESTS,)


@dataclass(frozen=True)
class ByCode:
    """The route takes no token: the body's one-time code proves a device, or nothing is done."""


def needs(
    *actions: Permission, budget: Budget | None = None, begins: Feature | None = None
) -> dict[str, Any]:
    """The ``opt`` of a route that asks for one of ``actions``, at the cost of a further budget.

    Args:
        actions: any of them.
        budget: what it costs beside a request.
        begins: the feature of which it begins something new.
    """
    budgets = (Budget.REQUESTS, *([budget] if budget else []))
    return {"access": Needs(frozenset(actions), budgets, begins)}


def signed_in(*actions: Permission) -> dict[str, Any]:
    """The ``opt`` of a route that tells of the caller, and of others by one of ``actions``."""
    return {"access": SignedIn(frozenset(actions))}


def by_code() -> dict[str, Any]:
    """The ``opt`` of the route by which devices come in."""
    return {"access": ByCode()}


async def guard(
    connection: ASGIConnection[Any, Any, Any, State], handler: BaseRouteHandler
) -> None:
    """Let through only verified callers, and keep what they may ask for in the request's state.

    Raises:
        UnauthenticatedError: no valid token, or more than one `Authorization` header.
        OverBudgetError: the tenant has used up what the route costs.
        NotInTierError: the route begins what the tenant's tier does not offer.
        ConfigurationError: the route states nothing.
    """
    if _is_litestars_own(handler):
        return
    stated = handler.opt.get("access")
    # Fail closed: a route that says nothing is not served.
    if not isinstance(stated, Needs | SignedIn | ByCode):
        raise ConfigurationError(f"route {handler} states no access")
    facts = RequestFacts(
        request_id=connection.scope["state"]["request_id"],
        source_ip=_address(connection.client.host) if connection.client else None,
    )
    if isinstance(stated, ByCode):
        connection.scope["state"]["facts"] = facts
        return
    operations: Operations = connection.app.state.operations
    given = connection.headers.getall("authorization", [])
    # Fail closed: a proxy in front may have checked the other one.
    if len(given) > 1:
        raise UnauthenticatedError("more than one authorization header")
    principal = await operations.authenticate(given[0] if given else None)
    structlog.contextvars.bind_contextvars(
        tenant=principal.tenant.id, principal=principal.entity_id
    )
    # Before any call of AWS for the request, and after whose it is is proved.
    for budget in stated.budgets:
        await spend(operations, principal.tenant, budget, connection.scope)
    # Before policies: they say who may, and here nobody of the tenant may.
    if isinstance(stated, Needs) and stated.feature is not None:
        principal.tenant.check_offered(stated.feature)
    connection.scope["state"]["access"] = operations.access(
        principal,
        facts=facts,
        declared=stated.actions,
    )


def decided_middleware(app: ASGIApp) -> ASGIApp:
    """Refuse a success that no policy allowed: who forgot to ask answers 500, not data."""

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_decided(message: Message) -> None:
            if (
                message["type"] == "http.response.start"
                and message["status"] < HTTPStatus.BAD_REQUEST
            ):
                _check(scope)
            await send(message)

        await app(scope, receive, send_decided)

    return handle


def _is_litestars_own(handler: BaseRouteHandler) -> bool:
    """Whether Litestar made the handler itself: OPTIONS, which names a path's methods only."""
    return getattr(handler.fn, "__module__", None) == litestar.routes.http.__name__


@lru_cache(maxsize=1024)
def _address(text: str) -> str | None:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return None  # a proxy that names no address: policies that ask for one find it missing


async def provide_operations(request: Request[Any, Any, State]) -> Operations:
    """The operations, for handlers."""
    return request.app.state.operations


async def provide_access(
    request: Request[Any, Any, State],
    operations: NamedDependency[SkipValidation[Operations]],  # noqa: ARG001 - one after the other: Litestar asks two in tasks
) -> Access:
    """The guard's result, for handlers."""
    return request.scope["state"]["access"]


def _check(scope: Any) -> None:
    stated = scope["route_handler"].opt.get("access")
    # Fail closed: no decision, no answer.
    if isinstance(stated, Needs) and not scope["state"]["access"].granted:
        raise ConfigurationError(f"a route of {sorted(stated.actions)} answered without a decision")
