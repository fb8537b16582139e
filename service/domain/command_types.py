"""Commands of a tenant: each name with its Cedar action, declared by its file or by the API.

A tenant's file declares commands, and people who may make more by the API. The file counts first: a
name that it declares is its command, whatever was made under it, and the API changes none of it.
A name keeps the action that it was last bound to, after its end too, so that whoever binds it anew
is asked for both: nobody takes a command from those who may not send it by giving it to others.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from cedarfleet_device import wire

from service.domain.built_in_commands import BUILT_IN
from service.domain.command_rules import NO_RULES, CommandRules
from service.domain.permissions import COMMANDING, Permission
from service.domain.preconditions import entity_tag
from service.errors import InvalidRequestError

MAX_TYPES: Final = 200
"""Made at run time by a tenant, ended ones too."""


@dataclass(frozen=True, kw_only=True)
class CommandTypeRecord:
    """A command that was made at run time.

    Attributes:
        action: that sending it asks for, one of ``COMMANDING``.
        changed_by: entity id of who changed it last.
        changed_at: milliseconds since the epoch.
        ended: it can be sent no more; its action stays known.
        version: counted up with each change; 0: not stored yet.
    """

    tenant: str
    name: str
    action: Permission
    rules: CommandRules = NO_RULES
    changed_by: str
    changed_at: int
    ended: bool = False
    version: int = 0

    @property
    def tag(self) -> str:
        """The entity tag of its state."""
        return entity_tag("command-type", self.tenant, self.name, self.version)


@dataclass(frozen=True, kw_only=True)
class CommandType:
    """A command that can be sent, whoever declared it.

    Attributes:
        record: of one that was made at run time; ``None``: the tenant's file declares it.
    """

    name: str
    action: Permission
    rules: CommandRules = field(default_factory=lambda: NO_RULES)
    record: CommandTypeRecord | None = None


@dataclass(frozen=True, kw_only=True)
class CommandTypePage:
    """Command types in the order of their names; ``cursor`` asks for the next page."""

    types: tuple[CommandType, ...]
    cursor: str | None


def check_new_type(name: str, action: str, rules: CommandRules) -> Permission:
    """Refuse a command that no device would take, or whose action sends none.

    Returns:
        The action.

    Raises:
        InvalidRequestError: names the member, and what would be right.
    """
    if not wire.is_command_name(name):
        raise InvalidRequestError(
            "name", "must be a letter of a-z and up to 63 of a-z, 0-9 and `-`"
        )
    # Fail closed: what every device does under this name has its own action.
    if name in BUILT_IN:
        raise InvalidRequestError("name", f"every device has the command `{name}`")
    if action not in COMMANDING:
        raise InvalidRequestError("action", f"must be one of {', '.join(sorted(COMMANDING))}")
    rules.check()
    return Permission(action)
