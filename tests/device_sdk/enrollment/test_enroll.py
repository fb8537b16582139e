"""From a one-time code to a certificate, whatever is lost on the way; nothing secret is told."""

from __future__ import annotations

import ssl
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from cedarfleet_device.config import DeviceConfig
from cedarfleet_device.diagnostics.doctor import examine
from cedarfleet_device.enrollment.enroll import Identity, enroll
from cedarfleet_device.enrollment.service import EnrolmentService
from cedarfleet_device.errors import CloudError, ConfigError
from cedarfleet_device.identity.credentials import load_credentials
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from tests.device_sdk.connection.named_relay import NamedRelay
from tests.device_sdk.devices import write_config
from tests.device_sdk.downloads.self_signed import make_certificate
from tests.device_sdk.enrollment.api import CODE, Api, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def api() -> Iterator[Api]:
    """The API."""
    with serving() as served:
        yield served


def ask(api: Api, folder: Path, code: str = CODE, *, device: str = "press-91") -> list[float]:
    """Enrol a device of acme; the pauses that it made."""
    paused: list[float] = []
    identity = Identity(tenant="acme", device=device, config_file=folder / "device.toml")
    enroll(EnrolmentService(url=api.url), identity, code, pauses=(1, 2), sleep=paused.append)
    return paused


def same_key(folder: Path) -> bool:
    """Whether certificate and key belong together, and the key is its owner's alone."""
    certificate, key, _ = load_credentials(DeviceConfig.load(folder / "device.toml"))
    public = x509.load_pem_x509_certificate(certificate).public_key()
    assert isinstance(key, bytes)
    return public == load_pem_private_key(key, None).public_key()


def test_a_code_becomes_a_device_that_can_run(api: Api, tmp_path: Path):
    """Configuration, authorities, certificate and key are there, and the key never left."""
    assert ask(api, tmp_path) == []
    assert same_key(tmp_path)
    config = DeviceConfig.load(tmp_path / "device.toml")
    assert (config.thing, config.endpoint, config.port) == ("acme--press-91", "localhost", 8883)
    assert config.ca_file.read_text().startswith("-----BEGIN CERTIFICATE-----")
    assert (tmp_path / "device.key").stat().st_mode & 0o777 == 0o600
    (asked,) = api.asked
    assert asked.keys() == {"tenant", "device", "code", "csr"}
    assert "PRIVATE" not in str(asked)
    assert not list(tmp_path.glob("*.pending"))


@pytest.mark.parametrize(
    "lost", [[None], [(503, {}), None], [(429, {"detail": "later"})]], ids=["cut", "both", "later"]
)
def test_a_lost_answer_is_asked_for_again(
    api: Api, tmp_path: Path, lost: list[tuple[int, dict[str, str]] | None]
):
    """In the same call, with the same key."""
    api.instead = list(lost)
    assert ask(api, tmp_path) == [1, 2][: len(lost)]
    assert len({one["csr"] for one in api.asked}) == 1
    assert same_key(tmp_path)


def test_the_next_call_goes_on_with_the_same_key(api: Api, tmp_path: Path):
    """Also after this one was given up: the code stands for that key."""
    api.instead = [None, None, None]
    with pytest.raises(CloudError, match="it goes on with the same key"):
        ask(api, tmp_path)
    kept = (tmp_path / "device.key.pending").read_bytes()
    config = tmp_path / "device.toml"
    assert not config.exists()
    ask(api, tmp_path)
    assert (tmp_path / "device.key").read_bytes() == kept
    first, *later = (x509.load_pem_x509_csr(one["csr"].encode()) for one in api.asked)
    assert [one.public_key() for one in later] == [first.public_key()] * 3


def test_a_key_that_was_torn_is_made_anew(api: Api, tmp_path: Path):
    """It was never sent, so no code stands for it."""
    (tmp_path / "device.key.pending").write_bytes(b"-----BEGIN EC PRIVATE KEY-----\nAA")
    ask(api, tmp_path)
    assert same_key(tmp_path)


