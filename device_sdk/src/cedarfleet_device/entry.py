"""The way into the program: says in words what the machine lacks, before anything needs it."""

from __future__ import annotations

import sys

from cedarfleet_device import no_runtime


def main() -> int:
    """Run ``cedarfleet-device``; the exit code."""
    try:
        from cedarfleet_device.__main__ import main as program  # noqa: PLC0415 - may not be there
    except ImportError as error:
        print(f"cedarfleet-device: {no_runtime(error)}", file=sys.stderr)  # noqa: T201 - its last word
        return 1
    return program()
