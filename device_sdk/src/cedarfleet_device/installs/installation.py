"""The course of one install, over reboots and power cuts: it ends confirmed, or with the former.

Each state is on the disk before what belongs to it is done, so a step that was cut off is done
again, and a start after it goes on. What follows a reboot does not wait for the cloud: a version
that cannot reach it is given up all the same.
"""

from __future__ import annotations

import logging
import secrets
import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, TypeVar

from cedarfleet_device.clock import steady
from cedarfleet_device.commands.begun import boot_id
from cedarfleet_device.guard import GuardedThread, tell_nobody
from cedarfleet_device.installs.bounded import BoundedCalls, StepError
from cedarfleet_device.installs.record import InstallFiles, InstallRecord, InstallState
from cedarfleet_device.installs.versions import later_than, same
from cedarfleet_device.log import event

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cedarfleet_device.installs.limits import InstallConfig
    from cedarfleet_device.installs.steps import Installer
    from cedarfleet_device.wire import Manifest

_T = TypeVar("_T")
_LOOK_AGAIN_SECONDS: Final = 60.0
_WORKS_AGAIN_SECONDS: Final = 5.0


@dataclass(frozen=True, kw_only=True)
class InstallOutcome:
    """How an install ended, as IoT Jobs is told."""

    status: str
    detail: dict[str, str]


