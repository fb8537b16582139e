"""Each attack that Uptane and TUF name, by whoever owns the cloud account, and what a device does.

Source: theupdateframework.github.io/specification, 1.5.2 "Goals to protect against specific
attacks"; uptane.org, "Deployment considerations".
"""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest
from cedarfleet_device.config import DeviceConfig
from cedarfleet_device.enrollment.enroll import Identity, enroll
from cedarfleet_device.enrollment.service import EnrolmentService
from cedarfleet_device.errors import ConfigError
from cedarfleet_device.trust.policy import TrustPolicy
from cedarfleet_device.trust.root import MAX_ROOT_BYTES, Root, Trusted, TrustError
from cedarfleet_device.trust.signing import main as cedarfleet_sign
from cedarfleet_device.wire import DownloadDocument, Manifest, Signed

from tests.device_sdk.enrollment.api import CODE, serving

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

IMAGE = b"image"
NOW = round(time.time() * 1000)


def sign(*words: object) -> None:
    """The program of whoever releases files."""
    assert cedarfleet_sign([str(word) for word in words]) == 0


@dataclass(frozen=True)
class Release:
    """A maker's folder: three root keys, of which two sign, and three release keys, likewise."""

    folder: Path

    @classmethod
    def begin(cls, folder: Path) -> Release:
        """With keys and the first list."""
        made = cls(folder)
        for name in ("root-1", "root-2", "root-3", "release-1", "release-2", "release-3", "thief"):
            sign("key", folder / name)
        made.root(1)
        return made

    def root(
        self,
        version: int,
        *,
        signers: tuple[str, ...] = ("root-1", "root-2"),
        roots: tuple[str, ...] = ("root-1", "root-2", "root-3"),
        releases: tuple[str, ...] = ("release-1", "release-2", "release-3"),
    ) -> bytes:
        """A list of keys and who signed it."""
        file = self.folder / f"{version}.root.json"
        words = [("--root", self.folder / f"{name}.pub") for name in roots]
        words += [("--release", self.folder / f"{name}.pub") for name in releases]
        thresholds = ("--root-threshold", min(2, len(roots)), "--release-threshold", 2)
        flat = [word for pair in words for word in pair]
        sign("root", "--version", version, *flat, *thresholds, file)
        for signer in signers:
            sign("sign", file, "--key", self.folder / signer)
        return file.read_bytes()

    def document(
        self,
        *words: object,
        signers: tuple[str, ...] = ("release-1", "release-2"),
        version: str = "2.0",
    ) -> DownloadDocument:
        """The job of a signed image."""
        image, file = self.folder / "image", self.folder / "manifest.json"
        image.write_bytes(IMAGE)
        named = ("--name", "firmware/press.img", "--version", version)
        sign("manifest", image, *named, "--days", 0, *words, file)
        for signer in signers:
            sign("sign", file, "--key", self.folder / signer)
        return DownloadDocument(
            name="firmware/press.img",
            size=len(IMAGE),
            sha256=hashlib.sha256(IMAGE).hexdigest(),
            etag='"x"',
            url="https://files.example",
            manifest=Signed.of(json.loads(file.read_bytes())),
        )

    def trusted(self) -> Trusted:
        """The list that a device believes."""
        pinned = self.folder / "pinned.json"
        if not pinned.exists():
            pinned.write_bytes((self.folder / "1.root.json").read_bytes())
        return Trusted(pinned, self.folder / "kept.json")

    def device(self, *, kind: str = "press", now: int = NOW) -> TrustPolicy:
        """A device that pinned the first list."""
        return TrustPolicy(self.trusted(), kind=kind, clock=lambda: now)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keys that take a while to make."""
    folder = tmp_path_factory.mktemp("keys")
    Release.begin(folder)
    return folder


@pytest.fixture
def release(keys: Path, tmp_path: Path) -> Release:
    """A maker with those keys and files of the test's own."""
    for file in keys.iterdir():
        shutil.copy2(file, tmp_path)
    return Release(tmp_path)


def test_what_enough_release_keys_signed_comes_in(release: Release):
    """Two of three: the device knows package and version before it fetches a byte."""
    manifest = release.device().manifest(release.document("--kind", "press"))
    assert manifest is not None
    assert (manifest.package, manifest.version) == ("firmware", "2.0")
    sign("check", release.folder / "manifest.json", "--trust", release.folder / "1.root.json")


