"""Says in words what keeps a device from working, from the nearest cause to the farthest.

Files, certificate, host and port, the server's certificate, the broker's word, the cloud's time. It
stops where going on makes no sense.
"""

from __future__ import annotations

import os
import shutil
import socket
import ssl
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from awsiot import iotjobs

from cedarfleet_device.clock import TOLERANCE_MS
from cedarfleet_device.connection.client import NotAcceptedError, device_connection, tls_context
from cedarfleet_device.connection.endpoints import dialled
from cedarfleet_device.connection.proxy import dial
from cedarfleet_device.connection.routes import application_protocols
from cedarfleet_device.connection.service_client import ServiceClient
from cedarfleet_device.diagnostics.health import read_status
from cedarfleet_device.downloads.range_client.tls import tls_context as files_tls_context
from cedarfleet_device.errors import CloudError, ConfigError
from cedarfleet_device.files import DISK
from cedarfleet_device.identity.credentials import load_credentials
from cedarfleet_device.identity.x509 import valid_until
from cedarfleet_device.proxies import is_this_machine, read_environment
from cedarfleet_device.store.database import open_database
from cedarfleet_device.store.reserve import FULL_BYTES
from cedarfleet_device.store.state_folder import in_use
from cedarfleet_device.trust.root import pinned
from cedarfleet_device.wire.pythons import UTC

if TYPE_CHECKING:
    from collections.abc import Callable

    from awscrt import io, mqtt5

    from cedarfleet_device.config import DeviceConfig

