"""A process with an embedded cloud, for tests that stamp whole stacks: their names are fixed.

    python cloud_process.py STATE_DIRECTORY

Prints one JSON line when ready; then, for each line read (a role's ARN), one line with that role's
environment.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from infra import garbage
from infra.local.cloud import EmbeddedCloud


def main() -> None:
    """Serve until standard input is closed."""
    garbage.seldom()
    with EmbeddedCloud(Path(sys.argv[1])) as cloud:
        ready = {
            "region": cloud.region,
            "account_id": cloud.account_id,
            "endpoint_url": cloud.endpoint_url,
            "environment": cloud.environment(),
            "mqtt_port": cloud.mqtt_port,
            "ca": str(cloud.ca_file),
        }
        print(json.dumps(ready), flush=True)
        for line in sys.stdin:
            print(json.dumps(cloud.environment(line.strip())), flush=True)


if __name__ == "__main__":
    main()