class Installation:
    """The installs of one device, one at a time.

    Args:
        installer: carries out the steps.
        files: what is on the disk.
        limits: what each step may take.
        online: whether the cloud is reached.
        clock: milliseconds since the epoch.
        boot: this start of the machine; None: as the machine says.
        failed: told of each failure of a thread that nobody foresaw.
    """

    def __init__(
        self,
        installer: Installer,
        *,
        files: InstallFiles,
        limits: InstallConfig,
        online: Callable[[], bool],
        clock: Callable[[], int],
        boot: str | None = None,
        failed: Callable[[], object] = tell_nobody,
    ) -> None:
        self._installer = installer
        self._files = files
        self._limits = limits
        self._online = online
        self._clock = clock
        # Where no boot can be told, each process counts as one.
        self._boot = boot or boot_id() or secrets.token_hex(16)
        self._calls = BoundedCalls("cedarfleet-install")
        self._turn = threading.Lock()
        self._stopping = threading.Event()
        self._settling = GuardedThread(self._settle, name="cedarfleet-confirm", failed=failed)
        self._known: InstallRecord | None = None

    def settle(self) -> None:
        """At the start: go on with what a reboot, or a power cut, was in the middle of. At once."""
        self._known = self._files.read()
        if self._known is not None and self._known.state in (
            InstallState.REBOOTING,
            InstallState.CONFIRMING,
        ):
            self._settling.start()

    def stop(self) -> None:
        """Leave the install where it is; the next start goes on with it."""
        self._stopping.set()
        self._settling.join(5)

    def report(self) -> dict[str, object]:
        """Confirmed versions by package, and the install that is under way, for people."""
        known = self._known
        under_way = (
            {}
            if known is None
            else {"package": known.package, "version": known.version, "state": known.state.value}
        )
        return {"packages": self._files.packages(), "install": under_way}

    def packages(self) -> dict[str, str]:
        """Confirmed versions by package."""
        return self._files.packages()

    def refusal(self, manifest: Manifest) -> str | None:
        """Why this version must not be installed on what is there; None: it may."""
        for package, least in manifest.requires.items():
            there = self._installed(package)
            if there is None:
                return f"it requires `{package}` {least}, of which nothing is known here"
            # Fail closed: versions that cannot be compared are not known to be enough.
            if not same(there, least) and later_than(there, least) is not True:
                return f"it requires `{package}` {least}, here is {there}"
        there = self._installed(manifest.package)
        if there is None or manifest.downgrade or same(there, manifest.version):
            return None
        if later_than(manifest.version, there) is not True:  # fail closed, likewise
            return (
                f"`{manifest.package}` {manifest.version} is not later than {there}, which is"
                " installed, and its manifest allows no downgrade"
            )
        return None

    def carry_out(
        self,
        job_id: str,
        manifest: Manifest,
        *,
        fetch: Callable[[], Path],
        tell: Callable[[dict[str, str]], None],
        cancelled: Callable[[], bool],
    ) -> InstallOutcome | None:
        """Begin with a job's install, or go on with it.

        Args:
            job_id: which job.
            manifest: what is to be installed, trusted.
            fetch: brings the file; not asked once it is installed.
            tell: gets what has changed, for people.
            cancelled: whether the job is no longer wanted; asked until it is begun.

        Returns:
            How it ended; None: the agent stops, or the job is not wanted any more.

        Raises:
            OSError: the state cannot be kept; nothing was done that was not.
            Exception: whatever ``fetch`` raises.
        """
        with self._turn:
            record = self._of(job_id)
            if record is None:
                if (refused := self.refusal(manifest)) is not None:
                    return InstallOutcome(status="REJECTED", detail={"reason": refused})
                there = self._installed(manifest.package)
                if there is not None and same(there, manifest.version):
                    return self._outcome_of_nothing(manifest)
            if record is None or record.state in (
                InstallState.DOWNLOADED,
                InstallState.INSTALLING,
            ):
                file = fetch()
                record = record or InstallRecord.fresh(
                    job_id,
                    manifest,
                    former=self._installed(manifest.package),
                    file=file,
                    boot=self._boot,
                )
                self._keep(record)
            return self._advance(record, tell, cancelled)

    def ended(self, job_id: str) -> None:
        """The cloud has taken the end of this job."""
        with self._turn:
            record = self._files.read()
            if record is not None and record.job_id == job_id and record.state.is_final:
                self._clear()

    def nothing_wanted(self) -> None:
        """No job waits for this device: what an ended one began is given up; nothing if it runs."""
        if not self._turn.acquire(blocking=False):
            return
        try:
            self._of("")
        finally:
            self._turn.release()

    def _settle(self) -> None:
        with self._turn:
            record = self._files.read()
            if record is not None and not record.state.is_final:
                self._advance(record, lambda _: None, lambda: False)

    def _of(self, job_id: str) -> InstallRecord | None:
        """What is under way for this job; another job's is given up."""
        record = self._files.read()
        if record is None or record.job_id == job_id:
            return record
        if record.state is InstallState.INSTALLING:
            self._give_up(record, "its job has ended in the cloud")
        elif not record.state.is_final and record.state is not InstallState.DOWNLOADED:
            self._advance(record, lambda _: None, lambda: False)
        self._clear()
        return None

    def _advance(
        self,
        record: InstallRecord,
        tell: Callable[[dict[str, str]], None],
        cancelled: Callable[[], bool],
    ) -> InstallOutcome | None:
        while not record.state.is_final:
            if self._is_news(record):
                tell(_told(record))
            match record.state:
                case InstallState.DOWNLOADED:
                    further = self._begin(record, tell, cancelled)
                case InstallState.INSTALLING:
                    further = self._install(record)
                case InstallState.REBOOTING:
                    further = self._reboot(record)
                case _:
                    further = self._confirm(record)
            if further is None:
                return None
            record = further
            self._keep(record)
        good = record.state is InstallState.CONFIRMED
        return InstallOutcome(status="SUCCEEDED" if good else "FAILED", detail=_told(record))

    def _is_news(self, record: InstallRecord) -> bool:
        """Whether to tell it: all devices share a rate (``downloads.progress_reports``)."""
        if record.state is InstallState.REBOOTING:
            return record.boot == self._boot
        return record.state is not InstallState.DOWNLOADED

    def _begin(
        self,
        record: InstallRecord,
        tell: Callable[[dict[str, str]], None],
        cancelled: Callable[[], bool],
    ) -> InstallRecord | None:
        """Wait until the window is open and the device says nothing against it."""
        since, said = steady(), ""
        while (reason := self._against(record)) is not None:
            if cancelled():
                self._clear()
                return None
            left = self._limits.defer_seconds - (steady() - since)
            if left <= 0:
                why = f"put off for {self._limits.defer_seconds:g} s: {reason}"
                return record.now(InstallState.ROLLED_BACK, boot=self._boot, reason=why)
            if reason != said:
                said = reason
                tell(_told(record) | {"state": "waiting", "reason": reason})
            if self._stopping.wait(min(left, _LOOK_AGAIN_SECONDS)):
                return None
        return record.now(InstallState.INSTALLING, boot=self._boot)

    def _against(self, record: InstallRecord) -> str | None:
        window = self._limits.when
        if window is not None and not window.is_open(self._clock()):
            return f"the window of this device is {window.text}"
        try:
            return self._call("not_now", lambda: self._installer.not_now(record.update))
        except StepError as error:
            return str(error)

    def _install(self, record: InstallRecord) -> InstallRecord | None:
        if record.tries >= self._limits.tries:
            return self._give_up(record, f"it was cut off {record.tries} times")
        record = replace(record, tries=record.tries + 1)
        self._keep(record)  # before it begins: an install that ends the machine must not do so on
        try:
            reboots = self._call("install", lambda: self._installer.install(record.update))
        except StepError as error:
            return self._give_up(record, str(error))
        state = InstallState.REBOOTING if reboots else InstallState.CONFIRMING
        return record.now(state, boot=self._boot)

    def _reboot(self, record: InstallRecord) -> InstallRecord | None:
        if record.boot == self._boot:
            if record.tries >= self._limits.tries:
                return self._give_up(record, f"the device did not reboot {record.tries} times")
            record = replace(record, tries=record.tries + 1)
            self._keep(record)
            try:
                self._call("reboot", lambda: self._installer.reboot(record.update))
            except StepError as error:
                return self._give_up(record, str(error))
            if self._stopping.wait(self._limits.reboot_seconds):
                return None
            seconds = self._limits.reboot_seconds
            return self._give_up(record, f"the reboot did not come within {seconds:g} s")
        running = self._running(record.package)
        if running is not None and not same(running, record.version):
            reason = f"after the reboot {running} runs: the new version did not start"
            return record.now(InstallState.ROLLED_BACK, boot=self._boot, reason=reason)
        return record.now(InstallState.CONFIRMING, boot=self._boot)

    def _confirm(self, record: InstallRecord) -> InstallRecord | None:
        # Each process counts: one that the new version kills again and again confirms nothing.
        if record.tries >= self._limits.tries:
            return self._give_up(record, f"it started {record.tries} times and was not confirmed")
        record = replace(record, tries=record.tries + 1, boot=self._boot)
        self._keep(record)
        until = steady() + self._limits.confirm_seconds
        while True:
            missing = self._missing(record, until - steady())
            if missing is None:
                try:
                    self._call("commit", lambda: self._installer.commit(record.update))
                except StepError as error:
                    return self._give_up(record, str(error))
                self._files.confirm(record.package, record.version)
                return record.now(InstallState.CONFIRMED, boot=self._boot)
            left = until - steady()
            if left <= 0:
                seconds = self._limits.confirm_seconds
                return self._give_up(record, f"not confirmed within {seconds:g} s: {missing}")
            if self._stopping.wait(min(left, _WORKS_AGAIN_SECONDS)):
                return None

    def _missing(self, record: InstallRecord, seconds: float) -> str | None:
        """What keeps the new version from being confirmed; None: nothing."""
        if self._limits.confirm_online and not self._online():
            return "the cloud was not reached"
        try:
            works = self._calls.call(
                "works",
                lambda: self._installer.works(record.update),
                seconds=max(0.01, min(seconds, self._limits.limit_seconds)),
            )
        except StepError as error:
            return str(error)
        return None if works else "it does not say that it works"

    def _give_up(self, record: InstallRecord, reason: str) -> InstallRecord:
        """The former version comes back."""
        event("install.given_up", level=logging.ERROR, package=record.package, why=reason)
        reboots = False
        try:
            reboots = self._call("roll_back", lambda: self._installer.roll_back(record.update))
        except StepError as error:
            reason = f"{reason}; going back failed too: {error}"
        record = record.now(InstallState.ROLLED_BACK, boot=self._boot, reason=reason)
        self._keep(record)
        if reboots:
            try:
                self._call("reboot", lambda: self._installer.reboot(record.update))
            except StepError as error:
                event("install.not_rebooted", level=logging.ERROR, error=error)
            self._stopping.wait(self._limits.reboot_seconds)
        return record

    def _installed(self, package: str) -> str | None:
        """The version that is installed, as the device says, or as was confirmed last."""
        return self._running(package) or self._files.packages().get(package)

    def _running(self, package: str) -> str | None:
        try:
            return self._call("installed", lambda: self._installer.installed(package))
        except StepError as error:
            event("install.version_unknown", level=logging.WARNING, error=error, package=package)
            return None

    def _call(self, what: str, function: Callable[[], _T]) -> _T:
        return self._calls.call(what, function, seconds=self._limits.limit_seconds)

    def _keep(self, record: InstallRecord) -> None:
        self._files.write(record)
        self._known = record
        event("install.state", package=record.package, version=record.version, state=record.state)

    def _clear(self) -> None:
        self._files.clear()
        self._known = None

    def _outcome_of_nothing(self, manifest: Manifest) -> InstallOutcome:
        detail = {"package": manifest.package, "version": manifest.version}
        return InstallOutcome(
            status="SUCCEEDED",
            detail={**detail, "state": InstallState.CONFIRMED.value, "former": manifest.version},
        )


def _told(record: InstallRecord) -> dict[str, str]:
    told = {
        "state": record.state.value,
        "package": record.package,
        "version": record.version,
        "former": record.former or "unknown",
    }
    return told | ({"reason": record.reason} if record.reason else {})
