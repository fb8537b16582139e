"""The service as it was before the door: boto3 in threads, and every decision asked of the store.

Run as ``python -m tests.benchmarks.service_on_boto3``, with the service's own settings.
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from service import log as log_format
from service.composition import build
from service.server import serve
from service.settings import Settings
from tests.benchmarks.boto3_door import Boto3Door

if TYPE_CHECKING:
    from service.ports.metrics import Metrics


def door(settings: Settings, _: Metrics) -> Boto3Door:
    """In place of the service's own."""
    return Boto3Door(settings.aws, max_tenants=settings.tenants.cache_entries)


def main() -> int:
    """Serve until a signal."""
    log_format.configure()
    settings = Settings.read(os.environ)
    policies = replace(settings.policies, total_bytes=0)
    return serve(replace(settings, policies=policies), application=partial(build, open_door=door))


if __name__ == "__main__":
    sys.exit(main())
