"""The dashboard shows what the product tells, and asks for one tenant where it can."""

from __future__ import annotations

import json
import re
from typing import Any

import structlog
from litestar.testing import TestClient

from infra.stacks.platform_stack.dashboard import TENANT, body
from service.adapters.memory.authorizer import CedarAuthorizer
from service.adapters.memory.memory_ports import MemoryPorts
from service.adapters.memory.user_pool import MemoryUserPool
from service.adapters.metrics.embedded_format import DIMENSIONS, NAMESPACE
from service.api.app import create_app
from service.api.problem_documents import STATUS
from service.domain.events import EventType
from service.operations.operations import Operations
from service.ports.metrics import DECISIONS, HAPPENED, PROBLEMS
from service.settings import HttpSettings, TokenSettings
from tests.infra.conftest import ROOT

BODY = body(region="eu-central-1", balancer="app/x/1", queue="cedarfleet-work", log_group="/log")
# Words of CloudWatch Logs Insights itself.
WORDS = {"SOURCE", "filter", "and", "stats", "count", "pct", "by", "sort"}


def widgets(kind: str) -> list[dict[str, Any]]:
    """Properties of the widgets of a kind."""
    return [one["properties"] for one in BODY["widgets"] if one["type"] == kind]


def test_each_metric_is_one_that_the_service_tells() -> None:
    """By name and dimensions, with values that they take: a graph of nothing shows nothing."""
    told = {one.name: set(names) for one, names in DIMENSIONS.items()}
    known = {
        PROBLEMS.name: {slug for _, slug in STATUS.values()},
        HAPPENED.name: {*EventType, "done", "ended", "lost"}
        | {"succeeded", "failed", "rejected", "timed-out"},
        DECISIONS.name: {"allowed", "denied"},
    }
    shown = 0
    for widget in widgets("metric"):
        for namespace, name, *pairs in widget["metrics"]:
            if namespace == NAMESPACE:
                shown += 1
                assert set(pairs[::2]) == told[name]
                assert set(pairs[1::2]) <= known[name]
    assert shown > 10


def test_a_tenant_is_chosen_for_each_query() -> None:
    """The variable stands in every query of the log, and nowhere else: metrics know no tenant."""
    (variable,) = BODY["variables"]
    assert (variable["type"], variable["pattern"]) == ("pattern", TENANT)
    queries = [one["query"] for one in widgets("log")]
    assert queries
    assert all(query.count(f"tenant = '{TENANT}'") == 1 for query in queries)
    assert TENANT not in json.dumps(widgets("metric"))


def test_each_query_asks_for_members_of_a_requests_line() -> None:
    """Those of the line that the service writes about a refused request."""
    ports = MemoryPorts.around(CedarAuthorizer(ROOT / "policies"))
    pool = MemoryUserPool("acme")
    pool.join(ports)
    app = create_app(Operations(ports, TokenSettings()), HttpSettings())
    token = pool.id_token("op", ["operators"])
    merged = [structlog.contextvars.merge_contextvars]
    with TestClient(app) as client, structlog.testing.capture_logs(processors=merged) as lines:
        client.get("/v1/audit", headers={"Authorization": f"Bearer {token}"})
    (line,) = (one for one in lines if one["event"] == "request.done")
    assert (line["tenant"], line["problem"]) == ("acme", "permission-denied")
    for widget in widgets("log"):
        bare = re.sub(r"'[^']*'", "", widget["query"])
        asked = set(re.findall(r"[a-z_]\w*", bare, re.IGNORECASE)) - WORDS
        assert asked <= line.keys(), asked - line.keys()


def test_no_widget_lies_on_another() -> None:
    """Each has its place on the board of 24 columns."""
    places = {(one["x"], one["y"]) for one in BODY["widgets"]}
    assert len(places) == len(BODY["widgets"])
    assert all(one["x"] + one["width"] <= 24 for one in BODY["widgets"])
