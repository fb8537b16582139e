"""What is asked of a command that is sent: the form of its arguments, its time, and a reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from cedarfleet_device import wire

from service.command_schemas import SchemaError, check_schema, problems_of
from service.errors import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_DESCRIPTION: Final = 200
USUAL_TIMEOUT_SECONDS: Final = 60
_MEMBERS: Final = frozenset(
    {"description", "parameters", "timeout_seconds", "max_timeout_seconds", "needs_reason"}
)


@dataclass(frozen=True, kw_only=True)
class CommandRules:
    """What is asked of a command that is sent.

    Attributes:
        description: for people.
        parameters: JSON Schema of its arguments; ``None``: any arguments.
        timeout_seconds: after which no device starts it, where its sender names no time.
        max_timeout_seconds: the longest that a sender may name.
        needs_reason: its sender says why; recorded, audited, and shown to policies.
    """

    description: str = ""
    parameters: Mapping[str, Any] | None = None
    timeout_seconds: int = USUAL_TIMEOUT_SECONDS
    max_timeout_seconds: int = wire.SESSION_EXPIRY_SECONDS
    needs_reason: bool = False

    def check(self) -> None:
        """Refuse rules that no command could be sent by.

        Raises:
            InvalidRequestError: names the member, and what would be right.
        """
        if len(self.description) > MAX_DESCRIPTION or not self.description.isprintable():
            raise InvalidRequestError(
                "description", f"must be at most {MAX_DESCRIPTION} printable characters"
            )
        if not 1 <= self.timeout_seconds <= self.max_timeout_seconds <= wire.SESSION_EXPIRY_SECONDS:
            raise InvalidRequestError(
                "timeout_seconds",
                "must be from 1 to `max_timeout_seconds`, which is at most"
                f" {wire.SESSION_EXPIRY_SECONDS}",
            )
        if self.parameters is not None:
            try:
                check_schema(self.parameters)
            except SchemaError as error:
                where = f"parameters.{error.path}" if error.path else "parameters"
                raise InvalidRequestError(where, error.problem) from error

    def timeout(self, asked: int | None) -> int:
        """For how long a device may start the command.

        Raises:
            InvalidRequestError: longer than it may be.
        """
        if asked is None:
            return self.timeout_seconds
        if asked > self.max_timeout_seconds:
            raise InvalidRequestError(
                "timeout_seconds", f"is at most {self.max_timeout_seconds} of this command"
            )
        return asked

    def check_sent(self, arguments: Mapping[str, Any], reason: str | None) -> None:
        """Refuse arguments that do not fit, and a reason that is missing.

        Raises:
            InvalidRequestError: names each member that is wrong.
        """
        wrong = [] if self.parameters is None else problems_of(self.parameters, arguments)
        if self.needs_reason and reason is None:
            wrong.append(("reason", "is missing: this command needs one"))
        if wrong:
            (name, problem), *others = wrong
            raise InvalidRequestError(name, problem, others=tuple(others))

    def document(self) -> dict[str, Any]:
        """The rules as JSON, which ``rules_of`` reads."""
        return {
            "description": self.description,
            "parameters": self.parameters,
            "timeout_seconds": self.timeout_seconds,
            "max_timeout_seconds": self.max_timeout_seconds,
            "needs_reason": self.needs_reason,
        }


NO_RULES: Final = CommandRules()
"""Of a command of which a tenant's file says its action alone."""


def rules_of(document: object) -> CommandRules:
    """Rules as they are stored.

    Raises:
        ValueError: they are not of their form, or hold what this release cannot hold anybody to.
    """
    if not isinstance(document, dict):
        raise ValueError("rules of a command are no object")  # noqa: TRY004 - as all that can be
    known = cast("dict[str, Any]", document)
    # Fail closed: a rule of a later release would not be held.
    if unknown := known.keys() - _MEMBERS:
        raise ValueError(f"rules of a command have an unknown `{min(unknown)}`")
    rules = CommandRules(**known)
    try:
        rules.check()
    except (InvalidRequestError, TypeError, AttributeError) as error:
        raise ValueError(f"rules of a command: {error}") from error
    return rules
