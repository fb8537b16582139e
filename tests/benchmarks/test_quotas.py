"""``docs/quotas.md`` says what follows from the calls that are counted and from AWS's figures."""

from __future__ import annotations

import re
from typing import Final

from infra.local.cloud.limits.counts import COUNTS
from tests.benchmarks import quotas
from tests.benchmarks.calls_per_route import PAGE, promises

TEXT: Final = quotas.QUOTAS.read_text(encoding="utf-8")


def test_the_page_has_each_rate_that_requests_meet() -> None:
    """With AWS's figure, and the request that reaches it first."""
    missing = [line for line in quotas.bound_lines() if line not in TEXT]
    assert missing == []
    told = re.findall(r"^\| `((?:calls|reads|writes)-of-[^`]+)`", TEXT, re.MULTILINE)
    assert told == [rate.id for rate, _, _ in quotas.bounds()]


def test_the_page_has_the_price_of_each_request() -> None:
    """Of a million, by the calls that are counted; a request that is gone has no price."""
    lines = quotas.price_lines()
    assert [line for line in lines if line not in TEXT] == []
    assert len(re.findall(r"^\| `[A-Z]+ /.* \| \$[\d,.]+ \|$", TEXT, re.MULTILINE)) == len(lines)


def test_a_call_more_is_another_price() -> None:
    """Else the test above could not fail."""
    calls = promises(PAGE.read_text(encoding="utf-8"))
    assert all(quotas.PRICES[call].units > 0 for asked in calls.values() for call in asked)
    poll = quotas.prices()["GET /v1/commands/{command_id}"]
    assert f"${poll:,.2f}" in TEXT
    more = poll + quotas.PRICES["IsAuthorizedWithToken"].dollars
    assert f"`GET /v1/commands/{{command_id}}` | ${more:,.2f}" not in TEXT


def test_the_page_has_awss_counts() -> None:
    """Each count that the page names has the figure of the table of limits."""
    figures = {row.id: (row.figure, row.assumed) for row in COUNTS}
    told = re.findall(r"^\| `([a-z-]+)`( \(assumed\))? \| ([\d,]+) \|", TEXT, re.MULTILINE)
    assert len(told) >= 8
    for name, assumed, figure in told:
        assert (int(figure.replace(",", "")), bool(assumed)) == figures[name], name
