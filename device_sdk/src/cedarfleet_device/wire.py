"""What travels between service and device: names, topics and messages, with the standard library only.

The service, the device agent and the builder of the tenant's IoT policy import this module and nothing else of
each other.

Topics (one level each, so that an IoT policy can name them with ``${iot:Connection.Thing.ThingName}``)::

    fleet/<thing>/commands/<command id>            service -> device   CommandMessage
    fleet/<thing>/commands/<command id>/status     device -> cloud     StatusMessage
    fleet/<thing>/commands/presence/status         device -> cloud     the agent's word of its connection (last will)

A file travels as an AWS IoT Job whose document is a ``DownloadDocument``.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, Self

WIRE_VERSION: Final = 1
MAX_MESSAGE_BYTES: Final = 128 * 1024  # AWS IoT Core quota: MQTT payload
MAX_DETAIL_BYTES: Final = 8 * 1024  # as the device writes it; the status rule drops what is far larger
MAX_SEQUENCE: Final = 9999
MAX_THING_NAME: Final = 128  # AWS IoT Core quota: characters
MAX_ARTIFACT_NAME: Final = 1024  # Amazon S3 quota: characters of a key

_TENANT = re.compile(r"(?!.*--)[a-z][a-z0-9-]{0,30}[a-z0-9]")  # 2..32 characters, never `--`, no `-` at an end
_DEVICE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")  # a subset of an IoT thing name's [a-zA-Z0-9:_-]{1,128}
_COMMAND_ID = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}")  # a ULID
_COMMAND_NAME = re.compile(r"[a-z][a-z0-9-]{0,63}")
_SEQUENCE = re.compile(r"[0-9]{4}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_COMMAND_TOPIC = re.compile(r"fleet/(?P<thing>[^/]+)/commands/(?P<command_id>[^/]+)")


class WireError(ValueError):
    """A name or a message is not of the wire's form; ``str(error)`` says what was wrong."""


class WrongVersionError(WireError):
    """The message is of a wire version that this code does not speak."""


class CommandState(StrEnum):
    """What a device reports of a command, in the order in which it may happen; only a final state always does."""

    RECEIVED = "received"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    REJECTED = "rejected"
    EXPIRED = "expired"
    INTERRUPTED = "interrupted"

    @property
    def is_final(self) -> bool:
        """Whether no further state follows."""
        return self not in (CommandState.RECEIVED, CommandState.RUNNING)


def is_tenant_id(text: str) -> bool:
    """Whether ``text`` may name a tenant."""
    return _TENANT.fullmatch(text) is not None


def is_device_id(text: str) -> bool:
    """Whether ``text`` may name a device inside its tenant."""
    return _DEVICE.fullmatch(text) is not None


def is_command_name(text: str) -> bool:
    """Whether ``text`` may name a command, e.g. ``reboot``."""
    return _COMMAND_NAME.fullmatch(text) is not None


def is_command_id(text: str) -> bool:
    """Whether ``text`` is a ULID in its canonical upper-case form."""
    return _COMMAND_ID.fullmatch(text) is not None


def thing_name(tenant: str, device: str) -> str:
    """The IoT thing of a tenant's device: ``acme``, ``press-07`` -> ``acme--press-07``.

    Raises:
        WireError: an id is not of its form; then the tenant could not be read back from the name.
    """
    if not is_tenant_id(tenant):
        raise WireError(f"`{tenant}` is no tenant id: 2 to 32 characters of a-z, 0-9 and single inner `-`")
    if not is_device_id(device):
        raise WireError(
            f"`{device}` is no device id: 1 to 64 characters of A-Z, a-z, 0-9, `_` and `-`, first a letter or digit"
        )
    return f"{tenant}--{device}"


def split_thing_name(thing: str) -> tuple[str, str]:
    """The tenant and device of a thing name.

    Raises:
        WireError: the name carries no tenant.
    """
    tenant, separator, device = thing.partition("--")
    if not separator or not is_tenant_id(tenant) or not is_device_id(device):
        raise WireError(f"`{thing}` is no thing name of the form <tenant>--<device>")
    return tenant, device


def command_topic(thing: str, command_id: str) -> str:
    """Where one command is published for ``thing``."""
    return f"fleet/{thing}/commands/{command_id}"


