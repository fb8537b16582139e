"""Fixtures: a project in a temporary folder, and an engine for a program in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from infra.local.engine import Engine
from tests.infra.local.engine.folder_cloud import HANDLERS, INVOKES, FolderCloud

if TYPE_CHECKING:
    from pathlib import Path

    from infra.local.engine.program import Program


class StoreProject:
    """The project `store` with the stacks `dev` and `other`.

    Called with a program, it makes an engine; all of them share one project, state and cloud.

    Attributes:
        root: folder of the project.
        cloud: makes its boxes in `boxes/` of that folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "boxes").mkdir()
        (root / "Pulumi.yaml").write_text("name: store\nruntime: python\nstackConfigDir: stacks\n")
        (root / "stacks").mkdir()
        for stack in ("dev", "other"):
            (root / "stacks" / f"Pulumi.{stack}.yaml").write_text("config: {}\n")
        self.cloud = FolderCloud(root / "boxes")

    def __call__(self, program: Program) -> Engine:
        """Return the engine for a program."""
        return Engine(
            self.root, self.root / "state", self.cloud, HANDLERS, INVOKES, program=program
        )


@pytest.fixture
def store(tmp_path: Path) -> StoreProject:
    """A project in a folder of its own."""
    return StoreProject(tmp_path)