ATTACKS = {
    "arbitrary install: nobody signed": (
        lambda release: replace(release.document(), manifest=None),
        "it is not signed, and this device takes signed files only",
    ),
    "arbitrary install: an empty list of signatures": (
        lambda release: release.document(signers=()),
        "0 of 2 signatures needed",
    ),
    "arbitrary install: the cloud's own key": (
        lambda release: release.document(signers=("thief",)),
        "0 of 2 signatures needed",
    ),
    "key compromise: one release key of two": (
        lambda release: release.document(signers=("release-1", "thief")),
        "1 of 2 signatures needed",
    ),
    "key compromise: root keys sign no files": (
        lambda release: release.document(signers=("root-1", "root-2")),
        "0 of 2 signatures needed",
    ),
    "key compromise: one signature under two keys": (
        lambda release: _doubled(release.document(signers=("release-1",))),
        "1 of 2 signatures needed",
    ),
    "mix and match: the manifest of another file": (
        lambda release: replace(release.document(), sha256="0" * 64),
        "its manifest is of another file",
    ),
    "mix and match: another name": (
        lambda release: replace(release.document(), name="recipes/press.img"),
        "its manifest is of another file",
    ),
    "endless data: another size": (
        lambda release: replace(release.document(), size=2**40),
        "its manifest is of another file",
    ),
    "endless data: a list of keys without end": (
        lambda release: replace(
            release.document(), name="trust/2.root.json", manifest=None, size=2**40
        ),
        "at most 16384 bytes",
    ),
    "wrong device: of another kind": (
        lambda release: release.document("--kind", "oven", "--kind", "saw"),
        "it is for oven, saw; this device is press",
    ),
    "freeze: an old manifest again": (
        lambda release: release.document("--days", "-1"),
        "its manifest has expired",
    ),
    "tampering: a word of the signed text": (
        lambda release: _changed(release.document()),
        "0 of 2 signatures needed",
    ),
}


def _doubled(document: DownloadDocument) -> DownloadDocument:
    assert document.manifest is not None
    ((_, signature),) = document.manifest.signatures.items()
    both = document.manifest.signatures | {"f" * 64: signature}
    return replace(document, manifest=replace(document.manifest, signatures=both))


def _changed(document: DownloadDocument) -> DownloadDocument:
    assert document.manifest is not None
    text = document.manifest.text.replace('"2.0"', '"9.0"')
    assert text != document.manifest.text
    return replace(document, manifest=replace(document.manifest, text=text))


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_ends_before_a_byte_is_fetched(release: Release, attack: str):
    """Whoever makes the job, without enough of the keys nothing is installed."""
    make, words = ATTACKS[attack]
    with pytest.raises(TrustError, match=words):
        release.device().manifest(make(release))


def test_rollback_is_refused_by_the_version(release: Release):
    """A signed manifest says itself whether it may replace a later version; the install asks it.

    ``tests/device_sdk/installs`` has the refusal.
    """
    old = release.device().manifest(release.document(version="0.9"))
    assert old is not None
    assert not old.downgrade
    allowed = release.device().manifest(release.document("--downgrade", version="0.9"))
    assert allowed is not None
    assert allowed.downgrade


def test_freeze_by_a_clock_that_is_set_back_fails(release: Release):
    """The later of the device's and the cloud's time counts."""
    document = release.document("--days", "1")
    assert document.manifest is not None
    expires = Manifest.decode(document.manifest.text.encode()).expires_at
    assert expires is not None
    assert release.device(now=expires - 1).manifest(document) is not None
    with pytest.raises(TrustError, match="has expired"):
        release.device(now=expires).manifest(document)


def test_a_device_of_no_kind_takes_nothing_for_kinds(release: Release):
    """Fail closed: what is for presses is not installed on what does not say what it is."""
    with pytest.raises(TrustError, match="no kind that its file names"):
        release.device(kind="").manifest(release.document("--kind", "press"))


def test_a_stolen_release_key_is_replaced_by_the_root(release: Release):
    """From the new list on its signatures count no more, also after a restart."""
    device = release.device()
    stolen = release.document(signers=("release-1", "release-2"))
    assert device.manifest(stolen) is not None
    later = release.root(2, releases=("release-3", "thief"))
    assert device.is_root(replace(stolen, name="trust/2.root.json"))
    assert device.adopt(later) == 2
    assert device.adopt(later) == 2, "the same again changes nothing"
    for each in (device, release.device()):
        with pytest.raises(TrustError, match="0 of 2"):
            each.manifest(stolen)
    assert release.device().manifest(release.document(signers=("release-3", "thief"))) is not None


@pytest.mark.parametrize(
    ("version", "signers", "roots", "words"),
    [
        (3, ("root-1", "root-2"), None, "after 1 comes 2"),
        (1, ("root-1", "root-3"), ("root-1", "root-3", "thief"), "after 1 comes 2"),
        (2, ("root-1",), None, "not signed by its own root keys: 1 of 2"),
        (2, ("thief",), ("thief",), "not signed by the former one's: 0 of 2"),
        (2, ("root-1", "thief"), ("root-1", "thief"), "not signed by the former one's: 1 of 2"),
        (2, ("root-1", "root-2"), ("root-3", "thief"), "not signed by its own root keys: 0 of 2"),
    ],
)
def test_a_list_of_keys_that_must_not_be_believed(
    release: Release,
    version: int,
    signers: tuple[str, ...],
    roots: tuple[str, ...] | None,
    words: str,
):
    """It is the next version, and enough root keys of the former list and of its own signed it."""
    device = release.device()
    later = release.root(version, signers=signers, **({"roots": roots} if roots else {}))
    with pytest.raises(TrustError, match=words):
        device.adopt(later)
    assert release.trusted().root.version == 1


