"""Every operation is shown by an example, which is what its own schema says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jsonschema import Draft202012Validator, FormatChecker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.service.conftest import ServiceUnderTest


def contents(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each body of a request or an answer, named by its operation and status."""
    for item in document["paths"].values():
        for operation in item.values():
            name = operation["operationId"]
            for content in operation.get("requestBody", {}).get("content", {}).values():
                yield f"{name} takes", content
            for status, answer in operation["responses"].items():
                for content in answer.get("content", {}).values():
                    yield f"{name} answers {status}", content


def test_every_example_is_of_its_schema(service: ServiceUnderTest) -> None:
    """Patterns, enumerations and what is required too; none is missing."""
    document = service.client.get("/v1/openapi").json()
    found = {name: content for name, content in contents(document) if "schema" in content}
    assert len(found) > 300
    for name, content in found.items():
        schema = {**content["schema"], "components": document["components"]}
        validator = Draft202012Validator(schema, format_checker=FormatChecker())
        wrong = [
            f"{one.json_path}: {one.message}" for one in validator.iter_errors(content["example"])
        ]
        assert not wrong, f"{name}: {wrong}"


def test_examples_of_bodies_are_done_or_refused_as_a_whole(service: ServiceUnderTest) -> None:
    """The API takes each body for one of its form: none is refused member by member."""
    document = service.client.get("/v1/openapi").json()
    asked = 0
    for path, item in document["paths"].items():
        for method, operation in item.items():
            body = operation.get("requestBody", {}).get("content", {}).get("application/json")
            if body is None or "schema" not in body or path == "/v1/enrolments":
                continue
            names = {"device": "press-01", "person": "nobody", "group": "line-press"}
            names |= {"machine": "nobody", "package": "press-controller"}
            names |= dict.fromkeys(
                ("file_id", "command_id", "campaign_id"), "01JD8Z6V3K5Q7T9W1Y3A5C7E9G"
            )
            names["command_type"] = "no-such-command"
            place = path.format(**names)
            answer = service.call(method.upper(), place, json=body["example"])
            members = [
                one["field"]
                for one in answer.json().get("errors", ())
                # What the example names, this tenant has not: its groups, regions and tags.
                if "has no" not in one["problem"] and "leave" not in one["problem"]
            ]
            assert not members, f"{operation['operationId']}: {answer.text}"
            asked += 1
    assert asked > 10
