"""What the service measures, one line each, and who is told of it.

A label takes few values by its nature: routes, actions, operations, states. A tenant, a device, a
principal or a text of the caller is no label: their number has no bound.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol


@dataclass(frozen=True, eq=False)
class Measure:
    """One thing that is measured.

    Attributes:
        name: as it is read at `/metrics`, with its unit.
        words: what it says.
        labels: what it is told apart by.
    """

    name: str
    words: str
    labels: tuple[str, ...]


class Counter(Measure):
    """How often something happened."""


class Distribution(Measure):
    """How long something took, in seconds."""


class Gauge(Measure):
    """How much there is of something now."""


REQUESTS: Final = Distribution(
    "cedarfleet_http_request_seconds",
    "requests, from their headers to the end of their answer",
    ("method", "route", "status"),
)
REFUSED_BY_SERVER: Final = Counter(
    "cedarfleet_http_refused_total",
    "requests and connections that the HTTP layer itself refused or gave up",
    ("reason",),
)
CONNECTIONS: Final = Gauge("cedarfleet_http_connections", "open connections", ())
AWS_CALLS: Final = Distribution(
    "cedarfleet_aws_call_seconds",
    "calls of AWS with all their attempts; the outcome is `ok`, AWS's code, or why none came",
    ("dependency", "operation", "outcome"),
)
DECISIONS: Final = Counter(
    "cedarfleet_decisions_total",
    "decisions of policies: `allowed` or `denied`, by the `store` or by the `copy` in process",
    ("action", "outcome", "decided_by"),
)
POLICY_DIFFERENCES: Final = Counter(
    "cedarfleet_policy_differences_total",
    "a policy `store` that is not as the registry says, or a `decision` that differs by copy",
    ("kind",),
)
CACHE_LOOKUPS: Final = Counter(
    "cedarfleet_cache_lookups_total",
    "what was found in a cache: `hit`, `miss`, or `stale` for what is used past its time",
    ("cache", "outcome"),
)
SHARES: Final = Counter(
    "cedarfleet_share_admissions_total",
    "calls that asked for a place of their tenant's share: `at-once`, `waited` or `refused`",
    ("dependency", "outcome"),
)
BREAKERS_OPEN: Final = Gauge(
    "cedarfleet_breakers_open",
    "tenants whose calls of a dependency are cut off now",
    ("dependency",),
)
BREAKER_CHANGES: Final = Counter(
    "cedarfleet_breaker_changes_total",
    "breakers that became `open`, `half-open` or `closed`",
    ("dependency", "to"),
)
WORK: Final = Counter(
    "cedarfleet_work_total",
    "messages that the worker took: `done`, or put back since it `failed` or was `broken`, was"
    " `unreadable` or of `unknown` tenant or kind, or `dead`: put back for the last time",
    ("kind", "outcome"),
)
WORK_SECONDS: Final = Distribution(
    "cedarfleet_work_seconds", "what the worker took over a message, done or not", ("kind",)
)
WORK_WAITED: Final = Distribution(
    "cedarfleet_work_waited_seconds",
    "age of a message as it was taken for the first time",
    ("kind",),
)
WORK_IN_HAND: Final = Gauge("cedarfleet_work_in_hand", "messages being handled", ())
JOBS: Final = Counter(
    "cedarfleet_jobs_total", "jobs of IoT that were `made`, `canceled` or `asked`", ("act",)
)
PROBLEMS: Final = Counter(
    "cedarfleet_problems_total", "answers that tell of a problem, by its kind", ("problem",)
)
HAPPENED: Final = Counter(
    "cedarfleet_happened_total",
    "what devices and IoT Core told: a delivery's or a command's state, a connection that came or"
    " `ended`, or was `lost`",
    ("event", "how"),
)
AUDIT_VERIFIED: Final = Counter(
    "cedarfleet_audit_verified_total",
    "chains of audit trails that were verified, and found `whole` or `broken`",
    ("outcome",),
)
ISOLATION: Final = Counter(
    "cedarfleet_isolation_trials_total",
    "trials of the boundary between two tenants: `refused` as it must be, `reached` what is"
    " another's, or `failed` to find out",
    ("outcome",),
)
MEASURES: Final[tuple[Measure, ...]] = (
    REQUESTS,
    REFUSED_BY_SERVER,
    CONNECTIONS,
    AWS_CALLS,
    DECISIONS,
    POLICY_DIFFERENCES,
    CACHE_LOOKUPS,
    SHARES,
    BREAKERS_OPEN,
    BREAKER_CHANGES,
    WORK,
    WORK_SECONDS,
    WORK_WAITED,
    WORK_IN_HAND,
    JOBS,
    PROBLEMS,
    HAPPENED,
    AUDIT_VERIFIED,
    ISOLATION,
)


class Metrics(Protocol):
    """Takes measurements; never fails, never waits, and is called on the event loop's thread.

    Labels are given in the order of the measure's own.
    """

    def count(self, what: Counter, *labels: str, by: int = 1) -> None:
        """It happened ``by`` times more."""
        ...

    def observe(self, what: Distribution, seconds: float, *labels: str) -> None:
        """It took ``seconds``."""
        ...

    def gauge(self, what: Gauge, value: float, *labels: str) -> None:
        """There is so much of it now."""
        ...


class Unmeasured:
    """Takes measurements and keeps none: for programs and tests that look at none."""

    def count(self, what: Counter, *labels: str, by: int = 1) -> None:
        """Keep nothing."""

    def observe(self, what: Distribution, seconds: float, *labels: str) -> None:
        """Keep nothing."""

    def gauge(self, what: Gauge, value: float, *labels: str) -> None:
        """Keep nothing."""


UNMEASURED: Final = Unmeasured()
