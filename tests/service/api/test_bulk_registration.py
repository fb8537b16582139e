"""Many devices at once: a result a row, in order; a wrong row is named, and the rest go on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from service.operations.bulk_registration import (
    AT_ONCE,
    MAX_ROWS,
    ROWS_PER_SECOND,
    BulkRegistration,
)
from service.operations.operations import Operations
from service.settings import TokenSettings

if TYPE_CHECKING:
    import httpx

    from tests.service.conftest import ServiceUnderTest

CSV, LINES = "text/csv", "application/x-ndjson"


class Bulk:
    """The API, whose pauses are counted and not waited for."""

    def __init__(self, service: ServiceUnderTest) -> None:
        self.service = service
        self.paused: list[float] = []
        operations = Operations(service.ports, TokenSettings())
        operations.bulk_registration = BulkRegistration(
            registration=operations.registration, sleep=self._sleep
        )
        service.app.state.operations = operations
        service.client.event_hooks = {}  # a document a row, which the contract does not read

    async def _sleep(self, seconds: float) -> None:
        self.paused.append(seconds)

    def send(
        self, body: str, kind: str = CSV, *, as_: str = "managers", query: str = ""
    ) -> httpx.Response:
        """Register rows as somebody of acme."""
        token = self.service.acme.id_token(as_, [as_])
        headers = {"Authorization": f"Bearer {token}", "Content-Type": kind}
        return self.service.client.post(f"/v1/registrations{query}", content=body, headers=headers)

    def results(self, body: str, kind: str = CSV, **how: Any) -> list[dict[str, Any]]:
        """A document a row."""
        answer = self.send(body, kind, **how)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"].startswith("text/plain")
        return [json.loads(line) for line in answer.text.splitlines()]


@pytest.fixture
def bulk(service: ServiceUnderTest) -> Bulk:
    """The API."""
    return Bulk(service)


def test_ten_thousand_rows_are_registered(bulk: Bulk) -> None:
    """Each in its place with a code of its own, asked of the policies once, and paced."""
    names = [f"press-{number:05}" for number in range(MAX_ROWS)]
    body = "id,groups,kind\n" + "".join(f"{name},line-press,press\n" for name in names)
    results = bulk.results(body)
    assert [one["device"] for one in results] == names
    assert [one["row"] for one in results] == list(range(1, MAX_ROWS + 1))
    assert {one["status"] for one in results} == {"registered"}
    assert len({one["code"] for one in results}) == MAX_ROWS
    last = bulk.service.device(names[-1])
    assert (last.groups, last.attributes, last.enrolled) == (
        ("line-press",),
        {"kind": "press"},
        False,
    )
    assert len(bulk.service.ports.audit.trail) == 1
    assert len(bulk.paused) == MAX_ROWS / AT_ONCE
    assert max(bulk.paused) <= AT_ONCE / ROWS_PER_SECOND


def test_rows_are_read_as_csv_and_as_json_lines(bulk: Bulk) -> None:
    """Groups, attributes and tags are the same device either way."""
    table = 'id,groups,kind,tag.building\na,"line-press zone-hall-1",press,7\n'
    line = {"groups": ["line-press", "zone-hall-1"], "attributes": {"kind": "press"}}
    lines = json.dumps({"id": "b", **line, "tags": {"building": "7"}})
    assert bulk.results(table)[0]["status"] == "registered"
    assert bulk.results(lines, LINES)[0]["status"] == "registered"
    one, other = bulk.service.device("a"), bulk.service.device("b")
    assert (one.groups, one.attributes, one.tags) == (other.groups, other.attributes, other.tags)
    assert one.tags == {"building": "7"}


def test_a_row_that_is_wrong_is_named_and_alone(bulk: Bulk) -> None:
    """Row and member, with what would be right; the rows around it are registered."""
    body = "id,groups,kind\n,,\ngood,,press\nno/id,,\nlost,line-pres,\ngood,,\nshort\npress-01,,\n"
    results = bulk.results(body)
    assert [one["status"] for one in results] == [
        *["refused", "registered", "refused", "refused", "refused", "refused", "exists"],
    ]
    problems = [one.get("problem", "") for one in results]
    assert problems[2].startswith("`id`: must be a letter or digit")
    assert "did you mean `line-press`?" in problems[3]
    assert problems[4] == "`id`: stands in an earlier row too"
    assert problems[5] == "`row`: has 1 cells, the head has 3"
    wrong = bulk.results('{"id": 7}\nx\n{"id": "fine", "attributes": {"colour": "red"}}\n', LINES)
    assert [one["problem"].partition(":")[0] for one in wrong] == [
        "`id`",
        "`row`",
        "`attributes.colour`",
    ]


def test_a_request_that_comes_again_changes_nothing(bulk: Bulk) -> None:
    """What is there stays with its code; a new one is made only if that is asked for."""
    body = "id\none\ntwo\n"
    first = bulk.results(body)
    assert [one["status"] for one in bulk.results(body)] == ["exists", "exists"]
    renewed = bulk.results(body, query="?renew_codes=true")
    assert [one["status"] for one in renewed] == ["code-renewed", "code-renewed"]
    assert {one["code"] for one in renewed}.isdisjoint(one["code"] for one in first)
    assert bulk.results("id\npress-01\n", query="?renew_codes=true")[0]["status"] == "exists"


def test_only_who_may_register_does(bulk: Bulk) -> None:
    """Nobody without the right learns anything; of a part the other rows go on."""
    assert bulk.send("id\none\n", as_="operators").status_code == 403
    assert bulk.send("id\nno/id\n", as_="operators").status_code == 403
    mixed = bulk.results("id,tag.certified_by\none,\ntwo,boss\n")
    assert [one["status"] for one in mixed] == ["registered", "refused"]
    assert "certified-by-it-staff" in mixed[1]["problem"]


@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        ("id\none\n", "application/json", "must be `text/csv` or"),
        ("", CSV, "the first row must name the columns"),
        ("name\none\n", CSV, "the first row must name the columns"),
        ("id\n", CSV, "has no rows"),
        ('id\n"one\n', CSV, "line 2"),
        ("id\n" + "x\n" * (MAX_ROWS + 1), CSV, "more than 10000 rows"),
    ],
)
def test_a_body_that_is_no_table_is_refused(bulk: Bulk, body: str, kind: str, words: str) -> None:
    """As a whole, before anything is stored."""
    answer = bulk.send(body, kind)
    assert answer.status_code == 400, answer.text
    assert words in answer.json()["errors"][0]["problem"]
