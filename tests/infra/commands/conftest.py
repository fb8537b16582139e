"""A stamped project as `make up` leaves it, for commands that stamp by the laptop's engine."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.infra.conftest import Project


@pytest.fixture
def state(own: Project, tmp_path: Path) -> Path:
    """A folder as `make up` has it, of the stamped cloud and the copied state."""
    folder = tmp_path / "cedarfleet"
    folder.mkdir()
    (folder / "stacks").symlink_to(own.root / "state")
    described = {
        key: getattr(own.cloud, key)
        for key in ("endpoint_url", "region", "account_id", "environment")
    }
    (folder / "cloud.json").write_text(json.dumps(described))
    return folder
