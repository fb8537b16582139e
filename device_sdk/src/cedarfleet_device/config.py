"""What an agent must know before it starts: the file ``device.toml``, read once and checked.

``device.example.toml`` beside this module shows every key with its unit and default.
"""

from __future__ import annotations

import re
import sys
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_type_hints

from cedarfleet_device import wire
from cedarfleet_device.bounds import between, check_bounds
from cedarfleet_device.errors import ConfigError
from cedarfleet_device.hardware_key import HardwareKey
from cedarfleet_device.installs.limits import InstallConfig
from cedarfleet_device.log import LogConfig
from cedarfleet_device.proxies import Proxy, is_this_machine, proxy_for, read_proxy
from cedarfleet_device.telemetry.limits import TelemetryConfig

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

_T = TypeVar("_T")
_KIB = 1024
_MIB = 1024 * _KIB
_WORDS = {
    str: "a string",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    Path: "a path",
}
_DOMAIN = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+")


@dataclass(frozen=True, kw_only=True)
class ConnectionConfig:
    """How the agent holds its MQTT connection.

    Attributes:
        keep_alive_seconds: silence after which the client pings; the broker gives up after 1.5
            times this. AWS IoT Core counts less than 30 as 30 (source: its quotas), so it shows a
            device as gone after 45 s at the soonest; the device itself notices sooner.
        ping_timeout_seconds: how long the answer to a ping may take; then the connection is dropped
            and made again.
        session_expiry_seconds: how long the broker keeps commands for an absent device; the
            service takes no command that would have to wait longer than the default.
        reconnect_min_seconds: first pause before connecting again; doubled with jitter after each
            failure. Less than a second counts on this machine only (``first_pause_seconds``).
        reconnect_max_seconds: longest pause.
        certificate_proof_seconds: how long the broker has to accept a renewed certificate before
            the former is used, and a new endpoint the device.
        proxy: of an HTTP proxy that carries the MQTT connection (CONNECT); see ``proxies``. Files
            have ``downloads.proxy``. Empty: what ``HTTPS_PROXY`` and ``NO_PROXY`` say.
        fallback_port: dialled where nobody is reached by ``port``; 0: none is (``routes``).
        move_domain: the device may be told to dial another name under this domain; empty: under
            that of ``endpoint``, unless it is AWS's.
        limit_rate: keep to AWS IoT Core's 100 publishes and 512 KB a second for one connection.
    """

    keep_alive_seconds: int = between(5, 1200, 30)
    ping_timeout_seconds: float = between(0.1, 60, 5.0)
    session_expiry_seconds: int = between(60, 604_800, wire.SESSION_EXPIRY_SECONDS)
    reconnect_min_seconds: float = between(0.05, 60, 1.0)
    reconnect_max_seconds: float = between(0.05, 3600, 120.0)
    certificate_proof_seconds: float = between(1, 3600, 60.0)
    proxy: str = field(default="", repr=False)
    fallback_port: int = between(0, 65_535, 443)
    move_domain: str = ""
    limit_rate: bool = True

    def __post_init__(self) -> None:
        """Check what a type cannot say.

        Raises:
            ConfigError: a value that is not of its form.
        """
        read_proxy("connection.proxy", self.proxy)
        if self.move_domain and _DOMAIN.fullmatch(self.move_domain) is None:
            raise ConfigError(
                f"`connection.move_domain` is `{self.move_domain}`, it must be a domain of"
                " lower-case labels, such as `devices.example.com`"
            )


@dataclass(frozen=True, kw_only=True)
class CommandConfig:
    """How commands are run.

    Attributes:
        parallel: how many handlers may run at once; 1 keeps the order of arrival.
        time_limit_seconds: default limit of a handler; ``Agent.command`` may set another.
        keep_days: how long a finished command is remembered beyond its expiry.
    """

    parallel: int = between(1, 32, 1)
    time_limit_seconds: float = between(0.01, 86_400, 300.0)
    keep_days: int = between(1, 365, 7)


