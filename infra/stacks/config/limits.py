r"""The forms and limits of what stack files say, as types: the one table of them.

Each `description` is what a refusal says, so it begins with `must`. A `pattern` is searched for,
so each begins with `\A` and ends with `\Z` (`$` would let a line break through).
"""

from typing import Annotated, Final, Literal

from msgspec import Meta

from infra.stacks.config.reading import HIDDEN

Text = Annotated[str, Meta(min_length=1)]

# Ours: it stands in the registry's row, of which DynamoDB takes 400 KB.
DisplayName = Annotated[str, Meta(min_length=1, max_length=256)]

_WORDS: Final = r"\A[a-z](?:-?[a-z0-9])*\Z"
_WORDS_FORM: Final = "must be lower-case words joined by single `-`"

# Cognito's limit of a group's name. Machines are called in the same form.
GroupName = Annotated[str, Meta(pattern=_WORDS, max_length=128, description=_WORDS_FORM)]

# Cognito API, CreateGroup: Description.
GroupDescription = Annotated[str, Meta(min_length=1, max_length=2048)]
# Cognito quotas: groups and app clients of a pool; people sign in through one of the clients.
GROUPS: Final = 10_000
MACHINES: Final = 999

# A Cedar device group, which a device's facts name.
LineName = Annotated[str, Meta(pattern=_WORDS, max_length=64, description=_WORDS_FORM)]

# As in 0.1.0, where each line was a thing group and AWS IoT Core bounded its description.
LineDescription = Annotated[
    str,
    Meta(
        pattern=r"\A[ -~]+\Z",
        max_length=2028,
        description="must be 1 to 2028 characters of printable ASCII (AWS IoT)",
    ),
]

# Each must be one of the lines, which the whole file is asked for.
LineParents = Annotated[tuple[Text, ...], Meta(min_length=1)]

Word = Annotated[
    str,
    Meta(
        pattern=r"\A[A-Za-z0-9][A-Za-z0-9_.-]*\Z",
        max_length=64,
        description="must be letters, digits, `_`, `.` and `-`",
    ),
]
Regions = Annotated[tuple[Word, ...], Meta(min_length=1)]
REGIONS_CHARACTERS: Final = 800
"""AWS IoT Core: the value of an attribute; the root group lists all regions in one."""

# As the API takes it of a device (service/domain/tags.py).
TagName = Annotated[
    str,
    Meta(
        pattern=r"\A[A-Za-z][A-Za-z0-9_.-]*\Z",
        max_length=64,
        description="must be a letter, then letters, digits, `_`, `.` and `-`",
    ),
]
TAGS: Final = 500
"""Ours: they stand in the registry's row, of which DynamoDB takes 400 KB."""

ActionName = Annotated[
    str,
    Meta(
        pattern=r"\A[A-Z][A-Za-z]+\Z",
        max_length=64,
        description="must map a command to a Cedar action",
    ),
]

# As the service takes them of the API (service/domain/command_types.py).
CommandDescription = Annotated[
    str,
    Meta(
        pattern=r"\A[^\x00-\x1f\x7f]+\Z",
        min_length=1,
        max_length=200,
        description="must be printable characters",
    ),
]
CommandSeconds = Annotated[int, Meta(ge=1, le=3600)]
COMMAND_RULES: Final = 30
"""Ours: each has up to 8 KB of schema in the registry's row, of which DynamoDB takes 400 KB."""

SCOPES: Final = {
    "view": "See devices, commands and downloads",
    "operate": "Run, stop and set devices",
    "update": "Bring files to devices, and firmware in their maintenance window",
}
"""What a machine may be allowed; policies/static/machines-*.cedar say `fleet/<scope>`."""

Scope = Literal["view", "operate", "update"]
Scopes = Annotated[
    tuple[Scope, ...],
    Meta(min_length=1, description="must list at least one of view, operate, update"),
]

