"""Records a release's stacks and its agent: ``python -m tests.infra.releases.record 0.2.0``.

Run it in the commit that is released, once. The wheel of the agent is that of 0.1.0 too: built from
the commit that was recorded (d7f7f4f), as here.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.infra.conftest import ROOT, Project, copy_project, running_cloud

RELEASES = Path(__file__).parent
STACKS = ("platform", "acme", "globex")


def main(release: str) -> None:
    """Keep what the engine writes of the stacks, with the key to its secrets, and the wheel."""
    folder = RELEASES / release
    folder.mkdir()  # a release is recorded once
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", folder],
        cwd=ROOT / "device_sdk",
        check=True,
    )
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
