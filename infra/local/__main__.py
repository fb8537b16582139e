"""`make up`: the embedded cloud with platform, tenants, people, devices, service; until Ctrl-C.

What it makes is kept under `.cedarfleet/` and found again at the next start, also after a crash.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console

from infra.local.cloud import EmbeddedCloud, EmbeddedCloudError
from infra.local.engine import EngineError
from infra.local.processes import ChildError
from infra.local.running_cloud import description
from infra.local.setup import (
    FIRMWARE,
    MIB,
    PLATFORM,
    RECIPE,
    RECIPE_BYTES,
    TENANTS,
    Setup,
    random_file,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.local.people import Person

STATE_DIR: Final = Path(".cedarfleet")
DESCRIPTION: Final = "cloud.json"
COMPLETE: Final = "set-up-complete"


def main() -> int:
    """Start everything, print how to use it, wait.

    Returns:
        0 after Ctrl-C or SIGTERM, 1 when something could not start.
    """
    given = _arguments()
    console = Console(highlight=False, soft_wrap=True)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    given.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with ExitStack() as running:
        try:
            cloud = running.enter_context(
                EmbeddedCloud(
                    given.state_dir / "cloud", gateway_port=given.port, mqtt_port=given.mqtt_port
                )
            )
            _write_private(given.state_dir / DESCRIPTION, description(cloud))
            console.print(
                f"The embedded cloud listens on {cloud.endpoint_url} "
                "(loopback only; no production cloud)."
            )
            console.print(f"{cloud.limits.words}.")
            if given.cloud_only:
                console.print(
                    "Stacks: `python -m infra.local.stacks up -s STACK` in another shell. "
                    "Ctrl-C ends."
                )
            else:
                _set_up(cloud, given, console, running)
        except (EmbeddedCloudError, EngineError, ChildError) as error:
            console.print(f"[red]not started:[/] {error}", markup=True)
            return 1
        stop.wait()
        console.print("stopping")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m infra.local", description=__doc__)
    parser.add_argument("--state-dir", type=Path, default=STATE_DIR, help="default: .cedarfleet")
    parser.add_argument(
        "--port", type=int, default=0, help="of the AWS APIs; default: the last one, or a free one"
    )
    parser.add_argument("--mqtt-port", type=int, default=0, help="of the MQTT broker; likewise")
    parser.add_argument(
        "--api-port", type=int, default=0, help="of the service; default: a free one"
    )
    parser.add_argument(
        "--cloud-only", action="store_true", help="stamp nothing, start nothing but the cloud"
    )
    return parser.parse_args()


def _set_up(
    cloud: EmbeddedCloud, given: argparse.Namespace, console: Console, running: ExitStack
) -> None:
    setup = Setup(cloud=cloud, state_dir=given.state_dir)
    complete = given.state_dir / COMPLETE
    # Killed while it was set up, the cloud may lack what the stacks' state holds.
    interrupted = not complete.exists()
    complete.unlink(missing_ok=True)
    for stack in (PLATFORM, *TENANTS):
        result = setup.stamp(stack, refresh=interrupted)
        console.print(
            f"{stack}: {len(result.changes)} changes, {result.same} resources as they were", end=""
        )
        console.print(f", {len(result.recorded)} only recorded" if result.recorded else "")
    people: dict[str, dict[str, Person]] = {}
    for tenant in TENANTS:
        people[tenant] = setup.add_people(tenant)
        _upload_missing(setup, tenant)
        device = setup.install_device(tenant)
        running.enter_context(setup.start_device(device))
        console.print(f"{device.thing} is connected; its files are in {device.folder}")
    child, url = setup.start_service(port=given.api_port)
    running.enter_context(child)
    _write_private(
        given.state_dir / "people.json",
        {
            tenant: {
                group: {
                    "email": person.email,
                    "password": person.password,
                    "token": setup.sign_in(tenant, person),
                }
                for group, person in members.items()
            }
            for tenant, members in people.items()
        }
        | {"api": url},
    )
    for line in _sign_in_lines(setup, people):
        console.print(line, markup=False)
    cloud.save()  # what the next lines announce outlives kill -9
    complete.touch()
    console.print(f"API: {url}   its documentation: {url}/v1/openapi   Ctrl-C ends.")


def _upload_missing(setup: Setup, tenant: str) -> None:
    bucket = setup.stacks[tenant]["bucket"]
    listed = setup.cloud.client("s3").list_objects_v2(Bucket=bucket).get("Contents", [])
    there = {each["Key"] for each in listed}
    for name, size in ((RECIPE, RECIPE_BYTES), (FIRMWARE, MIB)):
        if name not in there:
            setup.upload(tenant, name, random_file(size))


def _sign_in_lines(setup: Setup, people: dict[str, dict[str, Person]]) -> Iterator[str]:
    yield "Sign in with (a token of each is in people.json beside the state):"
    for tenant, members in people.items():
        yield f"  {tenant}, client id {setup.stacks[tenant]['client_id']}"
        for group, person in members.items():
            yield f"    {group:<22}{person.email:<38}{person.password}"


def _write_private(file: Path, document: dict[str, Any]) -> None:
    with os.fdopen(
        os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8"
    ) as stream:
        json.dump(document, stream, indent=2)


if __name__ == "__main__":
    sys.exit(main())
