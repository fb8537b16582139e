"""The program ``cedarfleet-sign``: keys, lists of keys, manifests and their signatures.

For whoever releases files, on a machine that is not in the cloud. A file that is signed is JSON:
the text that was signed, and signatures by key.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from cedarfleet_device.errors import ConfigError, DeviceError
from cedarfleet_device.files import write_atomically
from cedarfleet_device.identity.x509 import key_pem, new_key, read_key
from cedarfleet_device.standard_output import answered, say
from cedarfleet_device.trust.keys import key_id, public_of, sign
from cedarfleet_device.trust.root import MAX_ROOT_BYTES, Root
from cedarfleet_device.wire import Manifest, Signed, WireError, form

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

METADATA: Final = "manifest"
"""Of an object in S3 (``x-amz-meta-manifest``): what the platform puts into the job."""
_DAY_MS: Final = 86_400_000
_CHUNK: Final = 1024 * 1024
_EXAMPLES: Final = """\
exit codes: 0 done, 1 refused or failed (with the reason), 2 wrong usage

In this order; what is *.key never comes near the cloud:
  cedarfleet-sign key root-1.key; cedarfleet-sign key release-1.key
  cedarfleet-sign root --version 1 --root root-1.key.pub --release release-1.key.pub 1.root.json
  cedarfleet-sign sign 1.root.json --key root-1.key
  cedarfleet-sign manifest press.img --name firmware/press.img --version 2.0 press.manifest.json
  cedarfleet-sign sign press.manifest.json --key release-1.key
  cedarfleet-sign check press.manifest.json --trust 1.root.json
Devices pin 1.root.json: `cedarfleet-device enroll --trust 1.root.json ...`"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand; the exit code."""
    return answered(lambda: _main(arguments))


def _main(arguments: Sequence[str] | None) -> int:
    given = _parser().parse_args(arguments)
    try:
        act: Callable[[argparse.Namespace], str] = given.act
        say(act(given))
    except (DeviceError, OSError, ValueError) as error:
        print(f"cedarfleet-sign: {error}", file=sys.stderr)  # noqa: T201 - its last word
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="cedarfleet-sign",
        description="Sign files for devices that trust no cloud",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(required=True, metavar="ACTION")

    def action(
        name: str, act: Callable[[argparse.Namespace], str], words: str
    ) -> argparse.ArgumentParser:
        each = actions.add_parser(name, help=words, description=words)
        each.set_defaults(act=act)
        return each

    key = action("key", _key, "make a key: FILE (private) and FILE.pub")
    key.add_argument("file", type=Path, metavar="FILE")
    root = action("root", _root, "make a list of keys, to be signed by its root keys")
    root.add_argument("--version", type=int, required=True, help="1, or one more than the former")
    for role in ("root", "release"):
        root.add_argument(
            f"--{role}", type=Path, action="append", required=True, metavar="PUB", help="a key"
        )
        root.add_argument(
            f"--{role}-threshold",
            type=int,
            default=1,
            metavar="N",
            help="of so many keys signatures are needed (default: %(default)s)",
        )
    root.add_argument("output", type=Path, metavar="OUTPUT")
    manifest = action("manifest", _manifest, "describe a file, to be signed by release keys")
    manifest.add_argument("file", type=Path, metavar="FILE")
    manifest.add_argument("--name", required=True, help="in the tenant's bucket")
    manifest.add_argument("--package", default="firmware", help="(default: %(default)s)")
    manifest.add_argument("--version", required=True, help="of the package, e.g. 1.4.2")
    manifest.add_argument(
        "--requires", action="append", default=[], metavar="PACKAGE=VERSION", help="least version"
    )
    manifest.add_argument("--kind", action="append", default=[], help="of device (default: any)")
    manifest.add_argument(
        "--days", type=int, default=90, help="until it expires; 0: never (default: %(default)s)"
    )
    manifest.add_argument("--downgrade", action="store_true", help="may replace a later version")
    manifest.add_argument("output", type=Path, metavar="OUTPUT")
    signing = action("sign", _sign, "add a signature to a list of keys or a manifest")
    signing.add_argument("file", type=Path, metavar="FILE")
    signing.add_argument("--key", type=Path, required=True, metavar="KEY", help="private")
    check = action("check", _check, "whether enough release keys have signed a manifest")
    check.add_argument("file", type=Path, metavar="FILE")
    check.add_argument("--trust", type=Path, required=True, metavar="ROOT", help="list of keys")
    words = f"the text for the object's metadata `{METADATA}` in S3"
    action("metadata", _metadata, words).add_argument("file", type=Path, metavar="FILE")
    return parser