@dataclass(frozen=True, kw_only=True)
class DownloadLimits:
    """Every bound of one download.

    The defaults suit a device with some 100 MB of free disk and a mobile link.

    Attributes:
        max_bytes: largest file that is accepted.
        disk_reserve_bytes: stays free on the file system, whatever is fetched.
        connections: most connections at once; size and round trip decide how many are used
            (``connections_for``).
        parallel_from_bytes: below it one connection is used.
        parallel_from_seconds: round trip below which one connection is used: it fills the link, and
            more only cost CPU.
        bytes_per_second: bandwidth limit over all connections; None: no limit.
        connect_seconds: to reach the server, for each address tried.
        stall_seconds: window in which a connection must bring ``stall_bytes``, else it is cut and
            tried again.
        stall_bytes: smallest progress in that window; a server that trickles below it counts as
            dead.
        attempts: tries in a row that bring no noteworthy progress before the download fails; those
            that reach nobody are not counted.
        unreachable_seconds: in which nobody was reached, before the download fails.
        room_seconds: in which there was no room for the file, before the download fails; what is
            fetched stays meanwhile.
        backoff_seconds: upper bound of the first pause; doubles each time; the pause is drawn from
            0 to the bound.
        backoff_cap_seconds: largest pause, also for a server's ``Retry-After``.
        checkpoint_bytes: largest step between two fsynced journal entries, which is what a kill
            costs; small files use smaller steps (``ranges.checkpoint_step``).
        ca_file: PEM bundle that signs the server; None: the system's.
        allow_http: accept plain HTTP from any host; else only from this machine's loopback. The
            SHA-256 arrives over the device's own TLS connection, so plain HTTP risks who reads the
            file, not what is delivered.
        file_mode: permission bits of the delivered file.
        proxy: of an HTTP proxy that connects to the file server (CONNECT), for http too; see
            ``proxies``. Empty: what ``HTTPS_PROXY`` and ``NO_PROXY`` say.
    """

    max_bytes: int = 4096 * _MIB
    disk_reserve_bytes: int = 64 * _MIB
    connections: int = 4
    parallel_from_bytes: int = 32 * _MIB
    parallel_from_seconds: float = 0.004
    bytes_per_second: int | None = None
    connect_seconds: float = 10.0
    stall_seconds: float = 30.0
    stall_bytes: int = 4 * _KIB
    attempts: int = 8
    unreachable_seconds: float = 7 * 86_400.0
    room_seconds: float = 600.0
    backoff_seconds: float = 1.0
    backoff_cap_seconds: float = 300.0
    checkpoint_bytes: int = 16 * _MIB
    ca_file: Path | None = None
    allow_http: bool = False
    file_mode: int = 0o640
    proxy: str = field(default="", repr=False)

    def proxy_to(self, host: str) -> Proxy | None:
        """The proxy by way of which a file server is reached; None: directly.

        Raises:
            ConfigError: that of the environment is not of its form.
        """
        return proxy_for(host, key="downloads.proxy", text=self.proxy)

    def __post_init__(self) -> None:
        """Refuse limits under which nothing could ever be downloaded.

        Raises:
            ValueError: names the limit and what would be right.
            ConfigError: the proxy is not of its form.
        """
        read_proxy("downloads.proxy", self.proxy)
        for name in (
            "max_bytes",
            "connections",
            "parallel_from_bytes",
            "connect_seconds",
            "stall_seconds",
            "attempts",
            "unreachable_seconds",
            "backoff_seconds",
            "backoff_cap_seconds",
            "checkpoint_bytes",
        ):
            if getattr(self, name) <= 0:
                raise ValueError(f"`{name}` is {getattr(self, name)}: it must be above 0")
        for name in (
            "disk_reserve_bytes",
            "stall_bytes",
            "parallel_from_seconds",
            "room_seconds",
        ):
            if getattr(self, name) < 0:
                raise ValueError(f"`{name}` is {getattr(self, name)}: it must be 0 or more")
        slowest = self.stall_bytes / self.stall_seconds * self.connections
        if self.bytes_per_second is not None and self.bytes_per_second <= 2 * slowest:
            raise ValueError(
                f"`bytes_per_second` is {self.bytes_per_second}:"
                f" it must be above {2 * slowest:.0f}, or every connection would count as stalled"
                " (`stall_bytes` in `stall_seconds`)"
            )


