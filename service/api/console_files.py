"""The console's files as they are sent: read once, packed once, named by one digest of them all."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

FOLDER: Final = Path(__file__).parents[1] / "console"
_PAGE: Final = "page.html"
_TYPES: Final = {
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True, kw_only=True)
class ConsoleFile:
    """One file.

    Attributes:
        content: as it is written.
        packed: the same by gzip.
        media_type: of it.
    """

    content: bytes
    packed: bytes
    media_type: str


@dataclass(frozen=True, kw_only=True)
class ConsoleFiles:
    """All of them.

    Attributes:
        template: of each page.
        files: by their paths in the folder.
        digest: of names and contents; another one, once anything is another.
    """

    template: str
    files: Mapping[str, ConsoleFile]
    digest: str

    @classmethod
    def read(cls, folder: Path = FOLDER) -> Self:
        """Read what a browser may have; other files of the folder are for those who change it."""
        paths = sorted(path for path in folder.rglob("*") if path.suffix in _TYPES)
        template = (folder / _PAGE).read_text(encoding="utf-8")
        whole = hashlib.sha256(template.encode())
        files: dict[str, ConsoleFile] = {}
        for path in paths:
            name, content = path.relative_to(folder).as_posix(), path.read_bytes()
            whole.update(f"{name}\0{len(content)}\0".encode() + content)
            files[name] = ConsoleFile(
                content=content,
                packed=gzip.compress(content, mtime=0),
                media_type=_TYPES[path.suffix],
            )
        return cls(template=template, files=files, digest=whole.hexdigest()[:16])

    def named(self, name: str) -> ConsoleFile | None:
        """The file of this path, or ``None``."""
        return self.files.get(name)

    def page(self, facts: Mapping[str, str]) -> tuple[bytes, str]:
        """A page and its entity tag (RFC 9110, 8.8.3).

        Args:
            facts: what is put in place of ``{{name}}``, escaped.
        """
        text = self.template
        scripts = (name for name in self.files if name.endswith(".js"))
        links = "\n".join(
            f'<link rel="modulepreload" href="/console-files/{self.digest}/{name}">'
            for name in scripts
        )
        for name, value in {**facts, "scripts": links}.items():
            text = text.replace("{{" + name + "}}", value)
        body = text.encode()
        return body, f'"{hashlib.sha256(body).hexdigest()[:24]}"'


def accepts_gzip(accepted: str) -> bool:
    """Whether `Accept-Encoding` names gzip, and not to refuse it (RFC 9110, 12.5.3)."""
    for one in accepted.split(","):
        coding, _, weight = one.partition(";")
        if coding.strip().lower() in {"gzip", "*"}:
            return weight.replace(" ", "").lower() not in {"q=0", "q=0.0", "q=0.00", "q=0.000"}
    return False
