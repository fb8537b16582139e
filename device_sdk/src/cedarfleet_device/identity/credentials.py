"""The device's certificate and key on disk: private, and replaced together or not at all.

Two files cannot be replaced in one step. So a new pair is first written beside the old one, key
first; once ``<certificate>.next`` exists the pair is complete, and whoever loads it finishes what a
power cut left half done.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from cedarfleet_device.errors import ConfigError
from cedarfleet_device.files import DISK, Disk, write_atomically

if TYPE_CHECKING:
    from pathlib import Path

    from cedarfleet_device.config import DeviceConfig
    from cedarfleet_device.hardware_key import HardwareKey


def load_credentials(config: DeviceConfig) -> tuple[bytes, bytes | HardwareKey, bytes]:
    """Certificate, key and authority as PEM; of a key in hardware, where it is.

    Raises:
        ConfigError: one cannot be read, or the key may be read by others.
    """
    try:
        finish_replacing(config.certificate_file, config.key_file)
        begun = (
            not config.certificate_file.exists() and _beside(config.key_file, ".pending").exists()
        )
    except OSError as error:
        raise ConfigError(
            f"`certificate_file` `{config.certificate_file}` cannot be looked at by this process's"
            f" user, uid {os.geteuid()}: {error.strerror}"
        ) from error
    if begun:
        raise ConfigError(
            f"`certificate_file` `{config.certificate_file}` is not there yet: an enrolment was"
            " begun and not finished; run `cedarfleet-device enroll` again, with the same code"
        )
    certificate = read_pem(config.certificate_file, "certificate_file")
    if config.hardware_key.library is not None:
        return certificate, config.hardware_key, read_pem(config.ca_file, "ca_file")
    key = read_pem(config.key_file, "key_file")
    mode = config.key_file.stat().st_mode & 0o777
    if mode & 0o077:  # fail closed: a key that others can read is no key of this device
        raise ConfigError(
            f"`key_file` `{config.key_file}` has mode {mode:04o}, it must be 0600: chmod 600 it"
        )
    return certificate, key, read_pem(config.ca_file, "ca_file")


def read_pem(file: Path, name: str) -> bytes:
    """The content of a PEM file.

    Raises:
        ConfigError: it cannot be read or is not PEM; ``name`` says which key of the configuration.
    """
    try:
        content = file.read_bytes()
    except PermissionError as error:
        raise ConfigError(
            f"`{name}` `{file}` cannot be read by this process's user, uid {os.geteuid()}:"
            " give it to that user (chown)"
        ) from error
    except OSError as error:
        hint = (
            "; run `cedarfleet-device enroll` first"
            if name.endswith(("certificate_file", "key_file"))
            else ""
        )
        raise ConfigError(f"`{name}` `{file}` cannot be read: {error.strerror}{hint}") from error
    if b"-----BEGIN " not in content:
        raise ConfigError(f"`{name}` `{file}` is not PEM: no line `-----BEGIN ...`")
    return content


def replace_credentials(
    certificate_file: Path,
    key_file: Path,
    *,
    certificate: bytes,
    key: bytes,
    disk: Disk = DISK,
) -> None:
    """Make ``certificate`` and ``key`` the device's pair.

    The former pair is kept as ``<file>.previous``.

    Raises:
        ConfigError: a file cannot be written; then the former pair is still in place.
    """
    try:
        # The key first: the next certificate stands for a pair that is complete.
        for file, content in ((key_file, key), (certificate_file, certificate)):
            disk.make_folder(file.parent, mode=0o700)
            write_private(_beside(file, ".next"), content, disk=disk)
            if file.exists():
                write_private(_beside(file, ".previous"), file.read_bytes(), disk=disk)
        finish_replacing(certificate_file, key_file, disk=disk)
    except OSError as error:
        raise ConfigError(f"`{error.filename}` cannot be written: {error.strerror}") from error


def finish_replacing(certificate_file: Path, key_file: Path, *, disk: Disk = DISK) -> None:
    """Complete or drop what an earlier replacement left behind."""
    next_certificate, next_key = _beside(certificate_file, ".next"), _beside(key_file, ".next")
    if not next_certificate.exists():
        next_key.unlink(missing_ok=True)  # the pair was never complete
        return
    with suppress(FileNotFoundError):  # it was moved before the power went
        next_key.replace(key_file)
        disk.sync_folder(key_file.parent)
    next_certificate.replace(certificate_file)
    disk.sync_folder(certificate_file.parent)


def restore_credentials(certificate_file: Path, key_file: Path) -> None:
    """Put the former pair back, in the same safe steps.

    Raises:
        ConfigError: there is none, or a file cannot be written.
    """
    try:
        certificate, key = (
            _beside(certificate_file, ".previous").read_bytes(),
            _beside(key_file, ".previous").read_bytes(),
        )
    except OSError as error:
        raise ConfigError(f"`{error.filename}` cannot be read: {error.strerror}") from error
    replace_credentials(certificate_file, key_file, certificate=certificate, key=key)


class PendingPair:
    """A pair that the cloud may know already and the device does not use yet, beside its place.

    It is on the disk before the cloud is told to let it in: were it lost then, the device's name
    would be taken by a key that nobody has.

    Args:
        certificate_file: where the certificate is to stand.
        key_file: where its key is.
    """

    def __init__(self, certificate_file: Path, key_file: Path) -> None:
        self._place = certificate_file, key_file
        self._certificate = _beside(certificate_file, ".pending")
        self._key = _beside(key_file, ".pending")

    def read(self) -> tuple[bytes, bytes] | None:
        """Certificate and key, if a whole pair is kept."""
        try:
            return self._certificate.read_bytes(), self._key.read_bytes()
        except OSError:
            return None

    def read_key(self) -> bytes | None:
        """The key of a pair to come, if one is kept."""
        try:
            return self._key.read_bytes()
        except OSError:
            return None

    def keep_key(self, key: bytes, *, disk: Disk = DISK) -> None:
        """Keep the key of a pair to come; a pair kept before is gone.

        Raises:
            ConfigError: it cannot be written.
        """
        try:
            self._certificate.unlink(missing_ok=True)
            for file in self._place:
                disk.make_folder(file.parent, mode=0o700)
            write_private(self._key, key, disk=disk)
        except OSError as error:
            raise ConfigError(f"`{error.filename}` cannot be written: {error.strerror}") from error

    def keep(self, certificate: bytes, key: bytes, *, disk: Disk = DISK) -> None:
        """Keep the whole pair.

        Raises:
            ConfigError: it cannot be written.
        """
        self.keep_key(key, disk=disk)
        try:
            write_private(self._certificate, certificate, disk=disk)
        except OSError as error:
            raise ConfigError(f"`{error.filename}` cannot be written: {error.strerror}") from error

    def take(self) -> None:
        """Make it the device's pair.

        Raises:
            ConfigError: there is none, or a file cannot be written.
        """
        pair = self.read()
        if pair is None:
            raise ConfigError(f"`{self._certificate}` or its key is not there")
        replace_credentials(*self._place, certificate=pair[0], key=pair[1])
        self._certificate.unlink(missing_ok=True)
        self._key.unlink(missing_ok=True)


def write_private(file: Path, content: bytes, *, disk: Disk = DISK) -> None:
    """Write a file of mode 0600 whole or not at all, and durably.

    Root writes it for the owner of the folder: a device is enrolled by root, and its agent runs
    as another user.

    Raises:
        OSError: it cannot be written.
    """
    write_atomically(file, content, for_folder_owner=True, disk=disk)


def _beside(file: Path, ending: str) -> Path:
    return file.with_name(file.name + ending)