@dataclass(frozen=True, kw_only=True)
class ProvisioningConfig:
    """How a device of 0.1.0 got its certificate: taken, so that its file stays good, and not used.

    Attributes:
        template: a provisioning template.
        device: id of this device in its tenant.
        parameters: further parameters of the template.
        accept_cloud_made_key: whether a key made by the cloud would do.
    """

    template: str = ""
    device: str = ""
    parameters: dict[str, str] = field(default_factory=dict[str, str])
    accept_cloud_made_key: bool = False


@dataclass(frozen=True, kw_only=True)
class DeviceConfig:
    """One device. Relative paths are relative to the folder of the file.

    Attributes:
        thing: IoT thing name ``<tenant>--<device>``; also the MQTT client id.
        endpoint: host name of the MQTT endpoint, without scheme and port.
        port: MQTT over mutual TLS.
        ca_file: PEM of the authority that signed the endpoint's certificate; while that changes,
            of both, one behind the other.
        certificate_file: PEM of the device's certificate; written by ``cedarfleet-device enroll``.
        key_file: PEM of its private key, mode 0600; written likewise.
        state_dir: inbox, outbox and lock; one agent at a time; mode 0700; must survive a reboot.
        download_dir: where delivered files appear.
        kind: of this device; what is signed for other kinds is not installed.
        trust_file: keys that must have signed what is installed, pinned by the installer (see
            ``cedarfleet-sign``); None: nothing has to be signed.
        firmware_version: reported in the shadow.
        security_patch: date of the last security patch, ``YYYY-MM-DD``, reported in the shadow.
        report_seconds: how often health is reported to the shadow while nothing changes; 0: never.
            The platform reads no shadow, and AWS charges each report.
        jobs: whether the endpoint speaks AWS IoT Jobs, which bring downloads and the cloud's time;
            a plain MQTT broker does not.
        log_level: ``DEBUG``, ``INFO``, ``WARNING`` or ``ERROR``.
        connection: table ``[connection]``.
        commands: table ``[commands]``.
        downloads: table ``[downloads]``.
        installs: table ``[installs]``.
        hardware_key: table ``[hardware_key]``; with its ``library``, nothing reads ``key_file``.
        telemetry: table ``[telemetry]``.
        logs: table ``[logs]``.
        provisioning: table ``[provisioning]`` of 0.1.0; nothing reads it.
    """

    thing: str
    endpoint: str
    port: int = between(1, 65_535, 8883)
    ca_file: Path
    certificate_file: Path
    key_file: Path
    state_dir: Path
    download_dir: Path
    kind: str = ""
    trust_file: Path | None = None
    firmware_version: str = ""
    security_patch: str = ""
    report_seconds: float = between(0, 86_400, 0.0)
    jobs: bool = True
    log_level: str = "INFO"
    connection: ConnectionConfig = field(default_factory=ConnectionConfig)
    commands: CommandConfig = field(default_factory=CommandConfig)
    downloads: DownloadLimits = field(default_factory=DownloadLimits)
    installs: InstallConfig = field(default_factory=InstallConfig)
    hardware_key: HardwareKey = field(default_factory=HardwareKey)
    telemetry: TelemetryConfig = field(default_factory=TelemetryConfig)
    logs: LogConfig = field(default_factory=LogConfig)
    provisioning: ProvisioningConfig = field(default_factory=ProvisioningConfig)

    def __post_init__(self) -> None:
        """Check what a type cannot say.

        Raises:
            ConfigError: a value that is not of its form.
        """
        try:
            wire.split_thing_name(self.thing)
        except wire.WireError as error:
            raise ConfigError(f"`thing`: {error}") from error
        if not self.endpoint or any(character in self.endpoint for character in "/: \t\n"):
            raise ConfigError(
                f"`endpoint` is `{self.endpoint}`, it must be a host name without scheme and port"
            )
        if self.log_level not in ("DEBUG", "INFO", "WARNING", "ERROR"):
            raise ConfigError(
                f"`log_level` is `{self.log_level}`, it must be DEBUG, INFO, WARNING or ERROR"
            )
        if self.connection.reconnect_max_seconds < self.connection.reconnect_min_seconds:
            raise ConfigError(
                "`connection.reconnect_max_seconds` must not be below `reconnect_min_seconds`"
            )

    @property
    def first_pause_seconds(self) -> float:
        """Before connecting again: AWS IoT Core takes one CONNECT a second (source: its quotas).

        A file with less is not refused, since the device must come back with it all the same.
        """
        wanted = self.connection.reconnect_min_seconds
        return wanted if is_this_machine(self.endpoint) else max(1.0, wanted)

    @property
    def last_pause_seconds(self) -> float:
        """The longest pause before connecting again, never below the first."""
        return max(self.first_pause_seconds, self.connection.reconnect_max_seconds)

    @property
    def proxy(self) -> Proxy | None:
        """The proxy by way of which the endpoint is reached; None: directly.

        Raises:
            ConfigError: that of the environment is not of its form.
        """
        return proxy_for(self.endpoint, key="connection.proxy", text=self.connection.proxy)

    @property
    def tenant(self) -> str:
        """The tenant that the thing name carries."""
        return wire.split_thing_name(self.thing)[0]

    @classmethod
    def load(cls, file: str | Path) -> Self:
        """Read ``file``.

        Raises:
            ConfigError: no file, no TOML, an unknown or missing key, a value of the wrong type or
                out of range; the message names the file and the key.
        """
        path = Path(file)
        try:
            table = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigError(f"`{path}` cannot be read: {error.strerror}") from error
        except ValueError as error:  # also TOMLDecodeError and UnicodeDecodeError
            raise ConfigError(f"`{path}` is not TOML: {error}") from error
        try:
            return _read(cls, table, "", path.absolute().parent)
        except ConfigError as error:
            raise ConfigError(f"`{path}`: {error}") from error


