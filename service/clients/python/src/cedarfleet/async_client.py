"""``AsyncFleet``: ``Fleet`` to be awaited."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Self, TypeVar

import httpx

from cedarfleet import steps
from cedarfleet.client import PATIENCE, untold
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
    from collections.abc import AsyncIterator, Mapping
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


class AsyncFleet:
    """The same, to be awaited; see ``Fleet`` for what each method does."""

    def __init__(self, api: str, bearer: str | Bearer, *, proxies: bool = True) -> None:
        known = token_bearer(api, bearer) if isinstance(bearer, str) else bearer
        self._connections = Connections(api=api, bearer=known, proxies=proxies)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._connections.aclose()

    @property
    def http(self) -> AuthenticatedClient:
        """What a generated ``asyncio`` takes as its ``client``."""
        return self._connections.asynchronous

    async def me(self) -> Me:
        """See ``Fleet``."""
        return await self.run(steps.ask(Me, read_me))

    async def devices(self, **filters: Any) -> AsyncIterator[DeviceOut]:
        """See ``Fleet``."""
        async for page in self._pages(DevicePageOut, list_devices, filters):
            for device in page.devices:
                yield device

    async def commands(self, **filters: Any) -> AsyncIterator[CommandOut]:
        """See ``Fleet``."""
        async for page in self._pages(CommandPageOut, list_commands, filters):
            for command in page.commands:
                yield command

    async def grants(self, **filters: Any) -> AsyncIterator[GrantOut]:
        """See ``Fleet``."""
        async for page in self._pages(GrantPageOut, list_grants, filters):
            for grant in page.grants:
                yield grant

    async def audit(self, **filters: Any) -> AsyncIterator[AuditEntryOut]:
        """See ``Fleet``."""
        async for page in self._pages(AuditPageOut, read_audit, filters):
            for entry in page.entries:
                yield entry

    async def send(
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
        """See ``Fleet``."""
        return await self.run(
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

    async def wait_for_command(self, command_id: str, *, seconds: float = PATIENCE) -> CommandOut:
        """See ``Fleet``."""
        return await self.run(steps.command_ended(command_id, seconds=seconds))

    async def plan(
        self,
        *,
        artifact: str | None = None,
        file: str | None = None,
        device: str | None = None,
        group: str | None = None,
        **shape: Any,
    ) -> PlanOut:
        """See ``Fleet``."""
        return await self.run(
            steps.plan(artifact=artifact, file=file, device=device, group=group, **shape)
        )

    async def apply(self, plan_id: str) -> Accepted:
        """See ``Fleet``."""
        return await self.run(steps.apply(plan_id))

    async def rollout(self, download_id: str) -> DownloadOut:
        """See ``Fleet``."""
        return await self.run(steps.rollout(download_id))

    async def wait_for_rollout(self, download_id: str, *, seconds: float = PATIENCE) -> DownloadOut:
        """See ``Fleet``."""
        return await self.run(steps.rollout_ended(download_id, seconds=seconds))

    async def upload(
        self,
        path: Path,
        name: str,
        *,
        package: Package | None = None,
        seconds: float = PATIENCE,
        progress: Progress = untold,
    ) -> FileOut:
        """See ``Fleet``; the file itself is read between awaits, a part at a time."""
        return await self.run(
            upload(path, name, package=package, seconds=seconds, progress=progress)
        )

    async def may(self, **question: Any) -> AnswerOut:
        """See ``Fleet``."""
        [answer] = (await self.run(steps.may(question))).answers
        return answer

    async def why(self, *, person: str | None = None, **question: Any) -> WhyOut:
        """See ``Fleet``."""
        return await self.run(steps.why(question, person))

    async def _pages(
        self, kind: type[Answer], operation: Any, filters: Mapping[str, Any]
    ) -> AsyncIterator[Answer]:
        cursor: str | None = None
        while True:
            page: Any = await self.run(steps.page(kind, operation, cursor=cursor, **filters))
            yield page
            if (cursor := page.cursor) is None:
                return

    async def run(self, plan: Steps[Answer]) -> Answer:
        """See ``Fleet``."""
        outcome: Any = None
        failure: Exception | None = None
        while True:
            try:
                step = plan.send(outcome) if failure is None else plan.throw(failure)
            except StopIteration as end:
                return end.value
            outcome, failure = None, None
            try:
                outcome = await self._take(step)
            except Exception as error:  # noqa: BLE001 - given to whoever asked for the step
                failure = error

    async def _take(self, step: Call | Pause | Put) -> Any:
        try:
            if isinstance(step, Pause):
                return await asyncio.sleep(step.seconds)
            if isinstance(step, Call):
                return await step.operation.asyncio(client=self.http, **step.arguments)
            files = self._connections.async_files
            sent = await files.put(step.url, content=step.content, headers=step.headers)
        except httpx.TransportError as error:
            raise UnreachableError(f"nobody answers: {type(error).__name__}") from error
        return sent.status_code
