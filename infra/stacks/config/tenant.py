"""What a tenant's stack file asks for: its types, and what they cannot say alone."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final, Self

from cedarfleet_device import wire
from msgspec import Meta, Struct

from infra import names
from infra.policies import (
    MAX_ANCESTORS,
    ROOT_GROUP,
    CircularGroupsError,
    known_entity,
    too_many,
)
from infra.stacks.config.limits import (
    COMMAND_RULES,
    FIRST_CELL,
    GROUPS,
    MACHINES,
    REGIONS_CHARACTERS,
    TAGS,
    ActionName,
    ArtifactDays,
    CellName,
    CommandDescription,
    CommandSeconds,
    DeviceLogDays,
    DisplayName,
    GroupDescription,
    GroupName,
    LineDescription,
    LineName,
    LineParents,
    Regions,
    Scopes,
    TagName,
    TelemetryDays,
    Text,
    TierName,
    Word,
)
from infra.stacks.config.reading import ConfigError, WrongValueError, once, read
from infra.stacks.config.sign_in import SignIn
from infra.stacks.config.tiers import Rate
from service.cedar.entities import USER
from service.command_schemas import SchemaError, check_schema

# Of a person `sub`, "the unique identifier (UUID)"; of a machine its app client's id (source:
# Cognito developer guide, "Understanding the identity (ID) token"; API reference, ClientIdType).
_USER: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[A-Za-z0-9]{20,128}")


class OwnBudget(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a tenant's file says of its budget; what it leaves out is its tier's.

    Attributes:
        requests: of the API, whatever is asked.
        commands: commands that are sent, each of which is a request too.
    """

    requests: Rate | None = None
    commands: Rate | None = None