def _read(cls: type[_T], table: Mapping[str, Any], prefix: str, folder: Path) -> _T:
    known = {each.name: each for each in fields(cls)}  # pyright: ignore[reportArgumentType]
    if unknown := sorted(set(table) - set(known)):
        raise ConfigError(f"unknown key `{prefix}{unknown[0]}`; known are {', '.join(known)}")
    hints = get_type_hints(cls)
    values: dict[str, Any] = {}
    for name, each in known.items():
        if name in table:
            values[name] = _value(table[name], hints[name], prefix + name, folder)
            check_bounds(values[name], prefix + name, each.metadata)
        elif each.default is MISSING and each.default_factory is MISSING:
            raise ConfigError(f"key `{prefix}{name}` is missing")
    try:
        return cls(**values)
    except ValueError as error:
        raise ConfigError(f"`{prefix.rstrip('.')}`: {error}") from error


def _value(value: Any, hint: Any, key: str, folder: Path) -> Any:
    if hasattr(hint, "__dataclass_fields__"):
        if not isinstance(value, dict):
            raise ConfigError(f"`{key}` must be a table, `[{key}]`")
        return _read(hint, value, f"{key}.", folder)
    if hint == dict[str, str]:
        if not isinstance(value, dict) or not all(isinstance(each, str) for each in value.values()):
            raise ConfigError(f"`{key}` must be a table of strings")
        return value
    plain = next((kind for kind in _WORDS if hint in (kind, kind | None)), str)
    expected = str if plain is Path else plain
    given: type = type(value)  # not isinstance: TOML's true is no number
    if given is not expected and not (expected is float and given is int):
        raise ConfigError(f"`{key}` is `{value}`, it must be {_WORDS[plain]}")
    if plain is Path:
        return folder / Path(value).expanduser()
    return float(value) if plain is float else value
