"""A tier: a named set of terms in the platform's file, which tenants' files name."""

from msgspec import Struct

from infra.stacks.config.limits import (
    FEATURES,
    ArtifactDays,
    CommandDescription,
    DeviceLogDays,
    Feature,
    Mfa,
    PasswordDays,
    PasswordLength,
    PasswordsRemembered,
    PerSecond,
    TelemetryDays,
    ThreatProtection,
)
from infra.stacks.config.reading import once


class Rate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much of something the service lets through, all its tasks together.

    Attributes:
        per_second: in the long run.
        burst: at once after a pause.
    """

    per_second: PerSecond
    burst: PerSecond


class Budget(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a tenant may ask of the service; sized from AWS's quotas (docs/quotas.md).

    Attributes:
        requests: of the API, whatever is asked.
        commands: commands that are sent, each of which is a request too.
    """

    requests: Rate = Rate(per_second=80, burst=80)
    commands: Rate = Rate(per_second=20, burst=20)


class Password(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a password must be; letters of both cases and a digit are asked for always.

    Attributes:
        length: characters at least.
        symbols: whether it needs one.
        remembered: former passwords that may not come again; any needs Cognito's dearer plan.
        invitation_days: how long that of an invitation counts.
    """

    length: PasswordLength = 14
    symbols: bool = False
    remembered: PasswordsRemembered = 0
    invitation_days: PasswordDays = 3


class Tier(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a tenant of the tier has; its own file may ask for less, or for stricter sign-in.

    Attributes:
        description: for people.
        budget: how much a tenant may ask of the service.
        features: what it may begin anew; what is left out is refused by the API.
        artifact_days: how long replaced versions of an artifact are kept.
        telemetry_days: how long what devices measure is kept.
        device_log_days: how long logs that devices sent are kept.
        mfa: whether people are asked for an authenticator app.
        password: what a person's must be.
        threat_protection: whether Cognito watches sign-ins, and whether it acts; none: neither.
    """

    description: CommandDescription = ""
    budget: Budget = Budget()
    features: tuple[Feature, ...] = FEATURES
    artifact_days: ArtifactDays = 90
    telemetry_days: TelemetryDays = 90
    device_log_days: DeviceLogDays = 30
    mfa: Mfa = "optional"
    password: Password = Password()
    threat_protection: ThreatProtection | None = None

    def __post_init__(self) -> None:
        """Refuse what stands twice."""
        once("features", self.features)
