"""Keys, requests and their files."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING

import pytest
from awscrt.crypto import ECExportFormat
from cedarfleet_device import DeviceConfig
from cedarfleet_device.errors import ConfigError
from cedarfleet_device.identity.credentials import (
    PendingPair,
    finish_replacing,
    load_credentials,
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
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.device_sdk.devices import write_config
from tests.device_sdk.mosquitto import Authority
from tests.device_sdk.volatile_disk import Kept, VolatileDisk

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@pytest.mark.parametrize("name", ["p", "press-07", "x" * 64])
def test_a_request_is_one_that_others_accept(name: str):
    """The ``cryptography`` package finds the request's signature valid and its key ours."""
    key = new_key()
    request = x509.load_pem_x509_csr(request_pem(key, name).encode())
    assert request.is_signature_valid
    assert request.subject.rfc4514_string() == f"CN={name}"
    private = serialization.load_pem_private_key(key_pem(key), None)
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    assert private.public_key() == request.public_key()


def test_every_key_is_read_again():
    """Also the one in 256 whose number begins with a zero octet, which the runtime cuts off."""
    for _ in range(2000):
        key = new_key()
        assert read_key(key_pem(key)).export_key(ECExportFormat.SPKI) == key.export_key(
            ECExportFormat.SPKI
        )
    for text in (b"", b"-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n"):
        with pytest.raises(ValueError, match="no private key in PEM"):
            read_key(text)


@pytest.mark.parametrize("days", [-1, 1, 365 * 40])
def test_a_certificate_says_when_it_ends_and_whose_key_it_holds(days: int):
    """Both forms of time in a certificate, before and after 2050, are read."""
    certificate, _ = Authority().issue("press-07", days=days)
    parsed = x509.load_pem_x509_certificate(certificate)
    assert valid_until(certificate) == parsed.not_valid_after_utc
    assert abs(valid_until(certificate) - datetime.now(UTC) - timedelta(days=days)) < timedelta(
        minutes=5
    )
    spki = serialization.PublicFormat.SubjectPublicKeyInfo
    assert public_key(certificate) == parsed.public_key().public_bytes(
        serialization.Encoding.DER, spki
    )
    assert public_key(certificate) != new_key().export_key(ECExportFormat.SPKI)


@pytest.mark.parametrize(
    "text", [b"", b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", b"\xff"]
)
def test_what_is_no_certificate_is_refused(text: bytes):
    """Garbage is a ``ValueError``, no matter how it is broken."""
    with pytest.raises(ValueError, match=r"no X\.509 certificate"):
        valid_until(text)
    with pytest.raises(ValueError, match=r"no X\.509 certificate"):
        public_key(text)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root writes files for another user")
def test_what_root_writes_belongs_to_the_owner_of_the_folder(tmp_path: Path):
    """A device provisioned by root can be run by the user whose folder it is.

    A stranger is told what to do.
    """
    nobody = 65534
    tmp_path.chmod(0o755)
    folder = tmp_path / "device"
    folder.mkdir(mode=0o700)
    os.chown(folder, nobody, nobody)
    certificate, key = folder / "device.crt", folder / "device.key"
    for content in (b"one", b"two"):
        replace_credentials(certificate, key, certificate=content, key=content)
    assert {(each.stat().st_uid, each.stat().st_mode & 0o777) for each in folder.iterdir()} == {
        (nobody, 0o600)
    }
    os.chown(key, 0, 0)
    read = (
        "import sys, os; from pathlib import Path;"
        " from cedarfleet_device.identity import credentials; os.setuid(65534);"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"{read} credentials.read_pem(Path(sys.argv[1]), 'key_file')", key],
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
    )
    assert (
        "cannot be read by this process's user, uid 65534: give it to that user (chown)"
        in done.stderr
    )


