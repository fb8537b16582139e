"""Groups as the tests make, fill and empty them over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx

    from tests.service.conftest import ServiceUnderTest


def make(service: ServiceUnderTest, group: str, *parents: str, as_: str = "managers") -> int:
    """The status of the answer to who makes a group."""
    body = {"id": group, "parents": parents}
    return service.call("POST", "/v1/groups", as_=as_, json=body).status_code


def change(service: ServiceUnderTest, group: str, **rows: list[str]) -> httpx.Response:
    """Put devices in or take them out."""
    return service.call("POST", f"/v1/groups/{group}/members", json=rows)


def problem(answer: httpx.Response) -> str:
    """What is wrong, of a refused request."""
    told = answer.json()
    return told["errors"][0]["problem"] if "errors" in told else told["detail"]
