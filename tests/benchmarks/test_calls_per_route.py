"""What ``docs/calls-per-route.md`` promises is what the service asks of AWS."""

from __future__ import annotations

import pytest

from service.api.version_1 import ROUTES
from tests.benchmarks.calls_per_route import PAGE, REQUESTS, measured, promises, told


@pytest.fixture(scope="module")
def calls() -> dict[str, tuple[str, ...]]:
    """Of each request, measured once."""
    return measured()


def test_the_page_says_what_is_asked_of_aws(calls: dict[str, tuple[str, ...]]) -> None:
    """Each request with its calls in order; a row of no request is a fault too."""
    said = promises(PAGE.read_text(encoding="utf-8"))
    wrong = [f"{name}: {told(asked)}" for name, asked in calls.items() if said.get(name) != asked]
    assert wrong == []
    assert said.keys() == calls.keys()


def test_every_route_is_measured() -> None:
    """Each of version 1, by method and path."""
    measured_routes = {asked.route for asked in REQUESTS}
    routes = {
        f"{method} /v1{path.replace(':str', '')}"
        for handler in ROUTES
        for method in handler.http_methods - {"OPTIONS", "HEAD"}
        for path in handler.paths
    }
    assert measured_routes == routes


def test_the_control_plane_of_iot_is_asked_once_a_device(
    calls: dict[str, tuple[str, ...]],
) -> None:
    """At its beginning and end: the quotas are an account's, and jobs are the worker's to make."""
    asking = {name for name, made in calls.items() if any(one.startswith("IoT ") for one in made)}
    assert asking == {"POST /v1/enrolments", "POST /v1/devices/{device}/retire"}


def test_a_page_that_says_otherwise_is_seen(calls: dict[str, tuple[str, ...]]) -> None:
    """One call more or less, or of another service, is another promise."""
    page = PAGE.read_text(encoding="utf-8")
    for old, new in (
        ("| Query, GetConnection |", "| Query, IsAuthorizedWithToken, GetConnection |"),
        ("2 x PutItem", "3 x PutItem"),
        ("2 x TransactWriteItems, SendMessage", "2 x TransactWriteItems, IoT CreateJob"),
    ):
        assert old in page
        assert promises(page.replace(old, new)) != calls
