"""``python -m service [api|worker|verify-audit]``: the programs; without a name the HTTPS API."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING, Final

import structlog

from service import log as log_format
from service.errors import ConfigurationError
from service.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


# Their imports take a second: wrong settings are told without them.
def _api(settings: Settings) -> int:
    from service.server import serve  # noqa: PLC0415 - as it says above

    return serve(settings)


def _worker(settings: Settings) -> int:
    from service.worker import work  # noqa: PLC0415 - as it says above

    return work(settings)


PROGRAMS: Final[Mapping[str, Callable[[Settings], int]]] = {"api": _api, "worker": _worker}


def main(arguments: Sequence[str]) -> int:
    """Run one program with the settings of the environment; 2 says that the settings are wrong."""
    if arguments[:1] == ["verify-audit"]:
        # It has no settings: whoever has an export can check it.
        from service.verify_audit import main as verify  # noqa: PLC0415 - as it says above

        return verify(arguments[1:])
    parser = argparse.ArgumentParser(
        prog="python -m service", epilog="`verify-audit FILE` checks an export of the audit trail"
    )
    parser.add_argument("program", nargs="?", choices=sorted(PROGRAMS), default="api")
    program = PROGRAMS[parser.parse_args(arguments).program]
    log_format.configure()
    try:
        return program(Settings.read(os.environ))
    except ConfigurationError as error:
        # The operator needs words, no traceback.
        log.error("service.misconfigured", problem=str(error))  # noqa: TRY400 - as said
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
