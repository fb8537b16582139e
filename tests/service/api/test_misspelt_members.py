"""A member that a body's form does not know is refused, with those that it knows."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.service.conftest import ServiceUnderTest

Steps = tuple[str | int, ...]


def closed(
    document: dict[str, Any], schema: dict[str, Any], example: Any, at: Steps = ()
) -> Iterator[tuple[Steps, list[str]]]:
    """Where an example has an object whose schema takes no other member, and which it takes."""
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    for one in (*schema.get("oneOf", ()), *schema.get("anyOf", ())):
        yield from closed(document, one, example, at)
    if isinstance(example, list) and "items" in schema:
        for place, one in enumerate(example):
            yield from closed(document, schema["items"], one, (*at, place))
    if isinstance(example, dict) and "properties" in schema:
        if schema.get("additionalProperties") is False:
            yield at, sorted(schema["properties"])
        for name, one in example.items():
            yield from closed(document, schema["properties"][name], one, (*at, name))


def test_a_misspelt_member_is_told_what_is_meant(service: ServiceUnderTest) -> None:
    """In the body of each operation, at each depth that its example has."""
    document = service.client.get("/v1/openapi").json()
    bodies, deep = 0, 0
    for path, item in document["paths"].items():
        for method, operation in item.items():
            content = operation.get("requestBody", {}).get("content", {})
            body = content.get("application/json", {})
            # A device that enrols is nobody who could be told, before its token is known.
            if "schema" not in body or path == "/v1/enrolments":
                continue
            found = list(closed(document, body["schema"], body["example"]))
            assert found[0][0] == (), operation["operationId"]
            bodies, deep = bodies + 1, deep + len(found) - 1
            for at, known in found:
                wrong = deepcopy(body["example"])
                inner = wrong
                for step in at:
                    inner = inner[step]
                meant = max(known, key=len)
                slip = f"{meant[:-1]}_{meant[-1]}"
                inner[slip] = inner.pop(meant, 1)
                answer = service.call(
                    method.upper(), path.replace("{", "").replace("}", ""), json=wrong
                )
                where = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in at)
                assert answer.status_code == 400, f"{operation['operationId']}: {answer.text}"
                (error,) = answer.json()["errors"]
                assert error["field"] == f"{where}.{slip}".lstrip("."), operation["operationId"]
                there = (
                    f"no such member here; there are: {', '.join(known)}; did you mean `{meant}`?"
                )
                assert error["problem"] == there, operation["operationId"]
    assert bodies > 25
    assert deep > 5


def test_a_member_like_none_that_is_known(service: ServiceUnderTest) -> None:
    """Nothing is guessed then; and what is repeated of a name is short."""
    url = "/v1/devices/press-01/commands"
    for name in ("", "$$$", "x` - at `$.arguments", "\u00e4" * 500):
        answer = service.call("POST", url, json={"name": "reboot", name: 1})
        assert answer.status_code == 400, answer.text
        (error,) = answer.json()["errors"]
        assert len(error["field"]) <= 100
        assert "did you mean" not in error["problem"]
