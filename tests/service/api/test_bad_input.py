"""Bad input over HTTP: a clear problem document each time, and nothing done."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, cast

import httpx
import pytest

if TYPE_CHECKING:
    from tests.service.conftest import ServiceUnderTest

URL = "/v1/devices/press-01/commands"
DEEP = '{"name": "reboot", "arguments": ' + '{"a":' * 30_000 + "1" + "}" * 30_000 + "}"


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{",
        "[]",
        "null",
        '"reboot"',
        '{"arguments": {}}',
        '{"name": 5}',
        '{"name": null}',
        '{"name": ""}',
        '{"name": "reboot", "nmae": 1}',
        '{"name": "reboot", "arguments": []}',
        '{"name": "reboot", "arguments": {"a": NaN}}',
        '{"name": "reboot", "timeout_seconds": "60"}',
        '{"name": "reboot", "timeout_seconds": 0}',
        '{"name": "reboot", "timeout_seconds": 3601}',
        '{"name": "reboot", "timeout_seconds": 1.5}',
        '{"name": "reboot", "timeout_seconds": true}',
        pytest.param(
            '{"name": "reboot", "timeout_seconds": ' + "9" * 4_000 + "}",
            id="a timeout of 4,000 digits",
        ),
        pytest.param(
            '{"name": "reboot", "arguments": {"a": ' + "9" * 4_000 + "}}", id="4,000 digits"
        ),
        '{"name": "reboot", "arguments": {"a": [9223372036854775808]}}',
        '{"name": "reboot", "arguments": {"a": 1e999}}',
        '{"name": "reboot", "arguments": {"a": ' + "[" * 32 + "]" * 32 + "}}",
        '{"name": "reboot", "emergency": true}',
        '{"name": "reboot", "emergency": {}}',
        '{"name": "reboot", "emergency": {"reason": ""}}',
        '{"name": "reboot", "emergency": {"reason": " \\t\\u00a0"}}',
        '{"name": "reboot", "emergency": {"reason": "x", "extra": 1}}',
        '{"name": "reboot", "arguments": {"a": "\\ud800"}}',
        '{"name": "reboot"} trailing',
        "\xff\xfe",
        pytest.param(DEEP, id="nested too deeply"),
    ],
)
def test_a_body_that_is_not_of_the_form_is_refused(service: ServiceUnderTest, body: str) -> None:
    """400 with a problem document that says where; nothing is recorded, published or audited."""
    content = body.encode("latin-1")
    limit = 64 * 1024
    answer = service.call(
        "POST", URL, content=content, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == (413 if len(content) > limit else 400), answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["status"] == answer.status_code
    assert service.ports.command_records.once.records == {}
    assert service.ports.audit.trail == []


def test_arguments_within_the_bounds_are_taken(service: ServiceUnderTest) -> None:
    """The largest integer and the deepest nesting that are promised."""
    arguments: dict[str, Any] = {"a": 2**63 - 1, "b": json.loads("[" * 31 + "]" * 31)}
    assert (
        service.call("POST", URL, json={"name": "reboot", "arguments": arguments}).status_code
        == 202
    )
    assert service.ports.broker.published[0].arguments == arguments


@pytest.mark.parametrize(
    "declared",
    [
        None,
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/jsonp",
        "application/json; charset=latin-1",
        "text/plain, application/json",
    ],
)
def test_a_body_that_is_not_declared_as_json_is_refused(
    service: ServiceUnderTest, declared: str | None
) -> None:
    """415: a foreign page can send a form or plain text, but no JSON; and nothing is guessed."""
    headers = {} if declared is None else {"Content-Type": declared}
    answer = service.call("POST", URL, content=b'{"name": "reboot"}', headers=headers)
    assert (answer.status_code, answer.json()["type"]) == (
        415,
        "urn:cedarfleet:problem:unsupported-media-type",
    )
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert service.ports.command_records.once.records == {}


def test_json_may_be_declared_with_its_character_set(service: ServiceUnderTest) -> None:
    """The one parameter that says what is true anyway."""
    for declared in ("application/json;charset=UTF-8", 'Application/JSON; charset="utf-8"'):
        answer = service.call(
            "POST", URL, content=b'{"name": "reboot"}', headers={"Content-Type": declared}
        )
        assert answer.status_code == 202, answer.text


def test_nesting_within_the_limit_of_size_is_refused(service: ServiceUnderTest) -> None:
    """A body deeper than any parser likes is the caller's error, not ours."""
    body = '{"name": "reboot", "arguments": {"a":' + "[" * 20_000 + "]" * 20_000 + "}}"
    answer = service.call(
        "POST", URL, content=body.encode(), headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 400, answer.text
    assert answer.json()["errors"] == [{"field": "body", "problem": "is nested too deeply"}]


@pytest.mark.parametrize("chunked", [False, True])
def test_an_oversized_body_is_refused(service: ServiceUnderTest, chunked: bool) -> None:
    """413 with a problem document, with and without a declared length."""
    body = json.dumps({"name": "reboot", "arguments": {"a": "x" * 70_000}}).encode()
    content = iter([body[:40_000], body[40_000:]]) if chunked else body
    answer = service.call(
        "POST", URL, content=content, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 413
    assert answer.json()["type"] == "urn:cedarfleet:problem:request-entity-too-large"
    assert answer.json()["limit_bytes"] == 64 * 1024
    assert str(64 * 1024) in answer.json()["detail"]
    assert service.ports.command_records.once.records == {}


def test_every_error_is_a_problem_document(service: ServiceUnderTest) -> None:
    """Unknown paths and methods, bad queries, cursors and keys too; each names its request."""
    cases: list[tuple[str, str, dict[str, Any], int]] = [
        ("GET", "/nothing", {}, 404),
        ("GET", "/v1/nothing", {}, 404),
        ("DELETE", "/v1/me", {}, 405),
        ("GET", "/v1/devices?limit=0", {}, 400),
        ("GET", "/v1/devices?limit=101", {}, 400),
        ("GET", "/v1/devices?limit=ten", {}, 400),
        ("GET", "/v1/devices?cursor=%00", {}, 400),
        ("POST", URL, {"json": {"name": "reboot"}, "headers": {"Idempotency-Key": "k" * 201}}, 400),
    ]
    named = service.call(
        "POST", URL, json={"name": "reboot"}, headers={"Idempotency-Key": "k" * 201}
    )
    assert [each["field"] for each in named.json()["errors"]] == ["Idempotency-Key"]
    for method, path, request, status in cases:
        answer = service.call(method, path, **request)
        assert answer.status_code == status, (path, answer.text)
        assert answer.headers["Content-Type"] == "application/problem+json", path
        document = answer.json()
        assert document["status"] == status
        assert document["request_id"] == answer.headers["X-Request-Id"]


def test_a_fault_of_ours_says_nothing_but_its_request(service: ServiceUnderTest) -> None:
    """An unexpected error is 500 with the request id, without the error's own words."""
    nothing: Any = None  # a fault that no code expects
    service.ports.broker.published = nothing
    answer = service.call("POST", URL, json={"name": "reboot"})
    assert answer.status_code == 500
    assert answer.json()["type"] == "urn:cedarfleet:problem:internal"
    assert "NoneType" not in answer.text


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ('{"name": "reboot", "name": "stop"}', "name"),
        ('{"name": "reboot", "arguments": {"a": {"b": 1, "b": 2}}}', "b"),
        ('{"name": "reboot", "arguments": {"\\u0061": 1, "a": 2}}', "a"),
        ('{"name": "reboot", "arguments": {"first": 0, "c": 1, "c": 2}}', "c"),
    ],
)
def test_a_member_that_stands_twice_is_refused(
    service: ServiceUnderTest, body: str, field: str
) -> None:
    """Readers differ in which of the two they take, so one might be decided and another done."""
    headers = {"Content-Type": "application/json"}
    answer = service.call("POST", URL, content=body, headers=headers)
    assert answer.status_code == 400
    assert answer.json()["errors"] == [{"field": field, "problem": "stands twice in one object"}]
    assert service.ports.broker.published == []


