"""Logs on their way to the tenant's bucket: bounded, redacted, and the form nowhere on the disk."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import json
import logging
import threading
from typing import TYPE_CHECKING, Any

import pytest
from cedarfleet_device import CommandFailedError, ConfigError, DeviceConfig, wire
from cedarfleet_device.config import DownloadLimits
from cedarfleet_device.diagnostics.form_upload import send_form
from cedarfleet_device.diagnostics.kept_log import KeptLog
from cedarfleet_device.diagnostics.log_upload import LogUploads
from cedarfleet_device.diagnostics.redaction import redacted

from tests.device_sdk.devices import new_command, write_config

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from infra.local.cloud import EmbeddedCloud
    from tests.device_sdk.devices import Observer, Tenant

BUCKET = "logs-of-the-workshop"


@pytest.fixture(scope="module")
def bucket(embedded_cloud: EmbeddedCloud) -> Any:
    """S3 of the embedded cloud, with a bucket."""
    s3 = embedded_cloud.client("s3")
    s3.create_bucket(
        Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": s3.meta.region_name}
    )
    return s3


def form_of(s3: Any, key: str, *, most: int = wire.MAX_LOGS_BYTES) -> wire.LogUpload:
    """A form, signed by another signer than the service's: boto3's."""
    made = s3.generate_presigned_post(
        BUCKET, key, Conditions=[["content-length-range", 1, most]], ExpiresIn=300
    )
    return wire.LogUpload(url=made["url"], fields=made["fields"], max_bytes=most)


def sent(form: wire.LogUpload, content: bytes) -> None:
    """Send it, at most for some tries."""
    send_form(form, content, limits=DownloadLimits(), stopped=threading.Event())


def test_a_form_takes_one_object_of_its_size(bucket: Any) -> None:
    """Whole under its key; one that is larger, or under another key, is refused in words."""
    form = form_of(bucket, ".logs/a/1.gz", most=100)
    sent(form, b"\x00\r\n--" * 20)
    stored = bucket.get_object(Bucket=BUCKET, Key=".logs/a/1.gz")
    assert stored["Body"].read() == b"\x00\r\n--" * 20
    with pytest.raises(CommandFailedError, match="refused the logs: 400 EntityTooLarge"):
        sent(form, b"x" * 101)
    other = wire.LogUpload(
        url=form.url, fields={**form.fields, "key": ".logs/b/1.gz"}, max_bytes=100
    )
    with pytest.raises(CommandFailedError, match="refused the logs: 403 AccessDenied"):
        sent(other, b"x")
    fields = {**form.fields, "x-amz-signature": "ab" * 32}
    forged = wire.LogUpload(url=form.url, fields=fields, max_bytes=100)
    with pytest.raises(CommandFailedError, match="refused the logs: 403 SignatureDoesNotMatch"):
        sent(forged, b"x")


def test_a_form_cannot_smuggle_a_field(bucket: Any) -> None:
    """A line's end or a quote in it is no form; nor is plain HTTP to another machine."""
    good = form_of(bucket, ".logs/a/2.gz")
    for fields in ({"key": "a\r\n--x"}, {'key"; x="': "a", "key": "b"}):
        with pytest.raises(CommandFailedError, match="is no form"):
            sent(wire.LogUpload(url=good.url, fields=fields, max_bytes=9), b"x")
    for url in ("http://192.0.2.1/", "ftp://localhost/", "https://user@localhost/"):
        with pytest.raises(CommandFailedError, match="no address") as raised:
            sent(wire.LogUpload(url=url, fields=good.fields, max_bytes=9), b"x")
        assert "user@" not in str(raised.value)


class Server(http.server.BaseHTTPRequestHandler):
    """Answers as it is told, one answer a request, and the last for ever."""

    answers: list[int]

    def do_POST(self) -> None:
        """As S3, whatever came."""
        self.rfile.read(int(self.headers["Content-Length"]))
        status = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        """Nothing."""


@pytest.fixture
def server() -> Iterator[tuple[str, list[int]]]:
    """Its address, and its answers."""
    answers: list[int] = []
    kind = type("Answering", (Server,), {"answers": answers})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), kind) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{listening.server_port}/", answers
        listening.shutdown()
        thread.join()


def test_a_server_that_is_busy_is_tried_again(server: tuple[str, list[int]]) -> None:
    """Faults of the server pass; told to stop, it gives up with the last of them."""
    url, answers = server
    form = wire.LogUpload(url=url, fields={"key": "a"}, max_bytes=9)
    answers[:] = [503, 204]
    sent(form, b"x")
    assert answers == [204]
    stopped = threading.Event()
    answers[:] = [500]
    stopping = threading.Timer(0.1, stopped.set)
    stopping.start()
    with pytest.raises(CommandFailedError, match=r"not taken in time: `127.0.0.1` refused.* 500"):
        send_form(form, b"x", limits=DownloadLimits(), stopped=stopped)
    stopping.join()


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ('{"password": "a b", "speed": 3}', '{"password": "[redacted]", "speed": 3}'),
        ("api_key=abc&speed=3", "api_key=[redacted]&speed=3"),
        ("Authorization: Bearer abc.def", "Authorization: [redacted]"),
        ("sent bearer abcdefgh.ij", "sent bearer [redacted]"),
        ("http://user:word@host:1/x", "http://[redacted]@host:1/x"),
        ("GET https://b.s3/x?X-Amz-Signature=abc", "GET https://b.s3/x?[redacted]"),
        ("got eyJhbGci.eyJz.x-Y_", "got [redacted]"),
        ("key AKIAIOSFODNN7EXAMPLE used", "key [redacted] used"),
        ("exit code: 3, spin=1", "exit code: 3, spin=1"),
    ],
)
def test_secrets_of_known_forms_leave_no_device(line: str, kept: str) -> None:
    """And what is no secret stays to be read."""
    assert list(redacted([line])) == [kept]


