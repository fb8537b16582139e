"""What the operator may set, read once from the environment; nothing else here reads it.

Each group is handed over whole to whoever acts by it. A member says which variable it is read from.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Final, Self, get_type_hints

from service.delivery_settings import (  # noqa: TC001 - `Settings.read` looks at its annotations
    DirectMessageSettings,
    JobSettings,
    WorkSettings,
)
from service.errors import ConfigurationError
from service.proxies import refuse_proxies
from service.variables import Variable, members, read
from service.watch_settings import IsolationSettings, TraceSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

_PREFIX: Final = "CEDARFLEET_"
_DAY_SECONDS: Final = 24 * 3600
_SERVICES: Final = ("cognito-idp", "dynamodb", "sts", "verifiedpermissions")


@dataclass(frozen=True, kw_only=True)
class HttpSettings:
    """The server.

    Attributes:
        host: address to listen on.
        port: port to listen on; 0 takes a free one.
        trusted_proxies: comma-separated addresses or networks whose ``X-Forwarded-For`` is
            believed; empty: none.
        body_max_bytes: a larger request body is refused with 413.
        keep_alive_seconds: how long an idle connection stays open; longer than the load balancer
            keeps it, which would otherwise send a request into a connection that is being closed
            and answer 502 (source: Elastic Load Balancing, "Troubleshoot your Application Load
            Balancers", HTTP 502).
        head_max_bytes: of request line and header fields, as the load balancer's own limit (source:
            Elastic Load Balancing, "Quotas for your Application Load Balancers": 64 K).
        header_fields_max: in one request.
        head_seconds: from a connection's or a head's first byte to the head's end.
        body_seconds: from the head's end to the body's.
        request_seconds: from a request's head on, for all that it waits for of AWS; then it is
            answered by what is known. Well below the time after which the load balancer gives up
            (`IDLE_SECONDS`), and a claimed command is claimed again (`CLAIM_MS`).
        write_seconds: how long the other end may leave an answer unread.
        connections_max: open at once; one more is closed.
        requests_max: being answered at once; one more gets 503, and only a health check does not.
        drain_seconds: how long after SIGTERM connections are still accepted and kept, while each
            answer says `Connection: close`; it ends when no connection is left.
        shutdown_seconds: how long open requests may take after that.
        metrics_host: address at which `/metrics` is read; loopback is shared by the containers of
            a task, and by nobody else.
        metrics_port: its port, which no load balancer forwards; 0 takes a free one.
        metrics_line_seconds: how often log lines tell CloudWatch what was measured; 0: never.
    """

    host: Annotated[str, Variable("CEDARFLEET_HOST")] = "127.0.0.1"
    port: Annotated[int, Variable("CEDARFLEET_PORT", 0, 65_535)] = 0
    trusted_proxies: Annotated[str, Variable("CEDARFLEET_TRUSTED_PROXIES")] = ""
    body_max_bytes: Annotated[int, Variable("CEDARFLEET_BODY_MAX_BYTES", 1024, 10_000_000)] = (
        160 * 1024
    )
    keep_alive_seconds: Annotated[int, Variable("CEDARFLEET_KEEP_ALIVE_SECONDS", 1, 4000)] = 75
    head_max_bytes: Annotated[int, Variable("CEDARFLEET_HEAD_MAX_BYTES", 1024, 1_000_000)] = (
        64 * 1024
    )
    header_fields_max: Annotated[int, Variable("CEDARFLEET_HEADER_FIELDS_MAX", 10, 1_000)] = 100
    head_seconds: Annotated[float, Variable("CEDARFLEET_HEAD_SECONDS", 0.05, 600)] = 10.0
    body_seconds: Annotated[float, Variable("CEDARFLEET_BODY_SECONDS", 0.05, 600)] = 30.0
    request_seconds: Annotated[float, Variable("CEDARFLEET_REQUEST_SECONDS", 1, 50)] = 25.0
    write_seconds: Annotated[float, Variable("CEDARFLEET_WRITE_SECONDS", 0.05, 600)] = 30.0
    connections_max: Annotated[int, Variable("CEDARFLEET_CONNECTIONS_MAX", 1, 60_000)] = 8_192
    requests_max: Annotated[int, Variable("CEDARFLEET_REQUESTS_MAX", 1, 60_000)] = 1_024
    drain_seconds: Annotated[float, Variable("CEDARFLEET_DRAIN_SECONDS", 0, 60)] = 1.0
    shutdown_seconds: Annotated[int, Variable("CEDARFLEET_SHUTDOWN_SECONDS")] = 30
    metrics_host: Annotated[str, Variable("CEDARFLEET_METRICS_HOST")] = "127.0.0.1"
    metrics_port: Annotated[int, Variable("CEDARFLEET_METRICS_PORT", 0, 65_535)] = 0
    metrics_line_seconds: Annotated[int, Variable("CEDARFLEET_METRICS_LINE_SECONDS", 0, 3600)] = 0


@dataclass(frozen=True, kw_only=True)
class TokenSettings:
    """Verification of tokens.

    Attributes:
        max_bytes: a longer token is refused.
        cache_seconds: how long a verified token is not verified again.
        cache_entries: how many verified tokens are remembered.
        cache_bytes: what they may take together.
    """

    max_bytes: Annotated[int, Variable("CEDARFLEET_TOKEN_MAX_BYTES")] = 16 * 1024
    cache_seconds: Annotated[float, Variable("CEDARFLEET_TOKEN_CACHE_SECONDS")] = 300.0
    cache_entries: Annotated[int, Variable("CEDARFLEET_TOKEN_CACHE_ENTRIES")] = 50_000
    cache_bytes: Annotated[int, Variable("CEDARFLEET_TOKEN_CACHE_BYTES")] = 64 * 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class JwksSettings:
    """The signing keys of user pools.

    Attributes:
        url_template: with ``{pool}``, for the embedded cloud; unset on AWS, where the registry row
            says it.
        cache_seconds: how long a pool's keys are used; a removed key is refused after it.
        grace_seconds: how long they are used beyond that while their address gives none.
        again_seconds: least time between two fetches of one pool's keys, so that made-up key ids
            cannot drive traffic.
    """

    url_template: Annotated[str | None, Variable("CEDARFLEET_JWKS_URL_TEMPLATE")] = None
    cache_seconds: Annotated[float, Variable("CEDARFLEET_JWKS_CACHE_SECONDS")] = 3600.0
    grace_seconds: Annotated[float, Variable("CEDARFLEET_JWKS_GRACE_SECONDS", 0, 86_400)] = 3600.0
    again_seconds: Annotated[float, Variable("CEDARFLEET_JWKS_AGAIN_SECONDS")] = 30.0

    def __post_init__(self) -> None:
        """Refuse a template that would give every pool the same address.

        Raises:
            ConfigurationError: the template does not name the pool.
        """
        if self.url_template is not None and "{pool}" not in self.url_template:
            raise ConfigurationError("CEDARFLEET_JWKS_URL_TEMPLATE must contain `{pool}`")


@dataclass(frozen=True, kw_only=True)
class TenantSettings:
    """The registry of tenants.

    Attributes:
        table: the registry's.
        cache_seconds: how long a row is used; a suspension takes effect after it.
        unknown_cache_seconds: how long an unknown issuer is remembered.
        again_seconds: after a look-up that failed, until the next one of the same row.
        cache_entries: rows and tenant sessions kept.
        cache_bytes: what rows may take together.
    """

    table: Annotated[str, Variable("CEDARFLEET_TENANTS_TABLE")] = "cedarfleet-tenants"
    cache_seconds: Annotated[float, Variable("CEDARFLEET_TENANT_CACHE_SECONDS")] = 30.0
    unknown_cache_seconds: Annotated[float, Variable("CEDARFLEET_UNKNOWN_TENANT_CACHE_SECONDS")] = (
        10.0
    )
    again_seconds: Annotated[float, Variable("CEDARFLEET_TENANT_AGAIN_SECONDS")] = 1.0
    cache_entries: Annotated[int, Variable("CEDARFLEET_TENANT_CACHE_ENTRIES")] = 2_000
    cache_bytes: Annotated[int, Variable("CEDARFLEET_TENANT_CACHE_BYTES")] = 64 * 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class PolicySettings:
    """Copies of the tenants' policies, which decide reads (docs/adr/0025).

    Attributes:
        fresh_seconds: how old the registry's word may be by which a copy is used; a revoked
            permission to read ends within it.
        compare_seconds: between two comparisons of a copy with its store, about.
        tenant_bytes: text of one tenant's policies; the store decides all of a tenant with more.
        total_bytes: text of all copies; the least recently used leave. 0: the stores decide all.
        entries: tenants of whom something is known, with a copy or without.
        templates: remembered, of all tenants together; one has at most 10,000 bytes (source:
            Verified Permissions, "Quotas").
        sample: share of the decisions by a copy that the store is asked for too, in the background.
    """

    fresh_seconds: Annotated[float, Variable("CEDARFLEET_POLICY_FRESH_SECONDS", 0.1, 4.5)] = 4.0
    compare_seconds: Annotated[float, Variable("CEDARFLEET_POLICY_COMPARE_SECONDS", 1, 3600)] = 300
    tenant_bytes: Annotated[int, Variable("CEDARFLEET_POLICY_TENANT_BYTES")] = 1_000_000
    total_bytes: Annotated[int, Variable("CEDARFLEET_POLICY_TOTAL_BYTES")] = 25_000_000
    entries: Annotated[int, Variable("CEDARFLEET_POLICY_ENTRIES", 1, 100_000)] = 2_000
    templates: Annotated[int, Variable("CEDARFLEET_POLICY_TEMPLATES")] = 1_000
    sample: Annotated[float, Variable("CEDARFLEET_POLICY_SAMPLE", 0, 1)] = 0.01


@dataclass(frozen=True, kw_only=True)
class AwsSettings:
    """Calls of AWS.

    Attributes:
        region: of the platform.
        endpoint_url: of the embedded cloud, unset on AWS.
        iot_data_endpoint: host of the account's own data plane; not needed beside `endpoint_url`.
            That which boto3 takes without it is "intended for testing purposes only" (source: AWS
            CLI reference, "iot-data").
        device_endpoint: host that devices dial, ``host:port`` where the port is not 8883; a device
            is told it when it is let in.
        ca_bundle: file of the authorities that prove who AWS is, as the SDKs take it (source: AWS
            SDKs and Tools reference guide, "Environment variables", `AWS_CA_BUNDLE`); unset: those
            that botocore brings.
        threads: blocking calls at once, of those few that do not go through the door.
        max_waiting: calls that may wait for a thread; one more is refused at once.
        connect_seconds: limit for a connection.
        read_seconds: limit for an answer, per attempt.
        max_attempts: attempts per call, the first included.
        deadline_seconds: how long a request waits for one call with all its attempts.
        calls_at_once: calls in flight for all tenants together.
        tenant_calls: of them, of one tenant.
        tenant_calls_of_each: of them, at one dependency.
        tenant_waiting: calls of one tenant that may wait for their turn; one more is refused. A
            page of a list asks for up to a hundred things at once.
        own_calls: calls in flight of the service itself at each dependency that all tenants share.
    """

    region: Annotated[
        str,
        Variable("AWS_REGION", remedy="give the region of the platform stack, e.g. eu-central-1"),
    ]
    endpoint_url: Annotated[str | None, Variable("AWS_ENDPOINT_URL")] = None
    iot_data_endpoint: Annotated[str | None, Variable("CEDARFLEET_IOT_DATA_ENDPOINT")] = None
    device_endpoint: Annotated[str | None, Variable("CEDARFLEET_DEVICE_ENDPOINT")] = None
    ca_bundle: Annotated[str | None, Variable("AWS_CA_BUNDLE")] = None
    threads: Annotated[int, Variable("CEDARFLEET_AWS_THREADS", 1, 512)] = 32
    max_waiting: Annotated[int, Variable("CEDARFLEET_AWS_MAX_WAITING")] = 512
    connect_seconds: Annotated[float, Variable("CEDARFLEET_AWS_CONNECT_SECONDS")] = 2.0
    read_seconds: Annotated[float, Variable("CEDARFLEET_AWS_READ_SECONDS")] = 5.0
    max_attempts: Annotated[int, Variable("CEDARFLEET_AWS_MAX_ATTEMPTS", 1, 10)] = 3
    deadline_seconds: Annotated[float, Variable("CEDARFLEET_AWS_DEADLINE_SECONDS")] = 20.0
    calls_at_once: Annotated[int, Variable("CEDARFLEET_AWS_CALLS_AT_ONCE", 1, 10_000)] = 512
    tenant_calls: Annotated[int, Variable("CEDARFLEET_TENANT_CALLS", 1, 10_000)] = 64
    tenant_calls_of_each: Annotated[int, Variable("CEDARFLEET_TENANT_CALLS_OF_EACH", 1, 10_000)] = (
        32
    )
    tenant_waiting: Annotated[int, Variable("CEDARFLEET_TENANT_WAITING", 1, 100_000)] = 512
    own_calls: Annotated[int, Variable("CEDARFLEET_AWS_OWN_CALLS", 1, 10_000)] = 64

    @property
    def iot_data_url(self) -> str | None:
        """Where the IoT data plane is; the embedded cloud answers for all of AWS."""
        if self.endpoint_url or not self.iot_data_endpoint:
            return self.endpoint_url
        return f"https://{self.iot_data_endpoint}"

    @property
    def hosts(self) -> tuple[str, ...]:
        """Hosts of AWS that stand for all of them; none where the embedded cloud is all of AWS."""
        if self.endpoint_url:
            return ()
        own = (self.iot_data_endpoint,) if self.iot_data_endpoint else ()
        return (*own, *(f"{name}.{self.region}.amazonaws.com" for name in _SERVICES))


@dataclass(frozen=True, kw_only=True)
class RecordSettings:
    """What is written down.

    Attributes:
        devices_table: what is known of each device.
        commands_table: commands and downloads.
        record_days: how long commands and downloads are kept.
        event_days: how long events can be followed from, at most.
        audit_table: the audit trail.
        audit_days: how long the audit trail is kept.
        audit_key: of KMS, its id or ARN, with which the worker signs checkpoints of the trail.
        webhook_key: of KMS, its id or ARN, with which the service seals secrets of webhooks and the
            worker opens them.
        audit_keys_seconds: how long a process may use a person's key after it was erased.
    """

    devices_table: Annotated[str, Variable("CEDARFLEET_DEVICES_TABLE")] = "cedarfleet-devices"
    commands_table: Annotated[str, Variable("CEDARFLEET_COMMANDS_TABLE")] = "cedarfleet-commands"
    record_days: Annotated[int, Variable("CEDARFLEET_RECORD_DAYS")] = 90
    event_days: Annotated[int, Variable("CEDARFLEET_EVENT_DAYS", 1, 90)] = 7
    audit_table: Annotated[str, Variable("CEDARFLEET_AUDIT_TABLE")] = "cedarfleet-audit"
    audit_days: Annotated[int, Variable("CEDARFLEET_AUDIT_DAYS")] = 400
    audit_key: Annotated[str, Variable("CEDARFLEET_AUDIT_KEY")] = ""
    webhook_key: Annotated[str, Variable("CEDARFLEET_WEBHOOK_KEY")] = ""
    audit_keys_seconds: Annotated[float, Variable("CEDARFLEET_AUDIT_KEYS_SECONDS", 0, 3600)] = 600.0

    @property
    def record_seconds(self) -> int:
        """How long commands and downloads are kept."""
        return self.record_days * _DAY_SECONDS

    @property
    def event_seconds(self) -> int:
        """How long events are kept."""
        return self.event_days * _DAY_SECONDS

    @property
    def audit_seconds(self) -> int:
        """How long the audit trail is kept."""
        return self.audit_days * _DAY_SECONDS


@dataclass(frozen=True, kw_only=True)
class EnrolmentSettings:
    """How devices come in, and where they connect from then on.

    Attributes:
        code_days: how long a code begins an enrolment.
        max_tries: wrong codes for one registration, after which only a new code counts. A code of
            160 bits is safe from many more; so many keep a stranger from using up the tries of
            somebody's device.
        tries_per_second: enrolments that one process looks at, right or wrong.
        device_ca_file: PEM of who signs the certificate of the devices' endpoint; unset: Amazon's
            roots.
    """

    code_days: Annotated[int, Variable("CEDARFLEET_ENROLMENT_CODE_DAYS", 1, 90)] = 7
    max_tries: Annotated[int, Variable("CEDARFLEET_ENROLMENT_MAX_TRIES", 1, 10_000)] = 1_000
    tries_per_second: Annotated[
        int, Variable("CEDARFLEET_ENROLMENT_TRIES_PER_SECOND", 1, 1_000)
    ] = 20
    device_ca_file: Annotated[str | None, Variable("CEDARFLEET_DEVICE_CA_FILE")] = None

    @property
    def code_ms(self) -> int:
        """How long a code begins an enrolment, in milliseconds."""
        return self.code_days * _DAY_SECONDS * 1000


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All that the operator may set."""

    http: HttpSettings
    tokens: TokenSettings
    jwks: JwksSettings
    tenants: TenantSettings
    policies: PolicySettings
    aws: AwsSettings
    records: RecordSettings
    direct: DirectMessageSettings
    jobs: JobSettings
    enrolment: EnrolmentSettings
    work: WorkSettings
    traces: TraceSettings = field(default_factory=TraceSettings)
    isolation: IsolationSettings = field(default_factory=IsolationSettings)

    def __post_init__(self) -> None:
        """Refuse to publish through the endpoint that AWS has for tests.

        Raises:
            ConfigurationError: neither the account's own data plane nor the embedded cloud is said.
        """
        if self.aws.iot_data_url is None:
            raise ConfigurationError(
                "CEDARFLEET_IOT_DATA_ENDPOINT is not set: give what"
                " `aws iot describe-endpoint --endpoint-type iot:Data-ATS` says, as the platform"
                " stack does (its output `iot_data_endpoint`)"
            )

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Self:
        """Settings of an environment; an empty variable counts as unset.

        Raises:
            ConfigurationError: a variable is missing, unknown, not of its form or out of its range,
                or a proxy is set.
        """
        groups = get_type_hints(cls)
        known = {one.name for group in groups.values() for _, _, one in members(group)}
        given = {name for name in environment if name.startswith(_PREFIX)}
        if unknown := given - known:
            raise ConfigurationError(
                f"unknown setting {', '.join(sorted(unknown))};"
                f" known are {', '.join(sorted(known))}"
            )
        found = cls(**{name: read(group, environment) for name, group in groups.items()})
        refuse_proxies(environment, found.aws.hosts)
        return found