# Source: Cognito developer guide, "Configuring a user pool domain": none of the three words.
DomainPrefix = Annotated[
    str,
    Meta(
        pattern=r"\A(?!.*(?:aws|amazon|cognito))[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\Z",
        max_length=63,
        description=(
            "must be a-z, 0-9 and inner `-`, at most 63 characters, "
            "without `aws`, `amazon` and `cognito`"
        ),
    ),
]
# Source: Cognito API, CreateUserPoolClient: CallbackURLs, at most 100 without a fragment.
Url = Annotated[
    str,
    Meta(
        pattern=r"\A(?:https://|http://localhost[:/])[!\"$-~]*\Z",
        max_length=1024,
        description="must be https, or http on localhost, of ASCII without blanks and `#`",
    ),
]
Urls = Annotated[tuple[Url, ...], Meta(min_length=1, max_length=100)]
# Cognito API, CreateIdentityProvider: ProviderName, 1 to 32 characters; without `_`, which parts it
# from the rest of the user name that its people get.
ProviderName = Annotated[
    str,
    Meta(
        pattern=r"\A[A-Za-z](?:-?[A-Za-z0-9])+\Z",
        max_length=32,
        description="must be letters, digits and inner `-`, at most 32 characters",
    ),
]
PROVIDERS: Final = 100
"""Of a kind; a pool takes 300 (source: Cognito quotas, "Identity providers per user pool")."""
SOCIAL: Final = frozenset(
    {"COGNITO", "Facebook", "Google", "LoginWithAmazon", "SignInWithApple", "Cognito"}
)
"""Names that mean something else to Cognito (source: Cognito API, CreateUserPoolClient,
SupportedIdentityProviders)."""
# "Only uses HTTPS for OIDC endpoints", "Only uses TCP ports 80 and 443" (source: Cognito developer
# guide, "Using OIDC identity providers with a user pool").
HttpsUrl = Annotated[
    str,
    Meta(
        pattern=r"\Ahttps://[A-Za-z0-9.-]+(?::443)?(?:/[!\"$-~]*)?\Z",
        max_length=1024,
        description="must be https on port 443, of ASCII without blanks and `#`",
    ),
]
# Secrets Manager API, CreateSecret: Name; or the secret's ARN.
SecretName = Annotated[
    str,
    Meta(
        pattern=r"\A[A-Za-z0-9/_+=.@:-]+\Z",
        max_length=2048,
        description="must be the name or ARN of a secret of Secrets Manager, never the secret",
        extra={HIDDEN: True},
    ),
]
OidcScope = Annotated[
    str, Meta(pattern=r"\A[!#-\[\]-~]+\Z", description="must be a scope of RFC 6749, 3.3")
]
# What a provider may say of a person. Not `email_verified`: nobody has verified it to us.
MappedAttribute = Literal[
    "email", "family_name", "given_name", "locale", "zoneinfo", "custom:region"
]
ClaimName = Annotated[str, Meta(min_length=1, max_length=256)]
Mfa = Literal["off", "optional", "on"]
SignInFlow = Literal["srp", "password", "admin-password"]
# Ours; the row of a shared bucket counts microseconds a token (docs/adr/0022).
PerSecond = Annotated[int, Meta(ge=1, le=10_000)]
TIERS: Final = 20
"""Ours."""
TierName = Annotated[str, Meta(pattern=_WORDS, max_length=32, description=_WORDS_FORM)]
Feature = Literal["campaigns", "machines", "wanted-versions", "webhooks"]
"""What a tier may leave out; service/domain/features.py has the same words."""
FEATURES: Final[tuple[Feature, ...]] = ("campaigns", "machines", "wanted-versions", "webhooks")
ThreatProtection = Literal["audit-only", "full-function"]
"""As Cognito's console calls them; the API says AUDIT and ENFORCED."""
# Ours at least 8 (NIST SP 800-63B, 5.1.1.2); Cognito API, PasswordPolicyType: 99, 24, 365 at most.
PasswordLength = Annotated[int, Meta(ge=8, le=99)]
PasswordsRemembered = Annotated[int, Meta(ge=0, le=24)]
PasswordDays = Annotated[int, Meta(ge=1, le=365)]
TokenMinutes = Annotated[int, Meta(ge=5, le=1440)]
RefreshDays = Annotated[int, Meta(ge=1, le=3650)]
ArtifactDays = Annotated[int, Meta(ge=1, le=3650)]
TelemetryDays = Annotated[int, Meta(ge=1, le=3650)]
AccessLogDays = Annotated[int, Meta(ge=1, le=3650)]
DeviceLogDays = Annotated[int, Meta(ge=1, le=3650)]

# Ours: short enough to be a label of a host name.
CellName = Annotated[str, Meta(pattern=_WORDS, max_length=32, description=_WORDS_FORM)]
FIRST_CELL: Final = "one"
"""The cell of a platform, and of a tenant, whose file names none."""

Host = Annotated[
    str,
    Meta(
        pattern=r"\A(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}\Z",
        description="must be a host name of lower-case labels",
    ),
]
# Cognito API, EmailConfigurationType: From, at most 131,072; ours, of a plain address.
MailAddress = Annotated[
    str,
    Meta(
        pattern=r"\A(?=.{1,254}\Z)[a-z0-9](?:[a-z0-9._+-]*[a-z0-9])?@"
        r"(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,63}\Z",
        description="must be a mail address in lower case",
    ),
]
ZoneId = Annotated[
    str,
    Meta(
        pattern=r"\A[A-Za-z0-9][A-Za-z0-9_.-]*\Z",
        max_length=64,
        description="must be the id of a Route 53 zone",
    ),
]
ImageTag = Annotated[
    str,
    Meta(
        pattern=r"\A[A-Za-z0-9_][A-Za-z0-9_.-]*\Z",
        max_length=128,
        description="must be a tag of at most 128 letters, digits, `_`, `.` and `-`",
    ),
]
# The load balancer needs two, and the network is laid out for two.
Zones = Annotated[tuple[str, str], Meta(description="must name two zones")]
# Whether it is one, the service's registry knows; `config/tenant.py` says what an id may be.
_TenantId = Annotated[str, Meta(pattern=_WORDS, max_length=26, description=_WORDS_FORM)]
CanaryPair = Annotated[tuple[_TenantId, _TenantId], Meta(description="must name two tenants")]
Tasks = Annotated[int, Meta(ge=1, le=100)]
# One for each zone, or the first zone's for both.
NatGateways = Literal[1, 2]
FirewallMode = Literal["count", "block"]
# Requests of one address in a minute; from 10 on (source: WAFV2 API reference, RateBasedStatement).
FirewallRequests = Annotated[int, Meta(ge=10, le=2_000_000_000)]
# Source: KMS API reference, EnableKeyRotation.
KeyRotationDays = Annotated[int, Meta(ge=90, le=2560)]
# US dollars of a month of the whole account; ours: a day's share of less rounds to nothing.
MonthlyDollars = Annotated[int, Meta(ge=1, le=10_000_000)]
# Without DEBUG, which says each message of each device, and DISABLED.
IotLogLevel = Literal["ERROR", "WARN", "INFO"]
# Source: CloudWatch Logs API reference, PutRetentionPolicy; a log is never kept for ever.
LogDays = Literal[
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192,
    2557, 2922, 3288, 3653,
]  # fmt: skip
