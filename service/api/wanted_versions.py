"""Wanted versions of a group's packages; and which versions devices run."""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated

from litestar import Response, delete, get, put
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta, Struct

from service.api.guard import needs
from service.api.parameters import Caller, Cursor, Label, Limit, Ops, utc
from service.api.preconditions import ETAG, IfMatch, expected, tagged
from service.domain.features import Feature
from service.domain.materials import Component
from service.domain.permissions import Permission
from service.domain.rollouts import Window
from service.domain.wanted_versions import MOST_AN_HOUR, Running, WantedVersion
from service.operations.versions import VersionCount
from service.operations.wanted_versions import WishRequest, WishView

OfPackage = Annotated[str | None, QueryParameter(max_length=64, description="of this package")]
OfVersion = Annotated[str | None, QueryParameter(max_length=64, description="that run this one")]

OfComponent = Annotated[
    str | None,
    QueryParameter(
        max_length=300,
        description="that hold this component of their bill of materials: `log4j-core`,"
        " `log4j-core@2.14.1` or a package URL, with or without its version",
    ),
]


class WantedVersionBody(Struct, forbid_unknown_fields=True, frozen=True):
    """The uploaded file that brings the version, and how fast and when devices begin."""

    file: Label
    devices_per_hour: Annotated[
        int, Meta(ge=1, le=MOST_AN_HOUR, description="at most so many begin")
    ] = 600
    window: (
        Annotated[str, Meta(max_length=11, description="in which devices begin, `22:00-04:00`")]
        | None
    ) = None
    utc_offset: Annotated[str, Meta(max_length=6, description="of the window's clock")] = "+00:00"
    abort_percent: Annotated[
        int,
        Meta(ge=1, le=100, description="of the ended devices that failed: nobody else begins"),
    ] = 50


class WantedVersionOut(Struct, frozen=True):
    """What a group wants of a package.

    ``state`` is `active`, or `stopped` with the reason in ``why``: set it again to go on.
    """

    group: str
    package: str
    version: str
    file: str
    artifact: str
    state: str
    why: str | None
    devices_per_hour: int
    window: str | None
    utc_offset: str | None
    abort_percent: int
    created_by: str
    created_at: datetime | None

    @classmethod
    def of(cls, wish: WantedVersion) -> "WantedVersionOut":
        """A wanted version for the answer."""
        window = wish.window
        return cls(
            group=wish.group,
            package=wish.package,
            version=wish.version,
            file=wish.file_id,
            artifact=wish.artifact,
            state=wish.state,
            why=wish.why,
            devices_per_hour=wish.devices_per_hour,
            window=window.text if window else None,
            utc_offset=window.utc_offset if window else None,
            abort_percent=wish.abort_percent,
            created_by=wish.created_by,
            created_at=utc(wish.created_at),
        )


class WantedVersionProgressOut(Struct, frozen=True):
    """What a group wants of a package, and its devices by where they stand.

    `there`, `waiting`, `begun` (it has a job, or finds it as it comes back), `failed` and `denied`
    (tried again after a pause), `given_up`, `pinned`, `other` (another wish counts for it) and
    `skipped` (it has not come in yet, or its facts cannot be read).
    """

    wanted: WantedVersionOut
    counts: dict[str, int]

    @classmethod
    def of(cls, view: WishView) -> "WantedVersionProgressOut":
        """A wanted version with its progress for the answer."""
        return cls(
            wanted=WantedVersionOut.of(view.wish),
            counts={str(standing): count for standing, count in view.counts.items()},
        )


class WantedVersionsOut(Struct, frozen=True):
    """All that a group wants, by package."""

    wanted_versions: list[WantedVersionOut]


class VersionCountOut(Struct, frozen=True, omit_defaults=True):
    """How many devices run a version, of those that you may view."""

    package: str
    version: str
    devices: int
    components: list["ComponentOut"] | None = None

    @classmethod
    def of(cls, one: VersionCount, components: Iterable[Component] = ()) -> "VersionCountOut":
        """A version for the answer."""
        shown = [ComponentOut(it.name, it.version, it.purl) for it in components]
        return cls(
            package=one.package, version=one.version, devices=one.devices, components=shown or None
        )


class ComponentOut(Struct, frozen=True):
    """A component, as the bill of materials names it."""

    name: str
    version: str
    purl: str


class VersionsOut(Struct, frozen=True, omit_defaults=True):
    """Versions over the fleet, by package and version.

    Asked for a `component`, `versions` are those that hold it, with what fits in `components`, and
    `unknown` are those of which nobody can tell: no bill of materials was uploaded here and read
    that you may view, or not all of it was kept.
    """

    versions: list[VersionCountOut]
    unknown: list[VersionCountOut] | None = None


