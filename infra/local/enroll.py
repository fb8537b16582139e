"""`make enroll DEVICE=press-42`: registers a device on what `make up` runs, for its first minutes.

A manager of the tenant registers it, or gives a new code to one that was. The code lies in a file
of a folder of the device's name, for this user alone; printed is what to type next.
"""

from __future__ import annotations

import argparse
import os
import sys
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Final

import httpx
from botocore.exceptions import BotoCoreError, ClientError
from cedarfleet_device import wire

from infra.local.api import NobodyError, token
from infra.local.engine import EngineError
from infra.local.loopback import NO_AUTHORITIES
from infra.local.people import SignInError
from infra.local.people_file import PeopleFile
from infra.local.running_cloud import CloudNotRunningError

if TYPE_CHECKING:
    from collections.abc import Sequence

_SECONDS: Final = 60.0
_MANAGERS: Final = "managers"


class RefusedError(Exception):
    """The API did not register the device; the message is its own."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Register one device; 0 once its code is in its folder, else 1 and the reason."""
    given = _arguments(arguments)
    if not wire.is_device_id(given.device):  # it becomes the name of a folder
        return _complain(f"`{given.device}` is no device id, such as press-42")
    folder: Path = given.folder / given.device
    try:
        people = PeopleFile.read(given.state)
        bearer = token(given.tenant, _MANAGERS, project=Path(), state=given.state, people=people)
        code = _code(people.api, bearer, given.device)
        keep(folder, code)
    except (NobodyError, SignInError, CloudNotRunningError, EngineError, RefusedError) as error:
        return _complain(str(error))
    except (BotoCoreError, ClientError, httpx.TransportError) as error:
        return _complain(f"cannot reach what `make up` runs: {error}")
    except OSError as error:
        return _complain(f"`{error.filename}` cannot be written: {error.strerror}")
    for line in _next(people.api, given.tenant, given.device, folder):
        print(line)  # noqa: T201 - a command line speaks on stdout
    return 0


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m infra.local.enroll", description=__doc__)
    parser.add_argument("device", help="id in the tenant, e.g. press-42")
    parser.add_argument("--tenant", default="acme", help="default: %(default)s")
    parser.add_argument(
        "--folder", type=Path, default=Path(), help="the device's folder is made in it (here)"
    )
    parser.add_argument(
        "--state",
        type=Path,
        default=Path(".cedarfleet"),
        help="folder of `make up` (default: %(default)s)",
    )
    return parser.parse_args(arguments)


def _code(api: str, bearer: str, device: str) -> str:
    """The one-time code of a new device, or a new one of a device that was registered."""
    headers = {"Authorization": f"Bearer {bearer}"}
    with httpx.Client(
        base_url=api, headers=headers, timeout=_SECONDS, trust_env=False, verify=NO_AUTHORITIES
    ) as http:
        answer = http.post("/v1/devices", json={"id": device})
        if answer.status_code == HTTPStatus.CONFLICT:
            answer = http.post(f"/v1/devices/{device}/enrolment-code")
    if not answer.is_success:
        # A problem document; never what was sent.
        raise RefusedError(f"the API refused ({answer.status_code}): {answer.text[:500]}")
    return str(answer.json()["code"])


def keep(folder: Path, code: str) -> None:
    """Write a one-time code into a device's folder, for this user alone and for no commit."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    # The device's private key will lie here, in a checkout: `git add .` must not take it along.
    folder.joinpath(".gitignore").write_text("*\n", encoding="ascii")
    file = folder / "code"
    file.unlink(missing_ok=True)
    with os.fdopen(
        os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii"
    ) as stream:
        stream.write(f"{code}\n")


def _next(api: str, tenant: str, device: str, folder: Path) -> list[str]:
    config = f"--config {folder}/device.toml"
    named = f"--api {api} --tenant {tenant} --device {device} --code-file {folder}/code"
    return [
        f"{device} of {tenant} is registered; its one-time code is in {folder}/code, for a week.",
        "On a device: `make wheel` here, and there `pip install` of what it prints. Then:",
        f"  cedarfleet-device enroll {named} {config}",
        f"  cedarfleet-device doctor {config}",
        "and device_sdk/README.md has a program for it, and how to send it a command.",
    ]


def _complain(words: str) -> int:
    print(f"enroll: {words}", file=sys.stderr)  # noqa: T201 - its last word
    return 1


if __name__ == "__main__":
    sys.exit(main())
