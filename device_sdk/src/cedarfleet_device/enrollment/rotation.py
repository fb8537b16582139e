"""Renews the device's certificate by two commands, over its own connection and without a claim.

``renew-key`` makes a new key here and answers with a signing request; whoever may send it has the
request signed, attaches the certificate to the thing and sends it with ``install-certificate``. The
new pair counts only once the broker has accepted it; until then the former pair is kept, also over
power loss.
"""

from __future__ import annotations

import hashlib
import logging
from typing import TYPE_CHECKING, Any, Final

from awscrt.crypto import ECExportFormat

from cedarfleet_device.commands.handlers import Command, Handler, Handlers, Result
from cedarfleet_device.connection.client import tls_context
from cedarfleet_device.errors import CommandFailedError, ConfigError
from cedarfleet_device.guard import GuardedThread
from cedarfleet_device.identity.credentials import (
    finish_replacing,
    load_credentials,
    read_pem,
    replace_credentials,
    restore_credentials,
    write_private,
)
from cedarfleet_device.identity.x509 import (
    key_pem,
    new_key,
    public_key,
    read_key,
    request_pem,
    valid_until,
)
from cedarfleet_device.log import event
from cedarfleet_device.wire import split_thing_name

if TYPE_CHECKING:
    from pathlib import Path

    from awscrt import io

    from cedarfleet_device.config import DeviceConfig
    from cedarfleet_device.session import Session

RENEW_KEY: Final = "renew-key"
INSTALL_CERTIFICATE: Final = "install-certificate"
_LIMIT_SECONDS: Final = 300.0


class Rotation:
    """The two commands of one agent.

    Args:
        config: where certificate and key are.
        session: opened anew with each pair.
        proof_seconds: how long the broker has to accept a new pair.
    """

    def __init__(self, config: DeviceConfig, session: Session, *, proof_seconds: float) -> None:
        self._config = config
        self._session = session
        self._proof_seconds = proof_seconds
        self._renewed = config.key_file.with_name(config.key_file.name + ".renewed")
        self._unproven = _unproven_mark(config)

    def register(self, handlers: Handlers) -> None:
        """Add the two handlers."""
        for name, function, again in (
            (RENEW_KEY, self._renew_key, True),
            (INSTALL_CERTIFICATE, self._install, False),
        ):
            handlers.add(
                name,
                Handler(function=function, idempotent=again, time_limit_seconds=_LIMIT_SECONDS),
            )

    def settle(self) -> None:
        """At the start: a pair that the power cut left unproven is proven now, or put back.

        Returns at once.
        """
        if self._unproven.exists():
            GuardedThread(self._prove, name="cedarfleet-rotation").start()

    def _renew_key(self, _command: Command) -> Result:
        self._refuse_hardware()
        key = new_key()
        write_private(self._renewed, key_pem(key))
        return Result(detail={"request": request_pem(key, split_thing_name(self._config.thing)[1])})

    def _refuse_hardware(self) -> None:
        if self._config.hardware_key.library is not None:
            raise CommandFailedError(
                "this device's key is in a chip: its certificate is renewed by the maker's own tool"
            )

    def _install(self, command: Command) -> Result:
        self._refuse_hardware()
        certificate = _certificate(command.arguments)
        try:
            pem = self._renewed.read_bytes()
        except FileNotFoundError:
            raise CommandFailedError(f"there is no new key: send `{RENEW_KEY}` first") from None
        try:
            until, certified = valid_until(certificate), public_key(certificate)
        except ValueError as error:
            raise CommandFailedError(f"`certificate`: {error}") from error
        try:
            key = read_key(pem)
        except ValueError as error:  # e.g. of an earlier version of this SDK
            raise CommandFailedError(f"the new key: {error}: send `{RENEW_KEY}` again") from error
        # Fail closed: it would lock the device out.
        if key.export_key(ECExportFormat.SPKI) != certified:
            raise CommandFailedError("`certificate` is not for the key that this device made last")
        try:
            # What this parser reads and TLS does not is found before anything is replaced.
            tls_context(certificate, pem, read_pem(self._config.ca_file, "ca_file"))
        except ConfigError as error:
            raise CommandFailedError(f"`certificate`: {error}") from error
        write_private(self._unproven, _digest(certificate))
        replace_credentials(
            self._config.certificate_file, self._config.key_file, certificate=certificate, key=pem
        )
        try:
            self._session.close()
            self._session.open()
        except BaseException:
            # The old line is gone and the new one not made: the former pair is the way back.
            self._put_back()
            raise
        if not self._prove():
            raise CommandFailedError(
                "the broker did not accept the new certificate; the former one is in use again"
            )
        self._renewed.unlink(missing_ok=True)
        return Result(detail={"valid_until": until.isoformat()})

    def _prove(self) -> bool:
        accepted = self._session.wait_online(self._proof_seconds)
        if not accepted and _is_unproven(self._config):
            self._put_back()
        self._unproven.unlink(missing_ok=True)
        return accepted

    def _put_back(self) -> None:
        _bring_back(self._config)
        self._session.reopen(seconds=self._proof_seconds)


def usable_tls(config: DeviceConfig) -> io.ClientTlsContext:
    """TLS with the device's pair; an unproven one that cannot be used gives way to the former.

    Raises:
        ConfigError: there is no pair that can be used.
    """
    try:
        return tls_context(*load_credentials(config))
    except ConfigError:
        if not _is_unproven(config):
            raise
        _bring_back(config)
    context = tls_context(*load_credentials(config))
    _unproven_mark(config).unlink(missing_ok=True)
    return context


def _unproven_mark(config: DeviceConfig) -> Path:
    """The file that holds the digest of a certificate which no broker has accepted yet."""
    return config.certificate_file.with_name(config.certificate_file.name + ".unproven")


def _is_unproven(config: DeviceConfig) -> bool:
    try:
        return _unproven_mark(config).read_bytes() == _digest(config.certificate_file.read_bytes())
    except FileNotFoundError:
        return False


def _bring_back(config: DeviceConfig) -> None:
    event("rotation.put_back", level=logging.ERROR)
    restore_credentials(config.certificate_file, config.key_file)
    finish_replacing(config.certificate_file, config.key_file)


def _digest(certificate: bytes) -> bytes:
    return hashlib.sha256(certificate).hexdigest().encode()


def _certificate(arguments: dict[str, Any]) -> bytes:
    certificate = arguments.get("certificate")
    if not isinstance(certificate, str) or set(arguments) != {"certificate"}:
        raise CommandFailedError("the one argument must be `certificate`, PEM text")
    return certificate.encode()
