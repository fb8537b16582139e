"""Holds each answer of the API to the OpenAPI document that the same API serves."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from jsonschema import Draft202012Validator

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx


TEXTS = ("application/x-ndjson", "text/event-stream")


class Contract:
    """What the document says of each operation.

    Args:
        document: as ``GET /v1/openapi`` answers it.
    """

    def __init__(self, document: dict[str, Any]) -> None:
        self._components = document["components"]
        self._operations = [
            (re.compile(re.sub(r"\{[^}]+\}", "[^/]+", path)), method.upper(), operation)
            for path, item in document["paths"].items()
            for method, operation in item.items()
        ]
        self._validators: dict[tuple[str, str, str], Draft202012Validator] = {}

    def hold(self, answer: httpx.Response) -> None:
        """Fail the test whose request was answered otherwise than the document says."""
        answer.read()
        for operation in self._described(answer.request):
            name, status = operation["operationId"], str(answer.status_code)
            assert status in operation["responses"], (
                f"`{name}` answered {status}, which its description does not say: {answer.text}"
            )
            told = operation["responses"][status].get("headers", {})
            # What the tenant's file declares is read without an `ETag`: nothing of it changes here.
            wanted = {"Location", *(("ETag",) if answer.request.method != "GET" else ())}
            missing = [name for name in wanted & set(told) if name not in answer.headers]
            assert not missing, f"`{name}` answered {status} without {missing}"
            media_type = answer.headers.get("content-type", "").split(";")[0]
            content = operation["responses"][status].get("content", {})
            if not content and not answer.content:
                continue
            assert media_type in content, f"`{name}` answered {status} as `{media_type}`"
            said = answer.text if media_type in TEXTS else answer.json()
            validator = self._validator(name, status, media_type, content)
            wrong = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(said)]
            assert not wrong, f"`{name}` answered {status} in another form: {wrong}"

    def _described(self, request: httpx.Request) -> Iterator[dict[str, Any]]:
        path = request.url.raw_path.decode().partition("?")[0]
        for pattern, method, operation in self._operations:
            if method == request.method and pattern.fullmatch(path):
                yield operation

    def _validator(
        self, name: str, status: str, media_type: str, content: dict[str, Any]
    ) -> Draft202012Validator:
        key = name, status, media_type
        if key not in self._validators:
            schema = {**content[media_type]["schema"], "components": self._components}
            self._validators[key] = Draft202012Validator(schema)
        return self._validators[key]
