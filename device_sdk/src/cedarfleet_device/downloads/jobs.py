"""Files that the cloud wants on the device: AWS IoT Jobs in, the downloader's outcome out.

A job stays with the cloud until the device ends it, so nothing of it is kept here: after a restart
``start-next`` answers with the same job, and the downloader goes on where it was (docs: AWS IoT
"Jobs device MQTT API").
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Any, Final, TypeVar

from awsiot import ServiceStreamOptions, iotjobs

from cedarfleet_device import wire
from cedarfleet_device.backoff import Backoff
from cedarfleet_device.connection.service_client import (
    ANSWER_SECONDS,
    RefusedByServiceError,
    ServiceClient,
)
from cedarfleet_device.downloads.job_details import fitting, plainer
from cedarfleet_device.downloads.outcomes import (
    DownloadFailedError,
    DownloadRefusedError,
    Reason,
)
from cedarfleet_device.downloads.progress_reports import ProgressReports
from cedarfleet_device.errors import CloudError, DeviceError
from cedarfleet_device.guard import GuardedThread, tell_nobody
from cedarfleet_device.log import event, places
from cedarfleet_device.trust.root import TrustError
from cedarfleet_device.wire import DownloadDocument, MoveDocument

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from awscrt import mqtt5, mqtt_request_response

    from cedarfleet_device.clock import Clock
    from cedarfleet_device.downloads.job_parts import Fetcher, Installs, Mover, Policy
    from cedarfleet_device.downloads.outcomes import Delivered
    from cedarfleet_device.wire import Manifest

_T = TypeVar("_T")
_PAUSE_MIN_SECONDS: Final = 1.0
_PAUSE_MAX_SECONDS: Final = 60.0
_LOOK_AGAIN_SECONDS: Final = 600.0  # a lost announcement costs at most this
_ENDED: Final = frozenset({"SUCCEEDED", "FAILED", "REJECTED", "TIMED_OUT", "CANCELED", "REMOVED"})
_GONE_CODES: Final = frozenset(
    {"InvalidStateTransition", "ResourceNotFound", "TerminalStateReached"}
)
_MALFORMED: Final = "InvalidRequest"


class JobGoneError(CloudError):
    """The job was cancelled, timed out or deleted while the device was at it."""


class JobListener:
    """Takes one job after the other.

    Args:
        client: the connection's MQTT client.
        thing: whose jobs.
        fetcher: brings the files.
        mover: follows a move; None: it is refused.
        policy: says which files may come in.
        installs: installs those with a manifest; None: they are refused.
        clock: learns the cloud's time from the answers.
        ended: told ``SUCCEEDED``, ``FAILED`` or ``REJECTED`` after the cloud has taken it.
        failed: told of each failure of the thread that nobody foresaw.
    """

    def __init__(
        self,
        *,
        client: mqtt5.Client,
        thing: str,
        fetcher: Fetcher,
        mover: Mover | None = None,
        policy: Policy,
        installs: Installs | None = None,
        clock: Clock,
        ended: Callable[[str], None],
        failed: Callable[[], object] = tell_nobody,
    ) -> None:
        self._client = client
        self._thing = thing
        self._fetcher = fetcher
        self._mover = mover
        self._policy = policy
        self._installs = installs
        self._clock = clock
        self._ended = ended
        self._jobs: ServiceClient[iotjobs.IotJobsClientV2] | None = None
        self._stream: mqtt_request_response.StreamingOperation | None = None
        self._look = threading.Event()
        self._doubt = threading.Event()  # the job at hand may have been cancelled
        self._stopping = threading.Event()
        self._thread = GuardedThread(self._loop, name="cedarfleet-jobs", failed=failed)

    def start(self) -> None:
        """Listen; jobs are asked for at every ``look``."""
        self._listen(self._client)
        self._thread.start()

    def go_over(self, client: mqtt5.Client) -> None:
        """Listen by way of another client from now on; the job at hand goes on.

        Args:
            client: of the connection that stands for the former one, which has ended.
        """
        self._stream = None
        self._listen(client)

    def _listen(self, client: mqtt5.Client) -> None:
        jobs = ServiceClient(iotjobs.IotJobsClientV2, client)
        request = iotjobs.NextJobExecutionChangedSubscriptionRequest(thing_name=self._thing)
        stream = ServiceStreamOptions(incoming_event_listener=lambda _: self.look())
        listening = jobs.service.create_next_job_execution_changed_stream(request, stream)
        listening.open()
        self._jobs, self._stream = jobs, listening

    def look(self) -> None:
        """Ask for the next job now: announced, or connected again; from any thread."""
        self._doubt.set()
        self._look.set()

    def stop(self) -> None:
        """Leave the job at hand where it is; the next start goes on with it."""
        self._stopping.set()
        self._look.set()
        self._thread.join(ANSWER_SECONDS + 5)

    def close(self) -> None:
        """Release the client of Jobs, once the connection has ended.

        While it stands, releasing would unsubscribe, and the answers would cross the goodbye: a
        socket that is closed with answers unread resets the connection, and the broker may lose the
        goodbye and send the last will.
        """
        self._stream = None
        self._jobs = None

    def _loop(self) -> None:
        backoff = Backoff(_PAUSE_MIN_SECONDS, _PAUSE_MAX_SECONDS)
        while not self._stopping.is_set():
            self._look.wait(_LOOK_AGAIN_SECONDS)
            self._look.clear()
            try:
                while not self._stopping.is_set() and self._next():
                    backoff.reset()
            except CloudError as error:
                event("jobs.unreachable", level=logging.WARNING, error=error)
                self._stopping.wait(backoff.next_pause())
                self._look.set()
            except BaseException:
                self._look.set()  # for the next beginning: the job is still there
                raise

    def _next(self) -> bool:
        request = iotjobs.StartNextPendingJobExecutionRequest(thing_name=self._thing)
        began = time.monotonic()
        answer = self._ask(
            "StartNextPendingJobExecution",
            lambda jobs: jobs.start_next_pending_job_execution(request),
        )
        if answer.timestamp is not None and time.monotonic() - began < ANSWER_SECONDS / 2:
            self._clock.tell(_milliseconds(answer.timestamp))
        execution = answer.execution
        if execution is None or not execution.job_id:
            # Jobs that ended while the device was away left their bytes behind: no job names them.
            self._fetcher.discard_all()
            if self._installs is not None:
                self._installs.nothing_wanted()
            return False
        self._doubt.clear()
        event("job.started", job_id=execution.job_id)
        if self._mover is not None and MoveDocument.is_meant(execution.job_document):
            return self._follow(self._mover, execution.job_id, execution.job_document)
        try:
            status, detail = self._deliver(execution.job_id, execution.job_document)
        except JobGoneError:
            event("job.gone", level=logging.WARNING, job_id=execution.job_id)
            return True
        if status is None:  # the agent stops
            return False
        self._end(execution.job_id, status, detail)
        return True

    def _follow(self, mover: Mover, job_id: str, content: object) -> bool:
        """A move; False: the device goes, and takes nothing more here."""
        try:
            document = MoveDocument.decode(content)
            mover.prove(job_id, document)
        except wire.WireError as error:
            self._end(job_id, "REJECTED", {"reason": str(error)})
            return True
        except DeviceError as error:
            self._end(job_id, "FAILED", {"reason": str(error)})  # nothing, where the agent stops
            return True
        except BaseException as error:  # noqa: BLE001 - see `_fault`
            self._end(job_id, "FAILED", _fault(job_id, error))
            return True
        # Kept now, whatever becomes of the report: what ended the job here does not undo it.
        self._end(job_id, "SUCCEEDED", {"endpoint": document.address})
        if not self._stopping.is_set():
            mover.go()
        return False

    def _deliver(self, job_id: str, content: object) -> tuple[str | None, dict[str, str]]:
        document: DownloadDocument | None = None
        try:
            document = DownloadDocument.decode(content)
            manifest = self._policy.manifest(document)
            if manifest is not None:
                return self._install(job_id, document, manifest)
            root = self._policy.is_root(document)
            delivered = self._fetch(job_id, document, hook=not root)
            if root:
                self._adopt(delivered)
        except (wire.WireError, TrustError) as error:  # also of a document that is asked for again
            self._discard(document)
            return "REJECTED", {"reason": str(error)}
        except (DownloadRefusedError, DownloadFailedError) as error:
            if self._stopping.is_set():
                return None, {}
            gone = self._cancelled(job_id)
            self._discard(document)
            if gone:
                raise JobGoneError(f"job `{job_id}` has ended in the cloud") from error
            return "FAILED", {"reason": str(error)}
        except CloudError:
            raise
        except BaseException as error:  # noqa: BLE001 - see `_fault`
            self._discard(document)
            return "FAILED", _fault(job_id, error)
        return "SUCCEEDED", {
            "sha256": delivered.sha256,
            "size": str(delivered.size),
            "bytes_fetched": str(delivered.bytes_fetched),
        }

    def _adopt(self, delivered: Delivered) -> None:
        try:
            version = self._policy.adopt(delivered.path.read_bytes())
        except TrustError as error:
            delivered.path.unlink(missing_ok=True)
            raise DownloadRefusedError(Reason.INSTALL, str(error)) from error
        event("trust.adopted", version=version)

    def _install(
        self, job_id: str, document: DownloadDocument, manifest: Manifest
    ) -> tuple[str | None, dict[str, str]]:
        if self._installs is None:
            return "REJECTED", {"reason": "this device has nothing that installs"}
        outcome = self._installs.carry_out(
            job_id,
            manifest,
            fetch=lambda: self._fetch(job_id, document, hook=False).path,
            tell=lambda detail: self._tell(job_id, detail),
            cancelled=lambda: self._cancelled(job_id),
        )
        if outcome is not None:
            return outcome.status, outcome.detail
        if self._stopping.is_set():
            return None, {}
        raise JobGoneError(f"job `{job_id}` has ended in the cloud")

    def _fetch(self, job_id: str, document: DownloadDocument, *, hook: bool) -> Delivered:
        reports = ProgressReports()

        def progress(received: int, size: int) -> None:
            if reports.is_due(received, size):
                self._tell(job_id, {"received": str(received), "size": str(size)})

        return self._fetcher.fetch(
            document,
            refresh_url=lambda: self._fresh_url(job_id),
            progress=progress,
            cancelled=lambda: self._cancelled(job_id),
            hook=hook,
        )

    def _fresh_url(self, job_id: str) -> str:
        try:
            return self._describe(job_id).url
        except JobGoneError:
            self._doubt.set()  # whoever waits for the line asks whether it is cancelled
            raise

    def _discard(self, document: DownloadDocument | None) -> None:
        """Give the disk back what was fetched for a job that is over: nobody else would."""
        if document is None:
            return
        try:
            self._fetcher.discard(document.name)
        except Exception as error:  # noqa: BLE001 - the job's end must be told all the same
            event(
                "download.not_discarded",
                level=logging.WARNING,
                error=error,
                artifact=document.name,
            )

    def _cancelled(self, job_id: str) -> bool:
        if self._stopping.is_set():
            return True
        if self._doubt.is_set():
            self._doubt.clear()
            try:
                self._describe(job_id)
            except JobGoneError:
                self._doubt.set()
                return True
            except (CloudError, wire.WireError):
                return False  # unknown: the end of the job will tell
        return False

    def _describe(self, job_id: str) -> DownloadDocument:
        """Ask for the job again: its document comes with a fresh URL."""
        request = iotjobs.DescribeJobExecutionRequest(
            thing_name=self._thing, job_id=job_id, include_job_document=True
        )
        answer = self._ask(
            "DescribeJobExecution", lambda jobs: jobs.describe_job_execution(request)
        )
        execution = answer.execution
        if execution is None or execution.status in _ENDED:
            raise JobGoneError(f"job `{job_id}` has ended in the cloud")
        return DownloadDocument.decode(execution.job_document)

    def _tell(self, job_id: str, detail: dict[str, str]) -> None:
        request = iotjobs.UpdateJobExecutionRequest(
            thing_name=self._thing,
            job_id=job_id,
            status="IN_PROGRESS",
            status_details=fitting(detail),
        )
        if self._jobs is not None:  # without waiting: a lost report does no harm
            self._jobs.service.update_job_execution(request)

    def _end(self, job_id: str, status: str, detail: dict[str, str]) -> None:
        detail = fitting(detail)
        backoff = Backoff(_PAUSE_MIN_SECONDS, _PAUSE_MAX_SECONDS)
        while not self._stopping.is_set():
            request = iotjobs.UpdateJobExecutionRequest(
                thing_name=self._thing, job_id=job_id, status=status, status_details=detail or None
            )
            try:
                self._ask(
                    "UpdateJobExecution",
                    lambda jobs, request=request: jobs.update_job_execution(request),
                )
            except JobGoneError:
                event("job.gone", level=logging.WARNING, job_id=job_id, status=status)
                return
            except CloudError as error:
                event("jobs.unreachable", level=logging.WARNING, error=error, job_id=job_id)
                if detail and isinstance(error, RefusedByServiceError) and error.code == _MALFORMED:
                    detail = plainer(detail)  # an end without words is better than none
                    continue
                self._stopping.wait(backoff.next_pause())
            else:
                event("job.ended", job_id=job_id, status=status, reason=detail.get("reason"))
                self._ended(status)
                if self._installs is not None:
                    self._installs.ended(job_id)
                return

    def _ask(self, name: str, question: Callable[[iotjobs.IotJobsClientV2], Future[_T]]) -> _T:
        if self._jobs is None:
            raise CloudError("the agent has stopped")
        try:
            return self._jobs.ask(name, question)
        except RefusedByServiceError as error:
            if error.code in _GONE_CODES:
                raise JobGoneError(str(error)) from error
            raise


def _fault(job_id: str, error: BaseException) -> dict[str, str]:
    """What is told of a fault of ours: it ends the job, or the same one would be given again.

    And again after each restart, so that no other job ever reached this device.
    """
    event("job.fault", level=logging.ERROR, error=error, at=places(error), job_id=job_id)
    return {"reason": f"{type(error).__name__} in the device's agent"}


def _milliseconds(timestamp: Any) -> int:
    seconds = timestamp.timestamp() if hasattr(timestamp, "timestamp") else float(timestamp)
    return round(seconds * 1000) + 500  # whole seconds, cut off: on average half a second ago
