"""``python service/clients/python/generate.py``: makes the generated part of the client.

It is made of the OpenAPI document that the service of this very checkout answers, so it stands in
no repository: what is there is what the document gives, or it is made again. A change of the
service that leaves the document alone costs the look at the document; no change costs nothing.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[3]
GENERATED: Final = Path(__file__).parent / "src" / "cedarfleet" / "generated"
_MADE_OF: Final = ".made-of.json"
_BIN: Final = Path(sys.executable).parent
_LINES, _FILE = "application/x-ndjson", "application/octet-stream"
_IMPORT: Final = re.compile(r"^from \.(\w+) import (\w+)$", re.MULTILINE)
_LOOK_UP: Final = """\
else:
    from importlib import import_module

    def __getattr__(name):
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = globals()[name] = getattr(import_module(_MODULES[name], __name__), name)
        return found
"""


class NotGeneratedError(Exception):
    """The generator warned or failed; the message is all that it said."""


def ensure(generated: Path = GENERATED) -> bool:
    """Make the generated part unless it is there and right; ``True``: it was made.

    Of several processes at once one makes it, and the others wait.

    Raises:
        NotGeneratedError: nothing could be made of the document.
    """
    with (Path(__file__).parent / ".generating").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        stamp = generated / _MADE_OF
        try:
            made_of = json.loads(stamp.read_text())
        except (FileNotFoundError, ValueError):
            made_of = {}
        sources = _digest_of_sources()
        if made_of.get("sources") == sources:
            return False
        text = json.dumps(document(), sort_keys=True)
        digest = hashlib.sha256(text.encode() + Path(__file__).read_bytes()).hexdigest()
        made = made_of.get("document") != digest
        if made:
            _replace(generated, text)
        stamp.write_text(json.dumps({"sources": sources, "document": digest}))
        return made


def document() -> dict[str, Any]:
    """The description, as the service answers it."""
    # Seconds of imports, which whoever has a client that is right is spared.
    from litestar.testing import TestClient  # noqa: PLC0415

    from service.adapters.memory.authorizer import CedarAuthorizer  # noqa: PLC0415
    from service.adapters.memory.memory_ports import MemoryPorts  # noqa: PLC0415
    from service.api.app import create_app  # noqa: PLC0415
    from service.operations.operations import Operations  # noqa: PLC0415
    from service.settings import HttpSettings, TokenSettings  # noqa: PLC0415

    ports = MemoryPorts.around(CedarAuthorizer(ROOT / "policies"))
    app = create_app(Operations(ports, TokenSettings()), HttpSettings())
    with TestClient(app) as client:
        return client.get("/v1/openapi").json()


def _replace(generated: Path, text: str) -> None:
    # Elsewhere: the generator has ruff rewrite what it made, by the rules of the folder it is in.
    with tempfile.TemporaryDirectory() as folder:
        file, made = Path(folder) / "openapi.json", Path(folder) / "generated"
        file.write_text(text)
        settings = Path(folder) / "settings.json"
        # Lines of JSON are a file to the generator, which knows no name of theirs.
        settings.write_text(json.dumps({"content_type_overrides": {_LINES: _FILE}}))
        done = subprocess.run(
            [_BIN / "openapi-python-client", "generate", "--path", file, "--output-path", made,
             "--config", settings, "--meta", "none", "--fail-on-warning"],
            check=False, capture_output=True, text=True, cwd=folder,
            # It looks for ruff by its name.
            env=os.environ | {"PATH": f"{_BIN}{os.pathsep}{os.environ['PATH']}"},
        )  # fmt: skip
        if done.returncode != 0:
            raise NotGeneratedError(f"{done.stdout}\n{done.stderr}")
        models = made / "models" / "__init__.py"
        models.write_text(_imported_when_used(models.read_text()))
        shutil.rmtree(generated, ignore_errors=True)
        shutil.copytree(made, generated, ignore=shutil.ignore_patterns(".*_cache"))


def _imported_when_used(models: str) -> str:
    """The package of all models, each of them read when it is first named.

    Two hundred modules at once are a third of what a start of the command line takes.
    """
    found = _IMPORT.findall(models)
    if len(found) != models.count("\nfrom ."):
        raise NotGeneratedError("the generator imports its models in a way that is not known here")
    title, _, _ = models.partition("\nfrom .")
    return "\n".join(
        [
            title,
            "from typing import TYPE_CHECKING",
            "",
            f"_MODULES = {json.dumps({name: f'.{module}' for module, name in found}, indent=4)}",
            "",
            "if TYPE_CHECKING:",
            *(f"    from .{module} import {name}" for module, name in found),
            _LOOK_UP,
            models[models.index("__all__ ") :],
        ]
    )


def _digest_of_sources() -> str:
    found = hashlib.sha256()
    clients = ROOT / "service" / "clients"
    files = [one for one in (ROOT / "service").rglob("*.py") if clients not in one.parents]
    for file in sorted([*files, Path(__file__)]):
        found.update(f"{file.relative_to(ROOT)} ".encode() + file.read_bytes())
    return found.hexdigest()


if __name__ == "__main__":
    print("made" if ensure() else "as it was", file=sys.stderr)  # noqa: T201 - a command speaks
