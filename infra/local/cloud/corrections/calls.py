"""Every call: what AWS refuses before it looks at a service's data, and the emulator does not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from infra.local.cloud.limits import refusals, requests, shapes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from infra.local.cloud.emulator import Emulator

    Handler = Callable[..., Awaitable[Any]]

_UNREADABLE: Final = "the request body cannot be read"


def requests_are_of_their_shape(emulator: Emulator) -> None:
    """Refuse what botocore's model of a service does not allow, e.g. a thing name with a `+`.

    Behind the check of signature and IAM, as on AWS.
    """

    def checked(service: str, handler: Handler) -> Handler:
        async def handle(
            method: str, path: str, headers: dict[str, str], body: bytes, query: Any
        ) -> Any:
            try:
                call = requests.read(service, method, path, headers, body, query)
            except requests.UnreadableRequestError:
                return refusals.malformed(requests.MODELS[service], [_UNREADABLE])
            if call is not None:
                found = shapes.problems(call.service, call.operation, call.parameters)
                if found:
                    return refusals.malformed(call.service, found)
            return await handler(method, path, headers, body, query)

        return handle

    def correction(original: Any) -> Any:
        return {
            service: checked(service, handler) if service in requests.MODELS else handler
            for service, handler in original.items()
        }

    emulator.replace("app", "SERVICE_HANDLERS", correction)
