"""The API's documentation as a page: Redoc, served from here, over the OpenAPI document.

``redoc/redoc.standalone.js`` is of the npm package redoc 2.5.4 as it was published (MIT licence,
beside it); a test holds its digest. The page loads nothing from anywhere else, and its content
policy lets it load nothing: it works without a network, and a stranger's script does not.
"""

from functools import cache
from pathlib import Path
from typing import Any, Final

from litestar import Request, Response, get

from service.api.health import PUBLIC
from service.api.request_state import CONTENT_POLICY

SCRIPT: Final = Path(__file__).parent / "redoc" / "redoc.standalone.js"
# Redoc writes its styles at run time, and its search runs in a worker that it makes of a blob.
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; img-src 'self' data:;"
    " connect-src 'self'; worker-src blob:; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'"
)
PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>Cedarfleet API</title>
</head>
<body style="margin: 0">
<redoc spec-url="openapi" hide-download-button></redoc>
<noscript>The same as JSON: <a href="openapi">openapi</a></noscript>
<script src="docs/redoc.js"></script>
</body>
</html>
"""


@get("/v1/docs", opt=PUBLIC, sync_to_thread=False, include_in_schema=False)
def docs(request: Request[Any, Any, Any]) -> Response[str]:
    """The page; whoever asks needs no token."""
    request.scope["state"][CONTENT_POLICY] = _POLICY
    return Response(PAGE, media_type="text/html")


@get("/v1/docs/redoc.js", opt=PUBLIC, sync_to_thread=False, include_in_schema=False)
def docs_script() -> Response[bytes]:
    """Its script."""
    return Response(_script(), media_type="text/javascript")


@cache
def _script() -> bytes:
    return SCRIPT.read_bytes()