@pytest.mark.parametrize(
    ("status", "document", "words"),
    [
        (401, {"detail": "they do not fit"}, r"refused \(401\): they do not fit: is it the code"),
        (409, {"detail": "the code has expired"}, r"refused \(409\): the code has expired"),
        (400, {"errors": [{"field": "csr", "problem": "short"}]}, r"\(400\): csr: short"),
        (500, {"errors": 7}, r"refused \(500\): without a reason"),
        (200, {"thing": "acme--press-91"}, "answered no enrolment"),
    ],
)
def test_a_refusal_is_told_in_words(
    api: Api, tmp_path: Path, status: int, document: dict[str, object], words: str
):
    """Nothing is replaced, and nothing secret is told."""
    api.instead = [(status, document)]
    with pytest.raises(CloudError, match=words) as caught:
        ask(api, tmp_path)
    assert CODE not in str(caught.value)
    assert not (tmp_path / "device.crt").exists()


@pytest.mark.parametrize(
    ("member", "value", "words"),
    [
        ("thing", "acme--press-92", "let in `acme--press-92`, asked for was `acme--press-91`"),
        ("certificate", "none", "answered no certificate"),
    ],
)
def test_an_answer_for_somebody_else_is_not_taken(
    api: Api, tmp_path: Path, member: str, value: str, words: str
):
    """Another thing, or no certificate of the device's own key."""
    api.changes = {member: value}
    with pytest.raises(CloudError, match=words):
        ask(api, tmp_path)
    assert not (tmp_path / "device.crt").exists()


def test_a_certificate_of_another_key_is_not_taken(api: Api, tmp_path: Path):
    """The device could never use it."""
    ask(api, tmp_path / "other")
    api.changes = {"certificate": (tmp_path / "other" / "device.crt").read_text()}
    with pytest.raises(CloudError, match="a certificate of another key"):
        ask(api, tmp_path / "own")


def test_a_device_in_service_is_left_alone(api: Api, tmp_path: Path):
    """What has a certificate, or is another device's, is not written over, and nobody is asked."""
    ask(api, tmp_path)
    with pytest.raises(ConfigError, match="is there already"):
        ask(api, tmp_path)
    with pytest.raises(ConfigError, match="is of `acme--press-91`, not of `acme--press-92`"):
        ask(api, tmp_path, device="press-92")
    assert len(api.asked) == 1


def test_a_folder_that_cannot_be_written_asks_nobody(api: Api, tmp_path: Path):
    """The code is not used up."""
    (tmp_path / "place").write_text("a file")
    with pytest.raises(ConfigError, match="cannot be written"):
        ask(api, tmp_path / "place")
    assert api.asked == []


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://api.example.com", "must be `https://`"),
        ("api.example.com", "must be like"),
        ("https://api.example.com:port", "no address"),
        ("https://boss:secret@api.example.com", "must be like"),
    ],
)
def test_an_address_that_is_not_safe_is_refused(tmp_path: Path, url: str, words: str):
    """A code never goes out in the clear."""
    with pytest.raises(ConfigError, match=words):
        ask(Api(url=url), tmp_path)


def test_a_server_that_nobody_vouches_for_is_refused(tmp_path: Path):
    """Unless the file of who signs its certificate is given."""
    authority, key = make_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority, key)
    identity = Identity(tenant="acme", device="press-91", config_file=tmp_path / "device.toml")
    with serving(context) as api:
        with pytest.raises(CloudError, match="is not who it should be"):
            enroll(EnrolmentService(url=api.url), identity, CODE)
        (tmp_path / "none.pem").write_text("none")
        for wrong in (tmp_path / "none.pem", tmp_path / "gone.pem", tmp_path):
            with pytest.raises(ConfigError, match=f"`--api-ca` `{wrong}` cannot be used"):
                enroll(EnrolmentService(url=api.url, ca_file=wrong), identity, CODE)
        assert api.asked == []
        enroll(EnrolmentService(url=api.url, ca_file=authority), identity, CODE)
    assert same_key(tmp_path)


