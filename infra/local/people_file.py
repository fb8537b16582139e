"""`people.json` beside the state of `make up`: who can sign in, with what, and where the API is.

Other programs read it: tenant -> group -> `email`, `password`, `token`; and `api`, the URL.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FILE: Final = "people.json"


@dataclass(frozen=True, kw_only=True)
class PeopleFile:
    """What the last `make up` wrote; empty where it never came so far.

    Attributes:
        api: URL of the API, or nothing.
        people: tenant -> group -> `email` and `password`.
    """

    api: str = ""
    people: Mapping[str, Mapping[str, Mapping[str, str]]] = field(
        default_factory=dict[str, "Mapping[str, Mapping[str, str]]"], repr=False
    )

    @classmethod
    def read(cls, state_dir: Path) -> Self:
        """Read what is there; a file that is cut short or of another form holds nothing."""
        try:
            document: Any = json.loads((state_dir / FILE).read_text(encoding="utf-8"))
            api = str(document.pop("api"))
            people = {
                tenant: {
                    group: {"email": str(one["email"]), "password": str(one["password"])}
                    for group, one in groups.items()
                }
                for tenant, groups in document.items()
            }
        except (FileNotFoundError, ValueError, LookupError, TypeError, AttributeError):
            return cls()
        return cls(api=api, people=people)

    @property
    def port(self) -> int:
        """Of the API, or 0."""
        try:
            return urlsplit(self.api).port or 0
        except ValueError:
            return 0

    def passwords(self, tenant: str) -> dict[str, str]:
        """E-mail address -> password of the people of one tenant."""
        return {one["email"]: one["password"] for one in self.people.get(tenant, {}).values()}

    def email(self, tenant: str, group: str) -> str | None:
        """Of the person that stands for a group."""
        return self.people.get(tenant, {}).get(group, {}).get("email")


def write_private(file: Path, document: Mapping[str, Any]) -> None:
    """Write JSON for this user alone, whole or not at all: readers and a kill come at any time."""
    fresh = file.with_name(f"{file.name}.new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(
        os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8"
    ) as stream:
        json.dump(document, stream, indent=2)
    fresh.replace(file)
