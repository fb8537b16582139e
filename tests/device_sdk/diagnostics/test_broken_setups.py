"""Every broken set-up ends in words and exit code 1, by the doctor and by `run`.

Those of an independent review, which counted what said ok, gave a traceback or a bare code, and
those that came with what was built since.
"""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from cedarfleet_device import Agent, DeviceConfig
from cedarfleet_device.__main__ import main
from cedarfleet_device.log import LOGGER

from tests.device_sdk.devices import write_config
from tests.device_sdk.mosquitto import Authority

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from pathlib import Path

THING = "acme--press-07"
GARBAGE = b"-----BEGIN CERTIFICATE-----\nbm9uc2Vuc2U=\n-----END CERTIFICATE-----\n"
GARBAGE_KEY = GARBAGE.replace(b"CERTIFICATE", b"EC PRIVATE KEY")
LEAST_SETUPS = 54


@dataclass
class Setup:
    """One device's files, which a case breaks.

    Attributes:
        fields: of its ``device.toml``.
        arguments: further ones of the program.
    """

    folder: Path
    authority: Authority
    fields: dict[str, Any] = field(default_factory=dict[str, Any])
    arguments: list[str] = field(default_factory=list[str])

    def write(self, name: str, content: str | bytes, *, mode: int = 0o600) -> None:
        """A file of the device."""
        file = self.folder / name
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        file.chmod(mode)

    def handlers(self, content: str) -> None:
        """The maker's file."""
        self.write("handlers.py", content)
        self.arguments += ["--handlers", str(self.folder / "handlers.py")]

    def served(self) -> None:
        """As after a first life."""
        with Agent(DeviceConfig.load(self.made())):
            pass

    def made(self) -> Path:
        """Its configuration, written."""
        return write_config(self.folder, self.fields)


@dataclass(frozen=True)
class Case:
    """What is broken, and the words that must be said of it."""

    name: str
    break_it: Callable[[Setup], object]
    words: str


def said(name: str, key: str, value: Any, words: str) -> Case:
    """A value of the file."""
    return Case(name, lambda setup: setup.fields.update({key: value}), words)


def file(name: str, place: str, content: str | bytes, words: str, *, mode: int = 0o600) -> Case:
    """A file beside it."""
    return Case(name, lambda setup: setup.write(place, content, mode=mode), words)


def gone(name: str, place: str, words: str) -> Case:
    """A file that is not there."""
    return Case(name, lambda setup: (setup.folder / place).unlink(), words)


def toml(name: str, content: str | bytes, words: str) -> Case:
    """The whole of the file."""
    return Case(name, lambda setup: setup.fields.update({"": content}), words)


def _without(key: str) -> Case:
    def leave_out(setup: Setup) -> None:
        setup.fields[key] = None

    return Case(f"no {key}", leave_out, f"key `{key}` is missing")


def _of_another_key(setup: Setup) -> None:
    setup.write("device.key", setup.authority.issue("press-08")[1])


def _expired(setup: Setup) -> None:
    certificate, key = setup.authority.issue("press-07", days=-1)
    setup.write("device.crt", certificate)
    setup.write("device.key", key)


