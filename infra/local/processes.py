"""Start the service and the devices as operating-system processes of their own, and await what they log."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

_LINES_KEPT: Final = 200
_LEASH: Final = Path(__file__).with_name("leash.py")


class ChildError(Exception):
    """A child ended, or stayed silent, before it logged what was awaited; the message ends with its last lines."""


class Child:
    """One child process whose standard output is a stream of JSON log lines, also written to ``log_file``.

    It is on a leash (`leash.py`), so that it ends with this process however that ends.

    Use it as a context manager: leaving it sends SIGTERM to this process and, if it does not end in time, SIGKILL.
    """

    def __init__(
        self, *, name: str, command: Sequence[str], environment: Mapping[str, str], log_file: Path
    ) -> None:
        self.name = name
        self._log_file = log_file
        self._last: deque[str] = deque(maxlen=_LINES_KEPT)
        self._events: queue.Queue[dict[str, Any] | None] = queue.Queue()
        log_file.parent.mkdir(parents=True, exist_ok=True)
        self._process = subprocess.Popen(  # noqa: S603 - our own commands, no shell
            [sys.executable, "-I", str(_LEASH), str(os.getpid()), *command],
            env=inherited() | dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,  # Ctrl-C reaches the parent only, which ends its children in order
        )
        self._reader = threading.Thread(target=self._read, name=f"{name}-log", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def await_event(
        self, event: str, *, seconds: float, where: Callable[[dict[str, Any]], bool] | None = None
    ) -> dict[str, Any]:
        """The next log event of that name (for which ``where`` holds), consuming those before it.

        Raises:
            ChildError: the process ended, or ``seconds`` passed.
        """
        deadline = time.monotonic() + seconds
        while True:
            try:
                logged = self._events.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise ChildError(
                    f"{self.name} did not log `{event}` within {seconds:g} s; {self._tail()}"
                ) from None
            if logged is None:
                self._events.put(None)  # later callers learn of the end too
                raise ChildError(
                    f"{self.name} ended with code {self._process.wait()} before `{event}`; {self._tail()}"
                )
            if logged.get("event") == event and (where is None or where(logged)):
                return logged

    def stop(self, *, seconds: float = 10.0) -> int:
        """End the process and return its exit code (negative: the signal that ended it)."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(seconds)
            except subprocess.TimeoutExpired:
                self._process.kill()
        code = self._process.wait()
        self._reader.join(timeout=seconds)
        if self._process.stdout is not None:
            self._process.stdout.close()
        return code

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _read(self) -> None:
        stream = self._process.stdout
        if stream is None:  # cannot be: the process was started with a pipe
            return
        with self._log_file.open("a", encoding="utf-8") as log:
            for line in stream:
                log.write(line)
                log.flush()
                self._last.append(line.rstrip())
                try:
                    logged = json.loads(line)
                except ValueError:
                    continue
                if isinstance(logged, dict):
                    self._events.put(logged)
        self._events.put(None)

    def _tail(self) -> str:
        last = "\n  ".join(list(self._last)[-12:]) or "(nothing)"
        return f"its last lines (all of them in {self._log_file}):\n  {last}"


def inherited() -> dict[str, str]:
    """What a child may see of this environment: never the credentials of the person who runs the command."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AWS_", "CEDARFLEET_"))
    }
