"""Start clouds without some corrections and print, as JSON, which of the named holes are open.

    python run.py FOLDER '[["left out, ...", "probed, ..."], ...]'

A process for each cloud, since the emulator is corrected once per process; and one before them,
which reads what all of them need (AWS's models above all) and forks into them. Prints a list: of
each cloud, hole -> open?
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import json
import os
import socket
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import probe_authorization
import probe_broker
import probe_client_secrets
import probe_cognito
import probe_credentials
import probe_device_data
import probe_events
import probe_iot
import probe_jobs
import probe_objects
import probe_queues
import probe_sessions
import probe_tables
from probed_cloud import ProbedCloud

from infra.local.cloud import EmbeddedCloud
from infra.local.cloud.limits import shapes

_MODULES = (
    probe_authorization,
    probe_broker,
    probe_client_secrets,
    probe_cognito,
    probe_credentials,
    probe_device_data,
    probe_events,
    probe_iot,
    probe_jobs,
    probe_objects,
    probe_tables,
    probe_queues,
    probe_sessions,
)
_SERVICES = (
    *("acm", "cognito-idp", "dynamodb", "events", "firehose", "iam", "iot", "iot-data"),
    *("iot-jobs-data", "s3", "scheduler", "sqs", "sts"),
)
_LOOPBACK = "listens_on_loopback"


def main() -> None:
    """Probe, all clouds at the same time."""
    folder, runs = Path(sys.argv[1]), json.loads(sys.argv[2])
    for name in _SERVICES:
        shapes.service_model(name)
    gc.freeze()
    begun = [
        _begun(folder / str(number), left_out.split(), names.split())
        for number, (left_out, names) in enumerate(runs)
    ]
    said: list[str] = []
    for _, pipe in begun:
        with open(pipe) as told:  # noqa: PTH123 - of a descriptor
            said.append(told.read())
    codes = [os.waitpid(child, 0)[1] for child, _ in begun]
    if any(codes):
        sys.exit(1)  # which of them failed has said why
    print(json.dumps([json.loads(text) for text in said]))


def _begun(directory: Path, left_out: list[str], names: list[str]) -> tuple[int, int]:
    """The process of one cloud, and where it writes what it has found."""
    read, write = os.pipe()
    if child := os.fork():
        os.close(write)
        return child, read
    os.close(read)
    code = 1
    try:
        found = _found(directory, left_out, names)
        with open(write, "w") as pipe:  # noqa: PTH123 - of a descriptor
            json.dump(found, pipe)
        code = 0
    except BaseException:  # noqa: BLE001 - the child must not go on as its parent
        traceback.print_exc()
    os._exit(code)


def _found(directory: Path, left_out: list[str], names: list[str]) -> dict[str, bool]:
    if _LOOPBACK in left_out:
        return {_LOOPBACK: _uncorrected_listener() != "127.0.0.1"}
    with EmbeddedCloud(directory, without=left_out) as cloud:
        probed = ProbedCloud(cloud)
        with ThreadPoolExecutor(len(names)) as pool:  # most of them wait most of the time
            probes = {name: pool.submit(_probe, probed, name) for name in names}
            return {name: probe.result() for name, probe in probes.items()}


def _probe(probed: ProbedCloud, name: str) -> bool:
    if name == _LOOPBACK:
        return _reachable("127.0.0.2", probed.cloud.mqtt_port)
    probe = next(getattr(module, name) for module in _MODULES if hasattr(module, name))
    is_open: bool = probe(probed)
    return is_open


def _reachable(address: str, port: int) -> bool:
    """Linux serves all of 127/8 on loopback: what listens on 127.0.0.1 is not at 127.0.0.2."""
    try:
        socket.create_connection((address, port), timeout=3).close()
    except OSError:
        return False
    return True


def _uncorrected_listener() -> str:
    """The address that the emulator's own start binds."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        os.environ["IOT_MTLS_PORT"] = str(free.getsockname()[1])
    iot = importlib.import_module("ministack.services.iot")

    async def bound() -> str:
        await iot._mtls_start_locked()
        address: str = iot._mtls_server.sockets[0].getsockname()[0]
        await iot._mtls_stop_locked()
        return address

    return asyncio.run(bound())


if __name__ == "__main__":
    main()
