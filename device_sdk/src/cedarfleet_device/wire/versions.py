"""What runs on a device: its agent's word of the versions of its packages."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, cast

from cedarfleet_device.wire import form
from cedarfleet_device.wire.manifests import is_package, is_version
from cedarfleet_device.wire.topics import status_topic

if TYPE_CHECKING:
    from typing import Self

MAX_REPORTED_PACKAGES: Final = 50
MAX_VERSIONS_BYTES: Final = 8 * 1024
FIRMWARE: Final = "firmware"
"""The package that a device's own ``firmware_version`` is the version of."""
_AGENT: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z._+-]{0,63}")


def versions_topic(thing: str) -> str:
    """Where an agent says what runs on its device.

    It has the form of a status topic, so that the tenant's IoT policy covers it, as
    ``presence_topic`` does; the status rule drops it.
    """
    return status_topic(thing, "versions")


@dataclass(frozen=True, kw_only=True)
class VersionsMessage:
    """What runs on a device, said once for each connection, and whenever it has changed.

    Attributes:
        agent: version of this package.
        packages: versions by package, at most ``MAX_REPORTED_PACKAGES``.
    """

    agent: str
    packages: dict[str, str] = field(default_factory=dict[str, str])

    def encode(self) -> bytes:
        """UTF-8 JSON.

        Raises:
            WireError: larger than a message may be.
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
        agent, packages = data["agent"], data["packages"]
        form.require(
            isinstance(agent, str) and _AGENT.fullmatch(agent) is not None, "agent", "a version"
        )
        form.require(is_packages(packages), "packages", "versions by package")
        return cls(**data)


def is_packages(given: object) -> bool:
    """Whether ``given`` is versions by package, not too many and not too large."""
    if not isinstance(given, dict) or len(cast("dict[Any, Any]", given)) > MAX_REPORTED_PACKAGES:
        return False
    return all(
        is_package(name) and is_version(version)
        for name, version in cast("dict[Any, Any]", given).items()
    )


def reportable(packages: dict[str, str]) -> dict[str, str]:
    """Those of ``packages`` that a message may say, in the order of their names.

    A maker names firmware as it likes: what is not of the form is left out, and the rest is said.
    """
    fit = {name: text for name, text in sorted(packages.items()) if is_packages({name: text})}
    return dict([*fit.items()][:MAX_REPORTED_PACKAGES])
