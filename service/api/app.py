"""The application: routes, health, OpenAPI and problem documents around one set of operations."""

from collections.abc import Awaitable, Callable

from litestar import Litestar
from litestar.datastructures import State
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme
from litestar.types import Receive, Scope, Send

from service.api import problems
from service.api.console import ROUTES as CONSOLE
from service.api.console import ConsoleOrigins
from service.api.description import DescriptionPlugin, operation_id
from service.api.docs_page import docs, docs_script
from service.api.health import live, ready
from service.api.request_log import around_requests
from service.api.shedding import shed
from service.api.sign_in import ROUTES as SIGN_IN
from service.api.tracing import traced
from service.api.version_1 import version_1
from service.operations.operations import Operations
from service.ports.traces import UNTRACED
from service.settings import HttpSettings


class _Application(Litestar):
    """Litestar inside our outermost layer: its middleware does not see requests without a route."""

    async def __call__(  # type: ignore[override] - Litestar narrows the scope to its own
        self, scope: Scope, receive: Receive, send: Send
    ) -> None:
        served = shed(super().__call__, self.state.operations)
        traces = self.state.operations.traces
        if traces is not UNTRACED:
            served = traced(served, traces)
        seconds = self.state.request_seconds
        await around_requests(served, self.state.operations, seconds)(scope, receive, send)


def create_app(
    operations: Operations,
    http: HttpSettings,
    *,
    console: ConsoleOrigins | None = None,
    on_shutdown: tuple[Callable[[], Awaitable[None] | None], ...] = (),
) -> Litestar:
    """The ASGI application.

    Args:
        operations: what the routes do.
        http: how large a body may be, and how long a request may take.
        console: where its pages may send requests to, beside here.
        on_shutdown: called after the last request, one after the other.
    """
    scheme = SecurityScheme(
        type="http",
        scheme="bearer",
        bearer_format="JWT",
        description="of the tenant's user pool: a person's ID token, a machine's access token",
    )
    return _Application(
        route_handlers=[version_1(), live, ready, docs, docs_script, *CONSOLE, *SIGN_IN],
        exception_handlers=problems.HANDLERS,
        request_max_body_size=http.body_max_bytes,
        state=State(
            {
                "operations": operations,
                "body_max_bytes": http.body_max_bytes,
                "request_seconds": http.request_seconds,
                "console": console or ConsoleOrigins(),
            }
        ),
        on_shutdown=list(on_shutdown),
        logging_config=None,
        openapi_config=OpenAPIConfig(
            title="Cedarfleet",
            version="1",
            description="Devices, commands and downloads of one tenant."
            " Every error is a problem document (RFC 9457).",
            path="/v1/openapi",
            render_plugins=[DescriptionPlugin(path=["/", "/openapi.json"])],
            operation_id_creator=operation_id,
            components=Components(security_schemes={"bearer": scheme}),
            use_handler_docstrings=True,
        ),
    )
