"""``python -m tests.service.generated_client``: the description as who writes an app meets it.

The document must be valid OpenAPI; the tenants' client is generated of it, without one warning, and
passes a type checker. It is made in its place, if it is not there yet, so that what is hand-made of
the client is typed against it.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from openapi_spec_validator import OpenAPIV31SpecValidator

if TYPE_CHECKING:
    from types import ModuleType

ROOT: Final = Path(__file__).parents[2]
BIN: Final = Path(sys.executable).parent


def generator() -> ModuleType:
    """The script that makes the client; it belongs to no package."""
    file = ROOT / "service" / "clients" / "python" / "generate.py"
    found = importlib.util.spec_from_file_location("generate_client", file)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def main() -> int:
    """0 if the client could be made and is sound; else what is wrong."""
    generate = generator()
    described = generate.document()
    if problems := [error.message for error in OpenAPIV31SpecValidator(described).iter_errors()]:
        print(*problems, sep="\n")
        return 1
    try:
        generate.ensure()
    except generate.NotGeneratedError as error:
        print(error)
        return 1
    with tempfile.TemporaryDirectory() as folder:
        # Elsewhere: in its place it is not held to the rules of the project, and so not looked at.
        client = Path(folder) / "generated"
        shutil.copytree(generate.GENERATED, client)
        done = subprocess.run(
            [BIN / "basedpyright", "--level", "error", "--pythonpath", sys.executable,
             client / "api", client / "models"],  # `client.py` is the generator's own
            check=False, capture_output=True, text=True, cwd=folder,
        )  # fmt: skip
    if done.returncode != 0 or "No source files" in done.stdout:
        print(done.stdout, done.stderr, sep="\n")
        return 1
    operations = sum(len(item) for item in described["paths"].values())
    models = len(list((generate.GENERATED / "models").glob("*.py"))) - 1
    print(f"{operations} operations, {models} models, no warning, 0 type errors")
    return 0


if __name__ == "__main__":
    sys.exit(main())
