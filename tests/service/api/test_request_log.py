"""The one log line of a request, its measure, and whose its ids are."""

from __future__ import annotations

import asyncio
import contextvars
from typing import TYPE_CHECKING, Any

import structlog

from service import request_line
from service.ports.metrics import DECISIONS, REQUESTS

if TYPE_CHECKING:
    from tests.service.conftest import ServiceUnderTest

COMMANDS = "/v1/devices/press-01/commands"


def done(logs: list[Any]) -> dict[str, Any]:
    """The one line that sums a request up."""
    [line] = [line for line in logs if line["event"] == "request.done"]
    return line


def test_one_line_and_one_measure_sum_a_request_up(service: ServiceUnderTest) -> None:
    """Route, status and problem, without what the caller wrote; also where there is no route."""
    for path, as_, status, problem in (
        ("/v1/devices/press-01", "managers", 200, None),
        ("/v1/devices/nobody-77", "managers", 404, "not-found"),
        ("/nowhere/else", "managers", 404, "not-found"),
    ):
        with structlog.testing.capture_logs() as logs:
            answer = service.call("GET", path, as_=as_)
        line = done(logs)
        assert (answer.status_code, line["status"], line.get("problem")) == (
            status,
            status,
            problem,
        )
        assert line["answer_bytes"] == len(answer.content)
        assert path not in str(line)
    measured = service.ports.metrics.labels_of(REQUESTS)
    known = {("GET", "/v1/devices/{device}", status) for status in ("200", "404")}
    assert measured >= known | {("GET", "none", "404")}


def test_the_line_says_what_was_decided(service: ServiceUnderTest) -> None:
    """Each decision in its order with who made it, and no line beside for it."""
    patch, command = {"region": "eu"}, {"name": "reboot"}
    for method, path, as_, body, decisions in (
        ("GET", "/v1/me", "managers", None, None),
        ("GET", "/v1/devices/press-01", "managers", None, [("ViewDevice", True)]),
        ("PATCH", "/v1/devices/press-01", "managers", patch, [("ConfigureDevice", True)] * 2),
        ("POST", COMMANDS, "nobodies", command, [("OperateDevice", False)]),
    ):
        with structlog.testing.capture_logs() as logs:
            service.call(method, path, as_=as_, json=body)
        told = done(logs).get("decisions")
        assert (told and [(one["action"], one["allowed"]) for one in told]) == decisions
        assert "access.decided" not in {line["event"] for line in logs}
        for one in told or ():
            assert one["resource"] == 'Fleet::Device::"press-01"'
            assert one["by"] in ("store", "copy")


def test_the_line_stays_short_whatever_is_decided() -> None:
    """Of very many decisions the first are told, and how many more there were."""
    said = contextvars.copy_context().run(_decide_often, request_line.MOST_DECISIONS + 3)
    assert [one["number"] for one in said["decisions"]] == [*range(request_line.MOST_DECISIONS)]
    assert said["more_decisions"] == 3


def _decide_often(times: int) -> dict[str, Any]:
    said = request_line.begin()
    for number in range(times):
        request_line.decided(number=number)
    return said


def test_the_worker_has_a_line_for_each_decision() -> None:
    """Nothing sums its requests up: there are none."""
    with structlog.testing.capture_logs() as logs:
        contextvars.Context().run(request_line.decided, action="OperateDevice")
    assert logs == [{"event": "access.decided", "log_level": "info", "action": "OperateDevice"}]


def test_decisions_are_counted_by_action_and_outcome(service: ServiceUnderTest) -> None:
    """An allowed command and a denied one each leave a count, with who decided."""
    assert service.call("POST", COMMANDS, json={"name": "reboot"}).status_code == 202
    denied = service.call("POST", COMMANDS, as_="nobodies", json={"name": "reboot"})
    assert denied.status_code == 403
    found = service.ports.metrics.labels_of(DECISIONS)
    assert {("OperateDevice", "allowed", "store"), ("OperateDevice", "denied", "store")} <= found


def test_a_callers_id_stands_beside_ours(service: ServiceUnderTest) -> None:
    """Two requests with one id of their caller have two of ours; what could forge is left out."""
    for given, named in (
        ("trace-12345678", "trace-12345678"),
        ('a"},{"event":"x', None),
        ("short", None),
    ):
        ids: list[str] = []
        for _ in range(2):
            with structlog.testing.capture_logs([structlog.contextvars.merge_contextvars]) as logs:
                answer = service.call("GET", "/v1/me", headers={"X-Request-Id": given})
            line = done(logs)
            assert line.get("caller_request_id") == named
            assert line["request_id"] == answer.headers["X-Request-Id"]
            ids.append(line["request_id"])
        assert len({*ids, given}) == 3


def test_the_line_says_whose_request_it_was(service: ServiceUnderTest) -> None:
    """Tenant and principal of a proved token, and nobody of a token that proves nothing."""
    proved = service.call("GET", "/v1/me").json()
    for token, whose in ((None, (proved["tenant"], proved["principal"])), ("forged", (None, None))):
        given = {} if token is None else {"Authorization": f"Bearer {token}"}
        with structlog.testing.capture_logs([structlog.contextvars.merge_contextvars]) as logs:
            service.call("GET", "/v1/me", headers=given)
        line = done(logs)
        assert (line.get("tenant"), line.get("principal")) == whose
        assert ("unauthenticated" in line) == (token is not None)


def test_a_caller_that_left_is_no_fault_of_ours(service: ServiceUnderTest) -> None:
    """A connection that ends within the body leaves its line, and neither error nor traceback."""
    sent: list[Any] = []
    token = service.acme.id_token("managers", ["managers"])

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope: Any = {
        "type": "http",
        "method": "POST",
        "path": COMMANDS,
        "raw_path": COMMANDS.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [
            (b"authorization", f"Bearer {token}".encode()),
            (b"content-type", b"application/json"),
            (b"content-length", b"100"),
        ],
        "client": ("127.0.0.1", 1),
        "app": service.app,
    }
    with structlog.testing.capture_logs() as logs:
        asyncio.run(service.app(scope, receive, send))  # type: ignore[arg-type]
    assert sent[0]["status"] == 400
    line = done(logs)
    assert (line["left"], line["problem"]) == (True, "body-incomplete")
    assert {one["log_level"] for one in logs} == {"info"}


def test_a_stream_counts_until_it_begins(service: ServiceUnderTest) -> None:
    """However long its reader stays; the log line says how long that was."""
    seconds = 2
    with structlog.testing.capture_logs() as logs:
        answer = service.call("GET", "/v1/events", params={"seconds": seconds})
    assert answer.status_code == 200
    assert done(logs)["milliseconds"] >= 1000 * seconds
    (measured,) = (
        took
        for (what, labels), took in service.ports.metrics.durations.items()
        if what is REQUESTS and labels == ("GET", "/v1/events", "200")
    )
    assert max(measured) < seconds
