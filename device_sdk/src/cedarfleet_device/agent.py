"""The agent, which a device maker holds: puts the parts together, runs them and ends them."""

from __future__ import annotations

import queue
import signal
import threading
from contextlib import ExitStack
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
from cedarfleet_device.diagnostics.health import notify
from cedarfleet_device.diagnostics.log_upload import LogUploads
from cedarfleet_device.enrollment.move import Move
from cedarfleet_device.enrollment.rotation import Rotation, usable_tls
from cedarfleet_device.errors import ConfigError
from cedarfleet_device.heartbeat import Heartbeat
from cedarfleet_device.log import LOGGER, event, to_stdout
from cedarfleet_device.metrics import Metrics
from cedarfleet_device.proxies import read_environment
from cedarfleet_device.session import Session
from cedarfleet_device.states.handlers import StateHandler, StateHandlers
from cedarfleet_device.states.memory import StateMemory, States
from cedarfleet_device.store.reserve import Reserve
from cedarfleet_device.store.state_folder import StateFolder
from cedarfleet_device.store.store import Store
from cedarfleet_device.telemetry.queue import TelemetryQueue
from cedarfleet_device.trust.policy import TrustPolicy
from cedarfleet_device.trust.root import pinned

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Self

    from awscrt import io

    from cedarfleet_device.config import DeviceConfig
    from cedarfleet_device.installs.steps import Installer
    from cedarfleet_device.states.handlers import StateFunction


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
        self._begun = False
        self._closed = False
        # A queue, since a signal handler's `put` may interrupt its `get`.
        self._asked_to_stop: queue.SimpleQueue[None] = queue.SimpleQueue()
        self.metrics: Final = Metrics()
        self._clock = Clock()
        self._handlers = Handlers()
        self._logs = LogUploads(config)
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
                withhold=self._logs.withhold,
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
                changed=lambda: self._heartbeat.hurry(),  # noqa: PLW0108 - made below
                mover=self._move,
                policy=TrustPolicy(trusted, kind=config.kind, clock=self._clock.latest),
                installs=self._installs,
                tls=context,
            )
            self._rotation = Rotation(
                config, self._session, proof_seconds=config.connection.certificate_proof_seconds
            )
            self._rotation.register(self._handlers)
            self._logs.register(self._handlers)
            self._heartbeat = Heartbeat(
                config,
                folder=self._state.folder,
                session=self._session,
                store=self._store,
                inbox=self._inbox,
                outbox=self._outbox,
                telemetry=self._telemetry,
                admission=self._admission,
                runner=self._executor,
                reserve=self._reserve,
                clock=self._clock,
                metrics=self.metrics,
                installs=self._installs,
            )
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

    def log_upload(self, name: str, file: Path) -> None:
        """Add a log of the maker's to what ``upload-logs`` sends: the last of its lines; any time.

        Args:
            name: of the log, beside each of its lines: a-z, 0-9 and ``-``.
            file: text; it may be missing, or be replaced by a rotation.

        Raises:
            ConfigError: no such name, or it is taken.
        """
        self._logs.add(name, file)

    def start(self) -> None:
        """Begin, and return: for programs with a loop of their own; leaving the context ends it.

        Raises:
            DeviceError: it has begun already, or its store or certificate cannot be used.
        """
        if self._begun:
            raise ConfigError("the agent has begun already")
        self._begun = True
        self._logs.keep()
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
        self._heartbeat.start()

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
        # From the last line to the first, each whatever is raised in another.
        with ExitStack() as ending:
            ending.callback(self._logs.close)
            ending.callback(event, "agent.stopped", thing=self._config.thing)
            ending.callback(self._state.close)
            ending.callback(self._store.close)
            ending.callback(self._marks.close)
            if self._begun:
                ending.callback(self._heartbeat.stop)
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