def test_a_pair_is_replaced_together_whenever_the_power_goes(tmp_path: Path):
    """A process that dies before any file operation leaves a pair that matches: old or new."""
    program = """
import os, sys
from pathlib import Path
from cedarfleet_device.identity import credentials
folder, survive = Path(sys.argv[1]), int(sys.argv[2])
def counted(original):
    def call(*arguments, **options):
        global survive
        if survive == 0:
            os._exit(9)
        survive -= 1
        return original(*arguments, **options)
    return call
for name in ("replace", "fsync", "open", "unlink"):
    setattr(os, name, counted(getattr(os, name)))
credentials.replace_credentials(
    folder / "d.crt", folder / "d.key", certificate=b"new crt", key=b"new key"
)
"""
    outcomes: set[tuple[bytes, bytes]] = set()
    survive = 0
    for survive in count():
        folder = tmp_path / str(survive)
        folder.mkdir()
        (folder / "d.crt").write_bytes(b"old crt")
        (folder / "d.key").write_bytes(b"old key")
        done = subprocess.run(
            [sys.executable, "-c", program, str(folder), str(survive)], check=False, timeout=60
        )
        finish_replacing(folder / "d.crt", folder / "d.key")
        outcomes.add(((folder / "d.crt").read_bytes(), (folder / "d.key").read_bytes()))
        if done.returncode == 0:
            break
        assert done.returncode == 9
    assert outcomes == {(b"old crt", b"old key"), (b"new crt", b"new key")}
    assert survive > 10


@pytest.mark.parametrize("had", [True, False], ids=["replaced", "first"])
def test_a_pair_outlives_the_loss_of_power_as_a_pair(tmp_path: Path, *, had: bool):
    """Whatever of the names a power cut leaves, the next start has a pair that matches.

    Once replaced, it is the new one.
    """
    folder, left = tmp_path / "device", tmp_path / "left"
    folder.mkdir()
    old = (b"old crt", b"old key") if had else (None, None)
    for name, content in zip(("d.crt", "d.key"), old, strict=True):
        if content is not None:
            (folder / name).write_bytes(content)
    found: set[tuple[bytes | None, ...]] = set()

    def holds(state: Mapping[str, Kept]) -> None:
        shutil.rmtree(left, ignore_errors=True)
        left.mkdir()
        for name, kept in state.items():
            (left / name).write_bytes(kept.content)
        finish_replacing(left / "d.crt", left / "d.key")
        pair = tuple(
            (left / name).read_bytes() if (left / name).exists() else None
            for name in ("d.crt", "d.key")
        )
        assert pair in (old, (b"new crt", b"new key"))
        found.add(pair)

    with VolatileDisk(folder, holds) as disk:
        replace_credentials(
            folder / "d.crt", folder / "d.key", certificate=b"new crt", key=b"new key", disk=disk
        )
        assert found == {old, (b"new crt", b"new key")}
        found.clear()
        disk.lose_power()
        assert found == {(b"new crt", b"new key")}
        assert disk.syncs > 6


