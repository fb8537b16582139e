"""Which version of a package a group wants, and which run. Steps, as in ``cedarfleet.steps``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cedarfleet.generated.api.default import (
    end_wanted_version,
    list_versions,
    list_wanted_versions,
    read_wanted_version,
    set_wanted_version,
)
from cedarfleet.generated.models import (
    VersionsOut,
    WantedVersionBody,
    WantedVersionOut,
    WantedVersionProgressOut,
    WantedVersionsOut,
)
from cedarfleet.generated.types import UNSET
from cedarfleet.steps import ask

if TYPE_CHECKING:
    from cedarfleet.steps import Steps


def want(group: str, package: str, file: str, **pace: Any) -> Steps[WantedVersionOut]:
    """Have a group's devices come to what an uploaded file brings.

    Asked again it is the same wish. ``pace`` has the other members of ``WantedVersionBody``.
    """
    given = {"file": file} | {name: one for name, one in pace.items() if one is not None}
    body = WantedVersionBody.from_dict(given)
    return ask(WantedVersionOut, set_wanted_version, group=group, package=package, body=body)


def wanted(group: str) -> Steps[WantedVersionsOut]:
    """All that a group itself wants."""
    return ask(WantedVersionsOut, list_wanted_versions, group=group)


def progress(group: str, package: str) -> Steps[WantedVersionProgressOut]:
    """What a group wants of a package, and its devices by where they stand."""
    return ask(WantedVersionProgressOut, read_wanted_version, group=group, package=package)


def want_no_more(group: str, package: str) -> Steps[WantedVersionOut]:
    """Want nothing of a package any more.

    Not asked again after an answer that may hide that it was done: then there is none.
    """
    return ask(WantedVersionOut, end_wanted_version, again=False, group=group, package=package)


def versions(package: str | None) -> Steps[VersionsOut]:
    """How many devices run which version."""
    return ask(VersionsOut, list_versions, package=UNSET if package is None else package)
