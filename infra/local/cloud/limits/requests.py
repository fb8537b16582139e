"""Which call an HTTP request is, and with which parameters: the other half of botocore's clients.

botocore writes requests and reads answers; this reads requests, by the same models, in each of the
protocols that the services of the embedded cloud speak.
"""

from __future__ import annotations

import io
import json
import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote
from xml.etree import ElementTree as ET

from botocore.model import ListShape, MapShape, Shape, StringShape, StructureShape
from botocore.parsers import RpcV2CBORParser

from infra.local.cloud.limits.form_requests import read_form, scalar
from infra.local.cloud.limits.shapes import service_model

if TYPE_CHECKING:
    from collections.abc import Mapping

    from botocore.model import OperationModel

# By the emulator's name of the service: botocore's.
MODELS: Final = {
    "acm": "acm",
    "cognito-idp": "cognito-idp",
    "dynamodb": "dynamodb",
    "ec2": "ec2",
    "ecr": "ecr",
    "ecs": "ecs",
    "elasticloadbalancing": "elbv2",
    "events": "events",
    "firehose": "firehose",
    "iam": "iam",
    "iot": "iot",
    "iot-data": "iot-data",
    "iot-jobs-data": "iot-jobs-data",
    "kms": "kms",
    "lambda": "lambda",
    "logs": "logs",
    "monitoring": "cloudwatch",
    "s3": "s3",
    "scheduler": "scheduler",
    "secretsmanager": "secretsmanager",
    "sns": "sns",
    "sqs": "sqs",
    "ssm": "ssm",
    "sts": "sts",
    "tagging": "resourcegroupstaggingapi",
}
_CBOR_OPERATION: Final = re.compile(r"/service/[^/]+/operation/(\w+)")


@dataclass(frozen=True, kw_only=True)
class Request:
    """One call.

    Attributes:
        service: botocore's name of the service.
        operation: e.g. ``CreateThing``.
        parameters: as a caller of boto3 would have named them.
    """

    service: str
    operation: str
    parameters: dict[str, Any]


class UnreadableRequestError(ValueError):
    """The body is not of the service's protocol."""


def read(  # noqa: PLR0917 - the parts of a request, as the emulator hands them on
    service: str,
    method: str,
    path: str,
    headers: Mapping[str, str],
    body: bytes,
    query: Mapping[str, list[str]],
) -> Request | None:
    """The call that a request makes; None where no model knows it.

    Args:
        service: the emulator's name of it.
        method: HTTP's.
        path: decoded.
        headers: lower-case names.
        body: as it came.
        query: of the URL.

    Raises:
        UnreadableRequestError: the body cannot be read.
    """
    if (name := MODELS.get(service)) is None:
        return None
    model = service_model(name)
    try:
        match model.metadata["protocol"]:
            case "json":
                found = _json(headers, body)
            case "query" | "ec2" as protocol:
                found = read_form(name, body, ec2=protocol == "ec2")
            case "smithy-rpc-v2-cbor":
                found = _cbor(path, body)
            case _:
                found = _rest(name, method, path, headers, body, query)
    except (ValueError, RecursionError, ET.ParseError) as error:
        raise UnreadableRequestError(str(error)) from error
    if found is None or found[0] not in model.operation_names:
        return None
    return Request(service=name, operation=found[0], parameters=found[1])


def _json(headers: Mapping[str, str], body: bytes) -> tuple[str, dict[str, Any]] | None:
    operation = headers.get("x-amz-target", "").rpartition(".")[2]
    return (operation, _document(body)) if operation else None


def _document(body: bytes) -> dict[str, Any]:
    document = json.loads(body or b"{}")
    if not isinstance(document, dict):
        raise UnreadableRequestError("the body is no JSON object")
    return document


def _cbor(path: str, body: bytes) -> tuple[str, dict[str, Any]] | None:
    if (match := _CBOR_OPERATION.fullmatch(path)) is None:
        return None
    parser: Any = RpcV2CBORParser()
    return match[1], parser.parse_data_item(io.BufferedReader(io.BytesIO(body))) if body else {}


@dataclass(frozen=True)
class _Route:
    """Where an operation of a REST service is served."""

    operation: str
    method: str
    path: re.Pattern[str]
    markers: frozenset[str]
    wanted: tuple[tuple[str, str], ...]  # (location, name) of required members outside the body


def _rest(  # noqa: PLR0917 - the parts of a request
    service: str,
    method: str,
    path: str,
    headers: Mapping[str, str],
    body: bytes,
    query: Mapping[str, list[str]],
) -> tuple[str, dict[str, Any]] | None:
    # Not every service lets a slash stand in a name that ends a path, but topics do have them.
    for loose in (False, True):
        for route in _routes(service, loose=loose):
            match = route.path.fullmatch(path) if route.method == method else None
            if match is None or not all(_marked(marker, query) for marker in route.markers):
                continue
            if all(
                name in (query if at == "querystring" else headers) for at, name in route.wanted
            ):
                model = service_model(service).operation_model(route.operation)
                return route.operation, _rest_parameters(model, match, headers, body, query)
    return None


