"""The alarms on what service and worker themselves tell CloudWatch: one table."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from infra import names

# Of a minute, in three of five.
_DENIALS: Final = 600
_NOBODY: Final = 300
_LOST: Final = 300
_FAILED: Final = 10


@dataclass(frozen=True, kw_only=True)
class ServiceAlarm:
    """A sum of a metric of `Cedarfleet/Service` that is too much, or too little.

    Attributes:
        label: of the alarm; `docs/operations.md` has a row of it.
        words: what is wrong, and where to look.
        metric: its name.
        dimensions: of it, with their values.
        above: it rings above this ...
        below: ... or below this, and where there is no value at all.
        at_once: whether a quarter of an hour is looked at, and not three of five minutes.
    """

    label: str
    words: str
    metric: str
    dimensions: dict[str, str] = field(default_factory=dict[str, str])
    above: float | None = None
    below: float | None = None
    at_once: bool = False


ALWAYS: Final[tuple[ServiceAlarm, ...]] = (
    ServiceAlarm(
        label="work-broken",
        words="a fault of ours in a message of the worker: `work.broken` in its log says where; "
        "what was asked waits (docs/operations.md)",
        metric=names.WORK,
        dimensions={"outcome": "broken"},
        above=0,
        at_once=True,
    ),
    ServiceAlarm(
        label="audit-broken",
        words="a tenant's audit trail is not what was written down: `audit.broken` in the "
        "worker's log says where (docs/operations.md)",
        metric=names.AUDIT_VERIFIED,
        dimensions={"outcome": "broken"},
        above=0,
        at_once=True,
    ),
    # Copies of policies (docs/adr/0025); either is found once. Tasks look again at a store that
    # differs after five minutes at the latest.
    ServiceAlarm(
        label="policies-differ-store",
        words="a policy store is not as its stack says: `policies.differ` in the service's log "
        "says what (docs/operations.md)",
        metric=names.POLICY_DIFFERENCES,
        dimensions={"kind": "store"},
        above=0,
        at_once=True,
    ),
    ServiceAlarm(
        label="policies-differ-decision",
        words="the service and a policy store decided otherwise: `decisions.differ` in the "
        "service's log says what (docs/operations.md)",
        metric=names.POLICY_DIFFERENCES,
        dimensions={"kind": "decision"},
        above=0,
        at_once=True,
    ),
    # Much of what is normal one by one: who attacks, or what broke, shows by the number. The
    # figures are for a platform of some thousands of devices; a larger one puts them up here.
    ServiceAlarm(
        label="denials-surge",
        words="policies refuse far more than usual: somebody tries what they may not, or an "
        "update took a right away (docs/operations.md)",
        metric=names.PROBLEMS,
        dimensions={"problem": "permission-denied"},
        above=_DENIALS,
    ),
    ServiceAlarm(
        label="sign-ins-surge",
        words="many requests without a good token: somebody forges them, or a pool's keys are "
        "not found (docs/operations.md)",
        metric=names.PROBLEMS,
        dimensions={"problem": "unauthenticated"},
        above=_NOBODY,
    ),
    ServiceAlarm(
        label="devices-lost",
        words="many devices are gone without a goodbye: a site, a network or IoT Core fails "
        "(docs/operations.md)",
        metric=names.HAPPENED,
        dimensions={"event": "device.disconnected", "how": "lost"},
        above=_LOST,
    ),
    ServiceAlarm(
        label="deliveries-failing",
        words="files do not arrive on devices: stop the rollout that sends them "
        "(docs/operations.md)",
        metric=names.HAPPENED,
        dimensions={"event": "delivery.state", "how": "failed"},
        above=_FAILED,
    ),
)
ISOLATION: Final[tuple[ServiceAlarm, ...]] = (
    ServiceAlarm(
        label="isolation-broken",
        words="one tenant's session reached what is another's: `isolation.broken` in the "
        "worker's log says what (docs/operations.md)",
        metric=names.ISOLATION,
        dimensions={"outcome": "reached"},
        above=0,
        at_once=True,
    ),
    # Each worker tries every five minutes (docs/adr/0067), so that one of six has to pass.
    ServiceAlarm(
        label="isolation-untried",
        words="nobody knows whether tenants are kept apart: `isolation.untried` in the worker's "
        "log says why, or no worker runs (docs/operations.md)",
        metric=names.ISOLATION,
        dimensions={"outcome": "refused"},
        below=1,
        at_once=True,
    ),
)
"""Where the worker tries the boundary between two tenants."""
