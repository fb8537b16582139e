"""Every call: what AWS refuses before it looks at a service's data, and the emulator does not.

All of it stands behind the check of signature and IAM, as on AWS.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

from infra.local.cloud.corrections.account import Account
from infra.local.cloud.limits import refusals, requests, shapes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from infra.local.cloud.emulator import Emulator
    from infra.local.cloud.limits.refusals import Response
    from infra.local.cloud.limits.requests import Request

    Handler = Callable[..., Awaitable[Any]]
    Refuse = Callable[[Request], Response | None]

_UNREADABLE: Final = "the request body cannot be read"
_RATE: Final = "Rate exceeded"
# The call at hand, so that each request is read once.
_call: ContextVar[tuple[object, Request | None] | None] = ContextVar("_call", default=None)


def requests_are_of_their_shape(emulator: Emulator) -> None:
    """Refuse what botocore's model of a service does not allow, e.g. a thing name with a `+`."""

    def refuse(call: Request) -> Response | None:
        found = shapes.problems(call.service, call.operation, call.parameters)
        return refusals.malformed(call.service, found) if found else None

    _before_every_call(emulator, refuse, also_unreadable=True)


def quotas_hold(emulator: Emulator) -> None:
    """Refuse what would exceed a count of the table, e.g. an eleventh group of a thing."""
    limits, account = emulator.limits, Account(emulator)

    def refuse(call: Request) -> Response | None:
        def after(row: str) -> int:
            try:
                return account.after(row, call.parameters)
            except (KeyError, TypeError):  # not of its shape: refused for that
                return 0

        exceeded = limits.too_many(call.service, call.operation, after)
        if exceeded is None:
            return None
        count, number = exceeded
        most = limits.figures[count.id]
        words = f"Limit exceeded: {number} {count.what}, of at most {most} ({count.id})"
        return refusals.refusal(call.service, count.code, words, count.status)

    _before_every_call(emulator, refuse)


def rates_hold(emulator: Emulator) -> None:
    """Throttle what comes faster than the table allows, e.g. the 16th SearchIndex in a second."""

    def refuse(call: Request) -> Response | None:
        rate = emulator.limits.too_fast(call.service, call.operation, call.parameters)
        if rate is None:
            return None
        return refusals.refusal(call.service, rate.code, f"{_RATE} ({rate.id})", rate.status)

    _before_every_call(emulator, refuse)


def _before_every_call(
    emulator: Emulator, refuse: Refuse, *, also_unreadable: bool = False
) -> None:
    """Answer with what ``refuse`` says of a call, or else hand it on."""

    def checked(service: str, handler: Handler) -> Handler:
        async def handle(
            method: str, path: str, headers: dict[str, str], body: bytes, query: Any
        ) -> Any:
            try:
                call = _read(service, method, path, headers, body, query)
            except requests.UnreadableRequestError:
                if also_unreadable:
                    return refusals.malformed(requests.MODELS[service], [_UNREADABLE])
                call = None
            refusal = None if call is None else refuse(call)
            if refusal is not None:
                return refusal
            return await handler(method, path, headers, body, query)

        return handle

    def correction(original: Any) -> Any:
        return {
            service: checked(service, handler) if service in requests.MODELS else handler
            for service, handler in original.items()
        }

    emulator.replace("app", "SERVICE_HANDLERS", correction)


def _read(  # noqa: PLR0917 - the parts of a request
    service: str, method: str, path: str, headers: dict[str, str], body: bytes, query: Any
) -> Request | None:
    known = _call.get()
    if known is not None and known[0] is headers:
        return known[1]
    call = requests.read(service, method, path, headers, body, query)
    _call.set((headers, call))
    return call
