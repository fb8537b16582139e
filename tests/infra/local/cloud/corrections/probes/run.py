"""Start a cloud without some corrections and print, as JSON, which of the named holes are open.

    python run.py STATE_DIRECTORY 'left out, ...' 'probed, ...'

A process of its own, since the emulator is corrected once per process.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import probe_authorization
import probe_broker
import probe_cognito
import probe_credentials
import probe_iot
import probe_jobs
import probe_objects
import probe_queues
import probe_sessions
import probe_tables
from probed_cloud import ProbedCloud

from infra.local.cloud import EmbeddedCloud

_MODULES = (
    probe_authorization,
    probe_broker,
    probe_cognito,
    probe_credentials,
    probe_iot,
    probe_jobs,
    probe_objects,
    probe_tables,
    probe_queues,
    probe_sessions,
)
_LOOPBACK = "listens_on_loopback"


def main() -> None:
    """Probe."""
    directory, left_out, names = Path(sys.argv[1]), sys.argv[2].split(), sys.argv[3].split()
    if _LOOPBACK in left_out:
        print(json.dumps({_LOOPBACK: _uncorrected_listener() != "127.0.0.1"}))
        return
    with EmbeddedCloud(directory, without=left_out) as cloud:
        probed = ProbedCloud(cloud)
        for service in (
            "acm",
            "iot",
            "iot-data",
            "iam",
            "sts",
            "dynamodb",
            "cognito-idp",
            "s3",
            "sqs",
            "scheduler",
            "iot-jobs-data",
        ):
            cloud.client(service)
        with ThreadPoolExecutor(len(names)) as pool:  # most of them wait most of the time
            probes = {name: pool.submit(_probe, probed, name) for name in names}
            print(json.dumps({name: probe.result() for name, probe in probes.items()}))


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