class Grant(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One link of a policy template; whether the template exists and fits, the policies say.

    Attributes:
        id: unique among the tenant's policies.
        template: a file of `policies/templates`, without its ending.
        principal: a group or user, as in a policy.
        resource: a device group or device, as in a policy.
        until: the moment it ends.
    """

    id: Word
    template: Text
    principal: Text
    resource: Text
    until: Annotated[datetime, Meta(tz=True)] | None = None

    def __post_init__(self) -> None:
        """Refuse an end that has no equal in UTC, which is what a policy names."""
        try:
            _ = self.until and self.until.astimezone(UTC)
        except OverflowError as error:
            raise WrongValueError(
                "until", f"must be a moment of the years 1 to 9999 in UTC, is `{self.until}`"
            ) from error


class CommandRules(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is asked of a command that is sent, beside its action.

    Attributes:
        description: for people.
        parameters: JSON Schema (2020-12) of its arguments; none: any arguments.
        timeout_seconds: after which no device starts it, where its sender names no time.
        max_timeout_seconds: the longest that a sender may name.
        needs_reason: its sender says why.
    """

    description: CommandDescription = ""
    parameters: dict[str, Any] | None = None
    timeout_seconds: CommandSeconds = 60
    max_timeout_seconds: CommandSeconds = wire.SESSION_EXPIRY_SECONDS
    needs_reason: bool = False

    def __post_init__(self) -> None:
        """Refuse a schema that the service would not take."""
        if self.timeout_seconds > self.max_timeout_seconds:
            raise WrongValueError(
                "timeout_seconds",
                f"must be at most `max_timeout_seconds`, {self.max_timeout_seconds}, is "
                f"`{self.timeout_seconds}`",
            )
        if self.parameters is not None:
            try:
                check_schema(self.parameters)
            except SchemaError as error:
                where = f"parameters.{error.path}" if error.path else "parameters"
                raise WrongValueError(where, error.problem) from error


class TenantConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`cedarfleet:tenant` of tenants/Pulumi.<tenant>.yaml.

    Attributes:
        display_name: for people.
        regions: where the tenant's devices stand; values of the policy attribute `region`.
        groups: Cognito group -> what it is for.
        lines: device group -> what it is.
        line_parents: line -> the lines that it lies in; without any, it lies in `all` alone.
        commands: command name -> Cedar action that sending it needs.
        command_rules: command -> what is asked of it beside its action.
        kinds: what the tenant's devices are; values of the policy attribute `kind`.
        tags: facts of the tenant's own that a device may have; Cedar tags of a device.
        sign_in: how people sign in.
        machines: program that calls the API by itself -> its scopes.
        grants: links of policy templates.
        cell: of the platform that the tenant lives on.
        policies: folder of the tenant's own policies, relative to tenants/.
        tier: one of the platform's file; none: the terms of a tier that says nothing, and no bound.
        budget: how much it may ask of the service; as all that follows, where the file says
            nothing its tier does (`infra/stacks/config/terms.py`).
        artifact_days: how long replaced versions of an artifact are kept.
        telemetry_days: how long what devices measure is kept.
        device_log_days: how long logs that devices sent are kept.
        suspended: whether the service turns the tenant's people and machines away.
        protect: whether what holds data refuses to be deleted.
    """

    display_name: DisplayName
    regions: Regions
    groups: Annotated[dict[GroupName, GroupDescription], Meta(max_length=GROUPS)]
    lines: dict[LineName, LineDescription]
    commands: dict[str, ActionName]
    sign_in: SignIn
    command_rules: dict[str, CommandRules] = {}
    kinds: tuple[Word, ...] = ()
    tags: Annotated[tuple[TagName, ...], Meta(max_length=TAGS)] = ()
    line_parents: dict[LineName, LineParents] = {}
    machines: Annotated[dict[GroupName, Scopes], Meta(max_length=MACHINES)] = {}
    grants: tuple[Grant, ...] = ()
    cell: CellName = FIRST_CELL
    policies: Text | None = None
    tier: TierName | None = None
    budget: OwnBudget = OwnBudget()
    artifact_days: ArtifactDays | None = None
    telemetry_days: TelemetryDays | None = None
    device_log_days: DeviceLogDays | None = None
    suspended: bool = False
    protect: bool = True

    def __post_init__(self) -> None:
        """Refuse what the type of one value alone cannot."""
        once("regions", self.regions)
        once("kinds", self.kinds)
        once("tags", self.tags)
        if len(",".join(self.regions)) > REGIONS_CHARACTERS:
            raise WrongValueError(
                "regions", f"must have at most {REGIONS_CHARACTERS} characters together (AWS IoT)"
            )
        if ROOT_GROUP in self.lines:
            raise WrongValueError(
                f"lines.{ROOT_GROUP}",
                "every device is in this group already: name the line otherwise",
            )
        for name in self.commands:
            if name == wire.UPLOAD_LOGS:
                raise WrongValueError(
                    f"commands.{name}",
                    "every device has this command, and sending it needs `CollectLogs`: leave it"
                    " out",
                )
            if not wire.is_command_name(name):
                raise WrongValueError(
                    f"commands.{name}",
                    "a command's name is a lower-case letter, then such, digits and `-`, at most "
                    "64 characters",
                )
        for machine, scopes in self.machines.items():
            once(f"machines.{machine}", scopes)
        self._check_rules()
        self._check_lines()
        self._check_grants()

    def parents_of(self, line: str) -> list[str]:
        """The lines that a line lies in, as written."""
        return list(self.line_parents.get(line, ()))

    def _check_rules(self) -> None:
        known = ", ".join(f"`{command}`" for command in sorted(self.commands)) or "none"
        for name in self.command_rules:
            if name not in self.commands:
                raise WrongValueError(
                    f"command_rules.{name}", f"`{name}` is no command; there are: {known}"
                )
        if len(self.command_rules) > COMMAND_RULES:
            raise WrongValueError(
                "command_rules",
                f"must have at most {COMMAND_RULES} entries, has {len(self.command_rules)}",
            )

    def _check_lines(self) -> None:
        known = ", ".join(f"`{line}`" for line in sorted(self.lines)) or "none"
        for line, parents in self.line_parents.items():
            once(f"line_parents.{line}", parents)
            for key, name in (
                (f"line_parents.{line}", line),
                *((f"line_parents.{line}[{index}]", one) for index, one in enumerate(parents)),
            ):
                if name not in self.lines:
                    raise WrongValueError(key, f"`{name}` is no line; there are: {known}")
        for line in self.line_parents:
            try:
                count = too_many([line], self.line_parents)
            except CircularGroupsError as error:
                raise WrongValueError(f"line_parents.{line}", str(error)) from error
            if count is not None:
                raise WrongValueError(
                    f"line_parents.{line}",
                    f"a device of it would lie in {count} groups with those above them, at most "
                    f"{MAX_ANCESTORS} can be decided on (Verified Permissions)",
                )

    def _check_grants(self) -> None:
        # One for a group or line that the tenant does not have would never let anybody do anything.
        for index, grant in enumerate(self.grants):
            for key in ("principal", "resource"):
                try:
                    entity = known_entity(
                        getattr(grant, key),
                        groups=frozenset(self.groups),
                        lines=frozenset(self.lines),
                    )
                except ValueError as error:
                    raise WrongValueError(f"grants[{index}].{key}", str(error)) from error
                if entity.type == USER and _USER.fullmatch(entity.id) is None:
                    raise WrongValueError(
                        f"grants[{index}].{key}",
                        f"`{entity.id}` is no `sub` of a person (a UUID, never an address or a "
                        "name) and no client id of a machine",
                    )

    @classmethod
    def read(cls, file: str, data: Any, *, tenant: str, root: Path) -> Self:
        """Read and check what a file says under `cedarfleet:tenant`.

        Args:
            file: path of the stack file, for messages.
            data: what stands under the key.
            tenant: the stack's name.
            root: the project's folder.

        Raises:
            ConfigError: file, key and what would be right.
        """
        check_id(file, tenant)
        where = f"{file}: cedarfleet:tenant"
        config = read(cls, where, data)
        # A token of these calls may write what its client may, and with a provider that is `email`
        # and `custom:region` too: fail closed.
        if config.sign_in.flows and (config.sign_in.oidc or config.sign_in.saml):
            raise ConfigError(
                f"{where}.sign_in.flows: must be empty where there are providers (ADR 0069)"
            )
        folder = config.policies_folder(root)
        if folder is not None and not folder.is_relative_to((root / "tenants").resolve()):
            raise ConfigError(f"{where}.policies: must lie inside tenants/, is `{config.policies}`")
        if folder is not None and not folder.is_dir():
            raise ConfigError(f"{where}.policies: no such folder: tenants/{config.policies}")
        return config

    def policies_folder(self, root: Path) -> Path | None:
        """The folder of the tenant's own policies, if it has any."""
        return None if self.policies is None else (root / "tenants" / self.policies).resolve()


def check_id(file: str, tenant: str) -> None:
    """See that a tenant may have this id, which names its file and all that is made of it.

    Raises:
        ConfigError: it is none, or is reserved.
    """
    if not wire.is_tenant_id(tenant) or len(tenant) > names.TENANT_CHARACTERS:
        raise ConfigError(
            f"{file}: `{tenant}` is no tenant id: 2 to {names.TENANT_CHARACTERS} characters of "
            "a-z, 0-9 and single inner `-`"
        )
    if names.is_reserved(tenant):
        raise ConfigError(
            f"{file}: `{tenant}` is reserved: names of its resources would be those of the "
            "platform or of another tenant; take another tenant id"
        )
