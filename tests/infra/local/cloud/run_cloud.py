"""A process that runs an embedded cloud until it is interrupted; the tests are its clients.

    python run_cloud.py STATE_DIRECTORY GATEWAY_PORT MQTT_PORT

Prints one JSON line when ready and one when stopped.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

from infra import garbage
from infra.local.cloud import EmbeddedCloud, EmbeddedCloudError


def main() -> None:
    """Serve."""
    directory, gateway_port, mqtt_port = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    started = time.monotonic()
    garbage.seldom()
    try:
        with EmbeddedCloud(directory, gateway_port=gateway_port, mqtt_port=mqtt_port) as cloud:
            ready = {
                "seconds": time.monotonic() - started,
                "environment": cloud.environment(),
                "mqtt_port": cloud.mqtt_port,
                "ca": cloud.ca_file.read_text(),
            }
            print(json.dumps(ready), flush=True)
            with suppress(KeyboardInterrupt):
                signal.pause()
    except EmbeddedCloudError as error:
        sys.exit(f"{type(error).__name__}: {error}")
    print(
        json.dumps({"threads": sorted(thread.name for thread in threading.enumerate())}), flush=True
    )


if __name__ == "__main__":
    main()
