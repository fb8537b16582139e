"""Operations of AWS as botocore's models describe them: what is sent, and what comes back.

A model is read once per process. The JSON protocol of DynamoDB, SQS and Verified Permissions is
written and read by itself wherever that is the same; a test holds both against botocore's own
serializer and parser, which do all the rest.
"""

from __future__ import annotations

import re
import uuid
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import quote, urlencode

import msgspec
from botocore.awsrequest import HeadersDict, prepare_request_dict
from botocore.endpoint_provider import EndpointProvider
from botocore.loaders import create_loader
from botocore.model import ServiceModel
from botocore.parsers import create_parser
from botocore.serialize import create_serializer

from service.adapters.aws.client.failures import AwsRefusalError, UnreadableAnswerError
from service.adapters.aws.client.signing import Scope

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from botocore.model import OperationModel

    from service.adapters.aws.client.line import Reply
    from service.settings import AwsSettings

_REFUSED: Final = 300
_NO_CONTENT: Final = 204
_DOCUMENTS: Final = frozenset({"json", "rest-json"})
_LABEL: Final = re.compile(r"{(.*?)}")
_MARK: Final = re.compile(r"label\d+mark")
_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder().decode


@dataclass(frozen=True, kw_only=True, slots=True)
class Unsigned:
    """A call as it is sent, but for the signature."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes


class AwsOperations:
    """All operations, by service and name.

    Args:
        settings: region, and the endpoint if there is one for all of AWS.
    """

    def __init__(self, settings: AwsSettings) -> None:
        self._settings = settings
        self._loader: Any = create_loader()
        self._services: dict[str, _Service] = {}
        self._operations: dict[tuple[str, str], Operation] = {}

    def find(self, service: str, name: str) -> Operation:
        """The operation.

        Args:
            service: as botocore names it, e.g. ``iot-data``.
            name: as AWS's model names it, e.g. ``Publish``.
        """
        known = self._operations.get((service, name))
        if known is None:
            known = Operation(self._service(service), name)
            self._operations[service, name] = known
        return known

    def _service(self, name: str) -> _Service:
        if name not in self._services:
            url = self._settings.iot_data_url if name == "iot-data" else self._settings.endpoint_url
            self._services[name] = _Service(
                self._loader, name, region=self._settings.region, endpoint_url=url
            )
        return self._services[name]


class _Service:
    """One service: its model, its protocol, and where it is."""

    def __init__(self, loader: Any, name: str, *, region: str, endpoint_url: str | None) -> None:
        self.name = name
        self.model = ServiceModel(loader.load_service_model(name, "service-2"), name)
        self.errors: Any = self.model  # its stub takes codes for numbers
        protocol: Any = self.model.resolved_protocol
        self.protocol = str(protocol)
        self.serializer: Any = create_serializer(protocol, include_validation=False)
        self.parser: Any = create_parser(protocol)
        self.scope = Scope(region=region, service=self.model.signing_name, is_s3=name == "s3")
        self._provider: Any = EndpointProvider(
            loader.load_service_model(name, "endpoint-rule-set-1"), loader.load_data("partitions")
        )
        self._asked: dict[str, Any] = {"Region": region, "UseDualStack": False, "UseFIPS": False}
        if endpoint_url is not None:
            self._asked["Endpoint"] = endpoint_url
        if name == "s3":
            # On AWS the bucket is part of the host's name; the embedded cloud is one host for all.
            self._asked["ForcePathStyle"] = endpoint_url is not None

    def url(self, parameters: Mapping[str, Any]) -> str:
        """Where a call goes."""
        bucket = {"Bucket": parameters["Bucket"]} if self.scope.is_s3 else {}
        return self._provider.resolve_endpoint(**self._asked, **bucket).url


class Operation:
    """One operation of a service.

    Attributes:
        service: as botocore names it.
        name: as AWS's model names it.
        model: AWS's.
        scope: for what its calls are signed.
        parser: botocore's of the service's protocol.
    """

    def __init__(self, service: _Service, name: str) -> None:
        self.service = service.name
        self.name = name
        self.model: OperationModel = service.model.operation_model(name)
        # As botocore does: the endpoint's rules put the bucket where it belongs.
        self.model.http["requestUri"] = self.model.http["requestUri"].removeprefix("/{Bucket}")
        self.scope = service.scope
        self.parser = service.parser
        self._of = service
        self._is_silent = self.model.http.get("responseCode") == _NO_CONTENT
        self._tokens: list[str] = list(self.model.idempotent_members)
        self._plain_request: Unsigned | None = None
        self._path: _Path | None = None
        self._hidden: tuple[bytes, ...] | None = None
        shape: Any = self.model.output_shape
        self._is_told = (
            service.protocol in _DOCUMENTS
            and shape is not None
            and bool(shape.members)
            and _is_a_document(self.model)
        )
        if service.protocol == "json":
            members = {kind: name for name, kind in _members(self.model.input_shape)}
            if "timestamp" not in members and "" not in members:
                self._plain_request = self._written({})
        if service.protocol == "rest-json":
            self._path = _Path.of(self.model, self._written)
        if service.protocol in _DOCUMENTS and _is_a_document(self.model):
            found = list(_members(self.model.output_shape))
            if not any(kind in {"timestamp", ""} for _, kind in found):
                names = {name for name, kind in found if kind == "blob"}
                self._hidden = (b"null", *(f'"{name}"'.encode() for name in sorted(names)))

    def request(self, parameters: dict[str, Any]) -> Unsigned:
        """The request of a call; what AWS wants to tell repetitions by is added to it."""
        for name in self._tokens:
            if name not in parameters:
                parameters[name] = str(uuid.uuid4())
        plain = self._plain_request
        if plain is None:
            known = None if self._path is None else self._path.filled(parameters)
            return known or self._written(parameters)
        return Unsigned(
            method=plain.method, url=plain.url, headers=plain.headers, body=_encode(parameters)
        )

    def _written(self, parameters: dict[str, Any]) -> Unsigned:
        made = self._of.serializer.serialize_to_request(parameters, self.model)
        prepare_request_dict(made, self._of.url(parameters))
        body, headers = made["body"], dict(made["headers"])
        if isinstance(body, dict):
            body = urlencode(cast("dict[str, Any]", body), doseq=True)
        if isinstance(body, str):
            body = body.encode()
        return Unsigned(method=made["method"], url=made["url"], headers=headers, body=body)

    def answer(self, reply: Reply) -> dict[str, Any]:
        """What AWS answered, as botocore parses it, without its metadata.

        Raises:
            AwsRefusalError: AWS said no.
            UnreadableAnswerError: it is not of the form that AWS's model says, or broke off.
        """
        if reply.status >= _REFUSED:
            raise self._refusal(reply)
        # Fail closed: who has words where AWS has none is not AWS.
        if self._is_silent and reply.body:
            raise UnreadableAnswerError(self.name, "a body where there is none")
        # Fail closed: what has something to say says at least `{}` (source: Smithy, "AWS JSON 1.0
        # protocol": the body of a structure is a JSON object).
        if self._is_told and not reply.body:
            raise UnreadableAnswerError(self.name, "no body where there is one")
        sum_of_body = reply.headers.get("x-amz-crc32")
        # Source: DynamoDB developer guide, "DynamoDB low-level API": the CRC32 of the body.
        if sum_of_body is not None and str(zlib.crc32(reply.body)) != sum_of_body:
            raise UnreadableAnswerError(self.name, "checksum of the body differs")
        return self._document(reply)

    def _document(self, reply: Reply) -> dict[str, Any]:
        body = reply.body
        if body and self._of.protocol in _DOCUMENTS:
            try:
                document: object = _decode(body)
            except ValueError:
                raise UnreadableAnswerError(self.name, "no JSON") from None
            if not isinstance(document, dict):
                raise UnreadableAnswerError(self.name, "no JSON object")
            hidden = self._hidden
            if hidden is not None and not any(one in body for one in hidden):
                return cast("dict[str, Any]", document)
        return self._parsed(reply, self.model.output_shape)

    def _parsed(self, reply: Reply, shape: Any) -> dict[str, Any]:
        # A body that is no document stays bytes: botocore's parser would read those as text.
        is_stream = self.model.has_streaming_output and reply.status < _REFUSED
        told = {
            "status_code": reply.status,
            "headers": HeadersDict(reply.headers),
            "body": bytearray(reply.body) if is_stream else reply.body,
            "context": {"operation_name": self.name},
        }
        try:
            parsed = self.parser.parse(told, shape)
        # botocore's parsers trust the form: they raise whatever comes of another one, and quote it.
        except Exception as error:  # noqa: BLE001 - see above
            raise UnreadableAnswerError(self.name, type(error).__name__) from None
        parsed.pop("ResponseMetadata", None)
        return parsed

    def _refusal(self, reply: Reply) -> AwsRefusalError | UnreadableAnswerError:
        try:
            parsed = self._parsed(reply, self.model.output_shape)
            code = str(parsed["Error"]["Code"])
            shape = self._of.errors.shape_for_error_code(code)
            members = {} if shape is None else self._parsed(reply, shape)
        except UnreadableAnswerError:
            # The status alone says enough of who is to blame.
            code, members = "", {}
        except (KeyError, TypeError):
            code, members = "", {}
        members.pop("Error", None)
        return AwsRefusalError(self.name, code=code, status=reply.status, members=members)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Path:
    """The requests of an operation that say all in their path.

    Attributes:
        members: of the input, in the order of the path.
        parts: of the address, between and around them.
        sent: a request of that form.
    """

    members: tuple[str, ...]
    parts: tuple[str, ...]
    sent: Unsigned

    @classmethod
    def of(cls, model: OperationModel, write: Callable[[dict[str, Any]], Unsigned]) -> _Path | None:
        """What ``write`` makes of an operation's path members, or ``None`` if they are not texts.

        Args:
            model: AWS's.
            write: makes a request as botocore does.
        """
        shape: Any = model.input_shape
        labels = {
            member.serialization.get("name", name): name
            for name, member in (shape.members if shape else {}).items()
            if member.serialization.get("location") == "uri" and member.type_name == "string"
        }
        named: list[str] = _LABEL.findall(str(model.http["requestUri"]))
        # A greedy label, with a `+`, leaves `/` as it is.
        if not named or set(named) != labels.keys():
            return None
        marks = {labels[label]: f"label{number}mark" for number, label in enumerate(named)}
        sent = write(dict(marks))
        return cls(members=tuple(marks), parts=tuple(_MARK.split(sent.url)), sent=sent)

    def filled(self, parameters: Mapping[str, Any]) -> Unsigned | None:
        """The request, if all parameters are texts of the path."""
        if set(parameters) != set(self.members):
            return None
        url = self.parts[0]
        for name, part in zip(self.members, self.parts[1:], strict=True):
            value = parameters[name]
            if not isinstance(value, str):
                return None
            url += quote(value, safe="") + part
        sent = self.sent
        return Unsigned(method=sent.method, url=url, headers=sent.headers, body=sent.body)


def _is_a_document(model: OperationModel) -> bool:
    """Whether all of an answer stands in its body, as one document."""
    shape: Any = model.output_shape
    if shape is None or "payload" in shape.serialization:
        return shape is None
    return not any("location" in member.serialization for member in shape.members.values())


def _members(shape: Any, name: str = "", seen: frozenset[str] = frozenset()) -> Iterator[Any]:
    """Each leaf of a shape: the member that it is in, and its type, ``""`` if it is renamed."""
    if shape is None or shape.name in seen:
        return
    kind = shape.type_name
    match kind:
        case "structure":
            if shape.is_document_type:
                yield name, ""
            for member, inner in shape.members.items():
                renamed = inner.serialization.get("name", member) != member
                if renamed or "jsonvalue" in inner.serialization:
                    yield member, ""
                yield from _members(inner, member, seen | {shape.name})
        case "list":
            yield from _members(shape.member, name, seen | {shape.name})
        case "map":
            yield from _members(shape.key, name, seen | {shape.name})
            yield from _members(shape.value, name, seen | {shape.name})
        case _:
            yield name, kind
