"""What the operator may set of how the service is watched: traces, the canary; see ``settings``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from service.errors import ConfigurationError
from service.variables import Variable


@dataclass(frozen=True, kw_only=True)
class TraceSettings:
    """Spans of requests, decisions and calls of AWS.

    Attributes:
        told_to: `opentelemetry`: to what is behind OpenTelemetry's API; unset: none are made.
    """

    told_to: Annotated[str | None, Variable("CEDARFLEET_TRACES")] = None

    def __post_init__(self) -> None:
        """Refuse what nobody knows.

        Raises:
            ConfigurationError: it is something else.
        """
        if self.told_to not in {None, "opentelemetry"}:
            raise ConfigurationError(
                f"CEDARFLEET_TRACES is `{self.told_to}`: give `opentelemetry`, or leave it out"
            )


@dataclass(frozen=True, kw_only=True)
class IsolationSettings:
    """The canary of isolation, which every worker has (``operations.isolation_canary``).

    Attributes:
        canary: ids of the two tenants whose boundary is tried, with a comma; unset: none is.
        seconds: between two trials. The alarm on trials that are missing counts those of a quarter
            of an hour.
    """

    canary: Annotated[str | None, Variable("CEDARFLEET_ISOLATION_CANARY")] = None
    seconds: Annotated[int, Variable("CEDARFLEET_ISOLATION_SECONDS", 1, 600)] = 300

    def __post_init__(self) -> None:
        """Refuse what names no boundary.

        Raises:
            ConfigurationError: it is not two tenants.
        """
        if self.canary is None:
            return
        first, comma, second = self.canary.partition(",")
        if not (first and comma and second) or "," in second or first == second:
            raise ConfigurationError(
                f"CEDARFLEET_ISOLATION_CANARY is `{self.canary[:80]}`: give two tenants' ids, as"
                " `acme,globex`"
            )

    @property
    def pair(self) -> tuple[str, str] | None:
        """The two tenants, if there are any."""
        if self.canary is None:
            return None
        first, second = self.canary.split(",")
        return first, second