_SECONDS: Final = 10
_SOON: Final = timedelta(days=30)
_OF_THE_CLOCK: Final = (9, 10)  # not yet valid, expired (OpenSSL: X509_V_ERR_CERT_...)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        good: whether it is as it must be.
        words: what was found, and what to do where it is not good.
    """

    good: bool
    words: str

    def __str__(self) -> str:
        return f"{'ok   ' if self.good else 'WRONG'}  {self.words}"


def examine(config: DeviceConfig, *, handlers: Callable[[], object] | None = None) -> list[Finding]:
    """Look at everything; the last finding is the farthest that could be reached.

    Args:
        config: the device.
        handlers: reads the maker's file as ``run`` does; None: there is none to look at.
    """
    findings = [*_folders(config), *_memory(config), *_files_authority(config)]
    if handlers is not None:
        findings.append(_handlers(handlers))
    try:
        read_environment()
        pinned(config)
        config = dialled(config)
        credentials = load_credentials(config)
        findings.append(_good("certificate, key and authority can be read"))
        expiry = _expiry(credentials[0])
        findings.append(expiry)
        tls_context(*credentials)
        reached = reach(config)
        config, way = _way(config, reached)
        findings.extend(way)
        context = tls_context(*credentials, protocols=application_protocols(config))
    except ConfigError as error:
        return [*findings, _wrong(str(error))]
    if not all(each.good for each in (expiry, *way)):
        return findings
    try:
        running = in_use(config.state_dir)
    except ConfigError as error:  # whether an agent runs is not known: do not throw it out
        return [*findings, _wrong(str(error))]
    if running:  # connecting as well would throw the running agent out
        return [*findings, _running(config)]
    return [*findings, *_speak(config, context)]


def _way(config: DeviceConfig, reached: list[Finding]) -> tuple[DeviceConfig, list[Finding]]:
    """The port that works, as the agent would find it, and what was found of it."""
    other = config.connection.fallback_port
    if (
        all(each.good for each in reached)
        or other in (0, config.port)
        or is_this_machine(config.endpoint)
    ):
        return config, reached
    there = replace(config, port=other)
    found = reach(there)
    if not all(each.good for each in found):
        return config, reached
    words = f"port {config.port} does not let this device out; the agent goes by {other}"
    return there, [_good(words), *found]


def _running(config: DeviceConfig) -> Finding:
    """What the agent that runs here says of its own connection."""
    status = read_status(config.state_dir) or {}
    if status.get("state") != "running":  # what stands there is of the agent before
        return _good("an agent is running, and has just begun; look again in 10 s")
    if failing := status.get("failing_threads"):
        met = "; ".join(f"{name}: {words}" for name, words in dict[str, str](failing).items())
        return _wrong(f"an agent is running, and its threads fail (its log says where): {met}")
    if status.get("connected_since"):
        return _good(f"an agent is running, connected since {status['connected_since']}")
    return _wrong(f"an agent is running, but is not connected: {status.get('problem')}")


def _good(words: str) -> Finding:
    return Finding(good=True, words=words)


def _wrong(words: str) -> Finding:
    return Finding(good=False, words=words)


def _folders(config: DeviceConfig) -> list[Finding]:
    findings: list[Finding] = []
    for name, folder in (("state_dir", config.state_dir), ("download_dir", config.download_dir)):
        try:
            nearest = folder
            while not nearest.exists():
                nearest = nearest.parent
        except OSError as error:  # a folder of the service's user, private to it
            findings.append(
                _wrong(f"`{name}` `{folder}` cannot be looked at: {error.strerror}; run it as root")
            )
            continue
        if not nearest.is_dir():
            findings.append(_wrong(f"`{name}` `{folder}`: `{nearest}` is a file, not a folder"))
            continue
        if not os.access(nearest, os.W_OK):
            findings.append(_wrong(f"`{name}` `{folder}` cannot be written by this user"))
            continue
        free = shutil.disk_usage(nearest).free
        if free < FULL_BYTES:
            findings.append(_wrong(f"`{name}` `{folder}`: the disk is full ({free} bytes free)"))
            continue
        findings.append(
            _good(f"`{name}` `{folder}` can be written, {free // 1_000_000} MB are free")
        )
    return findings


def _memory(config: DeviceConfig) -> list[Finding]:
    """Whether the store opens, by the very part that ``run`` opens; not made where it is not."""
    file = config.state_dir / "agent.db"
    try:
        made = file.exists() or file.with_name(file.name + ".made").exists()
        if not made or in_use(config.state_dir):
            return []
        database, log = open_database(file, DISK)
    except (OSError, ConfigError) as error:
        return [_wrong(str(error))]
    os.close(log)
    database.close()
    return [_good("the memory of commands can be read")]


def _handlers(read: Callable[[], object]) -> Finding:
    try:
        read()
    except ConfigError as error:
        return _wrong(str(error))
    return _good("the handlers' file runs")


def _files_authority(config: DeviceConfig) -> list[Finding]:
    """Whether the authority of the file server, where one is named, can be read."""
    file = config.downloads.ca_file
    if file is None:
        return []
    try:
        files_tls_context(file)
    except OSError as error:  # also ssl.SSLError
        return [_wrong(f"`downloads.ca_file` `{file}` cannot be used: {error.strerror or error}")]
    return [_good("`downloads.ca_file` can be read")]


def _expiry(certificate: bytes) -> Finding:
    try:
        until = valid_until(certificate)
    except ValueError as error:
        return _wrong(f"`certificate_file`: {error}")
    now = datetime.now(UTC)
    if until <= now:
        return _wrong(
            f"the certificate expired on {until:%Y-%m-%d %H:%M} UTC,"
            f" by this device's clock it is {now:%Y-%m-%d %H:%M}:"
            " renew it, or set the clock"
        )
    hint = ": renew it soon" if until - now < _SOON else ""
    return _good(f"the certificate is valid until {until:%Y-%m-%d}{hint}")


def reach(config: DeviceConfig) -> list[Finding]:
    """Whether the endpoint is reached and shows the right certificate; to the first wrong."""
    try:
        context = ssl.create_default_context(cafile=str(config.ca_file))
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if config.hardware_key.library is None:
            context.load_cert_chain(config.certificate_file, config.key_file)
        if protocols := application_protocols(config):
            context.set_alpn_protocols(protocols)
    except OSError as error:  # gone since they were looked at, or no PEM
        words = error.strerror or type(error).__name__
        return [_wrong(f"authority, certificate or key cannot be read: {words}")]
    return _dialed(config, context)


def _dialed(config: DeviceConfig, context: ssl.SSLContext) -> list[Finding]:
    address = f"`{config.endpoint}` port {config.port}"
    in_hardware = config.hardware_key.library is not None
    try:
        with dial(config, seconds=_SECONDS) as plain:
            reached = _good(f"{address} is reached")
            with context.wrap_socket(plain, server_hostname=config.endpoint):
                return [
                    reached,
                    _good("the server's certificate is signed by `ca_file` and names the endpoint"),
                ]
    except ssl.SSLCertVerificationError as error:
        hint = (
            f"is this device's clock right? It is {datetime.now(UTC):%Y-%m-%d %H:%M} UTC by it"
            if error.verify_code in _OF_THE_CLOCK
            else "is `ca_file` the right authority?"
        )
        words = f"the server's certificate is refused: {error.verify_message}; {hint}"
        return [_good(f"{address} is reached"), _wrong(words)]
    except socket.gaierror as error:
        return [
            _wrong(
                f"the name `{config.endpoint}` is not resolved ({error.strerror}):"
                " check `endpoint` and DNS"
            )
        ]
    except TimeoutError:
        return [_wrong(f"{address} does not answer within {_SECONDS} s: a firewall, or no network")]
    except ssl.SSLError as error:
        refused = _wrong(f"TLS fails: {error.reason}; is it an MQTT endpoint with TLS?")
        # A key in a chip is not shown here: its server's certificate was good, and it misses ours.
        missed = in_hardware and "ALERT" in (error.reason or "")
        return [_good(f"{address} is reached"), *([] if missed else [refused])]
    except OSError as error:
        return [_wrong(f"{address} cannot be reached: {error.strerror}")]


def _speak(config: DeviceConfig, tls: io.ClientTlsContext) -> list[Finding]:
    try:
        with device_connection(config, tls=tls, seconds=_SECONDS) as client:
            accepted = _good("the broker accepts this device")
            return [accepted, *([_time(client, config.thing)] if config.jobs else [])]
    except NotAcceptedError as error:
        return [_wrong(_refusal(error))]


def _refusal(error: NotAcceptedError) -> str:
    if error.cause is not None and error.code is None:
        return (
            f"the broker closed the connection ({error.cause}): the certificate is unknown to it,"
            " revoked or not active"
        )
    return error.words


def _time(client: mqtt5.Client, thing: str) -> Finding:
    jobs = ServiceClient(iotjobs.IotJobsClientV2, client)
    request = iotjobs.GetPendingJobExecutionsRequest(thing_name=thing)
    try:
        answer = jobs.ask(
            "GetPendingJobExecutions", lambda each: each.get_pending_job_executions(request)
        )
    except CloudError as error:
        return _wrong(
            f"IoT Jobs does not answer ({error}):"
            f" does the IoT policy allow the topics of `{thing}`?"
        )
    if answer.timestamp is None:
        return _good("IoT Jobs answers")
    now = datetime.now()  # noqa: DTZ005 - awsiot gives local times
    skew = now.timestamp() - answer.timestamp.timestamp()
    if abs(skew) * 1000 > TOLERANCE_MS:
        return _wrong(
            f"this device's clock is {skew:+.0f} s off the cloud's: set it (NTP);"
            " commands use the cloud's"
        )
    return _good("IoT Jobs answers and the clock is right")
