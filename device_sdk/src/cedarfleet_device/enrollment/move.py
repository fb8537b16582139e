"""Moves the device to another endpoint: proven first, kept then, and reported where it came from.

The job that tells it comes by the line that stands. Beside it the device connects to the new name
with its own certificate and subscribes there. Once it has, the new name is kept durably; then the
job's end is reported by the old line, and the device goes over. What is refused changes nothing.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from awscrt import mqtt5
from awscrt.exceptions import AwsCrtError
from awsiot import iotjobs

from cedarfleet_device import wire
from cedarfleet_device.backoff import Backoff
from cedarfleet_device.connection.client import NotAcceptedError, device_connection, tls_context
from cedarfleet_device.connection.endpoints import Moved, dialled, may_move
from cedarfleet_device.connection.routes import Route, application_protocols
from cedarfleet_device.connection.service_client import RefusedByServiceError, ServiceClient
from cedarfleet_device.diagnostics.doctor import reach
from cedarfleet_device.errors import CloudError, DeviceError
from cedarfleet_device.guard import GuardedThread, tell_nobody
from cedarfleet_device.identity.credentials import load_credentials
from cedarfleet_device.log import event

if TYPE_CHECKING:
    from collections.abc import Callable

    from cedarfleet_device.config import DeviceConfig
    from cedarfleet_device.wire import MoveDocument

_ANSWER_SECONDS: Final = 10.0
_FIRST_FAILURE: Final = 128  # MQTT 5: reason codes from 0x80 on are failures
_PAUSE_SECONDS: Final = 1.0
_LONGEST_PAUSE_SECONDS: Final = 60.0
_REPORT_SECONDS: Final = 900.0


class MoveRefusedError(DeviceError):
    """The device stays where it is; the message says why."""


class Move:
    """The moves of one agent.

    Args:
        config: as the file says it.
        reopen: makes the line anew, at what is dialled then.
        failed: told of each failure of a thread that nobody foresaw.
    """

    def __init__(
        self,
        config: DeviceConfig,
        *,
        reopen: Callable[[], object],
        failed: Callable[[], object] = tell_nobody,
    ) -> None:
        self._config = config
        self._reopen = reopen
        self._failed = failed
        self._stopping = threading.Event()

    def prove(self, job_id: str, document: MoveDocument) -> None:
        """Connect to the new name and subscribe; then keep it.

        Raises:
            MoveRefusedError: it must not, or does not let the device in.
        """
        before = Moved.read(self._config)
        now = dialled(self._config)
        # Told again before the end of the first was taken: the device has not left yet.
        left = before.left(self._config) if before is not None and before.job_id else now
        if (refusal := may_move(now, document.endpoint)) is not None:
            raise MoveRefusedError(refusal)
        there = replace(now, endpoint=document.endpoint, port=document.port)
        self._try(there)
        moved = Moved(
            configured=f"{self._config.endpoint}:{self._config.port}",
            endpoint=there.endpoint,
            port=there.port,
            former=left.endpoint,
            former_port=left.port,
            job_id=job_id,
        )
        try:
            moved.keep(self._config)
        except OSError as error:
            raise MoveRefusedError(f"the new endpoint cannot be kept: {error.strerror}") from error
        event("move.proven", endpoint=document.address, job_id=job_id)

    def go(self) -> None:
        """The job's end was taken: go over, in a thread of its own."""
        self._told()
        GuardedThread(self._reopen, name="cedarfleet-move", failed=self._failed).start()

    def settle(self) -> None:
        """At the start: report the end of a move that a power cut left unreported. At once."""
        moved = Moved.read(self._config)
        if moved is not None and moved.job_id:
            GuardedThread(self._report, name="cedarfleet-move", failed=self._failed).start()

    def stop(self) -> None:
        """Give up what is under way; it is told, or reported, again at the next start."""
        self._stopping.set()

    def _try(self, there: DeviceConfig) -> None:
        until = time.monotonic() + self._config.connection.certificate_proof_seconds
        backoff = Backoff(_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS)
        while (refused := _refused(there)) is not None:
            pause = backoff.next_pause()
            # A refusal is an answer; a name that is not reached may be so in a moment.
            if refused.is_answer or time.monotonic() + pause > until:
                raise MoveRefusedError(refused.words)
            if self._stopping.wait(pause):
                raise MoveRefusedError("the agent stopped before the endpoint was proven")

    def _told(self) -> None:
        moved = Moved.read(self._config)
        if moved is not None and moved.job_id:
            try:
                replace(moved, job_id="").keep(self._config)
            except OSError as error:  # it is reported once more after a restart
                event("move.unsettled", level=logging.WARNING, error=error)

    def _report(self) -> None:
        """Tell the former endpoint, for a quarter of an hour; then its own time limit tells."""
        moved = Moved.read(self._config)
        if moved is None:
            return
        until = time.monotonic() + _REPORT_SECONDS
        backoff = Backoff(_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS)
        former = moved.left(self._config)
        while time.monotonic() < until:
            try:
                _end(former, moved.job_id)
            except RefusedByServiceError as error:  # it has ended there already
                event("move.report_refused", level=logging.WARNING, error=error)
                break
            except CloudError as error:
                event("move.unreported", level=logging.WARNING, error=error)
            else:
                break
            if self._stopping.wait(backoff.next_pause()):
                return
        self._told()


@dataclass(frozen=True, kw_only=True)
class _Refused:
    """Why an endpoint is not proven, and whether somebody there has said so."""

    words: str
    is_answer: bool = False


def _refused(there: DeviceConfig) -> _Refused | None:
    """None: it lets the device in."""
    if not (found := reach(there)[-1]).good:  # says more than the runtime does
        return _Refused(words=found.words)
    try:
        _subscribe(there)
    except NotAcceptedError as error:
        return _Refused(words=f"{error}: {error.words}", is_answer=error.code is not None)
    except CloudError as error:
        return _Refused(words=str(error), is_answer=True)
    return None


def _subscribe(there: DeviceConfig) -> None:
    """Connect as the device and subscribe to its commands, which the broker keeps from now on."""
    tls = tls_context(*load_credentials(there))
    with device_connection(there, tls=tls, seconds=_ANSWER_SECONDS) as client:
        subscription = mqtt5.Subscription(
            topic_filter=wire.command_filter(there.thing), qos=mqtt5.QoS.AT_LEAST_ONCE
        )
        asked = client.subscribe(mqtt5.SubscribePacket(subscriptions=[subscription]))
        try:
            codes = [int(code) for code in asked.result(_ANSWER_SECONDS).reason_codes]
        except (TimeoutError, AwsCrtError) as error:
            raise CloudError(
                f"`{there.endpoint}:{there.port}` answers no subscription: {error}"
            ) from error
    if any(code >= _FIRST_FAILURE for code in codes):
        raise CloudError(
            f"`{there.endpoint}:{there.port}` refuses the subscription to this device's commands"
            f" (reason codes {codes}): is its IoT policy attached there?"
        )


def _end(former: DeviceConfig, job_id: str) -> None:
    there = Route(former).config
    tls = tls_context(*load_credentials(former), protocols=application_protocols(there))
    with device_connection(there, tls=tls, seconds=_ANSWER_SECONDS) as client:
        request = iotjobs.UpdateJobExecutionRequest(
            thing_name=former.thing, job_id=job_id, status="SUCCEEDED"
        )
        ServiceClient(iotjobs.IotJobsClientV2, client).ask(
            "UpdateJobExecution", lambda jobs: jobs.update_job_execution(request)
        )
