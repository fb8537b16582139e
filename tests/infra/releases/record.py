"""Records all stacks as a release stamps them: ``python -m tests.infra.releases.record 0.1.0``."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from tests.infra.conftest import Project, copy_project, running_cloud

RELEASES = Path(__file__).parent
STACKS = ("platform", "acme", "globex")


def main(release: str) -> None:
    """Stamp the stacks and keep what the engine wrote, with the key to its made-up secrets."""
    folder = RELEASES / release
    folder.mkdir()  # a release is recorded once
    with tempfile.TemporaryDirectory() as made:
        cloud_folder, root = Path(made) / "cloud", Path(made) / "project"
        cloud_folder.mkdir()
        root.mkdir()
        with running_cloud(cloud_folder) as cloud:
            project = Project(copy_project(root), cloud)
            for stack in STACKS:
                project.up(stack)
        shutil.copyfile(root / "state" / "passphrase.json", folder / "passphrase.json")
        for stack in STACKS:
            shutil.copyfile(
                root / "state" / "stacks" / "cedarfleet" / f"{stack}.json", folder / f"{stack}.json"
            )


if __name__ == "__main__":
    main(*sys.argv[1:])
