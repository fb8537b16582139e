"""Onboarding: a registered device proves its one-time code and its key, and gets a certificate.

The private key is made here, is on the disk before it is asked for, and never leaves. Whatever is
cut off goes on at the next call with the same key and the same code, and ends with the same
certificate. Configuration and authorities are written before the pair that needs them.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from awscrt.crypto import ECExportFormat

from cedarfleet_device import wire
from cedarfleet_device.config import DeviceConfig
from cedarfleet_device.enrollment.service import TryAgainError
from cedarfleet_device.errors import CloudError, ConfigError
from cedarfleet_device.files import DISK
from cedarfleet_device.identity.credentials import PendingPair, write_private
from cedarfleet_device.identity.x509 import (
    key_pem,
    new_key,
    public_key,
    read_key,
    request_pem,
    requested_key,
)
from cedarfleet_device.log import event
from cedarfleet_device.trust.root import Root, TrustError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from awscrt.crypto import EC

    from cedarfleet_device.enrollment.service import Answer, EnrolmentService

PAUSES: Final = (1.0, 2.0, 4.0, 8.0)
"""Seconds between the tries of one call; the next call goes on."""
_MOST_CODE: Final = 128


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Who the device is, and where its files are.

    Attributes:
        config_file: `device.toml`; made if it is not there.
    """

    tenant: str
    device: str
    config_file: Path

    @property
    def thing(self) -> str:
        """Its thing name.

        Raises:
            ConfigError: tenant or device is not of its form.
        """
        try:
            return wire.thing_name(self.tenant, self.device)
        except wire.WireError as error:
            raise ConfigError(str(error)) from error

    @property
    def has_hardware_key(self) -> bool:
        """Whether the configuration that is there says that the key is in a chip.

        Raises:
            ConfigError: it is not good.
        """
        if not self.config_file.exists():
            return False
        return DeviceConfig.load(self.config_file).hardware_key.library is not None

    def place(self) -> tuple[Path, Path, Path]:
        """Where certificate, key and authorities belong.

        Raises:
            ConfigError: the configuration that is there is not good, or is another device's.
        """
        folder = self.config_file.absolute().parent
        if not self.config_file.exists():
            return folder / "device.crt", folder / "device.key", folder / "ca.pem"
        config = DeviceConfig.load(self.config_file)
        if config.thing != self.thing:
            raise ConfigError(
                f"`{self.config_file}` is of `{config.thing}`, not of `{self.thing}`: give another"
                " `--config`"
            )
        return config.certificate_file, config.key_file, config.ca_file