def _second_block_torn(setup: Setup) -> None:
    whole = (setup.folder / "device.crt").read_bytes()
    setup.write("device.crt", whole + whole[: len(whole) // 2])


def _damaged_memory(setup: Setup) -> None:
    setup.served()
    setup.write("state/agent.db", b"SQLite format 3\0" + bytes(4000))


def _lost_memory(setup: Setup) -> None:
    setup.served()
    (setup.folder / "state" / "agent.db").unlink()


def _empty_memory(setup: Setup) -> None:
    setup.served()
    setup.write("state/agent.db", b"")
    for name in ("agent.db-wal", "agent.db-shm"):
        (setup.folder / "state" / name).unlink(missing_ok=True)


def _moved_and_unreadable(setup: Setup) -> None:
    (setup.folder / "state" / "endpoint.json").mkdir(parents=True)


def _half_enrolled(setup: Setup) -> None:
    (setup.folder / "device.crt").unlink()
    setup.write("device.key.pending", b"")


CASES = [
    toml("no TOML", "thing = ", "is not TOML"),
    toml("no text", b"\xff\xfe\x00", "is not TOML"),
    toml("empty", "", "key `thing` is missing"),
    toml("a table twice", "[connection]\n[connection]\n", "is not TOML"),
    *(
        _without(key)
        for key in (
            *("thing", "endpoint", "ca_file", "certificate_file", "key_file"),
            *("state_dir", "download_dir"),
        )
    ),
    said("unknown key", "keep_alive", 3, "unknown key `keep_alive`"),
    said("unknown in a table", "downloads.retries", 3, "unknown key `downloads.retries`"),
    said("number for text", "endpoint", 3, "`endpoint` is `3`, it must be a string"),
    said("text for number", "port", "8883", "`port` is `8883`, it must be a whole number"),
    said("truth for number", "port", True, "it must be a whole number"),
    said("port too high", "port", 70000, "it must be 1 to 65535"),
    said("too quick", "connection.keep_alive_seconds", 1, "it must be 5 to 1200"),
    said("longest below least", "connection.reconnect_max_seconds", 0.06, "must not be below"),
    said("no tenant", "thing", "press-07", "`thing`"),
    said("a scheme", "endpoint", "mqtts://localhost", "host name without scheme and port"),
    said("a port", "endpoint", "localhost:8883", "host name without scheme and port"),
    said("empty endpoint", "endpoint", "", "host name without scheme and port"),
    said("loud", "log_level", "LOUD", "it must be DEBUG, INFO, WARNING or ERROR"),
    said("no proxy", "connection.proxy", "relay", "`connection.proxy` is `relay`, it must be"),
    said("no file proxy", "downloads.proxy", "relay", "`downloads.proxy` is `relay`, it must be"),
    said("no domain", "connection.move_domain", "example", "it must be a domain"),
    said("no connections", "downloads.connections", 0, "`connections` is 0: it must be above 0"),
    said("too slow", "downloads.bytes_per_second", 1, "every connection would count as stalled"),
    said("no window", "installs.window", "night", "`night` must be like `22:00-04:00`"),
    said("no such authority", "downloads.ca_file", "none.pem", "`downloads.ca_file`"),
    said("no such trust", "trust_file", "none.json", "`trust_file`"),
    said("state is a file", "state_dir", "ca.pem", "`state_dir`"),
    said("no chip's module", "hardware_key.library", "none.so", "is no PKCS #11 module"),
    gone("no certificate", "device.crt", "run `cedarfleet-device enroll` first"),
    gone("no key", "device.key", "run `cedarfleet-device enroll` first"),
    gone("no authority", "ca.pem", "`ca_file`"),
    file("certificate no PEM", "device.crt", "none", "`certificate_file`"),
    file("key no PEM", "device.key", "none", "`key_file`"),
    file("authority no PEM", "ca.pem", "none", "`ca_file`"),
    file("certificate of nonsense", "device.crt", GARBAGE, "certificate"),
    file("key of nonsense", "device.key", GARBAGE_KEY, "is each whole PEM?"),
    file("authority of nonsense", "ca.pem", GARBAGE, "is each whole PEM?"),
    file("empty certificate", "device.crt", "", "is not PEM"),
    Case("certificate torn", _second_block_torn, "is each whole PEM?"),
    Case("another's key", _of_another_key, "do `certificate_file` and `key_file` belong together"),
    Case("readable key", lambda setup: (setup.folder / "device.key").chmod(0o644), "mode 0644"),
    Case("expired", _expired, "the certificate expired on"),
    Case("damaged memory", _damaged_memory, "is damaged"),
    Case("lost memory", _lost_memory, "has lost what it held"),
    Case("empty memory", _empty_memory, "agent.db"),
    Case("moved, unreadable", _moved_and_unreadable, "endpoint.json` cannot be read"),
    Case("half enrolled", _half_enrolled, "an enrolment was begun and not finished"),
    Case(
        "no handlers",
        lambda setup: setup.arguments.extend(["--handlers", "none.py"]),
        "`--handlers` `none.py` is no file",
    ),
    Case("handlers torn", lambda setup: setup.handlers("def register("), "SyntaxError"),
    Case("handlers of nothing", lambda setup: setup.handlers("a = 1"), "defines neither"),
    Case("handlers raise", lambda setup: setup.handlers("1 / 0"), "ZeroDivisionError"),
    Case("handlers exit", lambda setup: setup.handlers("raise SystemExit(3)"), "SystemExit"),
    Case(
        "handlers are cancelled",
        lambda setup: setup.handlers("import asyncio\nraise asyncio.CancelledError"),
        "CancelledError",
    ),
    said("closed port", "port", 1, "cannot be reached: Connection refused"),
    said("no such host", "endpoint", "no-such-host.invalid", "is not resolved"),
]
MAY_RUN = {"closed port", "no such host", "expired"}
"""What heals by itself, or by a clock that is set: `run` goes on and tries again."""


@pytest.fixture
def setup(tmp_path: Path) -> Iterator[Setup]:
    """A device whose files are good; the program's log handlers leave with it."""
    made = Setup(tmp_path, Authority())
    certificate, key = made.authority.issue("press-07")
    made.write("device.crt", certificate)
    made.write("device.key", key)
    made.write("ca.pem", made.authority.pem)
    made.fields = {"thing": THING, "endpoint": "localhost", "port": 1, "ca_file": "ca.pem"}
    handlers, propagate = LOGGER.handlers[:], LOGGER.propagate
    yield made
    LOGGER.handlers[:], LOGGER.propagate = handlers, propagate


def configuration(setup: Setup) -> Path:
    """Its file, as the case has it."""
    whole = setup.fields.pop("", None)
    config = setup.made()
    if whole is not None:
        setup.write("device.toml", whole)
    lines = config.read_bytes().splitlines()
    kept = [line for line in lines if not line.endswith(b" = null")]
    config.write_bytes(b"\n".join(kept))
    return config


def test_the_set_ups_are_as_many_as_the_review_had():
    """And no two have a name."""
    assert len({case.name for case in CASES}) == len(CASES) >= LEAST_SETUPS


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_broken_set_up_ends_in_words(
    setup: Setup, case: Case, capsys: pytest.CaptureFixture[str]
):
    """Exit code 1 and what is wrong, and no traceback, whichever action meets it."""
    case.break_it(setup)
    config = configuration(setup)
    actions = ["doctor"] if case.name in MAY_RUN else ["doctor", "run"]
    for action in actions:
        code = main([action, "--config", str(config), *setup.arguments])
        told = capsys.readouterr()
        assert code == 1, (action, told)
        assert case.words in told.out + told.err, action
        assert "Traceback" not in told.out + told.err
        assert "a fault of the agent" not in told.err, action


@contextmanager
def answering(answer: Callable[[socket.socket], object]) -> Generator[int]:
    """A server of one port that does to each connection what it is told to."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                line, _ = listening.accept()
            except OSError:  # closed: the test is over
                return
            with line:
                try:
                    answer(line)
                except OSError:
                    continue

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield int(listening.getsockname()[1])
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()
    thread.join(10)


def test_a_server_of_another_kind_is_told(setup: Setup, capsys: pytest.CaptureFixture[str]):
    """One that speaks no TLS, one that closes, one of another name, one of another authority."""
    certificate, key = setup.authority.issue("elsewhere", host="elsewhere.example")
    setup.write("other.crt", certificate)
    setup.write("other.key", key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(setup.folder / "other.crt", setup.folder / "other.key")
    stranger = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    for name, content in zip(("x.crt", "x.key"), Authority().issue("localhost"), strict=True):
        setup.write(name, content)
    stranger.load_cert_chain(setup.folder / "x.crt", setup.folder / "x.key")
    for answer, words in (
        (lambda line: line.sendall(b"SSH-2.0-OpenSSH_9.2\r\n"), "is it an MQTT endpoint with TLS?"),
        (lambda line: line.shutdown(socket.SHUT_RDWR), "is it an MQTT endpoint with TLS?"),
        (lambda line: context.wrap_socket(line, server_side=True).close(), "not valid for 'local"),
        (lambda line: stranger.wrap_socket(line, server_side=True).close(), "right authority?"),
    ):
        with answering(answer) as port:
            setup.fields["port"] = port
            code = main(["doctor", "--config", str(configuration(setup))])
        told = capsys.readouterr()
        assert code == 1
        wrong = [line for line in told.out.splitlines() if line.startswith("WRONG")]
        assert any(words in line for line in wrong), told.out
        assert "Traceback" not in told.out + told.err


def test_a_proxy_of_the_environment_that_is_none_is_told(
    setup: Setup, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    """By the doctor and by `run`, before anything is dialled."""
    monkeypatch.setenv("HTTPS_PROXY", "socks5://boss:s3cret@relay:1")
    config = configuration(setup)
    for action in ("doctor", "run"):
        assert main([action, "--config", str(config)]) == 1
        told = capsys.readouterr()
        assert "`HTTPS_PROXY` is `...@relay:1`, it must be `host:port`" in told.out + told.err
        assert "s3cret" not in told.out + told.err
        assert "Traceback" not in told.err
