"""The service and the devices as processes that end with this one; await what they log.

After a `kill -9` of `make up` its devices and its service would go on alone and keep their files
locked. So each is started through this file, run as a script: `processes.py PARENT_PID PROGRAM
[ARGUMENT ...]` asks Linux for SIGKILL when the parent is gone (prctl(2), PR_SET_PDEATHSIG; it
survives execve) and then becomes the program. On other systems the program just starts.

The programs themselves (`make up`, `make demo`, `infra.local.stacks`) run through `run`.
"""

from __future__ import annotations

import ctypes
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final, NoReturn, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

_LINES_KEPT: Final = 200
_PR_SET_PDEATHSIG: Final = 1


def run(main: Callable[[], int]) -> NoReturn:
    """Run a program that stamps stacks to its end, and exit with what it returns."""
    # As a script this file needs the standard library alone.
    from infra import garbage  # noqa: PLC0415 - see above

    garbage.seldom()
    sys.exit(main())


class ChildError(Exception):
    """A child ended, or time passed, before it logged what was awaited; names its last lines."""


class Child:
    """One child process that writes JSON log lines to its standard output.

    They are kept in ``log_file`` too. It ends with this process, however that ends. Use it as a
    context manager: leaving it sends SIGTERM to the child and, if it does not end in time, SIGKILL.
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
            [sys.executable, "-I", __file__, str(os.getpid()), *command],
            env=inherited() | dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,  # Ctrl-C reaches the parent only, which ends them in order
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
                    f"{self.name} ended with code {self._process.wait()} before `{event}`; "
                    + self._tail()
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
    """What a child may see of this environment: never the credentials of whoever runs us."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AWS_", "CEDARFLEET_"))
    }


def _become(parent: int, program: list[str]) -> None:
    """Replace this process by a program that is killed when the parent is gone.

    Raises:
        SystemExit: the parent was gone before the kernel could be asked.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        # The signal is sent for a death from now on: one that came before shows in the parent's id.
        if os.getppid() != parent:
            sys.exit(1)
    os.execv(program[0], program)  # noqa: S606 - that is what it is for; no shell


if __name__ == "__main__":
    _become(int(sys.argv[1]), sys.argv[2:])
