"""What is opened with one certificate: connection, publisher of states, jobs."""

from __future__ import annotations

import json
import logging
import threading
from datetime import datetime
from typing import TYPE_CHECKING, Final

from cedarfleet_device import wire
from cedarfleet_device.commands.outbox import Publisher
from cedarfleet_device.connection.client import tls_context
from cedarfleet_device.connection.endpoints import dialled
from cedarfleet_device.connection.mqtt import MqttConnection
from cedarfleet_device.connection.routes import Route, application_protocols
from cedarfleet_device.downloads.jobs import JobListener
from cedarfleet_device.errors import CloudError
from cedarfleet_device.guard import GuardedThread
from cedarfleet_device.identity.credentials import load_credentials
from cedarfleet_device.log import event
from cedarfleet_device.telemetry.rate import TokenBucket
from cedarfleet_device.telemetry.sender import TelemetrySender
from cedarfleet_device.wire.pythons import UTC

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future
    from typing import Any

    from awscrt import io

    from cedarfleet_device.clock import Clock
    from cedarfleet_device.commands.outbox import Outbox
    from cedarfleet_device.config import DeviceConfig
    from cedarfleet_device.downloads.job_parts import Fetcher, Installs, Mover, Policy
    from cedarfleet_device.metrics import Metrics
    from cedarfleet_device.states.listener import StateListener
    from cedarfleet_device.states.memory import States
    from cedarfleet_device.telemetry.queue import TelemetryQueue


