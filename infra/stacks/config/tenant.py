"""What a tenant's stack file asks for: read into frozen dataclasses, refused before any resource is made."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from cedarfleet_device import wire

from infra import names
from infra.policies.files.bundle import Grant
from infra.stacks.config.section import ConfigError, Section
from infra.stacks.config.sign_in import SignIn, read_sign_in
from service.cedar.entities import GROUP
from service.cedar.values import EntityUid

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["ConfigError", "SignIn", "TenantConfig"]

_WORDS: Final = r"[a-z](?:-?[a-z0-9])*"
_LINE_CHARACTERS: Final = (
    64  # a Cedar device group; the thing group is `<tenant>--<line>`, at most 128 on AWS
)
_GROUP_CHARACTERS: Final = 128  # a Cognito group
_LINE: Final = re.compile(rf"(?=.{{1,{_LINE_CHARACTERS}}}$){_WORDS}")
_GROUP: Final = re.compile(rf"(?=.{{1,{_GROUP_CHARACTERS}}}$){_WORDS}")
_ATTRIBUTE_CHARACTERS: Final = (
    800  # AWS IoT Core: value of an attribute; the root group lists the regions in one
)
_DESCRIPTION: Final = re.compile(r"[ -~]{1,2028}")  # AWS IoT Core: description of a thing group
_WORD: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_ACTION: Final = re.compile(r"[A-Z][A-Za-z]{1,63}")
DEVICE_GROUP: Final = "Fleet::DeviceGroup"
ALL_DEVICES: Final = "all"  # the device group that every device of a tenant is in
SCOPES: Final = {  # what a machine may be allowed; policies/static/machines-*.cedar say `fleet/<scope>`
    "view": "See devices, commands and downloads",
    "operate": "Run, stop and set devices",
    "update": "Bring files to devices, and firmware in their maintenance window",
}


@dataclass(frozen=True, kw_only=True)
class TenantConfig:
    """`cedarfleet:tenant` of tenants/Pulumi.<tenant>.yaml.

    Attributes:
        tenant: id, the stack's name.
        display_name: for people.
        regions: where the tenant's devices stand; values of the policy attribute `region`.
        groups: Cognito group -> what it is for.
        lines: device group -> what it is.
        commands: command name -> Cedar action that sending it needs.
        sign_in: how people sign in.
        machines: program of the tenant that calls the API by itself -> its scopes, keys of `SCOPES`.
        grants: links of policy templates.
        policies: folder of the tenant's own policies, if any.
        artifact_days: how long replaced versions of an artifact are kept.
        suspended: whether the service turns the tenant's people and machines away.
        protect: whether what holds data refuses to be deleted.
    """

    tenant: str
    display_name: str
    regions: tuple[str, ...]
    groups: dict[str, str]
    lines: dict[str, str]
    commands: dict[str, str]
    sign_in: SignIn
    machines: dict[str, tuple[str, ...]]
    grants: tuple[Grant, ...]
    policies: Path | None
    artifact_days: int
    suspended: bool
    protect: bool

    @classmethod
    def read(cls, file: str, data: object, *, tenant: str, root: Path) -> TenantConfig:
        """Read and check what `file` says under `cedarfleet:tenant`.

        Args:
            file: path of the stack file, for messages.
            data: what stands under the key.
            tenant: the stack's name.
            root: the project's folder; `policies` is relative to `tenants/` in it.

        Raises:
            ConfigError: file, key and what would be right.
        """
        if not wire.is_tenant_id(tenant) or len(tenant) > names.TENANT_CHARACTERS:
            raise ConfigError(
                f"{file}: `{tenant}` is no tenant id: 2 to {names.TENANT_CHARACTERS} characters of a-z, 0-9 and "
                "single inner `-`"
            )
        if names.is_reserved(tenant):
            raise ConfigError(
                f"{file}: `{tenant}` is reserved: names of its resources would be those of the platform or of another "
                "tenant; take another tenant id"
            )
        section = Section(f"{file}: cedarfleet:tenant", data)
        commands = section.table("commands")
        for name, action in commands.items():
            if not wire.is_command_name(name) or _ACTION.fullmatch(action) is None:
                raise section.error(
                    f"commands.{name}", f"must map a command to a Cedar action, is `{action}`"
                )
        config = cls(
            tenant=tenant,
            display_name=section.text("display_name"),
            regions=_regions(section),
            groups=_names(section, "groups", _GROUP, _GROUP_CHARACTERS),
            lines=_lines(section),
            commands=commands,
            sign_in=read_sign_in(section.section("sign_in")),
            machines=_machines(section.section("machines", {})),
            grants=_grants(section),
            policies=_folder(section, "policies", root / "tenants"),
            artifact_days=section.number("artifact_days", 90, least=1, most=3650),
            suspended=section.truth("suspended", default=False),
            protect=section.truth("protect", default=True),
        )
        section.finish()
        return config


def _regions(section: Section) -> tuple[str, ...]:
    regions = section.all_matching("regions", _WORD, "letters, digits, `_`, `.` and `-`")
    if len(",".join(regions)) > _ATTRIBUTE_CHARACTERS:
        raise section.error(
            "regions", f"must have at most {_ATTRIBUTE_CHARACTERS} characters together (AWS IoT)"
        )
    return regions


def _names(section: Section, key: str, form: re.Pattern[str], most: int) -> dict[str, str]:
    for name in section.table(key):
        if len(name) > most:
            raise section.error(
                f"{key}.{name}", f"must have at most {most} characters, has {len(name)}"
            )
    return section.named(key, form)


def _lines(section: Section) -> dict[str, str]:
    lines = _names(section, "lines", _LINE, _LINE_CHARACTERS)
    if ALL_DEVICES in lines:
        raise section.error(
            f"lines.{ALL_DEVICES}", "every device is in this group already: name the line otherwise"
        )
    for line, description in lines.items():
        if _DESCRIPTION.fullmatch(description) is None:
            raise section.error(
                f"lines.{line}", "must be 1 to 2028 characters of printable ASCII (AWS IoT)"
            )
    return lines


def _machines(section: Section) -> dict[str, tuple[str, ...]]:
    machines: dict[str, tuple[str, ...]] = {}
    for name in section.names():
        if _GROUP.fullmatch(name) is None:
            raise section.error(name, "must be lower-case words joined by single `-`")
        machines[name] = section.texts(name)
        if not machines[name] or not set(machines[name]) <= SCOPES.keys():
            raise section.error(
                name, f"must list at least one of {', '.join(SCOPES)}, is `{list(machines[name])}`"
            )
    return machines


def _grants(section: Section) -> tuple[Grant, ...]:
    """The grants; a group or line that the tenant does not have would make one that never speaks.

    Whether the template exists and fits is the policy loader's to say.
    """
    known = {
        GROUP: section.table("groups"),
        DEVICE_GROUP: section.table("lines") | {ALL_DEVICES: ""},
    }
    grants: list[Grant] = []
    for one in section.sections("grants"):
        grant = _grant(one)
        for key, text in (("principal", grant.principal), ("resource", grant.resource)):
            try:
                entity = EntityUid.parse(text)
            except ValueError as error:
                raise one.error(key, str(error)) from error
            if entity.type in known and entity.id not in known[entity.type]:
                raise one.error(key, f"`{text}`: the tenant has no such group")
        grants.append(grant)
    return tuple(grants)


def _grant(section: Section) -> Grant:
    until = section.text("until", None)
    try:
        moment = None if until is None else datetime.fromisoformat(until)
    except ValueError as error:
        raise section.error(
            "until", f"must be a moment such as 2026-12-31T18:00:00+01:00, is `{until}`"
        ) from error
    if moment is not None and moment.tzinfo is None:
        raise section.error(
            "until", f"must carry its offset, such as 2026-12-31T18:00:00+01:00, is `{until}`"
        )
    grant = Grant(
        id=section.matching("id", _WORD, "letters, digits, `_`, `.` and `-`"),
        template=section.text("template"),
        principal=section.text("principal"),
        resource=section.text("resource"),
        until=moment,
    )
    section.finish()
    return grant


def _folder(section: Section, key: str, base: Path) -> Path | None:
    text = section.text(key, None)
    if text is None:
        return None
    folder = (base / text).resolve()
    if not folder.is_relative_to(base.resolve()):
        raise section.error(key, f"must lie inside tenants/, is `{text}`")
    if not folder.is_dir():
        raise section.error(key, f"no such folder: tenants/{text}")
    return folder