def command_filter(thing: str) -> str:
    """The one topic filter that the agent of ``thing`` subscribes to."""
    return f"fleet/{thing}/commands/+"


def status_topic(thing: str, command_id: str) -> str:
    """Where the device reports the states of one command."""
    return f"fleet/{thing}/commands/{command_id}/status"


def presence_topic(thing: str) -> str:
    """Where the agent says that it is ``online`` or ``offline`` and its last will says ``lost``.

    It has the form of a status topic, so that the tenant's IoT policy covers it; the status rule drops it, since it
    carries no sequence. A shadow topic would not do: the shadow service ignores last wills (docs: AWS IoT "Device
    Shadow MQTT topics").
    """
    return status_topic(thing, "presence")


def presence_message(state: str) -> bytes:
    """What the agent says on its presence topic; ``state`` is ``online``, ``offline`` or ``lost``."""
    return _encode({"presence": state})


def parse_command_topic(topic: str) -> tuple[str, str]:
    """The thing and command id of a command topic.

    Raises:
        WireError: the topic is no command topic.
    """
    match = _COMMAND_TOPIC.fullmatch(topic)
    if match is None:
        raise WireError(f"`{topic[:200]}` is no command topic")
    return match["thing"], match["command_id"]


@dataclass(frozen=True, kw_only=True)
class CommandMessage:
    """One command for one thing.

    Attributes:
        command_id: ULID; the device's key for "run once".
        thing: addressed thing; a device refuses any other.
        name: which handler, e.g. ``reboot``.
        arguments: JSON object for the handler.
        issued_at: milliseconds since the epoch, service clock.
        expires_at: milliseconds since the epoch; the device refuses to start the command after it.
    """

    command_id: str
    thing: str
    name: str
    arguments: dict[str, Any] = field(default_factory=dict[str, Any])
    issued_at: int
    expires_at: int

    def encode(self) -> bytes:
        """UTF-8 JSON.

        Raises:
            WireError: larger than ``MAX_MESSAGE_BYTES``.
        """
        return _encode(vars(self))

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        """Read and check a message; every member is required and no other is allowed.

        Raises:
            WrongVersionError: another wire version.
            WireError: anything else that is not of the form.
        """
        data = _decode(payload, frozenset(cls.__dataclass_fields__))
        _require(isinstance(data["command_id"], str) and is_command_id(data["command_id"]), "command_id", "a ULID")
        _require(isinstance(data["thing"], str) and 0 < len(data["thing"]) <= MAX_THING_NAME, "thing", "a thing name")
        _require(isinstance(data["name"], str) and is_command_name(data["name"]), "name", "a command name")
        _require(isinstance(data["arguments"], dict), "arguments", "an object")
        for key in ("issued_at", "expires_at"):
            _require(_is_instant(data[key]), key, "milliseconds since the epoch")
        return cls(**data)


@dataclass(frozen=True, kw_only=True)
class StatusMessage:
    """One state that a device reports of one command; thing and command id stand in the topic.

    Attributes:
        sequence: 1 for the first state of the command, then counted up; travels as four digits, since the sort key
            needs them.
        state: the state.
        detail: JSON object: result, progress or reason; at most ``MAX_DETAIL_BYTES`` encoded.
        at: milliseconds since the epoch, device clock.
    """

    sequence: int
    state: CommandState
    detail: dict[str, Any] = field(default_factory=dict[str, Any])
    at: int

    def encode(self) -> bytes:
        """UTF-8 JSON.

        Raises:
            WireError: ``detail`` too large or ``sequence`` out of range.
        """
        _require(1 <= self.sequence <= MAX_SEQUENCE, "sequence", f"1 to {MAX_SEQUENCE}")
        _require(len(_dump(self.detail)) <= MAX_DETAIL_BYTES, "detail", f"at most {MAX_DETAIL_BYTES} bytes")
        return _encode({**vars(self), "sequence": f"{self.sequence:04}"})

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        """Read and check a message.

        Raises:
            WrongVersionError: another wire version.
            WireError: anything else that is not of the form.
        """
        data = _decode(payload, frozenset(cls.__dataclass_fields__))
        _require(
            isinstance(data["sequence"], str) and _SEQUENCE.fullmatch(data["sequence"]) is not None,
            "sequence",
            "four digits",
        )
        _require(data["state"] in frozenset(CommandState), "state", "a command state")
        _require(isinstance(data["detail"], dict), "detail", "an object")
        _require(_is_instant(data["at"]), "at", "milliseconds since the epoch")
        return cls(
            sequence=int(data["sequence"]), state=CommandState(data["state"]), detail=data["detail"], at=data["at"]
        )