class RunningOut(Struct, frozen=True):
    """A device, the version that it runs, and since when that is known."""

    device: str
    version: str
    since: datetime | None

    @classmethod
    def of(cls, one: Running) -> "RunningOut":
        """A device for the answer."""
        return cls(device=one.device, version=one.version, since=utc(one.at))


class RunningPageOut(Struct, frozen=True):
    """One page of devices in the order of their ids; ``cursor`` asks for the next."""

    devices: list[RunningOut]
    cursor: str | None


@put(
    "/groups/{group:str}/wanted-versions/{package:str}",
    opt=needs(
        Permission.SET_WANTED_VERSION,
        Permission.DOWNLOAD_FILE,
        Permission.UPDATE_FIRMWARE,
        begins=Feature.WANTED_VERSIONS,
    ),
    response_headers=ETAG,
)
async def set_wanted_version(
    access: Caller,
    operations: Ops,
    *,
    group: FromPath[str],
    package: FromPath[str],
    data: JSONBody[WantedVersionBody],
    if_match: IfMatch = None,
) -> Response[WantedVersionOut]:
    """Have the devices of a group come to a version, those that join or come back later too.

    It is yours from now on: each device is decided for you when its turn comes. What a former wish
    had not begun begins no more. The nearest wish counts for a device: one of a group in a group
    before that one's, and of two beside each other the one that was set last.
    """
    window = None if data.window is None else Window.of(data.window, data.utc_offset)
    request = WishRequest(
        group=group,
        package=package,
        file_id=data.file,
        devices_per_hour=data.devices_per_hour,
        window=window,
        abort_percent=data.abort_percent,
    )
    wish = await operations.wishes.set(access, request, expected(if_match))
    return tagged(WantedVersionOut.of(wish), wish.tag)


@get("/groups/{group:str}/wanted-versions", opt=needs(Permission.VIEW_DOWNLOAD))
async def list_wanted_versions(
    access: Caller, operations: Ops, group: FromPath[str]
) -> WantedVersionsOut:
    """All that is wanted of a group itself; wishes of groups around it stand there."""
    found = await operations.wishes.of_group(access, group)
    return WantedVersionsOut(wanted_versions=[WantedVersionOut.of(one) for one in found])


@get(
    "/groups/{group:str}/wanted-versions/{package:str}",
    opt=needs(Permission.VIEW_DOWNLOAD),
    response_headers=ETAG,
)
async def read_wanted_version(
    access: Caller, operations: Ops, group: FromPath[str], package: FromPath[str]
) -> Response[WantedVersionProgressOut]:
    """What a group wants of a package, and how many of its devices are there."""
    view = await operations.wishes.read(access, group, package)
    return tagged(WantedVersionProgressOut.of(view), view.wish.tag)


@delete(
    "/groups/{group:str}/wanted-versions/{package:str}",
    opt=needs(Permission.SET_WANTED_VERSION),
    status_code=200,
)
async def end_wanted_version(
    access: Caller,
    operations: Ops,
    group: FromPath[str],
    package: FromPath[str],
    if_match: IfMatch = None,
) -> WantedVersionOut:
    """Want nothing of this package any more; devices that have begun go on."""
    return WantedVersionOut.of(
        await operations.wishes.end(access, group, package, expected(if_match))
    )


@get("/versions", opt=needs(Permission.LIST_DEVICES, Permission.VIEW_DEVICE, Permission.VIEW_FILE))
async def list_versions(
    access: Caller, operations: Ops, *, package: OfPackage = None, component: OfComponent = None
) -> VersionsOut:
    """Versions over the fleet: what devices say that they run, or what was delivered to them."""
    if component is not None:
        with_it = await operations.versions.holding(access, component, package)
        return VersionsOut(
            versions=[VersionCountOut.of(one.count, one.components) for one in with_it.holding],
            unknown=[VersionCountOut.of(one) for one in with_it.unknown],
        )
    found = await operations.versions.counts(access, package)
    return VersionsOut(versions=[VersionCountOut.of(one) for one in found])


@get("/versions/{package:str}", opt=needs(Permission.LIST_DEVICES, Permission.VIEW_DEVICE))
async def list_running(
    access: Caller,
    operations: Ops,
    package: FromPath[str],
    *,
    limit: Limit = 50,
    cursor: Cursor = None,
    version: OfVersion = None,
) -> RunningPageOut:
    """Which devices run a package, or one version of it; those that you may view."""
    page = await operations.versions.page(
        access, package, version=version, limit=limit, cursor=cursor
    )
    return RunningPageOut(devices=[RunningOut.of(one) for one in page.devices], cursor=page.cursor)