def test_files_are_private_and_the_former_pair_is_kept(tmp_path: Path):
    """Mode 0600 whatever the umask, and a way back."""
    previous = os.umask(0)
    try:
        for word in (b"one", b"two"):
            replace_credentials(tmp_path / "d.crt", tmp_path / "d.key", certificate=word, key=word)
    finally:
        os.umask(previous)
    assert (tmp_path / "d.key").read_bytes() == b"two"
    assert (tmp_path / "d.key.previous").read_bytes() == b"one"
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path):
    """Where the pair cannot be written, the error says which file."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="file"):
        replace_credentials(
            tmp_path / "file" / "d.crt", tmp_path / "file" / "d.key", certificate=b"", key=b""
        )


def _device(folder: Path) -> DeviceConfig:
    """The configuration of a device that has its files in ``folder``."""
    authority = Authority()
    certificate, key = authority.issue("press-07")
    (folder / "device.crt").write_bytes(certificate)
    (folder / "device.key").write_bytes(key)
    (folder / "device.key").chmod(0o600)
    (folder / "ca.pem").write_bytes(authority.pem)
    fields = {"thing": "acme--press-07", "endpoint": "localhost", "ca_file": "ca.pem"}
    return DeviceConfig.load(write_config(folder, fields))


def test_certificate_key_and_authority_are_loaded(tmp_path: Path):
    """As they stand in their files, and a replacement that was broken off is finished first."""
    config = _device(tmp_path)
    names = ("device.crt", "device.key", "ca.pem")
    assert load_credentials(config) == tuple((tmp_path / each).read_bytes() for each in names)
    certificate, key = Authority().issue("press-07")
    write_private(tmp_path / "device.key.next", key)
    write_private(tmp_path / "device.crt.next", certificate)
    assert load_credentials(config)[:2] == (certificate, key)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o644])
def test_a_key_that_others_may_use_is_refused(tmp_path: Path, mode: int):
    """Whatever others or the group may do with it, it is no key of this device alone."""
    config = _device(tmp_path)
    config.key_file.chmod(mode)
    with pytest.raises(ConfigError, match=f"has mode {mode:04o}, it must be 0600"):
        load_credentials(config)
    for private in (0o600, 0o400, 0o700):
        config.key_file.chmod(private)
        load_credentials(config)


@pytest.mark.parametrize(
    ("name", "hint"), [("device.crt", True), ("device.key", True), ("ca.pem", False)]
)
def test_a_file_that_is_missing_or_no_pem_is_named(tmp_path: Path, name: str, *, hint: bool):
    """The error names file and setting; of what provisioning makes it says so."""
    config = _device(tmp_path)
    (tmp_path / name).write_text("no PEM")
    with pytest.raises(ConfigError, match=rf"_file` `.*{name}` is not PEM: no line"):
        load_credentials(config)
    (tmp_path / name).unlink()
    with pytest.raises(ConfigError, match=f"{name}` cannot be read: No such file") as caught:
        load_credentials(config)
    assert str(caught.value).endswith("run `cedarfleet-device enroll` first") == hint


def test_the_former_pair_can_be_put_back(tmp_path: Path):
    """Both files of it; where there is none, the error names what is missing."""
    certificate, key = tmp_path / "d.crt", tmp_path / "d.key"
    with pytest.raises(ConfigError, match=r"d\.crt\.previous` cannot be read: No such file"):
        restore_credentials(certificate, key)
    for word in (b"one", b"two"):
        replace_credentials(certificate, key, certificate=b"crt " + word, key=b"key " + word)
    restore_credentials(certificate, key)
    assert (certificate.read_bytes(), key.read_bytes()) == (b"crt one", b"key one")


def test_a_key_without_its_certificate_is_dropped(tmp_path: Path):
    """A replacement that never had both leaves the former pair, and nothing beside it."""
    for name in ("d.crt", "d.key", "d.key.next"):
        (tmp_path / name).write_text(name)
    finish_replacing(tmp_path / "d.crt", tmp_path / "d.key")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["d.crt", "d.key"]
    assert (tmp_path / "d.key").read_text() == "d.key"


def test_a_pending_pair_is_kept_apart_until_it_is_taken(tmp_path: Path):
    """A key alone is no pair; a whole one becomes the device's, and leaves nothing behind."""
    files = tmp_path / "device.crt", tmp_path / "device.key"
    pending = PendingPair(*files)
    assert pending.read() is None
    with pytest.raises(ConfigError, match="is not there"):
        pending.take()
    pending.keep(b"certificate", b"key")
    assert pending.read() == (b"certificate", b"key")
    pending.keep_key(b"another key")
    assert pending.read() is None, "the certificate of a former key is gone"
    with pytest.raises(ConfigError, match="is not there"):
        pending.take()
    assert not any(file.exists() for file in files)
    pending.keep(b"certificate", b"key")
    pending.take()
    assert [file.read_bytes() for file in files] == [b"certificate", b"key"]
    assert not list(tmp_path.glob("*.pending"))
