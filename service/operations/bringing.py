"""Brings the devices of a group to the version that is wanted of them, whenever they come.

A wish is looked at when it is set, when a device comes that it counts for, when its rate lets the
next devices begin, and each hour. Each look learns how the devices of earlier batches ended, and
takes the next batch: a download of its own, of which each job is decided for whose wish it is, as
of any planned download (docs/adr/0045). Nothing rests on how often a message comes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import structlog

from service.domain.downloads import Closing, DownloadRecord, TargetKind, jobs_of
from service.domain.files import FileState
from service.domain.groups import find_group
from service.domain.instants import milliseconds, new_ulid
from service.domain.rollouts import PlannedRollout, Shape
from service.domain.wanted_versions import (
    Batch,
    Running,
    WishState,
    counting,
    is_failing,
    progress_of,
    runs,
)
from service.errors import ConflictError
from service.operations.downloads import advance, deliverable
from service.operations.known_groups import knowing
from service.operations.wish_messages import look_at

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from service.domain.files import FileVersion
    from service.domain.instants import Clock
    from service.domain.tenants import Tenant
    from service.domain.wanted_versions import Progress, WantedVersion
    from service.domain.work import Work
    from service.ports.devices import DeviceFacts
    from service.ports.downloads import Deliveries, DownloadRecords
    from service.ports.files import FileRecords
    from service.ports.groups import GroupRecords
    from service.ports.wanted_versions import RunningVersions, WantedVersions
    from service.ports.work import Timers, WorkQueue

LOOK_AFTER: Final = timedelta(minutes=2)
"""In which everybody is done, or cut off, who had taken a batch and was to make its download."""
_SHORTEST: Final = timedelta(minutes=1)  # between two looks: a timer is no more exact
_SWEEP: Final = timedelta(hours=1)
_FORGOTTEN: Final = timedelta(days=2)  # beyond a download's time: its last events are over
MOST_MEMBERS: Final = 100_000
log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class _Seen:
    """What a look found of a wish that stands.

    Attributes:
        wishes: all of its package.
        running: what devices run of it.
        unmade: batches of which there is no download yet.
    """

    wish: WantedVersion
    file: FileVersion
    wishes: Sequence[WantedVersion]
    running: Mapping[str, Running]
    batches: Sequence[Batch]
    unmade: Sequence[Batch]


@dataclass(frozen=True, kw_only=True)
class Bringing:
    """Handlers of the messages about wanted versions; done twice is as good as once.

    Attributes:
        download_days: after which a download is over, and IoT Jobs has ended each of its jobs.
    """

    wishes: WantedVersions
    running: RunningVersions
    devices: DeviceFacts
    groups: GroupRecords
    files: FileRecords
    records: DownloadRecords
    deliveries: Deliveries
    queue: WorkQueue
    timers: Timers
    clock: Clock
    download_days: int

    async def look(self, tenant: Tenant, work: Work) -> None:
        """Do what is due of one wish, and set the timer for its next look.

        Raises:
            ConflictError: somebody changed the wish meanwhile: the message comes again.
            UpstreamError: likewise; what was done is found then.
        """
        package, group, wish_id = (work.about[name] for name in ("package", "group", "wish"))
        wishes = await self.wishes.of_package(tenant, package)
        wish = next((one for one in wishes if (one.group, one.wish_id) == (group, wish_id)), None)
        if wish is not None and wish.state is WishState.UNKNOWN:
            return  # of a later release: not to be touched
        running = await self.running.of_package(tenant, package)
        batches, unmade, why = await self._learnt(tenant, package, wish_id, running)
        # What was told now counts now.
        running = await self.running.of_package(tenant, package) if batches else running
        tenant = await knowing(self.groups, tenant, [group])
        if wish is not None and wish.state is WishState.ACTIVE:
            file = await self.files.read(tenant, wish.file_id)
            why = why or _why_not(tenant, wish, file, batches)
            if why is None and file is not None:
                seen = _Seen(
                    wish=wish,
                    file=file,
                    wishes=wishes,
                    running=running,
                    batches=batches,
                    unmade=unmade,
                )
                await self._bring(tenant, seen)
                return
            await self._stop(tenant, wish, why or "its file is no more")
        # Superseded, ended or stopped: what has not begun on its device begins there no more.
        left = await self._cancel(tenant, batches, unmade)
        timer = _timer(tenant, wish_id)
        if left is None:
            await self.timers.forget(timer)
        else:
            await self.timers.wake(timer, self.clock() + left, work)

    async def came(self, tenant: Tenant, device_id: str) -> None:
        """Look at the wishes that count for a device which has come, or moved, and is not there.

        Args:
            tenant: whose device it is.
            device_id: which; one that is no more is fine.
        """
        wishes = [one for one in await self.wishes.every(tenant) if one.counts]
        device = await self.devices.find(tenant, device_id) if wishes else None
        if device is None or device.retired_at is not None:
            return
        due: list[Work] = []
        for package in sorted({one.package for one in wishes}):
            known = [one for one in wishes if one.package == package]
            ours = counting(device, known, tenant.groups)
            if ours is None or ours.state is not WishState.ACTIVE:
                continue
            told = await self.running.find(tenant, package, device_id)
            now = runs(device, package, told)
            if now is None or now.version != ours.version:
                due.append(look_at(tenant, ours))
        if due:
            await self.queue.send(due)

    async def device(self, tenant: Tenant, work: Work) -> None:
        """As ``came``, for the device that the work is about."""
        await self.came(tenant, work.about["device"])

    async def _bring(self, tenant: Tenant, seen: _Seen) -> None:
        """Make what was taken and not made, take the next batch if it is time, set the timer."""
        wish, now = seen.wish, self.clock()
        left: list[Batch] = []
        for batch in seen.unmade:
            if self._is_old(batch):
                await self._make(tenant, seen, batch)
            else:
                left.append(batch)
        opens = now if wish.window is None else wish.window.opens_at(now)
        may = [now + _SWEEP, *(_instant(one.at) + LOOK_AFTER for one in left)]
        free_at = max(opens, _instant(wish.next_at))
        if free_at > now:
            may.append(free_at)
        else:
            progress = await self._progress(tenant, seen)
            begun = progress.waiting[: wish.batch_size]
            if begun:
                await self._take(tenant, seen, begun)
            if len(progress.waiting) > len(begun):
                may.append(_instant(wish.rests_until(milliseconds(now), len(begun))))
            if progress.again_at is not None:
                may.append(_instant(progress.again_at))
        at = max(min(may), now + _SHORTEST)
        await self.timers.wake(_timer(tenant, wish.wish_id), at, look_at(tenant, wish))

    async def _progress(self, tenant: Tenant, seen: _Seen) -> Progress:
        group = find_group(tenant, seen.wish.group)
        members = await self.devices.members(tenant, group, limit=MOST_MEMBERS) if group else ()
        return progress_of(
            seen.wish,
            members,
            wishes=seen.wishes,
            running=seen.running,
            batches=seen.batches,
            parents=tenant.groups,
            now_ms=milliseconds(self.clock()),
        )

    async def _take(self, tenant: Tenant, seen: _Seen, members: tuple[str, ...]) -> None:
        """Take a batch, and make its download.

        Raises:
            ConflictError: another look took one first, or the wish is another by now.
        """
        wish, at = seen.wish, milliseconds(self.clock())
        batch = Batch(
            wish_id=wish.wish_id,
            version=wish.version,
            download_id=new_ulid(at),
            at=at,
            members=members,
        )
        rests = replace(wish, next_at=wish.rests_until(at, len(members)))
        # Both or neither: whoever was second would begin the same devices again.
        if await self.wishes.put(tenant, rests, batch=batch) is None:
            raise ConflictError(f"the wish `{wish.wish_id}` was changed meanwhile")
        await self._make(tenant, seen, batch)

    async def _make(self, tenant: Tenant, seen: _Seen, batch: Batch) -> None:
        """Make the download of a batch; whoever is cut off here leaves it to a later look."""
        wish, artifact = seen.wish, seen.file.artifact()
        shape = Shape(window=wish.window)
        record = DownloadRecord(
            download_id=batch.download_id,
            tenant=tenant.id,
            target_kind=TargetKind.GROUP,
            target=wish.group,
            artifact=artifact.name,
            size=artifact.size,
            sha256=deliverable(artifact),
            etag=artifact.etag,
            version=artifact.version,
            manifest=artifact.manifest,
            file_id=artifact.file_id,
            created_by=wish.created_by,
            created_at=batch.at,
            devices=len(batch.members),
            rollout=PlannedRollout(
                shape=shape,
                waves=shape.sizes(len(batch.members)),
                reach=wish.reach,
                requester=wish.requester,
                source_ip=wish.source_ip,
                via=wish.via,
            ),
            wish=wish.wish_id,
        )
        # Before the record, which says that they are all there.
        await self.deliveries.plan(tenant, record, tuple(jobs_of(batch.members)))
        await self.records.create(tenant, record, None)
        await self.queue.send([advance(tenant, batch.download_id)])
        log.info(
            "wanted_version.batch",
            wish=wish.wish_id,
            download=record.name,
            devices=len(batch.members),
        )

    async def _learnt(
        self, tenant: Tenant, package: str, wish_id: str, running: Mapping[str, Running]
    ) -> tuple[list[Batch], list[Batch], str | None]:
        """All batches of a wish as they stand, those without a download, and what stopped one."""
        batches: list[Batch] = []
        unmade: list[Batch] = []
        why: str | None = None
        for batch in await self.wishes.batches(tenant, wish_id):
            if batch.settled:
                batches.append(batch)
                continue
            record = await self.records.read(tenant, batch.download_id)
            if record is None:
                unmade.append(batch)
                batches.append(batch)
                continue
            if record.begun_at is None and self._is_old(batch):
                await self.queue.send([advance(tenant, batch.download_id)])
            if record.closing is Closing.STOPPED:
                why = record.why or "a batch was stopped"
            batches.append(await self._settled(tenant, batch, record))
            await self._tell(tenant, package, batches[-1], running)
        return batches, unmade, why

    async def _settled(self, tenant: Tenant, batch: Batch, record: DownloadRecord) -> Batch:
        """A batch with what its download tells of it, which is stored."""
        found = await self.deliveries.job(tenant, record, 0)
        outcomes = found[1] if found else {}
        over = _instant(batch.at) + timedelta(days=self.download_days) + _FORGOTTEN
        known = replace(
            batch,
            outcomes={one: outcomes[one] for one in batch.members if one in outcomes},
            closing=record.closing,
        )
        # Closed first: why a device was canceled is known by then.
        ended = len(known.outcomes) == len(batch.members) and record.closing is not None
        if ended or self.clock() >= over:
            known = replace(known, settled=True)
        if known != batch:
            await self.wishes.settle(tenant, known)
        return known

    async def _tell(
        self, tenant: Tenant, package: str, batch: Batch, running: Mapping[str, Running]
    ) -> None:
        """Note what devices run to which it was delivered; many say it themselves, and sooner."""
        for device, outcome in batch.outcomes.items():
            known = running.get(device)
            if outcome.state == "succeeded" and (known is None or known.at < outcome.at):
                told = Running(device=device, package=package, version=batch.version, at=outcome.at)
                await self.running.tell(tenant, told)

    async def _stop(self, tenant: Tenant, wish: WantedVersion, why: str) -> None:
        stopped = replace(wish, state=WishState.STOPPED, why=why)
        if await self.wishes.put(tenant, stopped) is None:
            raise ConflictError(f"the wish `{wish.wish_id}` was changed meanwhile")
        log.warning("wanted_version.stopped", wish=wish.wish_id, why=why)

    async def _cancel(
        self, tenant: Tenant, batches: Sequence[Batch], unmade: Sequence[Batch]
    ) -> timedelta | None:
        """Close what is open of a wish; after which time to look again, or ``None``: all is."""
        left: timedelta | None = None
        for batch in batches:
            if batch.settled:
                continue
            if batch in unmade:
                if self._is_old(batch):  # nobody makes it any more
                    gone = replace(batch, closing=Closing.CANCELED, settled=True)
                    await self.wishes.settle(tenant, gone)
                else:
                    left = LOOK_AFTER
                continue
            left = left or _SWEEP
            record = await self.records.read(tenant, batch.download_id)
            if record is not None and await self.records.close(tenant, record, Closing.CANCELED):
                await self.queue.send([advance(tenant, batch.download_id)])
        return left

    def _is_old(self, batch: Batch) -> bool:
        """Whether whoever took it has made its download, or was cut off."""
        return milliseconds(self.clock() - LOOK_AFTER) >= batch.at


def _why_not(
    tenant: Tenant, wish: WantedVersion, file: FileVersion | None, batches: Sequence[Batch]
) -> str | None:
    """Why nobody is brought to a wanted version any more; ``None``: they are."""
    if file is None or file.state is not FileState.AVAILABLE:
        return "its file is not available any more"
    if find_group(tenant, wish.group) is None:
        return "its group is no more"
    return "too many devices failed" if is_failing(wish, batches) else None


def _timer(tenant: Tenant, wish_id: str) -> str:
    return f"{tenant.id}--wish-{wish_id}"


def _instant(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, UTC)