def test_a_lost_root_key_is_replaced_by_the_others(release: Release):
    """Two of three sign a list without it; from then on it counts for nothing."""
    release.device().adopt(release.root(2, roots=("root-1", "root-2", "thief")))
    signed_by_lost = release.root(
        3, signers=("root-1", "root-3"), roots=("root-1", "root-3", "thief")
    )
    with pytest.raises(TrustError, match="not signed by the former one's: 1 of 2"):
        release.device().adopt(signed_by_lost)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b'{"text": "{}", "signatures": {}}',
        b'{"text": "not json", "signatures": {}}',
        b"[" * 50_000,
        json.dumps({"text": '{"wire":1,"version":1,"keys":[],"root":3,"release":4}',
                    "signatures": {}}).encode(),
    ],
)  # fmt: skip
def test_what_is_no_list_of_keys_is_refused_in_words(content: bytes):
    """No form of it ends in anything but the one error."""
    with pytest.raises(TrustError, match="list of keys"):
        Root.read(content)


def changed_list(release: Release, /, **members: object) -> bytes:
    """The first list with other members, signed anew by its root keys; of a callable its result."""
    file = release.folder / "changed.json"
    signed = json.loads((release.folder / "1.root.json").read_bytes())
    held = json.loads(signed["text"])
    for name, value in members.items():
        held[name] = value(held[name]) if callable(value) else value
    file.write_text(json.dumps({"text": json.dumps(held), "signatures": {}}))
    for signer in ("root-1", "root-2"):
        sign("sign", file, "--key", release.folder / signer)
    return file.read_bytes()


def _more_keys(number: int) -> Callable[[list[str]], list[str]]:
    return lambda keys: [*keys, *(base64.b64encode(bytes([i])).decode() for i in range(number))]


def _threshold(threshold: object) -> Callable[[dict[str, object]], dict[str, object]]:
    return lambda role: {**role, "threshold": threshold}


@pytest.mark.parametrize("member", ["version", "root", "release", "keys"])
def test_a_list_that_is_signed_must_be_of_its_form(release: Release, member: str):
    """Whoever holds the root keys may err: what a device could misread is refused in words."""
    assert Root.read(changed_list(release)).version == 1
    most = 16 - 6
    wrong: dict[str, list[object]] = {
        "version": [0, -1, True, "2", 1.5, None],
        "keys": [_more_keys(most + 1), [], None, ["not base64"], [1]],
    }
    for role in ("root", "release"):
        wrong[role] = [*map(_threshold, (0, -1, 4, True, "2", 2.0, None)), {}, []]
        wrong[role].append({"keys": ["f" * 64], "threshold": 1})
    for value in wrong[member]:
        with pytest.raises(TrustError, match=r"^no list of keys: "):
            Root.read(changed_list(release, **{member: value}))
    good: dict[str, object] = {
        "version": 2**40,
        "keys": _more_keys(most),
        "root": _threshold(1),
        "release": _threshold(3),
    }
    assert Root.read(changed_list(release, **{member: good[member]})).keys


def test_a_list_of_keys_is_bounded(release: Release):
    """Before it is read as JSON, however well it is signed."""
    content = (release.folder / "1.root.json").read_bytes()
    room = MAX_ROOT_BYTES - len(content)
    assert Root.read(content + b" " * room).version == 1
    with pytest.raises(TrustError, match="has at most 16384 bytes"):
        Root.read(content + b" " * (room + 1))


def test_a_kept_list_that_cannot_be_read_ends_it(release: Release):
    """The pinned one is not believed instead: it may name keys that were withdrawn."""
    (release.folder / "kept.json").mkdir()
    with pytest.raises(TrustError, match=r"kept.json` cannot be read: Is a directory"):
        release.trusted()


def test_a_list_that_is_pinned_anew_has_the_last_word(release: Release):
    """Of two lists of one version the installer's counts, of two versions the later."""
    release.device().adopt(release.root(2, releases=("release-3", "thief")))
    for version, counts in ((2, True), (1, False)):
        pinned = release.root(version, releases=("release-1", "release-2", "thief"))
        (release.folder / "pinned.json").write_bytes(pinned)
        believed = release.trusted().root
        assert (believed.signed == Root.read(pinned).signed) == counts
        assert believed.version == 2


