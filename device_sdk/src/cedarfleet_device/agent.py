"""The agent, which a device maker holds: puts the parts together, runs them and ends them."""

from __future__ import annotations

import logging
import queue
import signal
import threading
import time
from contextlib import ExitStack
from datetime import datetime
from typing import TYPE_CHECKING, Final

from cedarfleet_device.assembly import chosen_installation, configured_downloader
from cedarfleet_device.clock import Clock
from cedarfleet_device.commands.admission import Admission
from cedarfleet_device.commands.begun import BegunMarks
from cedarfleet_device.commands.executor import Executor
from cedarfleet_device.commands.handlers import Function, Handler, Handlers
from cedarfleet_device.commands.inbox import Inbox
from cedarfleet_device.commands.outbox import Outbox
from cedarfleet_device.commands.receiver import Receiver
from cedarfleet_device.diagnostics.health import (
    notify,
    reported,
    watchdog_seconds,
    write_status,
)
from cedarfleet_device.enrollment.move import Move
from cedarfleet_device.enrollment.rotation import Rotation, usable_tls
from cedarfleet_device.errors import ConfigError
from cedarfleet_device.guard import GuardedThread
from cedarfleet_device.log import LOGGER, event, places, to_stdout
from cedarfleet_device.metrics import Metrics
from cedarfleet_device.proxies import read_environment
from cedarfleet_device.session import Session
from cedarfleet_device.states.handlers import StateHandler, StateHandlers
from cedarfleet_device.states.memory import StateMemory, States
from cedarfleet_device.store.reserve import Reserve
from cedarfleet_device.store.state_folder import StateFolder
from cedarfleet_device.store.store import Store
from cedarfleet_device.store.transaction import StoreError
from cedarfleet_device.telemetry.queue import TelemetryQueue
from cedarfleet_device.trust.policy import TrustPolicy
from cedarfleet_device.trust.root import pinned
from cedarfleet_device.wire.pythons import UTC

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Self

    from awscrt import io

    from cedarfleet_device.config import DeviceConfig
    from cedarfleet_device.installs.steps import Installer
    from cedarfleet_device.states.handlers import StateFunction

_DAY_MS: Final = 86_400_000
_FORGET_EVERY_SECONDS: Final = 3600.0
_STATUS_EVERY_SECONDS: Final = 10.0


