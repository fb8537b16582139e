"""The two commands that renew a certificate, on a line that does as the test says."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from typing import TYPE_CHECKING, Any, cast

import pytest
from cedarfleet_device import DeviceConfig
from cedarfleet_device.commands.handlers import Command, Handlers, Result
from cedarfleet_device.commands.invocation import call_handler
from cedarfleet_device.enrollment.rotation import (
    INSTALL_CERTIFICATE,
    RENEW_KEY,
    Rotation,
    usable_tls,
)
from cedarfleet_device.errors import ConfigError
from cedarfleet_device.identity.x509 import public_key
from cedarfleet_device.wire import CommandState

from tests.device_sdk.devices import write_config
from tests.device_sdk.mosquitto import Authority

if TYPE_CHECKING:
    from pathlib import Path

    from cedarfleet_device.session import Session

_AUTHORITY = Authority()
_PROOF_SECONDS = 7.0


class Line:
    """What rotation needs of a session; keeps which certificate stood there at each opening."""

    def __init__(self, folder: Path, *, accepts: bool) -> None:
        self.calls: list[str] = []
        self.opened_with: list[bytes] = []
        self.settled = threading.Event()
        self.raises: type[BaseException] | None = None  # at the next opening
        self._folder = folder
        self._accepts = accepts

    def open(self) -> None:
        """Begin with what the files hold."""
        self.calls.append("open")
        self.opened_with.append((self._folder / "device.crt").read_bytes())
        raises, self.raises = self.raises, None
        if raises is not None:
            raise raises

    def close(self) -> None:
        """End."""
        self.calls.append("close")

    def reopen(self, *, seconds: float) -> bool:
        """Both."""
        assert seconds == _PROOF_SECONDS
        self.close()
        self.open()
        self.settled.set()
        return True

    def wait_online(self, seconds: float) -> bool:
        """As the test says, in no time."""
        assert seconds == _PROOF_SECONDS
        self.settled.set()
        return self._accepts


class RotatedDevice:
    """A device with a certificate, and the two commands."""

    def __init__(self, folder: Path, *, accepts: bool = True) -> None:
        self.folder = folder
        certificate, key = _AUTHORITY.issue("press-07")
        (folder / "device.crt").write_bytes(certificate)
        (folder / "device.key").write_bytes(key)
        (folder / "ca.pem").write_bytes(_AUTHORITY.pem)
        self.former = self.pair()
        config = DeviceConfig.load(
            write_config(
                folder, {"thing": "acme--press-07", "endpoint": "localhost", "ca_file": "ca.pem"}
            )
        )
        self.line = Line(folder, accepts=accepts)
        self.rotation = Rotation(config, cast("Session", self.line), proof_seconds=_PROOF_SECONDS)
        self.handlers = Handlers()
        self.rotation.register(self.handlers)

    def pair(self) -> tuple[bytes, bytes]:
        """Certificate and key as they stand there."""
        return (self.folder / "device.crt").read_bytes(), (self.folder / "device.key").read_bytes()

    def run(self, name: str, arguments: dict[str, Any]) -> tuple[CommandState, dict[str, Any]]:
        """Call the handler as an executor does."""
        handler = self.handlers.get(name)
        assert handler is not None
        command = Command(
            command_id="0" * 26,
            name=name,
            arguments=arguments,
            issued_at=1,
            expires_at=2,
            report=lambda _: None,
        )
        state, detail, result = call_handler(handler, command)
        assert (result is None) == (state is CommandState.FAILED)
        assert result is None or isinstance(result, Result)
        return state, detail

    def renewed(self) -> bytes:
        """A certificate for a key that the device has just made."""
        state, detail = self.run(RENEW_KEY, {})
        assert state is CommandState.SUCCEEDED
        assert self.pair() == self.former
        return _AUTHORITY.sign(detail["request"])


def test_an_accepted_certificate_becomes_the_device_s(tmp_path: Path):
    """The line is opened with the new pair, which stays; the new key is used up by that."""
    device = RotatedDevice(tmp_path)
    certificate = device.renewed()
    state, detail = device.run(INSTALL_CERTIFICATE, {"certificate": certificate.decode()})
    assert state is CommandState.SUCCEEDED
    assert list(detail) == ["valid_until"]
    assert device.pair()[0] == certificate
    assert device.pair()[1] != device.former[1]
    assert device.line.calls == ["close", "open"]
    assert device.line.opened_with == [certificate]
    assert not list(tmp_path.glob("*.unproven"))
    assert not list(tmp_path.glob("*.renewed"))
    assert (tmp_path / "device.key").stat().st_mode & 0o777 == 0o600


def test_a_certificate_that_is_not_accepted_gives_way(tmp_path: Path):
    """The former pair is back and in use, and the new key can still be certified rightly."""
    device = RotatedDevice(tmp_path, accepts=False)
    certificate = device.renewed()
    state, detail = device.run(INSTALL_CERTIFICATE, {"certificate": certificate.decode()})
    assert state is CommandState.FAILED
    assert detail["reason"].startswith("the broker did not accept the new certificate")
    assert device.pair() == device.former
    assert device.line.opened_with == [certificate, device.former[0]]
    assert not list(tmp_path.glob("*.unproven"))
    assert list(tmp_path.glob("*.renewed"))


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"certificate": 5},
        {"certificate": None},
        {"certificate": ["x"]},
        {"certificate": "x", "more": 1},
        {"other": "x"},
    ],
    ids=str,
)
def test_odd_arguments_are_refused_and_change_nothing(tmp_path: Path, arguments: dict[str, Any]):
    """Anything but one text is refused before a file or the line is touched."""
    device = RotatedDevice(tmp_path)
    certificate = device.renewed().decode()
    before = sorted(tmp_path.iterdir())
    odd = {key: certificate if value == "x" else value for key, value in arguments.items()}
    state, detail = device.run(INSTALL_CERTIFICATE, odd)
    assert state is CommandState.FAILED
    assert detail == {"reason": "the one argument must be `certificate`, PEM text"}
    _assert_untouched(device, before)


def test_what_is_no_certificate_for_the_new_key_is_refused(tmp_path: Path):
    """Garbage, a certificate before any key was made, and one for another key change nothing."""
    device = RotatedDevice(tmp_path)
    ours = {"certificate": device.former[0].decode()}
    assert device.run(INSTALL_CERTIFICATE, ours)[1] == {
        "reason": f"there is no new key: send `{RENEW_KEY}` first"
    }
    device.renewed()
    before = sorted(tmp_path.iterdir())
    state, detail = device.run(INSTALL_CERTIFICATE, {"certificate": "garbage"})
    assert state is CommandState.FAILED
    assert detail["reason"].startswith("`certificate`: no X.509 certificate")
    state, detail = device.run(INSTALL_CERTIFICATE, ours)
    assert state is CommandState.FAILED
    assert detail["reason"] == "`certificate` is not for the key that this device made last"
    _assert_untouched(device, before)


@pytest.mark.parametrize("flaw", ["a cut second block", "a second block of garbage"])
def test_what_tls_cannot_read_is_refused_beforehand(tmp_path: Path, flaw: str):
    """Our own reader takes what TLS refuses: nothing is replaced, and the line stays."""
    device = RotatedDevice(tmp_path)
    good = device.renewed().decode().rstrip()
    before = sorted(tmp_path.iterdir())
    garbage = "-----BEGIN CERTIFICATE-----\n*\n-----END CERTIFICATE-----"
    bad = f"{good}\n{good[: len(good) // 2] if flaw == 'a cut second block' else garbage}"
    state, detail = device.run(INSTALL_CERTIFICATE, {"certificate": bad})
    assert state is CommandState.FAILED
    assert "cannot be used for TLS" in detail["reason"]
    _assert_untouched(device, before)
    assert device.run(INSTALL_CERTIFICATE, {"certificate": good})[0] is CommandState.SUCCEEDED


@pytest.mark.parametrize("raised", [RuntimeError, OSError, asyncio.CancelledError, MemoryError])
def test_a_line_that_cannot_be_made_gives_way(tmp_path: Path, raised: type[BaseException]):
    """Between the old line and the new one nothing that is raised leaves the device deaf."""
    device = RotatedDevice(tmp_path)
    certificate = device.renewed().decode()
    device.line.raises = raised
    state, detail = device.run(INSTALL_CERTIFICATE, {"certificate": certificate})
    assert state is CommandState.FAILED
    assert detail["reason"].startswith(raised.__name__)
    assert device.pair() == device.former
    assert device.line.opened_with == [certificate.encode(), device.former[0]]


def test_an_unproven_pair_that_cannot_be_used_gives_way(tmp_path: Path):
    """An agent that starts with it takes the former pair; without a former one it says why."""
    device = RotatedDevice(tmp_path)
    garbage = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    (tmp_path / "device.crt").rename(tmp_path / "device.crt.previous")
    (tmp_path / "device.key").rename(tmp_path / "device.key.previous")
    (tmp_path / "device.crt").write_bytes(garbage)
    (tmp_path / "device.key").write_bytes(_AUTHORITY.issue("press-07")[1])
    (tmp_path / "device.key").chmod(0o600)
    config = DeviceConfig.load(tmp_path / "device.toml")
    with pytest.raises(ConfigError, match="cannot be used for TLS"):
        usable_tls(config)  # nothing says that it is unproven
    assert (tmp_path / "device.crt").read_bytes() == garbage
    mark = tmp_path / "device.crt.unproven"
    mark.write_text(hashlib.sha256(garbage).hexdigest())
    assert usable_tls(config) is not None
    assert device.pair() == device.former
    assert not mark.exists()


def _assert_untouched(device: RotatedDevice, before: list[Path]) -> None:
    assert device.pair() == device.former
    assert sorted(device.folder.iterdir()) == before
    assert device.line.calls == []


@pytest.mark.parametrize("accepts", [True, False])
@pytest.mark.parametrize("replaced", [True, False])
def test_a_pair_left_unproven_is_settled_at_the_start(
    tmp_path: Path, *, accepts: bool, replaced: bool
):
    """It stays where the broker accepts it, else gives way; a pair of before is never put back."""
    device = RotatedDevice(tmp_path, accepts=accepts)
    certificate, key = _AUTHORITY.issue("press-07")
    (tmp_path / "device.crt.unproven").write_text(hashlib.sha256(certificate).hexdigest())
    if replaced:  # else the power went before the pair was replaced
        for name, content in (("crt", certificate), ("key", key)):
            (tmp_path / f"device.{name}").rename(tmp_path / f"device.{name}.previous")
            (tmp_path / f"device.{name}").write_bytes(content)
    found = device.pair()
    device.rotation.settle()
    assert device.line.settled.wait(30)
    _await_end_of_proof()
    assert device.pair() == (device.former if replaced and not accepts else found)
    assert ("open" in device.line.calls) == (replaced and not accepts)
    assert not list(tmp_path.glob("*.unproven"))


def test_nothing_is_proven_where_nothing_is_open(tmp_path: Path):
    """A start without an unproven pair leaves the line alone."""
    device = RotatedDevice(tmp_path, accepts=False)
    device.rotation.settle()
    _await_end_of_proof()
    assert not device.line.settled.is_set()
    assert device.pair() == device.former


def test_only_a_new_key_may_be_asked_for_again(tmp_path: Path):
    """``renew-key`` may run twice, and the certificate is then for the last key."""
    device = RotatedDevice(tmp_path)
    again = {name: device.handlers.get(name) for name in (RENEW_KEY, INSTALL_CERTIFICATE)}
    assert [each.idempotent for each in again.values() if each] == [True, False]
    first, second = device.renewed(), device.renewed()
    assert public_key(first) != public_key(second)
    refused = device.run(INSTALL_CERTIFICATE, {"certificate": first.decode()})
    assert refused[0] is CommandState.FAILED
    taken = device.run(INSTALL_CERTIFICATE, {"certificate": second.decode()})
    assert taken[0] is CommandState.SUCCEEDED


def _await_end_of_proof() -> None:
    for each in threading.enumerate():
        if each.name == "cedarfleet-rotation":
            each.join(30)
            assert not each.is_alive()