def test_a_list_of_keys_comes_without_a_manifest(release: Release):
    """It says itself who signed it; what a manifest would say of it nobody asked."""
    document = replace(release.document(), name="trust/2.root.json", size=MAX_ROOT_BYTES)
    with pytest.raises(TrustError, match="a list of keys has no manifest"):
        release.device().manifest(document)
    plain = replace(document, manifest=None)
    assert release.device().manifest(plain) is None
    with pytest.raises(TrustError, match="at most 16384 bytes"):
        release.device().manifest(replace(plain, size=MAX_ROOT_BYTES + 1))


def test_a_signed_text_that_is_no_manifest_is_refused(release: Release):
    """Enough keys signed it, by mistake: nothing of it is believed."""
    file = release.folder / "no-manifest.json"
    file.write_text(json.dumps({"text": "{}", "signatures": {}}))
    for signer in ("release-1", "release-2"):
        sign("sign", file, "--key", release.folder / signer)
    signed = Signed.of(json.loads(file.read_bytes()))
    with pytest.raises(TrustError, match="its manifest is none: "):
        release.device().manifest(replace(release.document(), manifest=signed))


def test_a_device_without_pinned_keys_takes_files_as_before(release: Release):
    """A plain file needs nothing, a manifest that is there must still fit."""
    policy = TrustPolicy(None, kind="press", clock=lambda: NOW)
    assert policy.manifest(replace(release.document(), manifest=None)) is None
    assert policy.manifest(release.document(signers=())) is not None
    with pytest.raises(TrustError, match="another file"):
        policy.manifest(replace(release.document(signers=()), size=1))
    assert not policy.is_root(replace(release.document(), name="trust/2.root.json"))


def test_signing_says_what_is_wrong(release: Release, capsys: pytest.CaptureFixture[str]):
    """A key that would be lost, a threshold that nobody reaches, a file that is none."""
    pub = release.folder / "root-1.pub"
    out = release.folder / "x.json"
    for words, said in (
        (("key", release.folder / "root-1"), "is there already"),
        (
            ("root", "--version", 1, "--root", pub, "--release", pub, "--root-threshold", 2, out),
            "`--root-threshold` is 2, it must be 1 to 1",
        ),
        (("sign", pub, "--key", release.folder / "root-1"), "is no file of `cedarfleet-sign`"),
        (("sign", out, "--key", pub), "No such file"),
        (
            ("manifest", pub, "--name", "", "--version", "1.0", "--days", 0, out),
            "`name`",
        ),
        (
            ("manifest", pub, "--name", "up", "--version", "1 0", "--days", 0, out),
            "`version`",
        ),
    ):
        assert cedarfleet_sign([str(word) for word in words]) == 1
        assert said in capsys.readouterr().err
        assert not out.exists()
    assert (release.folder / "root-1").stat().st_mode & 0o777 == 0o600


def test_keys_are_pinned_at_enrolment(release: Release):
    """The list stands beside the device's file, which names it; a file that is no list ends it."""
    with serving() as api:
        folder = release.folder / "device"
        folder.mkdir()
        identity = Identity(tenant="acme", device="press-91", config_file=folder / "device.toml")
        service = EnrolmentService(url=api.url)
        with pytest.raises(ConfigError, match="`--trust`: no list of keys"):
            enroll(service, identity, CODE, trust=b"{}")
        assert api.asked == [], "nobody was asked, and no code is used up"
        pinned = (release.folder / "1.root.json").read_bytes()
        enroll(service, identity, CODE, trust=pinned)
        config = DeviceConfig.load(folder / "device.toml")
        assert config.trust_file == folder / "trust.json"
        assert (folder / "trust.json").read_bytes() == pinned
        for each in ("device.crt", "device.key"):
            (folder / each).unlink()
        asked = len(api.asked)
        other = release.root(1, roots=("root-1", "thief"), signers=("root-1", "thief"))
        with pytest.raises(ConfigError, match=r"trust.json` is there and pins other keys than"):
            enroll(service, identity, CODE, trust=other)
        assert len(api.asked) == asked
        (folder / "trust.json").rename(folder / "keys.json")
        named = identity.config_file.read_text()
        identity.config_file.write_text(named.replace('"trust.json"', '"keys.json"'))
        with pytest.raises(ConfigError, match=r"keys.json` is there and pins other keys than"):
            enroll(service, identity, CODE, trust=other)
        (folder / "keys.json").unlink()
        enroll(service, identity, CODE, trust=pinned)
        assert (folder / "keys.json").read_bytes() == pinned
        for each in ("device.crt", "device.key"):
            (folder / each).unlink()
        without = identity.config_file.read_text().replace("trust_file", "# trust_file")
        identity.config_file.write_text(without)
        with pytest.raises(ConfigError, match="has no `trust_file`, and `--trust` is given"):
            enroll(service, identity, CODE, trust=pinned)
