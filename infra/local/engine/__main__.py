"""``python -m infra.local.engine up -s acme``: the Pulumi program against the embedded cloud that ``make up`` runs."""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import closing
from pathlib import Path

from infra.local.engine.engine import Engine
from infra.local.engine.errors import DeploymentFailedError, EngineError
from infra.local.engine.running_cloud import RunningCloud
from infra.local.handlers import HANDLERS, INVOKES


def main(arguments: list[str] | None = None) -> int:
    """Run one verb on one stack; 0 if it went well, 1 with the reason on stderr if not."""
    parser = argparse.ArgumentParser(prog="python -m infra.local.engine", description=__doc__)
    parser.add_argument("verb", choices=("preview", "up", "refresh", "destroy", "outputs"))
    parser.add_argument("-s", "--stack", required=True, help="platform, or a tenant of tenants/")
    parser.add_argument("--project", type=Path, default=Path(), help="folder of Pulumi.yaml (default: here)")
    parser.add_argument(
        "--state", type=Path, default=Path(".cedarfleet"), help="folder of `make up` (default: .cedarfleet)"
    )
    given = parser.parse_args(arguments)
    try:
        with closing(RunningCloud(given.state / "cloud.json")) as cloud:
            engine = Engine(
                given.project.resolve(),
                given.state / "stacks",
                cloud,
                HANDLERS,
                INVOKES,
                passphrase=os.environ.get("PULUMI_CONFIG_PASSPHRASE"),
            )
            verbs = {
                "preview": engine.preview,
                "up": engine.up,
                "refresh": engine.refresh,
                "destroy": engine.destroy,
                "outputs": engine.outputs,
            }
            result = verbs[given.verb](given.stack)
    except KeyboardInterrupt:
        print(f"{given.verb} {given.stack}: interrupted; run `up` to go on", file=sys.stderr)  # noqa: T201
        return 130
    except EngineError as error:
        if isinstance(error, DeploymentFailedError):
            print(*error.result.lines(), sep="\n")  # noqa: T201 - a command line speaks on stdout
        print(f"{given.verb} {given.stack}: {error}", file=sys.stderr)  # noqa: T201
        return 1
    print(*result.lines(), sep="\n")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
