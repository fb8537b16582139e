"""``python -m tests.service.generated_client``: the description as who writes an app meets it.

The document must be valid OpenAPI; a client is generated of it, without one warning, and passes a
type checker.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from litestar.testing import TestClient
from openapi_spec_validator import OpenAPIV31SpecValidator

from service.adapters.memory.authorizer import CedarAuthorizer
from service.adapters.memory.memory_ports import MemoryPorts
from service.api.app import create_app
from service.operations.operations import Operations
from service.settings import HttpSettings, TokenSettings

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
LINES, FILE = "application/x-ndjson", "application/octet-stream"


def main() -> int:
    """0 if the client could be made and is sound; else what is wrong."""
    described = document()
    if problems := [error.message for error in OpenAPIV31SpecValidator(described).iter_errors()]:
        print(*problems, sep="\n")
        return 1
    with tempfile.TemporaryDirectory() as folder:
        file, client = Path(folder) / "openapi.json", Path(folder) / "client"
        file.write_text(json.dumps(described))
        # Lines of JSON are a file to the generator, which knows no name of theirs.
        settings = Path(folder) / "settings.json"
        settings.write_text(json.dumps({"content_type_overrides": {LINES: FILE}}))
        for command in (
            [BIN / "openapi-python-client", "generate", "--path", file, "--output-path", client,
             "--config", settings, "--meta", "none", "--fail-on-warning"],
            [BIN / "basedpyright", "--level", "error", "--pythonpath", sys.executable,
             client / "api", client / "models"],  # `client.py` is the generator's own
        ):  # fmt: skip
            # The generator formats with ruff, which it looks for by its name.
            path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
            done = subprocess.run(
                command, check=False, capture_output=True, text=True, cwd=folder,
                env=os.environ | {"PATH": path},
            )  # fmt: skip
            if done.returncode != 0:
                print(done.stdout, done.stderr, sep="\n")
                return 1
        operations = sum(len(item) for item in described["paths"].values())
        models = len(list((client / "models").glob("*.py"))) - 1
    print(f"{operations} operations, {models} models, no warning, 0 type errors")
    return 0


def document() -> dict[str, Any]:
    """The description, as the service answers it."""
    ports = MemoryPorts.around(CedarAuthorizer(ROOT / "policies"))
    app = create_app(Operations(ports, TokenSettings()), HttpSettings())
    with TestClient(app) as client:
        return client.get("/v1/openapi").json()


if __name__ == "__main__":
    sys.exit(main())
