"""The agent's word of itself, at its times: status file, shadow, watchdog; and it forgets."""

from __future__ import annotations

import logging
import threading
import time
from datetime import datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

from cedarfleet_device import wire
from cedarfleet_device.diagnostics.health import (
    notify,
    reported,
    watchdog_seconds,
    write_status,
)
from cedarfleet_device.guard import GuardedThread, failing_threads
from cedarfleet_device.log import event, places
from cedarfleet_device.store.transaction import StoreError
from cedarfleet_device.wire.pythons import UTC

if TYPE_CHECKING:
    from pathlib import Path

    from cedarfleet_device.clock import Clock
    from cedarfleet_device.commands.admission import Admission
    from cedarfleet_device.commands.executor import Executor
    from cedarfleet_device.commands.inbox import Inbox
    from cedarfleet_device.commands.outbox import Outbox
    from cedarfleet_device.config import DeviceConfig
    from cedarfleet_device.installs.installation import Installation
    from cedarfleet_device.metrics import Metrics
    from cedarfleet_device.session import Session
    from cedarfleet_device.store.reserve import Reserve
    from cedarfleet_device.store.store import Store
    from cedarfleet_device.telemetry.queue import TelemetryQueue

_DAY_MS: Final = 86_400_000
_FORGET_EVERY_SECONDS: Final = 3600.0
_STATUS_EVERY_SECONDS: Final = 10.0


class Heartbeat:
    """A thread that tells how the agent is, while the disk takes it.

    Args:
        config: the device.
        folder: of the agent's state, where ``status.json`` is.
        session: the connection.
        store: waited for before the watchdog is told.
        inbox: commands.
        outbox: their states.
        telemetry: what waits of it.
        admission: forgets old commands.
        runner: runs those that wait.
        reserve: of the disk.
        clock: the cloud's time.
        metrics: counts.
        installs: versions; None: nothing is installed.
    """

    def __init__(
        self,
        config: DeviceConfig,
        *,
        folder: Path,
        session: Session,
        store: Store,
        inbox: Inbox,
        outbox: Outbox,
        telemetry: TelemetryQueue,
        admission: Admission,
        runner: Executor,
        reserve: Reserve,
        clock: Clock,
        metrics: Metrics,
        installs: Installation | None,
    ) -> None:
        self._config, self._folder = config, folder
        self._session, self._store = session, store
        self._inbox, self._outbox, self._telemetry = inbox, outbox, telemetry
        self._admission, self._runner, self._reserve = admission, runner, reserve
        self._clock, self._installs = clock, installs
        self._metrics = metrics
        self._started = time.monotonic()
        self._told: tuple[str | None, wire.VersionsMessage] | None = None
        self._stop = threading.Event()
        self._news = threading.Event()
        self._thread = GuardedThread(
            self._tell,
            name="cedarfleet-health",
            failed=lambda: metrics.count("thread_failures"),
        )

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def hurry(self) -> None:
        """There is something to tell: do not wait for the next round; from any thread."""
        self._news.set()

    def stop(self) -> None:
        """End, with a last word."""
        self._stop.set()
        self._news.set()
        self._thread.join(5)
        try:
            self._write_status("stopped")
        except StoreError as error:
            event("store.failed", level=logging.ERROR, error=error)

    def _tell(self) -> None:
        """Health, status file, watchdog and forgetting, each at its time."""
        next_report = next_forget = 0.0
        watchdog = watchdog_seconds()
        notify("READY=1")
        while not self._stop.is_set():
            pauses = (self._config.report_seconds, watchdog, _STATUS_EVERY_SECONDS)
            self._news.wait(min(pause for pause in pauses if pause))
            changed = self._news.is_set()
            self._news.clear()
            now = time.monotonic()
            reports = self._config.report_seconds > 0 and self._session.online
            if reports and (changed or now >= next_report):
                next_report = now + self._config.report_seconds
                self._report()
            self._tell_versions()
            self._reserve.keep()
            try:
                # With a wrong clock the wrong ones would be forgotten.
                if self._clock.told and now >= next_forget:
                    next_forget = now + _FORGET_EVERY_SECONDS
                    self._admission.forget(
                        expired_before=self._clock() - self._config.commands.keep_days * _DAY_MS
                    )
                self._write_status("running")
                self._store.do(lambda _: None)  # waits for the disk
            except StoreError as error:
                event("store.failed", level=logging.ERROR, error=error)
                # No word to the watchdog: nothing but a restart cures a store that fails for long.
                continue
            notify("WATCHDOG=1")

    def _tell_versions(self) -> None:
        """Say what runs here: once for each connection, and whenever it has changed."""
        try:
            firmware = self._config.firmware_version
            packages = {wire.FIRMWARE: firmware} if firmware else {}
            if self._installs is not None:
                packages |= self._installs.packages()
            message = wire.VersionsMessage(
                agent=version("cedarfleet-device"), packages=wire.reportable(packages)
            )
            now = (self._session.since, message)
            if now != self._told and self._session.tell_versions(message):
                self._told = now
        except Exception as error:  # noqa: BLE001 - a device that cannot tell its versions still works
            event("versions.unreported", level=logging.ERROR, error=error, at=places(error))

    def _report(self) -> None:
        try:
            self._session.report(
                reported(self._config, started=self._started, skew_ms=self._clock.skew_ms)
            )
        except Exception as error:  # noqa: BLE001 - a device that cannot tell its health still works
            event("health.unreported", level=logging.ERROR, error=error, at=places(error))

    def _remind(self, *, commands: int, states: int, messages: int) -> None:
        """Have whoever has work look at it: the word that told of it may have been lost.

        That is so where something was raised between a change of the store and whoever is told.
        """
        if commands:
            self._runner.wake()
        if states:
            self._session.wake_states()
        if messages:
            self._session.wake_telemetry()

    def _write_status(self, state: str) -> None:
        counts = self._inbox.counts()
        unreported, telemetry = self._outbox.count(), self._telemetry.count()
        if state == "running":
            self._remind(commands=counts.waiting, states=unreported, messages=telemetry)
        status = {
            "state": state,
            "thing": self._config.thing,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "connected_since": self._session.since,
            "problem": self._session.problem,
            "clock_skew_seconds": round(self._clock.skew_ms / 1000),
            "disk_full": self._reserve.disk_full,
            "failing_threads": failing_threads(),
            "waiting": counts.waiting,
            "running": counts.running,
            "unreported": unreported,
            "telemetry_waiting": telemetry,
            "metrics": self._metrics.snapshot(),
            **({} if self._installs is None else self._installs.report()),
        }
        write_status(self._folder, status)
