"""The web console: its pages for a tenant, under a content policy of that tenant's own addresses.

A page is one document for every path of the console; its scripts read the path. It says which
sign-in page and which client are the tenant's, which whoever signs in sees too, and nothing else.
What a page loads stands in ``service/console/``: it is sent as it is written, under a path that
names its digest, and may so be kept for good.
"""

import re
from dataclasses import dataclass
from functools import cache
from html import escape
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from cedarfleet_device import wire
from litestar import Request, Response, get
from litestar.datastructures import State
from litestar.params import FromPath

from service.api.console_files import ConsoleFiles, accepts_gzip
from service.api.health import PUBLIC
from service.api.request_state import CACHING, CONTENT_POLICY
from service.domain.tenants import Tenant
from service.errors import NotFoundError

if TYPE_CHECKING:
    from service.operations.operations import Operations

_ORIGIN: Final = re.compile(r"https?://[A-Za-z0-9.-]+(?::[0-9]+)?")
_KEPT: Final = "public, max-age=31536000, immutable"
_ASKED_AGAIN: Final = "no-cache"
_TENANTS: Final = "/console/{tenant:str}"


@dataclass(frozen=True, kw_only=True)
class ConsoleOrigins:
    """Where a tenant's console may send requests to, beside the service itself.

    Attributes:
        cloud: the embedded cloud, which is one host for all; ``None``: on AWS.
    """

    cloud: str | None = None

    def sign_in(self, tenant: Tenant) -> str:
        """Of the tenant's sign-in page."""
        return self.cloud or tenant.sign_in_url

    def uploads(self, tenant: Tenant) -> str:
        """Of the tenant's bucket (source: S3 user guide, "Virtual hosting of buckets")."""
        return self.cloud or f"https://{tenant.bucket}.s3.{tenant.region}.amazonaws.com"

    def policy(self, tenant: Tenant | None) -> str:
        """The content policy of a page; that of nobody's console reaches the service alone."""
        elsewhere = [] if tenant is None else [self.sign_in(tenant), self.uploads(tenant)]
        # Fail closed: what is no origin could be another directive.
        known = sorted({one for one in elsewhere if _ORIGIN.fullmatch(one)})
        connect = " ".join(["'self'", *known])
        return (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
            f" connect-src {connect}; base-uri 'none'; form-action 'none';"
            " frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
        )


@get("/", opt=PUBLIC, sync_to_thread=False, include_in_schema=False)
def entry(request: Request[Any, Any, State]) -> Response[bytes]:
    """Where a person says which tenant's console it is to be."""
    return _page(request, None)


@get(
    [_TENANTS, _TENANTS + "/{path:path}"],
    opt=PUBLIC,
    include_in_schema=False,
    name="console",
)
async def console(request: Request[Any, Any, State], tenant: FromPath[str]) -> Response[bytes]:
    """Each page of a tenant's console; whoever asks needs no token, as the page shows nothing."""
    operations: Operations = request.app.state.operations
    # Fail closed: what is no tenant's id is not looked for.
    found = await operations.tenant_named(tenant) if wire.is_tenant_id(tenant) else None
    return _page(request, found, status=HTTPStatus.OK if found else HTTPStatus.NOT_FOUND)


@get(
    "/console-files/{digest:str}/{file:path}",
    opt=PUBLIC,
    sync_to_thread=False,
    include_in_schema=False,
)
def console_file(
    request: Request[Any, Any, State], digest: FromPath[str], file: FromPath[str]
) -> Response[bytes]:
    """A script or a style sheet of the console.

    Raises:
        NotFoundError: there is none, or not any more.
    """
    files = _files()
    found = files.named(str(file).removeprefix("/"))
    # Fail closed: another release's file, kept for good under this path, would never be right.
    if digest != files.digest or found is None:
        raise NotFoundError("file", str(file))
    request.scope["state"][CACHING] = _KEPT
    packed = accepts_gzip(request.headers.get("accept-encoding", ""))
    headers = {"Vary": "Accept-Encoding"} | ({"Content-Encoding": "gzip"} if packed else {})
    return Response(
        found.packed if packed else found.content, media_type=found.media_type, headers=headers
    )


ROUTES: Final = (entry, console, console_file)


def _page(
    request: Request[Any, Any, State], tenant: Tenant | None, status: HTTPStatus = HTTPStatus.OK
) -> Response[bytes]:
    origins: ConsoleOrigins = request.app.state.console
    files = _files()
    state = request.scope["state"]
    state[CONTENT_POLICY] = origins.policy(tenant)
    state[CACHING] = _ASKED_AGAIN
    facts = {"files": files.digest, "tenant": "", "sign-in": "", "client": ""}
    if tenant is not None:
        facts |= {
            "tenant": tenant.id,
            "sign-in": origins.sign_in(tenant),
            "client": tenant.console_client_id or "",
        }
    body, tag = files.page({name: escape(text) for name, text in facts.items()})
    headers = {"ETag": tag, "Vary": "Accept-Encoding"}
    if tag in request.headers.get("if-none-match", ""):
        return Response(b"", status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return Response(body, media_type="text/html", status_code=status, headers=headers)


@cache
def _files() -> ConsoleFiles:
    return ConsoleFiles.read()
