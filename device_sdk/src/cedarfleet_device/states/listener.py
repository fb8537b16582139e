"""Brings about what is desired: asks the shadow, calls the handlers, answers.

A change rings (``update/delta``), and so does each new connection; what is desired is then asked
for as a whole, since a delta holds but what differs, and comes out of order (docs: AWS IoT "Device
Shadow MQTT topics"). At most one question a second: AWS takes 20 requests a second of a thing's
shadows (its quotas, "Device Shadow API requests/second per thing").
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any, Final, cast

from awsiot import ServiceStreamOptions, iotshadow

from cedarfleet_device import wire
from cedarfleet_device.backoff import Backoff
from cedarfleet_device.connection.service_client import (
    ANSWER_SECONDS,
    RefusedByServiceError,
    ServiceClient,
)
from cedarfleet_device.errors import CloudError
from cedarfleet_device.guard import GuardedThread, tell_nobody
from cedarfleet_device.installs.bounded import BoundedCalls, StepError
from cedarfleet_device.log import event
from cedarfleet_device.states.memory import Remembered
from cedarfleet_device.store.transaction import StoreError
from cedarfleet_device.wire import DesiredState, ReportedState, WireError

if TYPE_CHECKING:
    from collections.abc import Callable

    from awscrt import mqtt5, mqtt_request_response

    from cedarfleet_device.states.handlers import StateHandler, StateHandlers
    from cedarfleet_device.states.memory import StateMemory

_PAUSE_MIN_SECONDS: Final = 1.0
_PAUSE_MAX_SECONDS: Final = 300.0
_BETWEEN_SECONDS: Final = 1.0
_NO_SHADOW: Final = "404"  # nothing was ever desired (docs: "Device Shadow error messages")


class StateListener:
    """Settles the keys that have a handler, one after the other.

    Args:
        client: the connection's MQTT client.
        thing: whose shadow.
        handlers: of the maker.
        memory: what was asked and answered.
        clock: now, in milliseconds since the epoch.
        failed: told of each failure of the thread that nobody foresaw.
        between_seconds: least time from one question to the next.
    """

    def __init__(
        self,
        *,
        client: mqtt5.Client,
        thing: str,
        handlers: StateHandlers,
        memory: StateMemory,
        clock: Callable[[], int],
        failed: Callable[[], object] = tell_nobody,
        between_seconds: float = _BETWEEN_SECONDS,
    ) -> None:
        self._client, self._thing = client, thing
        self._handlers, self._memory = handlers, memory
        self._clock, self._between_seconds = clock, between_seconds
        self._calls = BoundedCalls("cedarfleet-state")
        self._shadow: ServiceClient[iotshadow.IotShadowClientV2] | None = None
        self._stream: mqtt_request_response.StreamingOperation | None = None
        self._look, self._stopping = threading.Event(), threading.Event()
        self._thread = GuardedThread(self._loop, name="cedarfleet-states", failed=failed)

    def start(self) -> None:
        """Listen; what is desired is asked for at every ``look``."""
        self._listen(self._client)
        self._thread.start()

    def go_over(self, client: mqtt5.Client) -> None:
        """Listen by way of another client, whose connection stands for the former one."""
        self._stream = None
        self._listen(client)

    def _listen(self, client: mqtt5.Client) -> None:
        shadow = ServiceClient(iotshadow.IotShadowClientV2, client)
        request = iotshadow.NamedShadowDeltaUpdatedSubscriptionRequest(
            thing_name=self._thing, shadow_name=wire.STATE_SHADOW
        )
        options = ServiceStreamOptions(incoming_event_listener=lambda _: self.look())
        stream = shadow.service.create_named_shadow_delta_updated_stream(request, options)
        stream.open()
        self._shadow, self._stream = shadow, stream

    def look(self) -> None:
        """Ask what is desired: it changed, or the line stands again; from any thread."""
        self._look.set()

    def stop(self) -> None:
        """End; what a handler does now is answered after the next start."""
        self._stopping.set()
        self._look.set()
        self._thread.join(ANSWER_SECONDS + 5)

    def close(self) -> None:
        """Release the client, once the connection has ended (see ``JobListener.close``)."""
        self._stream = None
        self._shadow = None

    def _loop(self) -> None:
        backoff = Backoff(_PAUSE_MIN_SECONDS, _PAUSE_MAX_SECONDS)
        while not self._stopping.is_set():
            self._look.wait()
            self._look.clear()
            if self._stopping.is_set():
                return
            try:
                self._settle(self._desired())
                backoff.reset()
                self._stopping.wait(self._between_seconds)
            except (CloudError, StoreError) as error:
                event("state.unsettled", level=logging.WARNING, error=error)
                self._stopping.wait(backoff.next_pause())
                self._look.set()
            except BaseException:
                self._look.set()  # for the next beginning: what is desired still is
                raise

    def _desired(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Both sections of the shadow; empty where there is none."""
        request = iotshadow.GetNamedShadowRequest(
            thing_name=self._thing, shadow_name=wire.STATE_SHADOW
        )
        try:
            answer = self._ask("GetThingShadow", lambda shadow: shadow.get_named_shadow(request))
        except RefusedByServiceError as error:
            if str(error.code) == _NO_SHADOW:
                return {}, {}
            raise
        state = answer.state
        return (state and state.desired) or {}, (state and state.reported) or {}

    def _settle(self, sections: tuple[dict[str, Any], dict[str, Any]]) -> None:
        desired, reported = sections
        for key, handler in self._handlers:
            if key not in desired or self._stopping.is_set():
                continue
            answer = self._answer(key, handler, desired[key])
            if answer is not None and not _stands(answer, reported.get(key)):
                self._report(key, answer)

    def _answer(self, key: str, handler: StateHandler, given: object) -> ReportedState | None:
        """What is answered; of what was answered before, the same."""
        try:
            desired = DesiredState.of(given)
        except WireError as error:
            event("state.unreadable", level=logging.WARNING, key=key, error=error)
            return None
        before = self._memory.read(key)
        if before is not None and before.desired == desired:
            return before.reported
        value, failed = self._bring_about(key, handler, desired)
        if failed is not None:
            event("state.failed", level=logging.WARNING, key=key, reason=failed)
            value = None if before is None else before.reported.value
        reported = ReportedState(
            version=handler.version,
            value=value,
            asked_at=desired.asked_at,
            failed=failed,
            at=self._clock(),
        )
        self._memory.write(key, Remembered(desired=desired, reported=reported))
        event("state.settled", key=key, done=failed is None)
        return reported

    def _bring_about(
        self, key: str, handler: StateHandler, desired: DesiredState
    ) -> tuple[str | None, str | None]:
        """The value that holds now, or why it does not."""
        if desired.version != handler.version:
            words = f"this device reads version {handler.version} of `{key}`"
            return None, f"{words}, not {desired.version}"
        value = desired.read()
        try:
            holds = self._calls.call(
                key, lambda: handler.function(value), seconds=handler.time_limit_seconds
            )
            return (desired.value if holds is None else wire.state_value(holds)), None
        except (StepError, WireError) as error:
            return None, str(error)[: wire.MAX_STATE_WORDS]

    def _report(self, key: str, answer: ReportedState) -> None:
        request = iotshadow.UpdateNamedShadowRequest(
            thing_name=self._thing,
            shadow_name=wire.STATE_SHADOW,
            state=iotshadow.ShadowState(reported={key: answer.members()}),
        )
        self._ask("UpdateThingShadow", lambda shadow: shadow.update_named_shadow(request))

    def _ask(self, name: str, question: Callable[[Any], Any]) -> Any:
        shadow = self._shadow
        if shadow is None:
            raise CloudError(f"{name} was not asked: the line is closed")
        return shadow.ask(name, question)


def _stands(answer: ReportedState, reported: object) -> bool:
    """Whether the cloud has the answer."""
    try:
        return ReportedState.of(cast("Any", reported)) == answer
    except WireError:
        return False
