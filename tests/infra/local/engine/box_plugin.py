"""The provider plugin of the package `box`, as an executable: `box_plugin.py FOLDER [what the CLI adds]`."""

from __future__ import annotations

import sys
from pathlib import Path

from infra.local.engine.plugin import Plugin, serve
from tests.infra.local.engine.folder_cloud import HANDLERS, INVOKES, FolderCloud

if __name__ == "__main__":
    serve(Plugin("box", "1.0.0", FolderCloud(Path(sys.argv[1])), HANDLERS, INVOKES))