def enroll(
    service: EnrolmentService,
    identity: Identity,
    code: str,
    *,
    request: bytes | None = None,
    trust: bytes | None = None,
    pauses: tuple[float, ...] = PAUSES,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Get a certificate, and write it, its key, the authorities and the configuration.

    Args:
        service: where to ask.
        identity: who asks.
        code: one-time; only its first line counts.
        request: PEM of the signing request that the maker's tool has made with the key in the
            chip, where the configuration names one; None: the key is made here.
        trust: a list of keys that the device is to pin: it then installs nothing else than what
            they have signed.
        pauses: between tries, in seconds.
        sleep: waits so many seconds.

    Raises:
        ConfigError: a file cannot be written or is another device's, or the device has a
            certificate already: then nobody was asked.
        CloudError: not reached or refused.
    """
    thing, (certificate_file, key_file, ca_file) = identity.thing, identity.place()
    code = (code.strip().splitlines() or [""])[0].strip()
    if not 1 <= len(code) <= _MOST_CODE:
        raise ConfigError("the code file has no code in its first line")
    if trust is not None:
        _check_trust(identity, trust)
    pending = PendingPair(certificate_file, key_file)
    # Fail closed: what works is not replaced by what may not.
    if certificate_file.exists():
        raise ConfigError(
            f"`{certificate_file}` is there already: a certificate is renewed over its own"
            " connection; to set the device up anew, take certificate and key away"
        )
    key, request, wanted = _own(identity, pending, request)
    answer = _asked(service, identity, code, request.decode("ascii"), (pauses, sleep))
    # Fail closed: this identity is not the one that was asked for.
    if answer.thing != thing:
        raise CloudError(f"`{service.url}` let in `{answer.thing}`, asked for was `{thing}`")
    try:
        proves = public_key(answer.certificate) == wanted
    except ValueError as error:
        raise CloudError(f"`{service.url}` answered no certificate") from error
    if not proves:
        raise CloudError(f"`{service.url}` answered a certificate of another key")
    _write(identity, answer, ca_file, trust)
    if key is None:
        _write_certificate(certificate_file, answer.certificate)
    else:
        pending.keep(answer.certificate, key_pem(key))
        pending.take()
    event("enrollment.done", thing=thing, certificate_file=str(certificate_file))


def _own(
    identity: Identity, pending: PendingPair, request: bytes | None
) -> tuple[EC | None, bytes, bytes]:
    """The key, unless it is in a chip; the request that it has signed, and its public half."""
    in_hardware = identity.has_hardware_key
    if request is None and not in_hardware:
        # On the disk before it is sent: the code stands for this key from then on.
        key = _kept(pending)
        made = request_pem(key, identity.device).encode()
        return key, made, key.export_key(ECExportFormat.SPKI)
    if request is None or not in_hardware:
        raise ConfigError(
            "`--request` goes with `[hardware_key]` of the configuration, each needs the other: the"
            " key in the chip signs the request, by its maker's tool"
        )
    try:
        return None, request, requested_key(request)
    except ValueError as error:
        raise ConfigError(f"`--request`: {error}") from error


def _write_certificate(file: Path, certificate: bytes) -> None:
    try:
        write_private(file, certificate)
    except OSError as error:
        raise ConfigError(f"`{file}` cannot be written: {error.strerror}") from error


def _kept(pending: PendingPair) -> EC:
    """The key that an earlier call began with, or a new one; on the disk."""
    kept = pending.read_key()
    if kept is not None:
        try:
            key = read_key(kept)
        except ValueError:  # torn, so it was never sent
            event("enrollment.key_unreadable")
        else:
            event("enrollment.resumed")
            return key
    key = new_key()
    pending.keep_key(key_pem(key))
    return key


def _asked(
    service: EnrolmentService,
    identity: Identity,
    code: str,
    request: str,
    patience: tuple[tuple[float, ...], Callable[[float], None]],
) -> Answer:
    pauses, sleep = patience
    for pause in (*pauses, None):
        try:
            return service.ask(
                tenant=identity.tenant, device=identity.device, code=code, request=request
            )
        except TryAgainError as error:
            if pause is None:
                raise CloudError(f"{error}; call it again: it goes on with the same key") from error
            event("enrollment.waiting", seconds=pause)
            sleep(pause)
    raise AssertionError("the last try returns or raises")


def _check_trust(identity: Identity, trust: bytes) -> None:
    try:
        Root.read(trust)
    except TrustError as error:
        raise ConfigError(f"`--trust`: {error}") from error
    # Fail closed: a device that was to pin keys must not come up without, nor with others.
    pinned = _pinned(identity)
    if pinned is None:
        raise ConfigError(f"`{identity.config_file}` has no `trust_file`, and `--trust` is given")
    try:
        is_other = pinned.exists() and pinned.read_bytes() != trust
    except OSError as error:
        raise ConfigError(f"`{pinned}` cannot be read: {error.strerror}") from error
    if is_other:
        raise ConfigError(f"`{pinned}` is there and pins other keys than `--trust`")


def _pinned(identity: Identity) -> Path | None:
    """Where the pinned keys of the device are, or will be; None: its file names no place."""
    if identity.config_file.exists():
        return DeviceConfig.load(identity.config_file).trust_file
    return identity.config_file.with_name("trust.json")


def _write(identity: Identity, answer: Answer, ca_file: Path, trust: bytes | None) -> None:
    """Authorities and configuration, unless they are there; what is there was somebody's will."""
    lines = {
        "thing": answer.thing,
        "endpoint": answer.host,
        "port": answer.port,
        "ca_file": ca_file.name,
        "certificate_file": "device.crt",
        "key_file": "device.key",
        "state_dir": "state",
        "download_dir": "downloads",
    }
    pinned = None if trust is None else _pinned(identity)
    if pinned is not None:
        lines["trust_file"] = pinned.name
    text = "".join(f"{name} = {json.dumps(value)}\n" for name, value in lines.items())
    files = ((ca_file, answer.authorities), (pinned, trust), (identity.config_file, text.encode()))
    try:
        for file, content in files:
            if file is not None and content is not None and not file.exists():
                DISK.make_folder(file.absolute().parent, mode=0o700)
                write_private(file.absolute(), content)
    except OSError as error:
        raise ConfigError(f"`{error.filename}` cannot be written: {error.strerror}") from error
    config = DeviceConfig.load(identity.config_file)
    if (config.endpoint, config.port) != (answer.host, answer.port):
        event(
            "enrollment.endpoint_differs",
            configured=f"{config.endpoint}:{config.port}",
            told=f"{answer.host}:{answer.port}",
        )