def _key(given: argparse.Namespace) -> str:
    file: Path = given.file
    if file.exists():  # fail closed: a key that is lost cannot sign its successor
        raise ConfigError(f"`{file}` is there already")
    key = new_key()
    write_atomically(file.absolute(), key_pem(key))
    public = public_of(key)
    Path(f"{file}.pub").write_text(base64.b64encode(public).decode() + "\n", encoding="ascii")
    return key_id(public)


def _root(given: argparse.Namespace) -> str:
    roles: dict[str, Any] = {}
    keys: dict[str, str] = {}
    for role in ("root", "release"):
        files: list[Path] = getattr(given, role)
        texts = [file.read_text(encoding="ascii").strip() for file in files]
        ids = {key_id(base64.b64decode(text, validate=True)): text for text in texts}
        threshold: int = getattr(given, f"{role}_threshold")
        if not 1 <= threshold <= len(ids):
            raise ConfigError(f"`--{role}-threshold` is {threshold}, it must be 1 to {len(ids)}")
        keys |= ids
        roles[role] = {"keys": sorted(ids), "threshold": threshold}
    text = form.encode({"version": given.version, "keys": [*keys.values()], **roles}).decode()
    _write(given.output, Signed(text=text))
    return f"`{given.output}` is to be signed by {roles['root']['threshold']} of its root keys"


def _manifest(given: argparse.Namespace) -> str:
    file: Path = given.file
    digest = hashlib.sha256()
    with file.open("rb") as content:
        while chunk := content.read(_CHUNK):
            digest.update(chunk)
    requires = dict(each.partition("=")[::2] for each in given.requires)
    manifest = Manifest(
        name=given.name,
        size=file.stat().st_size,
        sha256=digest.hexdigest(),
        package=given.package,
        version=given.version,
        requires=requires,
        kinds=tuple(given.kind),
        downgrade=given.downgrade,
        expires_at=round(time.time() * 1000) + given.days * _DAY_MS if given.days else None,
    )
    text = manifest.encode()
    Manifest.decode(text)  # what a device would refuse is refused here
    _write(given.output, Signed(text=text.decode()))
    return f"`{given.output}` is to be signed by release keys"


def _sign(given: argparse.Namespace) -> str:
    file: Path = given.file
    signed = _read(file)
    key = read_key(given.key.read_bytes())
    public = key_id(public_of(key))
    signatures = signed.signatures | {public: sign(key, signed.text)}
    _write(file, Signed(text=signed.text, signatures=signatures))
    return f"`{file}` has {len(signatures)} signatures"


def _check(given: argparse.Namespace) -> str:
    root, signed = Root.read(given.trust.read_bytes()), _read(given.file)
    if (missing := root.missing(root.release, signed)) is not None:
        raise ConfigError(f"`{given.file}`: {missing}")
    manifest = Manifest.decode(signed.text.encode())
    return f"`{given.file}` is good: {manifest.package} {manifest.version} as `{manifest.name}`"


def _metadata(given: argparse.Namespace) -> str:
    return metadata(_read(given.file))


def metadata(signed: Signed) -> str:
    """A signed manifest as the metadata of an object in S3, which takes 2 KB of ASCII in all."""
    return base64.b64encode(form.dump(asdict(signed))).decode()


def _read(file: Path) -> Signed:
    try:
        return Signed.of(json.loads(file.read_bytes()), most=MAX_ROOT_BYTES)
    except (WireError, ValueError) as error:
        raise ConfigError(f"`{file}` is no file of `cedarfleet-sign`: {error}") from error


def _write(file: Path, signed: Signed) -> None:
    write_atomically(file.absolute(), json.dumps(asdict(signed), indent=2).encode())


if __name__ == "__main__":
    sys.exit(main())
