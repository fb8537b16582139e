"""``AsyncFleet``: ``Fleet`` to be awaited."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Self, TypeVar

import httpx

from cedarfleet import campaigns, grants, steps, wanted_versions
from cedarfleet.client import PATIENCE
from cedarfleet.connections import Connections
from cedarfleet.errors import CedarfleetError, UnreachableError
from cedarfleet.events import FOREVER, Follower, untold
from cedarfleet.generated.api.default import (
    list_campaign_devices,
    list_campaigns,
    list_commands,
    list_devices,
    list_grants,
    list_running,
    read_audit,
    read_me,
)
from cedarfleet.generated.models import (
    AuditPageOut,
    CampaignDevicePageOut,
    CampaignPageOut,
    CommandPageOut,
    DevicePageOut,
    GrantPageOut,
    Me,
    RunningPageOut,
)
from cedarfleet.sign_in import token_bearer
from cedarfleet.steps import Call, Pause
from cedarfleet.uploading import upload

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Mapping
    from datetime import datetime
    from pathlib import Path

    from cedarfleet.campaigns import Looks
    from cedarfleet.events import Event
    from cedarfleet.generated.client import AuthenticatedClient
    from cedarfleet.generated.models import (
        Accepted,
        AnswerOut,
        AuditEntryOut,
        CampaignDeviceOut,
        CampaignOut,
        CommandOut,
        DeviceOut,
        DownloadOut,
        FileOut,
        GrantOut,
        PlanOut,
        RunningOut,
        VersionCountOut,
        WantedVersionOut,
        WantedVersionProgressOut,
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
        journals: Path | None = None,
    ) -> FileOut:
        """See ``Fleet``; the file itself is read between awaits, a part at a time."""
        return await self.run(
            upload(
                path,
                name,
                package=package,
                seconds=seconds,
                progress=progress,
                journals=journals,
                api=self._connections.api,
            )
        )

    async def campaigns(self, **filters: Any) -> AsyncIterator[CampaignOut]:
        """See ``Fleet``."""
        async for page in self._pages(CampaignPageOut, list_campaigns, filters):
            for one in page.campaigns:
                yield one

    async def campaign_devices(
        self, campaign_id: str, **filters: Any
    ) -> AsyncIterator[CampaignDeviceOut]:
        """See ``Fleet``."""
        named = {"campaign_id": campaign_id, "state": filters.pop("in_state", None), **filters}
        async for page in self._pages(CampaignDevicePageOut, list_campaign_devices, named):
            for one in page.devices:
                yield one

    async def begin_campaign(
        self, command: str, *, idempotency_key: str | None = None, **shape: Any
    ) -> Accepted:
        """See ``Fleet``."""
        return await self.run(
            campaigns.begin({"name": command, **shape}, idempotency_key=idempotency_key)
        )

    async def campaign(self, campaign_id: str) -> CampaignOut:
        """See ``Fleet``."""
        return await self.run(campaigns.campaign(campaign_id))

    async def wait_for_campaign(
        self, campaign_id: str, *, seconds: float = PATIENCE, looks: Looks = untold
    ) -> CampaignOut:
        """See ``Fleet``."""
        return await self.run(campaigns.campaign_ended(campaign_id, seconds=seconds, looks=looks))

    async def cancel_campaign(self, campaign_id: str, *, emergency: str | None = None) -> Accepted:
        """See ``Fleet``."""
        return await self.run(campaigns.cancel(campaign_id, emergency=emergency))

    async def give_grant(
        self,
        template: str,
        person: str,
        *,
        until: datetime,
        reason: str,
        device: str | None = None,
        group: str | None = None,
        idempotency_key: str | None = None,
    ) -> GrantOut:
        """See ``Fleet``."""
        return await self.run(
            grants.give(
                template,
                person,
                until=until,
                reason=reason,
                device=device,
                group=group,
                idempotency_key=idempotency_key,
            )
        )

    async def revoke_grant(self, grant_id: str) -> GrantOut:
        """See ``Fleet``."""
        return await self.run(grants.revoke(grant_id))

    async def want(self, group: str, package: str, file: str, **pace: Any) -> WantedVersionOut:
        """See ``Fleet``."""
        return await self.run(wanted_versions.want(group, package, file, **pace))

    async def wanted(self, group: str) -> list[WantedVersionOut]:
        """See ``Fleet``."""
        return (await self.run(wanted_versions.wanted(group))).wanted_versions

    async def wanted_progress(self, group: str, package: str) -> WantedVersionProgressOut:
        """See ``Fleet``."""
        return await self.run(wanted_versions.progress(group, package))

    async def want_no_more(self, group: str, package: str) -> WantedVersionOut:
        """See ``Fleet``."""
        return await self.run(wanted_versions.want_no_more(group, package))

    async def versions(self, package: str | None = None) -> list[VersionCountOut]:
        """See ``Fleet``."""
        return (await self.run(wanted_versions.versions(package))).versions

    async def running(
        self, package: str, *, version: str | None = None
    ) -> AsyncIterator[RunningOut]:
        """See ``Fleet``."""
        named = {"package": package, "version": version}
        async for page in self._pages(RunningPageOut, list_running, named):
            for one in page.devices:
                yield one

    async def events(
        self,
        *,
        nouns: Collection[str] = (),
        after: str | None = None,
        seconds: float = FOREVER,
        patience: float = 300.0,
        keep: Callable[[str], None] = untold,
        tell: Callable[[str], None] = untold,
    ) -> AsyncIterator[Event]:
        """See ``Fleet``."""
        follower = Follower(
            nouns=nouns, after=after, seconds=seconds, patience=patience, keep=keep, tell=tell
        )
        http = self.http.get_async_httpx_client()
        while True:
            failure: Exception | None = None
            try:
                async with http.stream(**follower.request()) as response:
                    follower.answered(response)
                    async for text in response.aiter_text():
                        for event in follower.take(text):
                            yield event
            except (httpx.TransportError, CedarfleetError) as error:
                failure = error
            if follower.is_over:
                return
            await asyncio.sleep(follower.lost(failure))

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