def test_the_program_reads_the_code_from_a_file(api: Api, tmp_path: Path):
    """Or from its standard input, and says nothing of it."""
    (tmp_path / "code").write_text(f"{CODE}\n")
    for number, (file, given) in enumerate([(str(tmp_path / "code"), None), ("-", f"{CODE}\n")]):
        config = tmp_path / str(number) / "device.toml"
        done = subprocess.run(
            [
                *(sys.executable, "-m", "cedarfleet_device", "enroll", f"--api={api.url}"),
                *("--tenant=acme", "--device=press-91", f"--code-file={file}"),
                f"--config={config}",
            ],
            input=given,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert CODE not in done.stdout + done.stderr
        assert "PRIVATE KEY" not in done.stdout + done.stderr
        assert same_key(config.parent)
    assert [one["code"] for one in api.asked] == [CODE, CODE]


def test_the_doctor_knows_an_unfinished_enrolment(api: Api, tmp_path: Path):
    """It says how to go on."""
    ask(api, tmp_path)
    for name in ("device.crt", "device.key"):
        (tmp_path / name).unlink()
    config = DeviceConfig.load(tmp_path / "device.toml")
    assert any("run `cedarfleet-device enroll` first" in one.words for one in examine(config))
    (tmp_path / "device.key.pending").write_bytes(b"")
    assert any("was begun and not finished" in one.words for one in examine(config))


def test_a_key_in_a_chip_comes_in_by_its_own_request(api: Api, tmp_path: Path):
    """No key is made; the request and the table of the file need each other, and must fit."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "press-91")])
    made = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    request = made.public_bytes(Encoding.PEM)
    identity = Identity(tenant="acme", device="press-91", config_file=tmp_path / "device.toml")
    service = EnrolmentService(url=api.url)
    with pytest.raises(ConfigError, match="each needs the other"):
        enroll(service, identity, CODE, request=request)
    fields = {"thing": "acme--press-91", "endpoint": "localhost", "ca_file": "ca.pem"}
    write_config(tmp_path, fields | {"hardware_key.library": "/usr/lib/chip.so"})
    with pytest.raises(ConfigError, match="each needs the other"):
        enroll(service, identity, CODE)
    with pytest.raises(ConfigError, match="`--request`: no certificate signing request in PEM"):
        enroll(service, identity, CODE, request=b"-----BEGIN CERTIFICATE REQUEST-----\nAA")
    assert api.asked == []
    enroll(service, identity, CODE, request=request)
    certificate = x509.load_pem_x509_certificate((tmp_path / "device.crt").read_bytes())
    assert certificate.public_key() == key.public_key()
    assert not list(tmp_path.glob("device.key*"))


def test_the_api_is_asked_by_way_of_the_proxy(tmp_path: Path):
    """That of the configuration, with its credentials; refused by it, words say so."""
    authority, key = make_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority, key)
    identity = Identity(tenant="acme", device="press-91", config_file=tmp_path / "device.toml")
    with serving(context) as api, NamedRelay(credentials="press:s3cret") as relay:
        address = api.url.removeprefix("https://")
        relay.leads[address] = int(address.partition(":")[2])
        for proxy in (f"press:wrong-s3cret@{relay.address}", f"press:s3cret@{relay.address}"):
            service = EnrolmentService(url=api.url, ca_file=authority, proxy=f"http://{proxy}")
            try:
                enroll(service, identity, CODE, pauses=())
            except CloudError as error:
                assert "407 Proxy Authentication Required" in str(error)  # noqa: PT017 - in turn
                assert "s3cret" not in str(error)  # noqa: PT017
                assert not (tmp_path / "device.crt").exists()
        assert relay.asked == [address]
    assert same_key(tmp_path)