def test_a_private_key_leaves_with_all_its_lines() -> None:
    """Also one whose end was cut off, and what stands in front of it stays."""
    key = ["a -----BEGIN EC PRIVATE KEY-----", "MHcC", "-----END EC PRIVATE KEY-----"]
    assert list(redacted([*key, "b"])) == ["a [redacted]", "b"]
    assert list(redacted([*key[:2], "b"])) == ["a [redacted]"]


def test_a_long_line_is_cut_and_takes_no_time() -> None:
    """Of a megabyte the first 16 KiB are looked at and kept."""
    assert len(next(redacted(["token." * 200_000]))) <= 16 * 1024


def kept_events(folder: Path, count: int, *, most_bytes: int) -> KeptLog:
    """A log that was told so many events."""
    kept = KeptLog(folder, most_bytes=most_bytes)
    for number in range(count):
        told = {"name": "here", "levelno": logging.INFO, "levelname": "INFO", "msg": "event"}
        kept.handle(logging.makeLogRecord({**told, "fields": {"number": number}}))
    return kept


def test_the_kept_log_is_bounded_and_the_newest(tmp_path: Path) -> None:
    """Two files, the older one first; also where the agent is started again in between."""
    for _ in range(2):
        kept = kept_events(tmp_path / "logs", 500, most_bytes=10_000)
        lines = [line for file in kept.files() for line in file.read_text().splitlines()]
        assert sum(file.stat().st_size for file in kept.files()) <= 10_000
        numbers = [json.loads(line)["number"] for line in lines]
        assert numbers == list(range(500 - len(numbers), 500))
        assert len(numbers) > 50
        kept.close()


def test_a_nearly_full_disk_keeps_no_log(tight_disk: Path) -> None:
    """What is left is for commands."""
    (tight_disk / "more").write_bytes(bytes(4096))
    kept = kept_events(tight_disk / "logs", 10, most_bytes=10_000)
    assert kept.files() == []
    kept.close()


def uploads(folder: Path) -> LogUploads:
    """Of a device without an agent."""
    known = {"thing": "workshop--p", "endpoint": "localhost", "ca_file": "ca.pem"}
    return LogUploads(DeviceConfig.load(write_config(folder, known)))


def test_a_command_without_its_form_says_so(tmp_path: Path) -> None:
    """As after a restart: the form was in memory alone."""
    logs = uploads(tmp_path)
    message = new_command(
        "workshop--p",
        wire.UPLOAD_LOGS,
        arguments=wire.LogUpload(url="u", fields={"key": "k"}, max_bytes=1).arguments(),
    )
    assert logs.withhold(message).arguments == {}
    other = new_command("workshop--p", "reboot", arguments={"url": "u"})
    assert logs.withhold(other) is other
    for arguments in ({}, {"url": "u", "fields": {}, "max_bytes": 1}, {"url": "u"}):
        with pytest.raises(wire.WireError):
            logs.withhold(new_command("workshop--p", wire.UPLOAD_LOGS, arguments=arguments))


def test_a_log_of_the_maker_has_a_name_of_its_own(tmp_path: Path) -> None:
    """Another, ours, or the ninth is refused in words."""
    logs = uploads(tmp_path)
    for number in range(8):
        logs.add(f"log-{number}", tmp_path / "a")
    for name in ("agent", "log-0", "Log", "one-more"):
        with pytest.raises(ConfigError, match=f"the log `{name}`"):
            logs.add(name, tmp_path / "a")


def test_an_agent_sends_its_logs_and_the_makers(
    tenant: Tenant, observer: Observer, bucket: Any, tmp_path: Path
) -> None:
    """Its answer names key, size and digest; what let it send stands in no file and no log."""
    device = tenant.device(tmp_path)
    (tmp_path / "press.log").write_text("before\npressed, token=abc\n")
    handlers = f"    agent.log_upload('press', Path({str(tmp_path / 'press.log')!r}))\n"
    form = form_of(bucket, ".logs/p/3.gz")
    with device.run(handlers) as agent:
        agent.await_event("mqtt.subscribed", seconds=30)
        command = new_command(device.thing, wire.UPLOAD_LOGS, arguments=form.arguments())
        ended = observer.final(tenant.send(command))
        bad = new_command(
            device.thing, wire.UPLOAD_LOGS, arguments={**form.arguments(), "max_bytes": 0}
        )
        refused = observer.final(tenant.send(bad))
        assert agent.stop() == 0
    assert ended.state is wire.CommandState.SUCCEEDED, ended.detail
    packed = bucket.get_object(Bucket=BUCKET, Key=".logs/p/3.gz")["Body"].read()
    assert ended.detail == {
        "key": ".logs/p/3.gz",
        "bytes": len(packed),
        "sha256": hashlib.sha256(packed).hexdigest(),
    }
    lines = [json.loads(line) for line in gzip.decompress(packed).splitlines()]
    assert {"agent.started", "mqtt.subscribed"} <= {line.get("event") for line in lines}
    assert lines[-2:] == [
        {"log": "press", "line": "before"},
        {"log": "press", "line": "pressed, token=[redacted]"},
    ]
    assert refused.state is wire.CommandState.REJECTED
    secrets = [form.fields[name].encode() for name in ("policy", "x-amz-signature")]
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    found = [file for file in files for secret in secrets if secret in file.read_bytes()]
    assert (len(files) > 5, found) == (True, [])