class Session:
    """The device's line to the cloud; it can be opened anew with another certificate.

    Args:
        config: the device.
        outbox: states that wait for the cloud.
        telemetry: what was measured and waits for it.
        states: handlers of what is desired; without one, nobody asks what is.
        fetcher: brings the files of jobs; None: there are no jobs.
        clock: learns the cloud's time.
        metrics: counts connections and jobs.
        message: gets each command, see ``MqttConnection``.
        changed: told when the connection came or went; must be short.
        mover: follows the jobs that name another endpoint; None: they are refused.
        policy: says which files may come in.
        installs: installs those with a manifest; None: they are refused.
        tls: used for the first opening; later ones read the files.
    """

    def __init__(
        self,
        config: DeviceConfig,
        *,
        outbox: Outbox,
        telemetry: TelemetryQueue,
        states: States,
        fetcher: Fetcher | None,
        clock: Clock,
        metrics: Metrics,
        message: Callable[[str, bytes, Callable[[], None]], None],
        changed: Callable[[], None],
        mover: Mover | None = None,
        policy: Policy,
        installs: Installs | None = None,
        tls: io.ClientTlsContext,
    ) -> None:
        self._config = config
        self._outbox = outbox
        self._telemetry = telemetry
        self._states = states
        # Of the session, not of a connection: a line that comes and goes makes no faster device.
        self._rate = TokenBucket(
            per_second=config.telemetry.per_second, burst=config.telemetry.burst
        )
        self._fetcher = fetcher
        self._clock = clock
        self._metrics = metrics
        self._message = message
        self._changed = changed
        self._mover = mover
        self._policy, self._installs = policy, installs
        self._tls: io.ClientTlsContext | None = tls
        self._came: Final = threading.Event()
        self._turn: Final = threading.Lock()
        self._ended = False
        self._connection: MqttConnection | None = None
        self._line: MqttConnection | None = None  # the same, until it has said goodbye
        self._route: Route | None = None
        self._publisher: Publisher | None = None
        self._sender: TelemetrySender | None = None
        self._jobs: JobListener | None = None
        self._listener: StateListener | None = None
        self.since: str | None = None
        self.problem: str | None = "not connected yet"

    @property
    def online(self) -> bool:
        """Whether the broker has accepted us and the line is not known to be broken."""
        return self._connection is not None and self._connection.online

    def open(self) -> None:
        """Connect, publish what waits, listen for jobs; nothing once the session has ended.

        A line that somebody else has opened meanwhile gives way.

        Raises:
            ConfigError: certificate or key cannot be used, or it cannot be told what is dialled.
        """
        with self._turn:
            self._close()
            if not self._ended:
                self._open()

    def _open(self) -> None:
        self._came.clear()
        self._route = Route(dialled(self._config))
        connection = self._dial(self._route)
        self._publisher = Publisher(
            outbox=self._outbox,
            thing=self._config.thing,
            publish=self._publish,
            online=lambda: self._line is not None and self._line.online,
            failed=self._failed,
        )
        self._sender = TelemetrySender(
            queue=self._telemetry,
            tenant=self._config.tenant,
            thing=self._config.thing,
            publish=self._publish,
            online=lambda: self._line is not None and self._line.online,
            rate=self._rate,
            sent=lambda: self._metrics.count("telemetry_sent"),
            failed=self._failed,
        )
        if self._fetcher is not None:
            self._jobs = JobListener(
                client=connection.client,
                thing=self._config.thing,
                fetcher=self._fetcher,
                mover=self._mover,
                policy=self._policy,
                installs=self._installs,
                clock=self._clock,
                ended=lambda status: self._metrics.count_in("jobs", status),
                failed=self._failed,
            )
        if self._states.handlers:
            self._listener = self._listening(connection)
        self._line = self._connection = connection
        self._publisher.start()
        self._sender.start()
        connection.start()
        if self._jobs is not None:
            self._jobs.start()
        if self._listener is not None:
            self._listener.start()

    def _listening(self, connection: MqttConnection) -> StateListener:
        # Loaded only where somebody needs it: memory of the many devices without a state.
        from cedarfleet_device.states.listener import StateListener  # noqa: PLC0415

        return StateListener(
            client=connection.client,
            thing=self._config.thing,
            handlers=self._states.handlers,
            memory=self._states.memory,
            clock=self._clock,
            failed=self._failed,
        )

    def _dial(self, route: Route) -> MqttConnection:
        """A connection that is not started."""
        here = route.config
        protocols = application_protocols(here)
        given, self._tls = self._tls, None
        tls = given if given is not None and not protocols else None
        return MqttConnection(
            here,
            tls=tls or tls_context(*load_credentials(self._config), protocols=protocols),
            message=self._message,
            connected=self._connected,
            disconnected=self._disconnected,
            refused=self._refused,
            lost=self._lost,
            failed=self._failed,
        )

    def _redial(self) -> None:
        """Go on at the port that the route says now; jobs and states that wait stay as they are."""
        with self._turn:
            if self._connection is None or self._route is None:
                return
            connection = self._dial(self._route)
            former = self._connection
            self._line = self._connection = connection
            former.stop()
            for listener in (self._jobs, self._listener):
                if listener is not None:
                    listener.go_over(connection.client)
            connection.start()

    def _publish(self, topic: str, payload: bytes) -> Future[None]:
        if self._line is None:
            raise CloudError("there is no line")  # the publisher is made after it
        return self._line.publish(topic, payload)

    def close(self) -> None:
        """Leave the job at hand, stop publishing, say goodbye.

        What was not acknowledged stays in the outbox.
        """
        with self._turn:
            self._close()

    def end(self) -> None:
        """Close for good: whoever is about to open it again, for a new certificate, does not."""
        with self._turn:
            self._ended = True
            self._close()
            self._came.clear()

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        for listener in (self._jobs, self._listener):
            if listener is not None:
                listener.stop()
        if self._sender is not None:
            self._sender.stop()
        if self._publisher is not None:
            self._publisher.stop()
        connection.stop(farewell=self._presence("offline"))
        # Only now: its answers must not cross the goodbye.
        for listener in (self._jobs, self._listener):
            if listener is not None:
                listener.close()

    def reopen(self, *, seconds: float) -> bool:
        """Close, and open with the certificate that the files hold now.

        Returns:
            Whether the broker accepted it in time.
        """
        self.close()
        self.open()
        return self.wait_online(seconds)

    def wait_online(self, seconds: float) -> bool:
        """Whether the line, as it is opened now, stands or comes to stand in time."""
        return self._came.wait(seconds)

    def rejoin(self, after_seconds: float) -> None:
        """Have the broker send again what was not acknowledged."""
        if self._connection is not None:
            self._connection.rejoin(after_seconds=after_seconds)

    def wake_states(self) -> None:
        """There are states to tell; nothing is told while the session is closed."""
        if self._publisher is not None:
            self._publisher.wake()

    def wake_telemetry(self) -> None:
        """There is something to send; nothing is, while the session is closed."""
        if self._sender is not None:
            self._sender.wake()

    def report(self, state: dict[str, Any]) -> None:
        """Update the reported state of the shadow, if the line stands.

        A lost report is made good by the next.
        """
        if self._connection is not None and self._connection.online:
            content = json.dumps({"state": {"reported": state}}).encode()
            self._connection.publish(wire.shadow_topic(self._config.thing), content)

    def tell_versions(self, message: wire.VersionsMessage) -> bool:
        """Say what runs here, if the line stands; whether it was handed to the broker's client."""
        if self._connection is None or not self._connection.online:
            return False
        self._connection.publish(wire.versions_topic(self._config.thing), message.encode())
        return True

    def _failed(self) -> None:
        self._metrics.count("thread_failures")

    def _presence(self, state: str) -> tuple[str, bytes]:
        return wire.presence_topic(self._config.thing), wire.presence_message(state)

    def _connected(self, session_present: bool) -> None:
        self._metrics.count("connects")
        self.problem = None
        self.since = datetime.now(UTC).isoformat(timespec="seconds")
        event("mqtt.connected", session_present=session_present)
        self._came.set()
        if (route := self._route) is not None and route.stands():
            self._begin(route.keep)
        if self._connection is not None:
            self._connection.publish(*self._presence("online"))
        self.wake_states()
        self.wake_telemetry()
        for listener in (self._jobs, self._listener):
            if listener is not None:
                listener.look()
        self._changed()

    def _disconnected(self, reason: str) -> None:
        if self._connection is None:  # we closed it
            return
        self._metrics.count("disconnects")
        self.problem = reason
        self.since = None
        event("mqtt.disconnected", level=logging.WARNING, reason=reason)
        self._changed()

    def _refused(self, answered: bool) -> None:
        if (
            self._connection is not None
            and self._route is not None
            and self._route.failed(answered=answered)
        ):
            self._begin(self._redial)

    def _lost(self) -> None:
        if self._connection is not None and self._route is not None and self._route.is_old():
            self._begin(self._redial)

    def _begin(self, step: Callable[[], object]) -> None:
        """In a thread of its own, since the runtime's must not wait."""
        GuardedThread(step, name="cedarfleet-route", failed=self._failed).start()
