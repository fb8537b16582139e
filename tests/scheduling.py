"""Which tests run on one worker, one after the other, and which begin first; used by conftest.

A worker takes a whole module at a time, so that what a module's tests share is made once. Modules
that share what takes tens of seconds to make (stamped stacks, a running service) go to one worker
together. The longest begin first: one that began last would keep a worker waiting at the end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from xdist.scheduler import LoadScopeScheduling

if TYPE_CHECKING:
    from collections.abc import Iterable

# Begins of paths -> what their tests share.
_SHARED: Final = {
    "tests/infra/stacks/platform_stack/": "stamped stacks",
    "tests/infra/stacks/tenant_stack/": "stamped stacks",
    "tests/infra/policies/test_stamped_update.py": "stamped stacks",
    "tests/infra/test_": "stamped stacks",
    "tests/infra/commands/test_life_events.py": "stamped stacks",
    "tests/infra/commands/test_tenants.py": "stamped stacks",
    "tests/infra/commands/test_tier_move.py": "stamped stacks",
    "tests/infra/guardrails/test_guardrails.py": "stamped stacks",
    "tests/service/adapters/on_the_embedded_cloud/clients/": "running service, of clients",
    "tests/service/adapters/on_the_embedded_cloud/console/": "running service, in a browser",
    "tests/service/adapters/on_the_embedded_cloud/": "running service",
}

# Seconds to a minute or two each, on a quiet machine.
_LONGEST: Final = (
    "tests/journeys/",
    "tests/infra/test_",
    "tests/infra/local/cloud/test_state_survives.py",
    "tests/infra/local/cloud/corrections/test_corrections.py",
    "tests/infra/policies/",
    "tests/device_sdk/commands/test_power_cuts.py",
    "tests/service/adapters/on_the_embedded_cloud/",
    "tests/infra/local/",
    "tests/service/test_process.py",
)


def scope(path: str) -> str:
    """What the tests of a file are scheduled together with: their file, or what they share."""
    return next((group for begin, group in _SHARED.items() if path.startswith(begin)), path)


def rank(path: str) -> int:
    """The smaller, the sooner it begins."""
    begins: Iterable[int] = (
        index for index, begin in enumerate(_LONGEST) if path.startswith(begin)
    )
    return next(iter(begins), len(_LONGEST))


class Scheduling(LoadScopeScheduling):
    """Modules as they were collected, those that share something dear together."""

    def _split_scope(self, nodeid: str) -> str:
        return scope(nodeid.partition("::")[0])
