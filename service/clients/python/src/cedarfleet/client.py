"""``Fleet``: one tenant's devices, as far as the policies let the caller."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

import httpx

from cedarfleet import steps
from cedarfleet.connections import Connections
from cedarfleet.errors import UnreachableError
from cedarfleet.generated.api.default import (
    list_commands,
    list_devices,
    list_grants,
    read_audit,
    read_me,
)
from cedarfleet.generated.models import (
    AuditPageOut,
    CommandPageOut,
    DevicePageOut,
    GrantPageOut,
    Me,
)
from cedarfleet.sign_in import token_bearer
from cedarfleet.steps import Call, Pause
from cedarfleet.uploading import upload

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from cedarfleet.generated.client import AuthenticatedClient
    from cedarfleet.generated.models import (
        Accepted,
        AnswerOut,
        AuditEntryOut,
        CommandOut,
        DeviceOut,
        DownloadOut,
        FileOut,
        GrantOut,
        PlanOut,
        WhyOut,
    )
    from cedarfleet.sign_in import Bearer
    from cedarfleet.steps import Put, Steps
    from cedarfleet.uploading import Package, Progress

Answer = TypeVar("Answer")
PATIENCE: Final = 120.0  # seconds


def untold(_sent: int, _size: int) -> None:
    """Progress that nobody wants to know of."""


class Fleet:
    """A tenant's fleet, synchronously; a context manager.

    Args:
        api: URL of the API, without ``/v1``.
        bearer: a token that somebody else renews, or a bearer that renews its own.
        proxies: whether the proxies that the environment names are used.

    Every method raises an ``ApiError`` for what the API did not do, and ``UnreachableError`` where
    nobody answers. What it has no method for, ``cedarfleet.generated.api`` has: a generated
    operation takes ``fleet.http``, and raises the same.
    """

    def __init__(self, api: str, bearer: str | Bearer, *, proxies: bool = True) -> None:
        known = token_bearer(api, bearer) if isinstance(bearer, str) else bearer
        self._connections = Connections(api=api, bearer=known, proxies=proxies)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._connections.close()

    @property
    def http(self) -> AuthenticatedClient:
        """What a generated ``sync`` takes as its ``client``."""
        return self._connections.sync

    def me(self) -> Me:
        """Who calls, and what they may do on the tenant."""
        return self.run(steps.ask(Me, read_me))

    def devices(self, **filters: Any) -> Iterator[DeviceOut]:
        """Devices that the caller may view; filters are those of ``GET /v1/devices``."""
        for page in self._pages(DevicePageOut, list_devices, filters):
            yield from page.devices

    def commands(self, **filters: Any) -> Iterator[CommandOut]:
        """Commands of the last 90 days, the newest first."""
        for page in self._pages(CommandPageOut, list_commands, filters):
            yield from page.commands

    def grants(self, **filters: Any) -> Iterator[GrantOut]:
        """Grants that were given by the API."""
        for page in self._pages(GrantPageOut, list_grants, filters):
            yield from page.grants

    def audit(self, **filters: Any) -> Iterator[AuditEntryOut]:
        """Entries of the tenant's trail, the newest first."""
        for page in self._pages(AuditPageOut, read_audit, filters):
            yield from page.entries

    def audit_exports(self, *, first: int = 1) -> Iterator[bytes]:
        """The trail with its chain from a link on, one export after the other, to its end.

        Raises:
            UnexpectedAnswerError: an export was cut off.
        """
        following: int | None = first
        while following is not None:
            content = self.run(steps.audit_export(following))
            yield content
            following = steps.next_link(content)

    def send(
        self,
        device: str,
        command: str,
        *,
        arguments: Mapping[str, Any] | None = None,
        timeout_seconds: int | None = None,
        reason: str | None = None,
        emergency: str | None = None,
        idempotency_key: str | None = None,
    ) -> Accepted:
        """Send a command; with a key of idempotency of its own unless one is given."""
        return self.run(
            steps.send(
                device,
                command,
                arguments=arguments or {},
                timeout_seconds=timeout_seconds,
                reason=reason,
                emergency=emergency,
                idempotency_key=idempotency_key,
            )
        )

    def wait_for_command(self, command_id: str, *, seconds: float = PATIENCE) -> CommandOut:
        """The command once it is final.

        Raises:
            NotEndedError: it is not, after so many seconds.
        """
        return self.run(steps.command_ended(command_id, seconds=seconds))

    def plan(
        self,
        *,
        artifact: str | None = None,
        file: str | None = None,
        device: str | None = None,
        group: str | None = None,
        **shape: Any,
    ) -> PlanOut:
        """What a rollout would do to each device; ``shape`` has the members of a plan's body."""
        return self.run(
            steps.plan(artifact=artifact, file=file, device=device, group=group, **shape)
        )

    def apply(self, plan_id: str) -> Accepted:
        """Start exactly a plan.

        Raises:
            ConflictError: it is stale: the fleet or the policies are others than when it was made.
        """
        return self.run(steps.apply(plan_id))

    def rollout(self, download_id: str) -> DownloadOut:
        """How far a rollout came."""
        return self.run(steps.rollout(download_id))

    def wait_for_rollout(self, download_id: str, *, seconds: float = PATIENCE) -> DownloadOut:
        """The rollout once it has ended.

        Raises:
            NotEndedError: it has not, after so many seconds.
        """
        return self.run(steps.rollout_ended(download_id, seconds=seconds))

    def upload(
        self,
        path: Path,
        name: str,
        *,
        package: Package | None = None,
        seconds: float = PATIENCE,
        progress: Progress = untold,
    ) -> FileOut:
        """Upload a version of a file in parts, and wait until it can be delivered.

        Raises:
            UploadError: it did not arrive as it was sent.
            NotEndedError: it is not verified so many seconds after its last part.
        """
        return self.run(upload(path, name, package=package, seconds=seconds, progress=progress))

    def may(self, **question: Any) -> AnswerOut:
        """Whether the policies allow it; the question's members are those of ``QuestionBody``."""
        [answer] = self.run(steps.may(question)).answers
        return answer

    def why(self, *, person: str | None = None, **question: Any) -> WhyOut:
        """Whether they do, and why; of a ``person`` of the tenant for who may view people."""
        return self.run(steps.why(question, person))

    def _pages(
        self, kind: type[Answer], operation: Any, filters: Mapping[str, Any]
    ) -> Iterator[Answer]:
        cursor: str | None = None
        while True:
            page: Any = self.run(steps.page(kind, operation, cursor=cursor, **filters))
            yield page
            if (cursor := page.cursor) is None:
                return

    def run(self, plan: Steps[Answer]) -> Answer:
        """Take steps (``cedarfleet.steps``) to their end, for what has no method here."""
        outcome: Any = None
        failure: Exception | None = None
        while True:
            try:
                step = plan.send(outcome) if failure is None else plan.throw(failure)
            except StopIteration as end:
                return end.value
            outcome, failure = None, None
            try:
                outcome = self._take(step)
            except Exception as error:  # noqa: BLE001 - given to whoever asked for the step
                failure = error

    def _take(self, step: Call | Pause | Put) -> Any:
        try:
            if isinstance(step, Pause):
                return time.sleep(step.seconds)
            if isinstance(step, Call):
                return step.operation.sync(client=self.http, **step.arguments)
            files = self._connections.files
            return files.put(step.url, content=step.content, headers=step.headers).status_code
        except httpx.TransportError as error:
            raise UnreachableError(f"nobody answers: {type(error).__name__}") from error
