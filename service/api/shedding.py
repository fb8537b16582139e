"""Refuses who is over its budget before anything else is looked at, so that a flood costs little.

Only what the guard has refused a moment ago is refused here: the same header, while the tenant's
bucket is known to be used up. The answer is the guard's.
"""

from typing import Final

import msgspec
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Receive, Scope, Send

from service.api import rate_limits
from service.api.problem_documents import MEDIA_TYPE, STATUS, document
from service.errors import OverBudgetError
from service.operations.operations import Operations

_OF_TENANTS: Final = "/v1/"
_PUBLIC: Final = ("/v1/openapi", "/v1/docs")


def shed(app: ASGIApp, operations: Operations) -> ASGIApp:
    """Wrap ``app``, inside what gives every answer its id and headers."""

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP or not _is_budgeted(scope["path"]):
            await app(scope, receive, send)
            return
        caller = rate_limits.caller_of(scope)
        standing = operations.budgets.refusal(caller) if caller else None
        if standing is None:
            await app(scope, receive, send)
            return
        rate_limits.note(scope, standing)
        error = rate_limits.refusal(standing)
        status, slug = STATUS[OverBudgetError]
        members = {"budget": error.budget}
        body = msgspec.json.encode(
            document(scope, status, slug, detail=str(error), members=members)
        )
        await send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": [
                    (b"content-type", MEDIA_TYPE.encode()),
                    (b"content-length", str(len(body)).encode()),
                    (b"retry-after", rate_limits.retry_after(error.wait_seconds).encode()),
                ],
            }
        )
        await send({"type": "http.response.body", "body": body, "more_body": False})

    return handle


def _is_budgeted(path: str) -> bool:
    return path.startswith(_OF_TENANTS) and not path.startswith(_PUBLIC)
