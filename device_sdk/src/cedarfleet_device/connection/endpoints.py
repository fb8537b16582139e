"""Which name the device dials: that of its file, or the one that it was moved to and has proven.

``endpoint.json`` in the state folder stands for the second. It is replaced whole, so that at every
instant, and after every power cut, one name is dialled. It counts only beside the endpoint of the
file that it was written beside: whoever edits the file has the last word.
"""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Final

from cedarfleet_device.errors import ConfigError
from cedarfleet_device.files import DISK, Disk, write_atomically
from cedarfleet_device.log import event
from cedarfleet_device.wire import MoveDocument, WireError

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self

    from cedarfleet_device.config import DeviceConfig

_FILE: Final = "endpoint.json"
# Of any account: a name under it says nothing of whose it is.
_AWS: Final = ("amazonaws.com", "amazonaws.com.cn", "aws")


@dataclass(frozen=True, kw_only=True)
class Moved:
    """Where a device was moved to.

    Attributes:
        configured: host and port of the file at that time.
        endpoint: that it dials since, proven.
        port: likewise.
        former: host that it dialled before.
        former_port: likewise.
        job_id: of the move, as long as its end was not taken where it came from; else empty.
    """

    configured: str
    endpoint: str
    port: int
    former: str
    former_port: int
    job_id: str

    @classmethod
    def read(cls, config: DeviceConfig) -> Self | None:
        """What stands beside this configuration; None: the device was not moved.

        Raises:
            ConfigError: the file cannot be read.
        """
        file = _file(config)
        try:
            content = file.read_bytes()
        except (FileNotFoundError, NotADirectoryError):  # the second is told by who makes it
            return None
        except OSError as error:
            raise ConfigError(f"`{file}` cannot be read: {error.strerror}") from error
        try:
            moved = cls(**json.loads(content))
            MoveDocument(endpoint=moved.endpoint, port=moved.port)
        except (ValueError, TypeError, WireError) as error:
            # Nobody but us writes it, and whole: the file's own name is what the installer meant.
            event("endpoint.unreadable", level=logging.ERROR, error=error, file=str(file))
            return None
        return moved if moved.configured == _address(config) else None

    def keep(self, config: DeviceConfig, *, disk: Disk = DISK) -> None:
        """Make it what is dialled, durably.

        Raises:
            OSError: it cannot be written; then what stood there stands.
        """
        write_atomically(_file(config), json.dumps(asdict(self)).encode(), disk=disk)

    def dialled(self, config: DeviceConfig) -> DeviceConfig:
        """The configuration with the endpoint that it was moved to."""
        return replace(config, endpoint=self.endpoint, port=self.port)

    def left(self, config: DeviceConfig) -> DeviceConfig:
        """The configuration with the endpoint that it came from."""
        return replace(config, endpoint=self.former, port=self.former_port)


def dialled(config: DeviceConfig) -> DeviceConfig:
    """The configuration with the endpoint that the device dials.

    Raises:
        ConfigError: it cannot be told.
    """
    moved = Moved.read(config)
    return config if moved is None else moved.dialled(config)


def may_move(config: DeviceConfig, host: str) -> str | None:
    """Why the device must not be moved to ``host``; None: it may.

    Whoever can make a job for it could lead it to a broker of their own, where its certificate is
    as easily registered: so only names under a domain that the installer trusts.

    Args:
        config: with the endpoint that is dialled now.
        host: the new name.
    """
    domain = config.connection.move_domain or config.endpoint.partition(".")[2]
    if "." not in domain or is_of_aws(domain):
        return (
            f"`{config.endpoint}` is under no domain of one's own:"
            " set `connection.move_domain` in the device's file"
        )
    if not _is_under(host, (domain,)):
        return f"`{host}` is not under `{domain}` (`connection.move_domain`)"
    return None


def is_of_aws(host: str) -> bool:
    """Whether a name is under a domain of AWS's own."""
    return _is_under(host.lower(), _AWS)


def _is_under(host: str, domains: tuple[str, ...]) -> bool:
    return any(host == domain or host.endswith(f".{domain}") for domain in domains)


def _file(config: DeviceConfig) -> Path:
    return config.state_dir / _FILE


def _address(config: DeviceConfig) -> str:
    return f"{config.endpoint}:{config.port}"
