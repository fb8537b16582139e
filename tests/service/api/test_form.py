"""The one form of the API, over every operation of its description: a new route has it or fails."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.service.conftest import ServiceUnderTest

# Without a token nobody has a budget.
PUBLIC = {"live", "ready", "read_sign_in", "enrol"}
# What makes something without a key, and how a lost answer is made good.
WITHOUT_KEY = {
    "register_device": "the name is taken (409): a new code",
    "renew_enrolment_code": "asked again it is another code, and the former ends",
    "make_command_type": "the name is taken (409): read it",
    "cancel_campaign": "asked again it is the same",
    "cancel_command": "asked again it is the same",
    "cancel_download": "asked again it is the same",
    "plan_download": "nothing is done by a plan",
    "approve_download": "asked again it is the same",
    "pause_download": "asked again it is the same",
    "resume_download": "asked again it is the same",
    "complete_file": "asked again it is the same",
    "invite_person": "the address is taken (409): read the person",
    "make_machine": "the id is taken (409): a secret is told once, so make another",
    "make_webhook": "a secret is told once: end it, and make another",
    "redeliver_webhook_event": "asked again it is sent again, under the same id",
    "add_machine_secret": "a secret is told once: delete it, and make another",
}


def operations(service: ServiceUnderTest) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Path, method and description of each operation; references are followed in ``properties``."""
    document = service.client.get("/v1/openapi").json()
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield path, method, operation


def parameters(operation: dict[str, Any], place: str) -> set[str]:
    """Names of an operation's parameters."""
    return {each["name"] for each in operation.get("parameters", ()) if each["in"] == place}


def good(operation: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Answers that are no problems, by status."""
    yield from (each for each in operation["responses"].items() if each[0].startswith("2"))


@pytest.fixture
def schemas(service: ServiceUnderTest) -> dict[str, Any]:
    """All schemas by name."""
    return service.client.get("/v1/openapi").json()["components"]["schemas"]


def properties(answer: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    """The members of an answer's document."""
    schema = answer.get("content", {}).get("application/json", {}).get("schema", {})
    if "$ref" in schema:
        schema = schemas[schema["$ref"].rpartition("/")[2]]
    return schema.get("properties", {})


def test_every_list_comes_in_pages(service: ServiceUnderTest, schemas: dict[str, Any]) -> None:
    """What has a `cursor` takes one, and a `limit`; and what takes one answers one."""
    lists = 0
    for path, method, operation in operations(service):
        asked = parameters(operation, "query")
        for _, answer in good(operation):
            is_page = "cursor" in properties(answer, schemas)
            if method == "get":
                assert is_page == ("cursor" in asked), path
                assert not is_page or "limit" in asked, path
                lists += is_page
    assert lists >= 12


def test_what_is_made_or_takes_time_says_where_it_is(service: ServiceUnderTest) -> None:
    """201 and 202 have a `Location`; that each answer has it is held by every test of the API."""
    found = 0
    for path, method, operation in operations(service):
        for status, answer in good(operation):
            if status in {"201", "202"}:
                assert "Location" in answer["headers"], (method, path)
                found += 1
    assert found >= 15


def test_what_is_made_is_made_once(service: ServiceUnderTest) -> None:
    """By an `Idempotency-Key`, or the operation says how a lost answer is made good."""
    named: set[str] = set()
    for _, method, operation in operations(service):
        makes = any(status in {"201", "202"} for status, _ in good(operation))
        if method != "post" or not makes:
            continue
        if "Idempotency-Key" not in parameters(operation, "header"):
            named.add(operation["operationId"])
    assert named == set(WITHOUT_KEY)


def test_what_can_be_changed_has_a_state(service: ServiceUnderTest) -> None:
    """What takes `If-Match` answers the `ETag` of now, and may be 412; what is deleted has none."""
    changes = 0
    for path, method, operation in operations(service):
        if "If-Match" not in parameters(operation, "header"):
            continue
        changes += 1
        assert "412" in operation["responses"], path
        for _, answer in good(operation):
            assert method == "delete" or "ETag" in answer["headers"], (method, path)
    assert changes >= 8


def test_every_answer_tells_what_is_left(service: ServiceUnderTest) -> None:
    """`RateLimit` and its policy, wherever a token is wanted."""
    for path, method, operation in operations(service):
        if operation["operationId"] in PUBLIC or operation.get("security") == []:
            continue
        for status, answer in good(operation):
            told = set(answer.get("headers", {}))
            assert {"RateLimit", "RateLimit-Policy"} <= told, (method, path, status)


def test_every_time_is_of_rfc_3339(schemas: dict[str, Any]) -> None:
    """Members that end in `_at`, `since` and the like are a `date-time`, and nothing else."""
    times = 0
    for name, schema in schemas.items():
        for member, form in schema.get("properties", {}).items():
            if not re.fullmatch(r".+_at|at|since|until", member):
                continue
            forms = [form, *form.get("anyOf", ()), *form.get("oneOf", ())]
            assert any(one.get("format") == "date-time" for one in forms), (name, member, form)
            times += 1
    assert times >= 20


def test_every_noun_is_in_the_plural(service: ServiceUnderTest) -> None:
    """What stands before an id names many; words behind one are what is done or kept of it."""
    nouns = {
        before
        for path, _, _ in operations(service)
        for before in re.findall(r"/([a-z-]+)/\{", path)
    }
    assert all(noun.endswith("s") or noun == "people" for noun in nouns), sorted(nouns)
