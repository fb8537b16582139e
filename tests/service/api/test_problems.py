"""What Litestar refuses by itself becomes a problem document of ours."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from litestar.exceptions import HTTPException

from service.api.problems import from_http

REQUEST: Any = SimpleNamespace(scope={"state": {"request_id": "request-1"}})


def document(error: HTTPException) -> tuple[dict[str, Any], dict[str, str]]:
    """The answer's body and headers."""
    answer = from_http(REQUEST, error)
    assert answer.media_type == "application/problem+json"
    body: Any = answer.content
    assert body["status"] == answer.status_code
    assert body["request_id"] == "request-1"
    return json.loads(json.dumps(body)), dict(answer.headers)


@pytest.mark.parametrize("status", [500, 503])
def test_a_fault_of_the_framework_is_ours_and_says_nothing(status: int) -> None:
    """Its words may quote what is inside."""
    body, _ = document(HTTPException(status_code=status, detail="secret words"))
    assert (body["status"], body["type"]) == (500, "urn:cedarfleet:problem:internal")
    assert "secret" not in json.dumps(body)


def test_a_bad_request_names_its_fields() -> None:
    """Each with its problem, or the framework's words where it names none; both cut to size."""
    extra = [{"key": "limit", "message": "x" * 400}, {"message": "odd"}, "text"]
    body, _ = document(HTTPException(status_code=400, detail="words", extra=extra))
    assert body["type"] == "urn:cedarfleet:problem:invalid-request"
    assert body["errors"] == [
        {"field": "limit", "problem": "x" * 300},
        {"field": "body", "problem": "odd"},
        {"field": "body", "problem": "is not valid"},
    ]
    assert body["detail"] == f"`limit`: {'x' * 300}"
    plain, _ = document(HTTPException(status_code=400, detail="words"))
    assert plain["detail"] == "words"
    assert "errors" not in plain


def test_an_unknown_path_is_told_where_the_known_ones_are() -> None:
    """In words of ours: the framework's are not passed on."""
    body, _ = document(HTTPException(status_code=404, detail="words"))
    assert body["type"] == "urn:cedarfleet:problem:not-found"
    assert body["detail"] == (
        "nothing stands under this path; GET /v1/openapi describes those there are"
    )


def test_a_wrong_method_says_which_are_right() -> None:
    """Of the framework's headers that one is passed on, and its words are not."""
    headers = {"Allow": "GET", "Server": "litestar"}
    body, sent = document(HTTPException(status_code=405, detail="words", headers=headers))
    assert (body["type"], sent) == ("urn:cedarfleet:problem:method-not-allowed", {"Allow": "GET"})
    assert body["detail"] == "this path takes GET"
