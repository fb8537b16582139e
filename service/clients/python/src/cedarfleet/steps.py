"""What the client does, as steps: written once, taken by ``Fleet`` and by ``AsyncFleet``.

Each function is a generator that hands out what is to be done next (a call, a part to send, a
pause) and is given its outcome, or its error, back. It does no input and output itself.
"""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeVar

from cedarfleet.errors import BusyError, NotEndedError, UnexpectedAnswerError
from cedarfleet.generated.api.default import (
    check_permissions,
    explain_permission,
    export_audit,
    plan_download,
    read_command,
    read_download,
    send_command,
    start_download,
)
from cedarfleet.generated.models import (
    Accepted,
    CheckBody,
    CheckOut,
    CommandBody,
    CommandBodyArguments,
    CommandOut,
    DownloadBody,
    DownloadOut,
    Emergency,
    ExplainBody,
    PlanBody,
    PlanOut,
    WhyOut,
)
from cedarfleet.generated.types import UNSET

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

Answer = TypeVar("Answer")
_ATTEMPTS: Final = 4
_LONGEST_PAUSE: Final = 30.0  # seconds
FIRST_LOOK, LATER_LOOKS = 0.2, 2.0  # seconds between two looks at what goes on
_DOWNLOAD_ENDED: Final = frozenset(
    {"succeeded", "partly_failed", "failed", "rejected", "timed_out", "removed", "canceled"}
)


@dataclass(frozen=True, kw_only=True)
class Call:
    """Call an operation of the API; its outcome is what it parsed."""

    operation: Any
    arguments: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Pause:
    """Wait so many seconds."""

    seconds: float


@dataclass(frozen=True, kw_only=True)
class Put:
    """Send bytes to a signed URL, with these headers and no token; its outcome is the status."""

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    content: bytes = field(repr=False)


if TYPE_CHECKING:
    Steps = Generator[Call | Pause | Put, Any, Answer]


def ask(
    kind: type[Answer], operation: Any, *, again: bool = True, **arguments: Any
) -> Steps[Answer]:
    """Call an operation, later again if the API says so.

    Args:
        kind: of the answer.
        operation: a generated module.
        again: whether it does no harm twice: it reads, or has a key of idempotency. What is over a
            budget (429) was not done and is asked again whatever it is.
        arguments: of the operation.

    Raises:
        ApiError: it was not done.
        UnexpectedAnswerError: what came is of another kind.
    """
    for attempt in range(_ATTEMPTS):
        try:
            found = yield Call(operation=operation, arguments=arguments)
        except BusyError as busy:
            known = again or busy.status == 429  # noqa: PLR2004 - Too Many Requests
            if not known or busy.retry_after_seconds is None or attempt == _ATTEMPTS - 1:
                raise
            yield Pause(seconds=min(busy.retry_after_seconds, _LONGEST_PAUSE))
            continue
        if not isinstance(found, kind):
            raise UnexpectedAnswerError(f"the answer is no {kind.__name__}")
        return found
    raise AssertionError  # the last attempt returned or raised


def key() -> str:
    """A new key of idempotency."""
    return str(uuid.uuid4())


def send(
    device: str,
    command: str,
    *,
    arguments: Mapping[str, Any],
    timeout_seconds: int | None,
    reason: str | None,
    emergency: str | None,
    idempotency_key: str | None,
) -> Steps[Accepted]:
    """Send a command."""
    body = CommandBody(
        name=command,
        arguments=CommandBodyArguments.from_dict(dict(arguments)),
        timeout_seconds=timeout_seconds if timeout_seconds is not None else UNSET,
        reason=reason if reason is not None else UNSET,
        emergency=Emergency(reason=emergency) if emergency is not None else UNSET,
    )
    return ask(
        Accepted,
        send_command,
        device=device,
        body=body,
        idempotency_key=idempotency_key or key(),
    )


def command(command_id: str) -> Steps[CommandOut]:
    """Where a command stands."""
    return ask(CommandOut, read_command, command_id=command_id)


def command_ended(command_id: str, *, seconds: float) -> Steps[CommandOut]:
    """Wait until a command is final.

    Raises:
        NotEndedError: it is not, after so many seconds.
    """
    ends, pause = time.monotonic() + seconds, FIRST_LOOK
    while True:
        found = yield from command(command_id)
        if found.is_final:
            return found
        if time.monotonic() + pause > ends:
            raise NotEndedError(f"command `{command_id}`", found)
        yield Pause(seconds=pause)
        pause = min(pause * 1.5, LATER_LOOKS)


def plan(
    *, artifact: str | None, file: str | None, device: str | None, group: str | None, **shape: Any
) -> Steps[PlanOut]:
    """Plan a rollout; nothing is done by it, so that it may be asked twice."""
    given = {"artifact": artifact, "file": file, "device": device, "group": group, **shape}
    body = PlanBody.from_dict({name: value for name, value in given.items() if value is not None})
    return ask(PlanOut, plan_download, body=body)


def apply(plan_id: str) -> Steps[Accepted]:
    """Start exactly a plan; asked again it is the same download, since a plan starts once."""
    return ask(Accepted, start_download, body=DownloadBody(plan=plan_id), idempotency_key=key())


def rollout(download_id: str) -> Steps[DownloadOut]:
    """How far a rollout came."""
    return ask(DownloadOut, read_download, download_id=download_id)


def rollout_ended(download_id: str, *, seconds: float) -> Steps[DownloadOut]:
    """Wait until a rollout has ended.

    Raises:
        NotEndedError: it has not, after so many seconds.
    """
    ends, pause = time.monotonic() + seconds, FIRST_LOOK
    while True:
        found = yield from rollout(download_id)
        if has_ended(found):
            return found
        if time.monotonic() + pause > ends:
            raise NotEndedError(f"rollout `{download_id}`", found)
        yield Pause(seconds=pause)
        pause = min(pause * 1.5, LATER_LOOKS)


def has_ended(download: DownloadOut) -> bool:
    """Whether nothing of a rollout goes on any more."""
    return download.state in _DOWNLOAD_ENDED


def page(
    kind: type[Answer], operation: Any, *, cursor: str | None, **filters: Any
) -> Steps[Answer]:
    """One page of a list; filters that are ``None`` are left out."""
    wanted: dict[str, Any] = {"cursor": cursor, **filters}
    return ask(kind, operation, **{name: one for name, one in wanted.items() if one is not None})


def audit_export(first: int) -> Steps[bytes]:
    """Lines of an export that begins with a link."""
    return ask(bytes, export_audit, first=first)


def next_link(content: bytes) -> int | None:
    """The link that the export behind this one begins with.

    Raises:
        UnexpectedAnswerError: it was cut off.
    """
    try:
        end: Any = json.loads(content.rstrip(b"\n").rpartition(b"\n")[2])
        return int(following) if (following := end["body"]["next"]) is not None else None
    except (LookupError, TypeError, ValueError) as error:
        raise UnexpectedAnswerError("the export was cut off") from error


def may(question: Mapping[str, Any]) -> Steps[CheckOut]:
    """Whether the policies allow something."""
    body = CheckBody.from_dict({"checks": [dict(question)]})
    return ask(CheckOut, check_permissions, body=body)


def why(question: Mapping[str, Any], person: str | None) -> Steps[WhyOut]:
    """Whether they do, and why."""
    asked = dict(question) if person is None else {**question, "person": person}
    return ask(WhyOut, explain_permission, body=ExplainBody.from_dict(asked))
