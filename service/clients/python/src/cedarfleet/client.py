"""``Fleet``: one tenant's devices, as far as the policies let the caller."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

import httpx

from cedarfleet import campaigns, grants, steps, wanted_versions
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
    from collections.abc import Callable, Collection, Iterator, Mapping
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
PATIENCE: Final = 120.0  # seconds


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
        journals: Path | None = None,
    ) -> FileOut:
        """Upload a version of a file in parts, and wait until it can be delivered.

        With a folder for ``journals`` one that was cut off goes on where it was.

        Raises:
            UploadError: it did not arrive as it was sent.
            NotEndedError: it is not verified so many seconds after its last part.
        """
        return self.run(
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

    def campaigns(self, **filters: Any) -> Iterator[CampaignOut]:
        """Campaigns of the last 90 days, the newest first."""
        for page in self._pages(CampaignPageOut, list_campaigns, filters):
            yield from page.campaigns

    def campaign_devices(self, campaign_id: str, **filters: Any) -> Iterator[CampaignDeviceOut]:
        """What became of each device of a campaign; ``in_state`` is the state that is wanted."""
        named = {"campaign_id": campaign_id, "state": filters.pop("in_state", None), **filters}
        for page in self._pages(CampaignDevicePageOut, list_campaign_devices, named):
            yield from page.devices

    def begin_campaign(
        self, command: str, *, idempotency_key: str | None = None, **shape: Any
    ) -> Accepted:
        """Send one command to many; ``shape`` has the other members of ``CampaignBody``."""
        return self.run(
            campaigns.begin({"name": command, **shape}, idempotency_key=idempotency_key)
        )

    def campaign(self, campaign_id: str) -> CampaignOut:
        """How far a campaign came."""
        return self.run(campaigns.campaign(campaign_id))

    def wait_for_campaign(
        self, campaign_id: str, *, seconds: float = PATIENCE, looks: Looks = untold
    ) -> CampaignOut:
        """The campaign once no device of it is waited for; else raises as ``wait_for_command``."""
        return self.run(campaigns.campaign_ended(campaign_id, seconds=seconds, looks=looks))

    def cancel_campaign(self, campaign_id: str, *, emergency: str | None = None) -> Accepted:
        """Have no more of a campaign sent, and what has not begun taken back."""
        return self.run(campaigns.cancel(campaign_id, emergency=emergency))

    def give_grant(
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
        """Give a person what a template says, on a device or a group, until a moment."""
        return self.run(
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

    def revoke_grant(self, grant_id: str) -> GrantOut:
        """End a grant: changes are refused at once, reads within five seconds."""
        return self.run(grants.revoke(grant_id))

    def want(self, group: str, package: str, file: str, **pace: Any) -> WantedVersionOut:
        """Have a group's devices come to a file's version; ``pace`` is of ``WantedVersionBody``."""
        return self.run(wanted_versions.want(group, package, file, **pace))

    def wanted(self, group: str) -> list[WantedVersionOut]:
        """All that a group itself wants."""
        return self.run(wanted_versions.wanted(group)).wanted_versions

    def wanted_progress(self, group: str, package: str) -> WantedVersionProgressOut:
        """What a group wants of a package, and how many of its devices are there."""
        return self.run(wanted_versions.progress(group, package))

    def want_no_more(self, group: str, package: str) -> WantedVersionOut:
        """Want nothing of a package any more; devices that have begun go on."""
        return self.run(wanted_versions.want_no_more(group, package))

    def versions(self, package: str | None = None) -> list[VersionCountOut]:
        """How many devices run which version, of those that the caller may view."""
        return self.run(wanted_versions.versions(package)).versions

    def running(self, package: str, *, version: str | None = None) -> Iterator[RunningOut]:
        """Which devices run a package, or one version of it."""
        named = {"package": package, "version": version}
        for page in self._pages(RunningPageOut, list_running, named):
            yield from page.devices

    def events(
        self,
        *,
        nouns: Collection[str] = (),
        after: str | None = None,
        seconds: float = FOREVER,
        patience: float = 300.0,
        keep: Callable[[str], None] = untold,
        tell: Callable[[str], None] = untold,
    ) -> Iterator[Event]:
        """What happens, as it happens, as ``cedarfleet.events.Follower`` has it.

        Raises:
            UnreachableError: nobody answers, or not again within ``patience``.
            ApiError: e.g. 410, ``events-gone``: what came since ``after`` has left.
        """
        follower = Follower(
            nouns=nouns, after=after, seconds=seconds, patience=patience, keep=keep, tell=tell
        )
        http = self.http.get_httpx_client()
        while True:
            failure: Exception | None = None
            try:
                with http.stream(**follower.request()) as response:
                    follower.answered(response)
                    for text in response.iter_text():
                        yield from follower.take(text)
            except (httpx.TransportError, CedarfleetError) as error:
                failure = error
            if follower.is_over:
                return
            time.sleep(follower.lost(failure))

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
