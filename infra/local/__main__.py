"""`make up`: the embedded cloud with platform, tenants, people, devices, service; until Ctrl-C.

What it makes is kept under `.cedarfleet/` and found again at the next start, also after a crash:
ports and passwords too.
"""

from __future__ import annotations

import argparse
import signal
import threading
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.console import Console

from infra.local.cloud import EmbeddedCloud, EmbeddedCloudError
from infra.local.cloud.ports import listen
from infra.local.engine import EngineError
from infra.local.people_file import FILE, PeopleFile, write_private
from infra.local.processes import ChildError, run
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
            write_private(given.state_dir / DESCRIPTION, description(cloud))
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
        "--api-port", type=int, default=0, help="of the API; default: the last one, or a free one"
    )
    parser.add_argument(
        "--cloud-only", action="store_true", help="stamp nothing, start nothing but the cloud"
    )
    return parser.parse_args()


def _set_up(
    cloud: EmbeddedCloud, given: argparse.Namespace, console: Console, running: ExitStack
) -> None:
    setup = Setup(cloud=cloud, state_dir=given.state_dir)
    last = PeopleFile.read(given.state_dir)
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
        people[tenant] = setup.add_people(tenant, last.passwords(tenant))
        _upload_missing(setup, tenant)
    child, url = setup.start_service(port=_api_port(given.api_port, last.port))
    running.enter_context(child)
    running.enter_context(setup.start_worker())
    if last.port and given.api_port == 0 and url != last.api:
        console.print(f"another program has taken {last.api}: the API has a new port")
    known = _people_document(setup, people)
    write_private(given.state_dir / FILE, {**known, "api": url})
    consoles = {tenant: setup.open_console(tenant, api=url) for tenant in TENANTS}
    for tenant in TENANTS:
        device = setup.let_in(tenant, url=url, token=known[tenant]["managers"]["token"])
        running.enter_context(setup.start_device(device))
        console.print(f"{device.thing} is connected; its files are in {device.folder}")
    for line in _sign_in_lines(setup, people, consoles):
        console.print(line, markup=False)
    console.print(
        "A device of your own: `make enroll DEVICE=press-42`; the SDK that it installs: `make "
        "wheel` (device_sdk/README.md)"
    )
    cloud.save()  # what the next lines announce outlives kill -9
    complete.touch()
    console.print(
        f"API: {url}   described at {url}/v1/openapi (the raw OpenAPI document, JSON)   "
        "Ctrl-C ends."
    )


def _api_port(wanted: int, last: int) -> int:
    """The port that was asked for, else the last one if free, else any.

    Raises:
        PortTakenError: the port that was asked for is in use.
    """
    with closing(listen(purpose="the API", wanted=wanted, remembered=last)) as listener:
        return int(listener.getsockname()[1])


def _upload_missing(setup: Setup, tenant: str) -> None:
    bucket = setup.stacks[tenant]["bucket"]
    listed = setup.cloud.client("s3").list_objects_v2(Bucket=bucket).get("Contents", [])
    there = {each["Key"] for each in listed}
    for name, size in ((RECIPE, RECIPE_BYTES), (FIRMWARE, MIB)):
        if name not in there:
            setup.upload(tenant, name, random_file(size))


def _people_document(
    setup: Setup, people: dict[str, dict[str, Person]]
) -> dict[str, dict[str, dict[str, str]]]:
    return {
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


def _sign_in_lines(
    setup: Setup, people: dict[str, dict[str, Person]], consoles: dict[str, str]
) -> Iterator[str]:
    yield f"Sign in with (kept in {setup.state_dir / FILE}, which holds a token of each too):"
    for tenant, members in people.items():
        yield f"  {tenant}, client id {setup.stacks[tenant]['client_id']}"
        for group, person in members.items():
            yield f"    {group:<22}{person.email:<38}{person.password}"
        yield f"    console: {consoles[tenant]}"
    [tenant, *_], at = people, setup.state_dir
    state = "" if at == STATE_DIR else f" --state {at}"
    call = f".venv/bin/python -m infra.local.api{state} -s {tenant} --as managers"
    device, measure = TENANTS[tenant].device, TENANTS[tenant].measure
    yield "Call the API as one of them, in another shell of this folder:"
    yield f"  {call} GET /v1/devices"
    yield f"""  {call} --wait POST /v1/devices/{device}/commands '{{"name": "{measure}"}}'"""
    cloud, name = setup.cloud, setup.stacks[PLATFORM]["device_endpoint"]
    yield f"Devices dial {cloud.mqtt_host}, port {cloud.mqtt_port}, here; on AWS {name}"
    yield "A tenant of your own, from its file to its removal: docs/first-hour.md"


if __name__ == "__main__":
    run(main)