@dataclass(frozen=True, kw_only=True)
class DownloadDocument:
    """The document of the IoT Job that delivers one file.

    Attributes:
        name: the artifact's name in the tenant, e.g. ``recipes/steel.json``; the device maps it into its download
            folder.
        size: bytes.
        sha256: 64 lower-case hex digits of the whole file.
        etag: S3 ETag, with its quotes, for ``If-Match`` on every range.
        url: presigned URL; in the created job the placeholder ``${aws:iot:s3-presigned-url:...}``, which IoT Jobs fills
            in each time the device asks for the document (docs: AWS IoT "Presigned URLs").
    """

    name: str
    size: int
    sha256: str
    etag: str
    url: str = field(repr=False)

    def encode(self) -> str:
        """The JSON text for ``CreateJob``."""
        return _encode({"kind": "download", **vars(self)}).decode()

    @classmethod
    def decode(cls, document: dict[str, Any]) -> Self:
        """Read and check a job document that IoT Jobs has already parsed.

        Raises:
            WrongVersionError: another wire version.
            WireError: anything else that is not of the form.
        """
        data = _checked(document, frozenset(cls.__dataclass_fields__) | {"kind"})
        _require(data.pop("kind") == "download", "kind", "`download`")
        _require(
            isinstance(data["name"], str) and 0 < len(data["name"]) <= MAX_ARTIFACT_NAME,
            "name",
            f"1 to {MAX_ARTIFACT_NAME} characters",
        )
        _require(type(data["size"]) is int and data["size"] >= 0, "size", "bytes")
        _require(
            isinstance(data["sha256"], str) and _SHA256.fullmatch(data["sha256"]) is not None, "sha256", "64 hex digits"
        )
        _require(isinstance(data["etag"], str), "etag", "a string")
        _require(isinstance(data["url"], str), "url", "a string")
        return cls(**data)


def _dump(data: object) -> bytes:
    return json.dumps(data, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def _encode(data: dict[str, Any]) -> bytes:
    payload = _dump({"wire": WIRE_VERSION, **data})
    _require(len(payload) <= MAX_MESSAGE_BYTES, "message", f"at most {MAX_MESSAGE_BYTES} bytes")
    return payload


def _decode(payload: bytes, keys: frozenset[str]) -> dict[str, Any]:
    _require(len(payload) <= MAX_MESSAGE_BYTES, "message", f"at most {MAX_MESSAGE_BYTES} bytes")
    try:
        document = json.loads(payload, object_pairs_hook=_unique, parse_constant=_no_constant)
        encodable = _dump(document)  # refuses what JSON cannot say again: 1e999, a lone surrogate
    except (ValueError, RecursionError) as error:
        raise WireError(f"message is not JSON: {str(error)[:200]}") from error
    _require(len(encodable) <= MAX_MESSAGE_BYTES, "message", f"at most {MAX_MESSAGE_BYTES} bytes")
    return _checked(document, keys)


def _checked(document: object, keys: frozenset[str]) -> dict[str, Any]:
    if not isinstance(document, dict):
        raise WireError("message is not a JSON object")
    data: dict[str, Any] = dict(document)  # pyright: ignore[reportUnknownArgumentType]
    version = data.pop("wire", None)
    if type(version) is not int or version != WIRE_VERSION:
        raise WrongVersionError(f"wire version `{str(version)[:20]}` is not {WIRE_VERSION}")
    if wrong := keys.symmetric_difference(data):
        raise WireError(f"missing or unknown member: {', '.join(sorted(str(key)[:40] for key in wrong)[:8])}")
    return data


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) != len(pairs):
        raise ValueError("a member stands twice")
    return data


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


def _is_instant(value: object) -> bool:
    return type(value) is int and 0 <= value < 2**53


def _require(holds: bool, member: str, form: str) -> None:
    if not holds:
        raise WireError(f"`{member}` is not of its form: {form}")
