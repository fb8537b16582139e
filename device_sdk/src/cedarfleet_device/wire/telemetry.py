"""What a device measures, on its way to its tenant: the topic, and the message.

The topic is one of Basic Ingest, which hands a message to the one rule that it names, without the
broker and its price (docs: AWS IoT "Reducing messaging costs with Basic Ingest"). So a tenant's
telemetry reaches the rule of this tenant alone, and no other tenant's rule is asked about it.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from cedarfleet_device.wire import form

if TYPE_CHECKING:
    from typing import Self

# AWS IoT Core quota: a topic has 256 bytes and 7 slashes, those of Basic Ingest's prefix not
# counted. `fleet/<thing>/telemetry/` takes up to 145 bytes and 3 slashes.
MAX_TELEMETRY_TOPIC: Final = 100
TELEMETRY_TOPIC: Final = r"[A-Za-z0-9_-]{1,64}(?:/[A-Za-z0-9_-]{1,64}){0,3}"
MAX_SEQUENCE_OF_TELEMETRY: Final = 2**53 - 1  # what every JSON parser can hold


def is_telemetry_topic(text: str) -> bool:
    """Whether ``text`` may name what is measured, e.g. ``temperature`` or ``motor/left``."""
    return len(text) <= MAX_TELEMETRY_TOPIC and re.fullmatch(TELEMETRY_TOPIC, text) is not None


def telemetry_rule(tenant: str) -> str:
    """The IoT rule of a tenant's telemetry; a rule's name allows no ``-``, a tenant's no ``_``."""
    return f"cedarfleet_telemetry_{tenant.replace('-', '_')}"


def telemetry_topic(tenant: str, thing: str, topic: str) -> str:
    """Where a device publishes: ``$aws/rules/<rule>/fleet/<thing>/telemetry/<topic>``.

    The rule sees it without its first three levels (docs: AWS IoT "Reducing messaging costs with
    Basic Ingest").

    Args:
        tenant: whose rule.
        thing: of the device; for a policy, its variable.
        topic: see ``is_telemetry_topic``; for a policy, ``*``.
    """
    return f"$aws/rules/{telemetry_rule(tenant)}/fleet/{thing}/telemetry/{topic}"


@dataclass(frozen=True, kw_only=True)
class TelemetryMessage:
    """One value of one topic.

    Attributes:
        sequence: grows with each message of a device, whatever its topic; a copy carries the same.
        at: milliseconds since the epoch, by the device, when the value was given to the agent.
        value: JSON as a text, so that it is stored as it was written.
    """

    sequence: int
    at: int
    value: str

    def encode(self) -> bytes:
        """UTF-8 JSON.

        Raises:
            WireError: larger than ``MAX_MESSAGE_BYTES``.
        """
        return form.encode(vars(self))

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        """Read and check a message.

        Raises:
            WrongVersionError: another wire version.
            WireError: anything else that is not of the form.
        """
        data = form.decode(payload, frozenset(cls.__dataclass_fields__))
        form.require(
            type(data["sequence"]) is int and 0 < data["sequence"] <= MAX_SEQUENCE_OF_TELEMETRY,
            "sequence",
            f"1 to {MAX_SEQUENCE_OF_TELEMETRY}",
        )
        form.require(form.is_instant(data["at"]), "at", "milliseconds since the epoch")
        form.require(isinstance(data["value"], str), "value", "JSON as a text")
        _read(data["value"])
        return cls(**data)

    def read(self) -> Any:
        """The value."""
        return _read(self.value)

    @classmethod
    def check(cls, topic: str, value: object) -> str:
        """The value as a text, if both can be published.

        Raises:
            WireError: the topic is not of its form, the value is no JSON, or too large.
        """
        form.require(
            isinstance(topic, str) and is_telemetry_topic(topic),  # pyright: ignore[reportUnnecessaryIsInstance] - a maker's
            "topic",
            f"1 to 4 levels of A-Z, a-z, 0-9, `_` and `-`, of {MAX_TELEMETRY_TOPIC} characters",
        )
        try:
            text = form.dump(value).decode()
        except (TypeError, ValueError, RecursionError) as error:
            raise form.WireError(f"the value is no JSON: {str(error)[:200]}") from error
        # As large as it may get: with the longest number and time.
        cls(sequence=MAX_SEQUENCE_OF_TELEMETRY, at=MAX_SEQUENCE_OF_TELEMETRY, value=text).encode()
        return text


def _read(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise form.WireError("`value` is not of its form: JSON as a text") from error
