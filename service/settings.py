"""What the operator may set, read once from the environment; nothing else here reads it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final, Self, get_type_hints

from service.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAMES: Final = {"region": "AWS_REGION", "endpoint_url": "AWS_ENDPOINT_URL"}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Each member is read from ``CEDARFLEET_<MEMBER>``; ``AWS_REGION`` and ``AWS_ENDPOINT_URL`` keep their own names.

    Attributes:
        region: of the platform; ``AWS_REGION``.
        endpoint_url: of the embedded cloud, unset on AWS; ``AWS_ENDPOINT_URL``.
        host: address to listen on.
        port: port to listen on; 0 takes a free one.
        tenants_table: the registry.
        commands_table: commands and downloads.
        audit_table: the audit trail.
        jwks_url_template: with ``{pool}``, for the embedded cloud; unset on AWS, where the registry row says it.
        trusted_proxies: comma-separated addresses or networks whose ``X-Forwarded-For`` is believed; empty: none.
        body_max_bytes: a larger request body is refused with 413.
        token_max_bytes: a longer token is refused.
        token_cache_seconds: how long a verified token is not verified again.
        token_cache_entries: how many verified tokens are remembered.
        tenant_cache_seconds: how long a registry row is used; a suspension takes effect after it.
        unknown_tenant_cache_seconds: how long an unknown issuer is remembered.
        tenant_cache_entries: registry rows and tenant sessions kept.
        jwks_cache_seconds: how long a pool's keys are used.
        jwks_again_seconds: least time between two fetches of one pool's keys.
        aws_threads: AWS calls at once.
        aws_max_waiting: AWS calls that may wait for a thread.
        aws_connect_seconds: limit for a connection to AWS.
        aws_read_seconds: limit for an answer of AWS, per attempt.
        aws_max_attempts: attempts per AWS call.
        aws_deadline_seconds: how long a request waits for one AWS call with all its attempts.
        record_days: how long commands and downloads are kept.
        audit_days: how long the audit trail is kept.
        url_ttl_seconds: life of each presigned URL, 60 to 3,600.
        device_timeout_minutes: from a device's start of a download to its end.
        devices_per_minute: rollout speed of a group download, 1 to 1,000.
        shutdown_seconds: how long open requests may take after SIGTERM.
    """

    region: str
    endpoint_url: str | None = None
    host: str = "127.0.0.1"
    port: int = 0
    tenants_table: str = "cedarfleet-tenants"
    commands_table: str = "cedarfleet-commands"
    audit_table: str = "cedarfleet-audit"
    jwks_url_template: str | None = None
    trusted_proxies: str = ""
    body_max_bytes: int = 160 * 1024
    token_max_bytes: int = 16 * 1024
    token_cache_seconds: float = 300.0
    token_cache_entries: int = 50_000
    tenant_cache_seconds: float = 30.0
    unknown_tenant_cache_seconds: float = 10.0
    tenant_cache_entries: int = 1_000
    jwks_cache_seconds: float = 3600.0
    jwks_again_seconds: float = 30.0
    aws_threads: int = 32
    aws_max_waiting: int = 512
    aws_connect_seconds: float = 2.0
    aws_read_seconds: float = 5.0
    aws_max_attempts: int = 3
    aws_deadline_seconds: float = 20.0
    record_days: int = 90
    audit_days: int = 400
    url_ttl_seconds: int = 3600
    device_timeout_minutes: int = 720
    devices_per_minute: int = 100
    shutdown_seconds: int = 20

    def __post_init__(self) -> None:
        """Refuse what cannot work.

        Raises:
            ConfigurationError: a member is out of its range.
        """
        for name, least, most in (
            ("port", 0, 65_535),
            ("body_max_bytes", 1024, 10_000_000),
            ("url_ttl_seconds", 60, 3600),
            ("devices_per_minute", 1, 1000),
            ("aws_threads", 1, 512),
            ("aws_max_attempts", 1, 10),
        ):
            if not least <= getattr(self, name) <= most:
                raise ConfigurationError(
                    f"{variable(name)} must be {least} to {most}, not {getattr(self, name)}"
                )
        if self.jwks_url_template is not None and "{pool}" not in self.jwks_url_template:
            raise ConfigurationError(f"{variable('jwks_url_template')} must contain `{{pool}}`")

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Self:
        """Settings of an environment; an empty variable counts as unset.

        Raises:
            ConfigurationError: a variable is missing, unknown, or not of its form.
        """
        known = {variable(member.name): member.name for member in fields(cls)}
        unknown = sorted(
            name for name in environment if name.startswith("CEDARFLEET_") and name not in known
        )
        if unknown:
            raise ConfigurationError(
                f"unknown setting {', '.join(unknown)}; known are {', '.join(sorted(known))}"
            )
        hints = get_type_hints(cls)
        values: dict[str, Any] = {}
        for name, member in known.items():
            if text := environment.get(name):
                values[member] = _parsed(name, text, hints[member])
        if "region" not in values:
            raise ConfigurationError(
                "AWS_REGION is not set: give the region of the platform stack, e.g. eu-central-1"
            )
        return cls(**values)


def variable(member: str) -> str:
    """The environment variable of a member."""
    return _NAMES.get(member, f"CEDARFLEET_{member.upper()}")


def _parsed(name: str, text: str, hint: object) -> object:
    if hint is not int and hint is not float:
        return text
    try:
        number = int(text) if hint is int else float(text)
    except ValueError as error:
        raise ConfigurationError(f"{name} must be a number, not `{text[:40]}`") from error
    if not 0 <= number < float("inf"):
        raise ConfigurationError(f"{name} must be a number of at least 0, not `{text[:40]}`")
    return number
