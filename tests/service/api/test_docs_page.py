"""The documentation is a page that needs nothing but this service."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

import pytest

from service.api.docs_page import SCRIPT

if TYPE_CHECKING:
    from tests.service.conftest import ServiceUnderTest

REDOC = "dcaf76612bc4a3fbcc923a8966dee2f6146a5f32e5ce1b6f02dd60cbbf89500b"


def test_the_page_loads_from_this_service_alone(service: ServiceUnderTest) -> None:
    """Each address on it leads to a public answer here, and no other is let by its policy."""
    page = service.client.get("/v1/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    addresses = re.findall(r'(?:src|href|spec-url)="([^"]*)"', page.text)
    assert set(addresses) == {"openapi", "docs/redoc.js", "data:,"}
    kinds = {"openapi": "application/vnd.oai.openapi+json", "docs/redoc.js": "text/javascript"}
    for address, kind in kinds.items():
        answer = service.client.get(f"/v1/{address}")
        assert (answer.status_code, answer.headers["content-type"].split(";")[0]) == (200, kind)
    [policy] = page.headers.get_list("content-security-policy")
    assert "default-src 'none'" in policy
    assert not re.search(r"https?:|\*|unsafe-eval|script-src [^;]*unsafe", policy)


def test_nothing_else_may_load_anything(service: ServiceUnderTest) -> None:
    """The wider policy is the page's alone."""
    for path in ("/v1/openapi", "/v1/docs/redoc.js", "/v1/me", "/v1/docs/else"):
        [policy] = service.client.get(path).headers.get_list("content-security-policy")
        assert policy == "default-src 'none'; frame-ancestors 'none'", path


@pytest.mark.parametrize("caller", [{}, {"Authorization": "Bearer x"}])
def test_whoever_asks_needs_no_token(service: ServiceUnderTest, caller: dict[str, str]) -> None:
    """As for the document itself."""
    assert service.client.get("/v1/docs", headers=caller).status_code == 200


def test_the_script_is_the_one_that_was_published() -> None:
    """Whoever changes it must say which version it is."""
    content = SCRIPT.read_bytes()
    assert hashlib.sha256(content).hexdigest() == REDOC
    assert "MIT License" in (SCRIPT.parent / "LICENSE").read_text(encoding="utf-8")