class Agent:
    """One device. As a context manager it says goodbye and releases its files on leaving.

    ::

        with Agent(DeviceConfig.load("device.toml")) as agent:

            @agent.command("reboot")
            def reboot(command: Command) -> Result: ...

            agent.run()

    Args:
        config: the device.
        install: an ``Installer``, for the steps of new versions; or a function, called with each
            verified file of a download: when it raises, the previous file is put back and the job
            is FAILED with the reason. ``[installs]`` of the file names others.
        tls: of ``connection.client.tls_context``, where many agents of one process share it; else
            made of the configured files.

    Raises:
        ConfigError: certificate, key or folders cannot be used; ``StateInUseError`` when another
            agent runs.
    """

    def __init__(
        self,
        config: DeviceConfig,
        *,
        install: Callable[[Path], object] | Installer | None = None,
        tls: io.ClientTlsContext | None = None,
    ) -> None:
        self._config = config
        self._started = time.monotonic()
        self._begun = False
        self._closed = False
        self._stop = threading.Event()
        # A queue, since a signal handler's `put` may interrupt its `get`.
        self._asked_to_stop: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._news = threading.Event()  # something to tell: do not wait for the next round
        self.metrics: Final = Metrics()
        self._health = GuardedThread(self._tell, name="cedarfleet-health", failed=self._failed)
        self._clock = Clock()
        self._handlers = Handlers()
        self._state = StateFolder(config.state_dir)
        # Whatever is raised: who tries again in this process finds lock and store free.
        with ExitStack() as undo:
            undo.callback(self._state.close)
            self._reserve = Reserve(self._state.folder)
            self._reserve.keep()
            read_environment()
            context = tls or usable_tls(config)
            trusted = pinned(config)
            fetcher = configured_downloader(config, install) if config.jobs else None
            self._store = Store(self._state.database)
            undo.callback(self._store.close)
            self._outbox = Outbox(self._store)
            self._states = States(StateHandlers(), StateMemory(self._store))
            self._telemetry = TelemetryQueue(
                self._store,
                limits=config.telemetry,
                clock=self._clock,
                dropped=lambda count: self.metrics.count("telemetry_dropped", count),
            )
            self._inbox = Inbox(self._store, clock=self._clock, report=self._outbox.put)
            self._marks = BegunMarks(self._state.folder / "begun")
            self._executor = Executor(
                inbox=self._inbox,
                outbox=self._outbox,
                handlers=self._handlers,
                clock=self._clock,
                parallel=config.commands.parallel,
                await_clock=config.jobs,
                finished=lambda state: self.metrics.count_in("ended", state.value),
                begun=self._marks,
                failed=self._failed,
            )
            self._admission = Admission(
                self._store, self._inbox, runner=self._executor, clock=self._clock
            )
            receiver = Receiver(
                thing=config.thing,
                handlers=self._handlers,
                admission=self._admission,
                metrics=self.metrics,
                rejoin=lambda seconds: self._session.rejoin(seconds),  # noqa: PLW0108 - made below
            )
            self._move = Move(
                config,
                reopen=lambda: self._session.open(),  # noqa: PLW0108 - made below
                failed=self._failed,
            )
            self._installs = chosen_installation(
                install,
                limits=config.installs,
                folder=self._state.folder,
                online=lambda: self.online,
                clock=self._clock,
                failed=self._failed,
            )
            self._session = Session(
                config,
                outbox=self._outbox,
                telemetry=self._telemetry,
                states=self._states,
                fetcher=fetcher,
                clock=self._clock,
                metrics=self.metrics,
                message=receiver.message,
                changed=self._news.set,
                mover=self._move,
                policy=TrustPolicy(trusted, kind=config.kind, clock=self._clock.latest),
                installs=self._installs,
                tls=context,
            )
            self._rotation = Rotation(
                config, self._session, proof_seconds=config.connection.certificate_proof_seconds
            )
            self._rotation.register(self._handlers)
            undo.pop_all()

    @property
    def online(self) -> bool:
        """Whether the broker has accepted the device and the line is not known to be broken."""
        return self._session.online

    def command(
        self, name: str, *, idempotent: bool = False, time_limit_seconds: float | None = None
    ) -> Callable[[Function], Function]:
        """Register the decorated function for the command ``name``; before ``run``.

        Args:
            name: a-z, 0-9 and ``-``, e.g. ``reboot``.
            idempotent: run it again when the device stopped, or lost power, while it ran; else such
                a command ends INTERRUPTED. Not for a handler that itself ends the device: see
                ``Result.afterwards``.
            time_limit_seconds: default ``commands.time_limit_seconds`` of the configuration.

        Raises:
            ConfigError: no command name, it has a handler, or the agent has begun.
        """
        if self._begun:
            raise ConfigError(f"the handler of `{name}` must be registered before `run` or `start`")
        limit = time_limit_seconds or self._config.commands.time_limit_seconds

        def register(function: Function) -> Function:
            self._handlers.add(
                name, Handler(function=function, idempotent=idempotent, time_limit_seconds=limit)
            )
            return function

        return register

    def publish(self, topic: str, value: object) -> bool:
        """Keep a value on disk until the cloud has it; from any thread, also while offline.

        It leaves in order, at the rate of ``[telemetry]``, behind the states of commands.

        Args:
            topic: 1 to 4 levels of A-Z, a-z, 0-9, ``_`` and ``-``, e.g. ``motor/left``.
            value: JSON, 128 KB at most; the agent adds the time and a number.

        Returns:
            Whether it is kept: a full queue drops its oldest or this one (``telemetry.drop``).

        Raises:
            ValueError: topic or value is not of its form; the words say how.
            DeviceError: the disk did not take it, or the agent has ended.
        """
        kept = self._telemetry.put(topic, value)
        self._session.wake_telemetry()
        return kept

    def state(
        self, key: str, *, version: int = 1, time_limit_seconds: float | None = None
    ) -> Callable[[StateFunction], StateFunction]:
        """Register the decorated function for what is desired of ``key``; before ``run``.

        It takes the desired value, brings it about and gives what holds then (None: just that).
        What it raises is reported in words.

        Args:
            key: a-z, 0-9 and ``-``, e.g. ``speed-limit``.
            version: of the values; one in another version is refused in words.
            time_limit_seconds: default ``commands.time_limit_seconds`` of the configuration.

        Raises:
            ConfigError: no key, it has a handler, or the agent has begun.
        """
        if self._begun:
            raise ConfigError(f"the handler of `{key}` must be registered before `run` or `start`")
        limit = time_limit_seconds or self._config.commands.time_limit_seconds

        def register(function: StateFunction) -> StateFunction:
            self._states.handlers.add(
                key, StateHandler(function=function, version=version, time_limit_seconds=limit)
            )
            return function

        return register

    def start(self) -> None:
        """Begin, and return: for programs with a loop of their own; leaving the context ends it.

        Raises:
            DeviceError: it has begun already, or its store or certificate cannot be used.
        """
        if self._begun:
            raise ConfigError("the agent has begun already")
        self._begun = True
        repeated, interrupted = self._inbox.recover(
            again=self._executor.may_repeat, never_began=self._marks.never_began
        )
        self._marks.start()
        event("agent.started", thing=self._config.thing, repeated=repeated, interrupted=interrupted)
        self._executor.start()
        if self._installs is not None:
            self._installs.settle()
        self._session.open()
        self._rotation.settle()
        self._move.settle()
        self._health.start()

    def run(self) -> None:
        """Begin, and return when ``stop`` is called.

        In the main thread also on SIGTERM or SIGINT. A program that has set up no logs gets those
        of the agent on its standard output, as JSON lines from ``log_level`` on.
        """
        if not LOGGER.hasHandlers():
            to_stdout(self._config.log_level)
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: self.stop())
        self.start()
        self._asked_to_stop.get()

    def stop(self) -> None:
        """Ask ``run`` to return; from any thread and from a signal handler."""
        self._asked_to_stop.put(None)

    def close(self, *, grace_seconds: float = 10.0) -> None:
        """End; again is harmless. A handler that goes on after ``grace_seconds`` is INTERRUPTED."""
        if self._closed:
            return
        self._closed = True
        self._stop.set()
        self._news.set()
        # From the last line to the first, each whatever is raised in another.
        with ExitStack() as ending:
            ending.callback(event, "agent.stopped", thing=self._config.thing)
            ending.callback(self._state.close)
            ending.callback(self._store.close)
            ending.callback(self._marks.close)
            if self._begun:
                ending.callback(self._write_last_status)
                ending.callback(self._health.join, 5)
                ending.callback(self._session.end)
                if self._installs is not None:
                    ending.callback(self._installs.stop)
                ending.callback(self._move.stop)
                ending.callback(self._executor.stop, grace_seconds=grace_seconds)
                ending.callback(notify, "STOPPING=1")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _failed(self) -> None:
        self.metrics.count("thread_failures")

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

    def _report(self) -> None:
        try:
            self._session.report(
                reported(self._config, started=self._started, skew_ms=self._clock.skew_ms)
            )
        except Exception as error:  # noqa: BLE001 - a device that cannot tell its health still works
            event("health.unreported", level=logging.ERROR, error=error, at=places(error))

    def _write_last_status(self) -> None:
        try:
            self._write_status("stopped")
        except StoreError as error:
            event("store.failed", level=logging.ERROR, error=error)

    def _write_status(self, state: str) -> None:
        counts = self._inbox.counts()
        status = {
            "state": state,
            "thing": self._config.thing,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "connected_since": self._session.since,
            "problem": self._session.problem,
            "clock_skew_seconds": round(self._clock.skew_ms / 1000),
            "disk_full": self._reserve.disk_full,
            "waiting": counts.waiting,
            "running": counts.running,
            "unreported": self._outbox.count(),
            "telemetry_waiting": self._telemetry.count(),
            "metrics": self.metrics.snapshot(),
            **({} if self._installs is None else self._installs.report()),
        }
        write_status(self._state.folder, status)
