"""Makes a cloud out of the recorded state of a release: what stood then stands again.

Each resource is made from its recorded inputs, in the recorded order. Ids that AWS gives are others
this time, so they are replaced wherever they stand: in later inputs, and in the state itself.
"""

from __future__ import annotations

import json
import re
import shutil
from typing import TYPE_CHECKING, Any

from infra.local.engine.values import for_handler
from infra.local.resources import HANDLERS
from tests.infra.releases.record import RELEASES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.infra.conftest import Project


def revive(release: str, project: Project, stacks: Iterable[str]) -> None:
    """Make the recorded resources in the project's cloud, and write the project's state.

    Args:
        release: recorded under this folder.
        project: without a state, on an empty cloud.
        stacks: the platform first.
    """
    folder = project.root / "state" / "stacks" / "cedarfleet"
    folder.mkdir(parents=True)
    shutil.copyfile(
        RELEASES / release / "passphrase.json", project.root / "state" / "passphrase.json"
    )
    renamed: dict[str, str] = {}
    for stack in stacks:
        state = json.loads((RELEASES / release / f"{stack}.json").read_text())
        for resource in state["deployment"]["resources"]:
            if resource["type"].startswith("aws:"):
                _make(project, resource, renamed)
        (folder / f"{stack}.json").write_text(json.dumps(_renamed(state, renamed)))


def _make(project: Project, resource: dict[str, Any], renamed: dict[str, str]) -> None:
    inputs = for_handler(_renamed(resource["inputs"], renamed))
    made = HANDLERS[resource["type"]].create(project.cloud, inputs)
    _note(resource["id"], made.id, renamed)
    _note(resource["outputs"], made.outputs, renamed)


def _note(old: Any, new: Any, renamed: dict[str, str]) -> None:
    """Note each text of what was recorded that is another one now."""
    if isinstance(old, str) and isinstance(new, str):
        known = _renamed(old, renamed)
        if known != new:
            renamed[old] = new
    elif isinstance(old, dict) and isinstance(new, dict):
        for key, value in old.items():
            _note(value, new.get(key), renamed)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for before, after in zip(old, new, strict=True):
            _note(before, after, renamed)


def _renamed(value: Any, renamed: dict[str, str]) -> Any:
    if not renamed:
        return value
    longest_first = sorted(renamed, key=len, reverse=True)
    pattern = re.compile("|".join(map(re.escape, longest_first)))

    def walk(part: Any) -> Any:
        if isinstance(part, str):
            return pattern.sub(lambda found: renamed[found[0]], part)
        if isinstance(part, dict):
            return {key: walk(item) for key, item in part.items()}
        return [walk(item) for item in part] if isinstance(part, list) else part

    return walk(value)