def test_two_idempotency_keys_are_refused(service: ServiceUnderTest) -> None:
    """Which of the two is meant, nobody knows."""
    token = service.acme.id_token("managers", ["managers"])
    headers = [("Authorization", f"Bearer {token}"), ("Idempotency-Key", "one")]

    async def answered(headers: list[tuple[str, str]]) -> httpx.Response:
        # Past the client of the tests, which makes one header of two.
        transport = httpx.ASGITransport(cast("Any", service.app))
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
            return await client.post(URL, json={"name": "reboot"}, headers=headers)

    refused = asyncio.run(answered([*headers, ("Idempotency-Key", "two")]))
    assert refused.status_code == 400
    assert refused.json()["errors"] == [{"field": "Idempotency-Key", "problem": "stands twice"}]
    assert asyncio.run(answered(headers)).status_code == 202


def test_a_blank_reason_is_told_in_words(service: ServiceUnderTest) -> None:
    """Not by the regular expression that a blank does not match."""
    body = {"name": "reboot", "emergency": {"reason": "  "}}
    answer = service.call("POST", URL, json=body)
    assert answer.status_code == 400
    assert answer.json()["detail"] == "`emergency.reason`: must hold more than blanks"


def test_a_parameter_of_another_type_is_told_in_words(service: ServiceUnderTest) -> None:
    """What the framework itself refuses has a detail for people too."""
    answer = service.call("GET", "/v1/devices?limit=many")
    assert answer.status_code == 400
    assert answer.json()["detail"] == "`limit`: Expected `int`, got `str`"


def test_json_that_is_none_is_wrong_near_a_place(service: ServiceUnderTest) -> None:
    """Near its byte, counted from 0; nothing of the body is quoted."""
    for content, where in (
        (b"{'name': 1}", "; it is wrong near byte 1"),
        (b'{"name": nul}', "; it is wrong near byte 13"),
        (b'{"name": "reboot"', ""),
        (b'{"name": "\xff"}', ""),
    ):
        headers = {"Content-Type": "application/json"}
        answer = service.call("POST", URL, content=content, headers=headers)
        assert answer.status_code == 400, answer.text
        (error,) = answer.json()["errors"]
        assert error == {
            "field": "body",
            "problem": f"must be one JSON document in UTF-8{where}",
        }
