"""A device on its way to another cell: the document of the IoT Job that names its new endpoint."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from cedarfleet_device.wire import form

if TYPE_CHECKING:
    from typing import Self

MQTT_PORT: Final = 8883
_KIND: Final = "move"
_MOST_PORT: Final = 65_535
_HOST: Final = re.compile(r"(?=.{1,253}\Z)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}")


@dataclass(frozen=True, kw_only=True)
class MoveDocument:
    """The document of the IoT Job that tells a device to dial another name from now on.

    Attributes:
        endpoint: host name of lower-case labels.
        port: MQTT over mutual TLS.
    """

    endpoint: str
    port: int = MQTT_PORT

    def __post_init__(self) -> None:
        """Check both members.

        Raises:
            WireError: no host name, or no port.
        """
        form.require(
            _HOST.fullmatch(str(self.endpoint)) is not None,  # nothing but a text reads so
            "endpoint",
            "a host name of lower-case labels",
        )
        form.require(
            type(self.port) is int and 0 < self.port <= _MOST_PORT, "port", f"1 to {_MOST_PORT}"
        )

    @property
    def address(self) -> str:
        """Host and port."""
        return f"{self.endpoint}:{self.port}"

    def encode(self) -> str:
        """The JSON text for ``CreateJob``."""
        return form.encode({"kind": _KIND, **vars(self)}).decode()

    @classmethod
    def decode(cls, document: object) -> Self:
        """Read and check a job document that IoT Jobs has already parsed.

        Raises:
            WrongVersionError: another wire version.
            WireError: anything else that is not of the form.
        """
        data = form.checked(document, frozenset(cls.__dataclass_fields__) | {"kind"})
        form.require(data.pop("kind") == _KIND, "kind", f"`{_KIND}`")
        return cls(**data)

    @staticmethod
    def is_meant(document: object) -> bool:
        """Whether a job document says that it is a move, well formed or not."""
        return isinstance(document, dict) and cast("dict[str, Any]", document).get("kind") == _KIND
