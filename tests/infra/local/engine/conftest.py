"""Fixtures: a project in a temporary folder, and an engine for a program in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import pytest

from infra.local.engine import Engine
from tests.infra.local.engine.folder_cloud import HANDLERS, INVOKES, FolderCloud

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from infra.local.engine.program import Program


class Workshop(Protocol):
    """Makes engines that share one project, one state and one cloud."""

    cloud: FolderCloud
    root: Path

    def __call__(self, program: Program) -> Engine:
        """Return the engine for a program."""
        ...


class _Workshop:
    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "boxes").mkdir()
        (root / "Pulumi.yaml").write_text("name: store\nruntime: python\nstackConfigDir: stacks\n")
        (root / "stacks").mkdir()
        for stack in ("dev", "other"):
            (root / "stacks" / f"Pulumi.{stack}.yaml").write_text("config: {}\n")
        self.cloud = FolderCloud(root / "boxes")

    def __call__(self, program: Callable[[], object]) -> Engine:
        return Engine(
            self.root, self.root / "state", self.cloud, HANDLERS, INVOKES, program=program
        )


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    """A project `store` with the stacks `dev` and `other`."""
    return _Workshop(tmp_path)
