"""The table ``[telemetry]``: how much of it waits, what gives way, and how fast it leaves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from cedarfleet_device.bounds import between
from cedarfleet_device.errors import ConfigError

OLDEST: Final = "oldest"
NEWEST: Final = "newest"


@dataclass(frozen=True, kw_only=True)
class TelemetryConfig:
    """How telemetry waits and leaves.

    Attributes:
        max_messages: most that wait for the cloud.
        max_bytes: most that these may take, values and topics.
        drop: what gives way when one of both is reached: ``oldest``, or ``newest``, which is the
            one that ``publish`` was given.
        per_second: messages that leave, in the long run. AWS IoT Core takes 100 a second of a
            connection and 20,000 of an account (source: its quotas, "Publish requests per second
            per connection", "Inbound publish requests per second per account"): at 2 a device,
            10,000 devices may all send at once.
        burst: messages that may leave at once after a rest.
    """

    max_messages: int = between(1, 1_000_000, 10_000)
    max_bytes: int = between(1024, 1024**3, 8 * 1024 * 1024)
    drop: str = OLDEST
    per_second: float = between(0.001, 100, 2.0)
    burst: int = between(1, 100, 20)

    def __post_init__(self) -> None:
        """Check what a type cannot say.

        Raises:
            ConfigError: a value that is not of its form.
        """
        if self.drop not in (OLDEST, NEWEST):
            raise ConfigError(f"`telemetry.drop` is `{self.drop}`, it must be oldest or newest")
