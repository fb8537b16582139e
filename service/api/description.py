"""The OpenAPI document, which is the contract: Litestar's, with every problem that may be answered.

Litestar knows the answers that handlers return. What else an operation may answer follows from its
form (a body may be too large, an idempotency key may stand for another request) and from the one
table of problems; a test holds every answer of the API's tests to what stands here.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from litestar.openapi.plugins import JsonRenderPlugin

from service.api.described_values import PARAMETERS, refined, with_values
from service.api.examples import Examples
from service.api.problem_documents import MEDIA_TYPE, STATUS, TOKEN_FAULTS, problem_type
from service.domain.rates import Budget
from service.errors import EnrolmentFault

if TYPE_CHECKING:
    from collections.abc import Iterator

    from litestar import Request
    from litestar.handlers import HTTPRouteHandler
    from litestar.types import Method

_METHODS: Final = ("get", "put", "post", "patch", "delete")
_REFERENCE: Final = {"$ref": "#/components/schemas/Problem"}
_OF_LITESTAR: Final = (
    HTTPStatus.METHOD_NOT_ALLOWED,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
)
"""Refused before any code of ours runs."""

_WORDS: Final[dict[HTTPStatus, str]] = {
    HTTPStatus.BAD_REQUEST: "A parameter, header or member of the body is not of its form.",
    HTTPStatus.UNAUTHORIZED: "The bearer token, or a device's code, proves nothing; of a token"
    " `code` says why.",
    HTTPStatus.FORBIDDEN: "The tenant's policies say no, or the tenant is suspended.",
    HTTPStatus.NOT_FOUND: "The tenant has no such thing.",
    HTTPStatus.CONFLICT: "The request is fine, the state of the thing is not.",
    HTTPStatus.GONE: "Events since `Last-Event-ID` are not kept any more: read the lists anew.",
    HTTPStatus.PRECONDITION_FAILED: "It is not as `If-Match` says; `ETag` is the one of now.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body has more than `limit_bytes`.",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "The body is not declared as JSON.",
    HTTPStatus.UNPROCESSABLE_ENTITY: "The idempotency key stands for another request.",
    HTTPStatus.TOO_MANY_REQUESTS: "The tenant is over its budget, or its share of the calls; try"
    " again after `Retry-After`.",
    HTTPStatus.INTERNAL_SERVER_ERROR: "A fault of the service.",
    HTTPStatus.BAD_GATEWAY: "AWS refused; what was recorded is at `Location`, if that is named.",
    HTTPStatus.SERVICE_UNAVAILABLE: "AWS did not answer; try again after `Retry-After`.",
    HTTPStatus.GATEWAY_TIMEOUT: "The request's time was over, or an answer of AWS was lost: what it"
    " changes may be done. Watch `Location`, if that is named (404: it is not), or repeat the"
    " request with the same `Idempotency-Key`.",
}


_LINKS: Final[dict[str, tuple[str, dict[str, dict[str, str]]]]] = {
    "list_devices": (
        "200",
        {
            name: {"device": "$response.body#/devices/0/id"}
            for name in ("read_device", "configure_device", "send_command")
        },
    ),
    "send_command": ("202", {"read_command": {"command_id": "$response.body#/id"}}),
    "start_download": ("202", {"read_download": {"download_id": "$response.body#/id"}}),
}
"""Where an answer leads: by operation, its status and the operations that take what it holds."""


_FORMS: Final[dict[str, dict[str, Any]]] = {"DevicePatch": {"minProperties": 1}}
"""What is asked of a body as a whole."""


class DescriptionPlugin(JsonRenderPlugin):
    """Serves the completed document, which is made once: whoever asks needs no token."""

    _completed: bytes | None = None

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """The document as JSON."""
        if self._completed is None:
            self._completed = super().render(request, completed(openapi_schema))
        return self._completed


def operation_id(handler: HTTPRouteHandler, _method: Method, _path: list[Any]) -> str:
    """The name of the handler: `send_command`."""
    return handler.handler_name


def completed(document: dict[str, Any]) -> dict[str, Any]:
    """The document with the problems of each operation.

    Args:
        document: as Litestar makes it; stays as it is.
    """
    components = document["components"]
    schemas = {
        **_closed(document["paths"], with_values(_whole(components["schemas"]))),
        "Problem": _problem(),
    }
    examples = Examples(schemas)
    return {
        **document,
        "paths": {path: _item(item, examples) for path, item in document["paths"].items()},
        "components": {**components, "schemas": schemas},
    }


def _closed(paths: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    """The schemas, and of those that bodies are made of, that a member without a name is refused.

    Litestar knows `forbid_unknown_fields` and does not tell of it.
    """
    operations = [
        each for item in paths.values() for name, each in item.items() if name in _METHODS
    ]
    to_do = set(_referred([each.get("requestBody") for each in operations]))
    of_bodies: set[str] = set()
    while to_do:
        name = to_do.pop()
        of_bodies.add(name)
        to_do |= set(_referred(schemas[name])) - of_bodies
    return {
        name: {**schema, "additionalProperties": False, **_FORMS.get(name, {})}
        if name in of_bodies and "properties" in schema
        else schema
        for name, schema in schemas.items()
    }


def _referred(value: Any) -> Iterator[str]:
    """The names of the schemas that a part of the document refers to."""
    if isinstance(value, dict):
        if isinstance(reference := value.get("$ref"), str):
            yield reference.rpartition("/")[2]
        for item in value.values():
            yield from _referred(item)
    elif isinstance(value, list):
        for item in value:
            yield from _referred(item)


def _item(item: dict[str, Any], examples: Examples) -> dict[str, Any]:
    return {
        name: _operation(value, examples, changes=name != "get") if name in _METHODS else value
        for name, value in item.items()
    }


def _operation(operation: dict[str, Any], examples: Examples, *, changes: bool) -> dict[str, Any]:
    described = _whole(operation)
    for part in (described.get("requestBody", {}), *described["responses"].values()):
        for content in part.get("content", {}).values():
            if "schema" in content:
                content["example"] = examples.of(content["schema"])
    # Litestar's own 400 is of another form than what is answered.
    own = {
        status: {**answer, "headers": _headers(answer, status=int(status))}
        for status, answer in described["responses"].items()
        if int(status) < HTTPStatus.BAD_REQUEST
    }
    problems = {
        str(int(status)): _answer(status) for status in _may_answer(operation, changes=changes)
    }
    status, links = _LINKS.get(described["operationId"], ("", {}))
    if links:
        own[status]["links"] = {
            name: {"operationId": name, "parameters": takes} for name, takes in links.items()
        }
    parameters = [
        {**each, "schema": refined(each["schema"], PARAMETERS.get(each["name"], {}))}
        for each in described.get("parameters", ())
    ]
    first, _, _ = described.get("description", "").partition("\n\n")
    return {
        **described,
        **({"parameters": parameters} if parameters else {}),
        "summary": first.rstrip("."),
        "responses": {**own, **problems},
    }


_LOCATION: Final = {
    "Location": {
        "description": "Where what was made, or what takes its time, is read.",
        "schema": {"type": "string", "format": "uri-reference"},
    }
}


def _headers(answer: dict[str, Any], *, status: int) -> dict[str, Any]:
    """Litestar gives a header no schema whose value it does not know."""
    told = {
        name: {"schema": {"type": "string"}, **header}
        for name, header in answer.get("headers", {}).items()
    }
    return told | _LOCATION if status in {HTTPStatus.CREATED, HTTPStatus.ACCEPTED} else told


def _may_answer(operation: dict[str, Any], *, changes: bool) -> Iterator[HTTPStatus]:
    """The problems that an operation of this form may answer, in their order."""
    places = {parameter["in"] for parameter in operation.get("parameters", ())}
    names = {parameter["name"] for parameter in operation.get("parameters", ())}
    has_body = "requestBody" in operation
    for status in _WORDS:
        if status is HTTPStatus.GONE and "Last-Event-ID" not in names:
            continue
        if status is HTTPStatus.NOT_FOUND and not (has_body or "path" in places):
            continue
        if status is HTTPStatus.CONFLICT and not changes:
            continue
        if status is HTTPStatus.PRECONDITION_FAILED and "If-Match" not in names:
            continue
        if status is HTTPStatus.UNSUPPORTED_MEDIA_TYPE and not has_body:
            continue
        if status is HTTPStatus.UNPROCESSABLE_ENTITY and "Idempotency-Key" not in names:
            continue
        yield status


def _answer(status: HTTPStatus) -> dict[str, Any]:
    return {
        "description": _WORDS[status],
        "content": {
            MEDIA_TYPE: {
                "schema": _REFERENCE,
                "example": {
                    "type": problem_type(_slug(status)),
                    "title": status.phrase,
                    "status": int(status),
                    "detail": _WORDS[status],
                    "request_id": "01JD8Z6V3K5Q7T9W1Y3A5C7E9G",
                },
            }
        },
    }


def _slug(status: HTTPStatus) -> str:
    """The first type of problem that has the status."""
    own = (slug for known, slug in STATUS.values() if known is status)
    if status is HTTPStatus.INTERNAL_SERVER_ERROR:
        return "internal"
    return next(own, status.phrase.lower().replace(" ", "-"))


def _problem() -> dict[str, Any]:
    """The form of every problem (RFC 9457); members beyond `request_id` are of some types only."""
    text = {"type": "string"}
    texts = {"type": "array", "items": text}
    slugs = {slug for _, slug in STATUS.values()} | {"internal"}
    types = {problem_type(slug) for slug in slugs}
    types |= {problem_type(status.phrase.lower().replace(" ", "-")) for status in _OF_LITESTAR}
    return {
        "type": "object",
        "title": "Problem",
        "description": "Why a request was not done (RFC 9457); `type` is stable.",
        "required": ["type", "title", "status", "request_id"],
        "properties": {
            "type": {"type": "string", "enum": sorted(types)},
            "title": text,
            "status": {"type": "integer"},
            "detail": text,
            "request_id": {"type": ["string", "null"]},
            "errors": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["field", "problem"],
                    "properties": {"field": text, "problem": text},
                },
            },
            "code": {"type": "string", "enum": sorted([*TOKEN_FAULTS, *EnrolmentFault])},
            "action": text,
            "reason": text,
            "policies": texts,
            "explained": {
                "type": "array",
                "items": {"$ref": "#/components/schemas/ExplainedOut"},
            },
            "budget": {"type": "string", "enum": sorted(Budget)},
            "command": text,
            "download": text,
            "limit_bytes": {"type": "integer"},
        },
    }


def _whole(value: Any) -> Any:
    """The same value, its whole numbers written as such: msgspec has bounds as floats."""
    if isinstance(value, dict):
        return {name: _whole(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_whole(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