def _marked(marker: str, query: Mapping[str, list[str]]) -> bool:
    name, equals, value = marker.partition("=")
    return name in query and (not equals or query[name] == [value])


@cache
def _routes(service: str, *, loose: bool) -> tuple[_Route, ...]:
    """Those that say most come first, so that each request finds its own."""
    model = service_model(service)
    operations = [model.operation_model(name) for name in model.operation_names]
    return tuple(
        sorted(
            (_route(each, loose=loose) for each in operations if not each.deprecated),
            key=lambda route: (
                len(route.markers),
                len(route.wanted),
                len(re.sub(r"\(.*?\)", "", route.path.pattern)),
            ),
            reverse=True,
        )
    )


def _route(model: OperationModel, *, loose: bool) -> _Route:
    template, _, query = str(model.http["requestUri"]).partition("?")
    path = "".join(
        re.escape(part)
        if not part.startswith("{")
        else f"(?P<{_group(part)}>{'.+' if part.endswith('+}') or loose else '[^/]+'})"
        for part in re.split(r"(\{[^}]+\})", template)
    )
    # A model ends its path on a slash or not; requests do either.
    path = path.rstrip("/") + "/?" if len(template) > 1 else "/"
    shape = model.input_shape
    wanted = [] if shape is None else [shape.members[name] for name in shape.required_members]
    return _Route(
        operation=model.name,
        method=str(model.http["method"]),
        path=re.compile(path, re.DOTALL),
        markers=frozenset(marker for marker in query.split("&") if marker),
        wanted=tuple(
            (str(at), str(member.serialization["name"]).lower() if at == "header" else str(name))
            for member in wanted
            if (at := member.serialization.get("location")) in {"querystring", "header"}
            and (name := member.serialization.get("name"))
        ),
    )


def _group(label: str) -> str:
    return "label_" + re.sub(r"\W", "_", label.strip("{}+"))


def _rest_parameters(
    model: OperationModel,
    match: re.Match[str],
    headers: Mapping[str, str],
    body: bytes,
    query: Mapping[str, list[str]],
) -> dict[str, Any]:
    shape = model.input_shape
    if shape is None:
        return {}
    found: dict[str, Any] = {}
    rest: list[str] = []
    for name, member in shape.members.items():
        given = str(member.serialization.get("name", name))
        match member.serialization.get("location"):
            case "uri":
                found[name] = scalar(member, unquote(match[_group(given)]))
            case "querystring":
                found |= _of_query(name, given, member, query)
            case "header" if given.lower() in headers:
                found[name] = _of_header(member, headers[given.lower()])
            case "headers" if any(key.startswith(given.lower()) for key in headers):
                found[name] = {
                    key[len(given) :]: value
                    for key, value in headers.items()
                    if key.startswith(given.lower())
                }
            case "header" | "headers":
                pass
            case _:
                rest.append(name)
    return found | _of_body(shape, rest, body)


def _of_query(
    name: str, given: str, member: Shape, query: Mapping[str, list[str]]
) -> dict[str, Any]:
    if isinstance(member, MapShape) or given not in query:
        return {}
    if isinstance(member, ListShape):
        return {name: [scalar(member.member, text) for text in query[given]]}
    return {name: scalar(member, query[given][0])}


def _of_header(member: Shape, text: str) -> Any:
    if isinstance(member, ListShape):
        return [part.strip() for part in text.split(",")]
    return scalar(member, text)


def _of_body(shape: StructureShape, names: list[str], body: bytes) -> dict[str, Any]:
    payload = shape.serialization.get("payload")
    if payload is not None:
        member = shape.members[payload]
        if not isinstance(member, StructureShape):
            given = body.decode(errors="replace") if isinstance(member, StringShape) else body
            return {payload: given} if body else {}
        return {payload: _structured(member, body)} if body else {}
    if not names or not body:
        return {}
    document = _structured(shape, body)
    written = {str(shape.members[name].serialization.get("name", name)): name for name in names}
    return {written[key]: value for key, value in document.items() if key in written}


def _structured(shape: StructureShape, body: bytes) -> dict[str, Any]:
    if body.lstrip()[:1] != b"<":
        return _document(body)
    root = ET.fromstring(body)  # noqa: S314 - of a signed request, from loopback
    return _element(shape, root)


def _element(shape: Shape, element: ET.Element) -> Any:
    """The value of a shape in an XML document."""
    if isinstance(shape, StructureShape):
        children: dict[str, list[ET.Element]] = {}
        for child in element:
            children.setdefault(child.tag.rpartition("}")[2], []).append(child)
        found: dict[str, Any] = {}
        for name, member in shape.members.items():
            given = str(member.serialization.get("name", name))
            if isinstance(member, ListShape) and member.serialization.get("flattened"):
                given = str(member.member.serialization.get("name", given))
                if here := children.get(given):
                    found[name] = [_element(member.member, one) for one in here]
            elif here := children.get(given):
                found[name] = _element(member, here[0])
        return found
    if isinstance(shape, ListShape):
        return [_element(shape.member, child) for child in element]
    if isinstance(shape, MapShape):
        return {}
    return scalar(shape, element.text or "")
