"""Standard output of the programs, whose reader may leave, and whose disk may be full."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Callable

    _StreamHandler = logging.StreamHandler[TextIO]
else:  # which cannot be subscripted before Python 3.11
    _StreamHandler = logging.StreamHandler


class UnwrittenError(Exception):
    """Standard output does not take the answer; the reason is its cause."""


def say(words: str) -> None:
    """Print an answer of the program, now.

    Raises:
        UnwrittenError: it cannot be written; for ``answered`` to deal with.
    """
    try:
        print(words, flush=True)  # noqa: T201 - the answer of the program
    except OSError as error:
        raise UnwrittenError from error


def answered(act: Callable[[], int]) -> int:
    """Run a program that prints its answer by ``say``.

    Returns:
        The exit code: that of ``act``, or 1 where its answer was not written: in silence for a
        reader that has read enough, as ``head``, in words for a full disk.
    """
    try:
        return act()
    except UnwrittenError as error:
        reason = error.__cause__
        if isinstance(reason, OSError) and not isinstance(reason, BrokenPipeError):
            print(f"the answer cannot be written: {reason.strerror}", file=sys.stderr)  # noqa: T201 - its last word
        return 1
    finally:
        _leave_nothing()


def _leave_nothing() -> None:
    """Let go of what standard output does not take, e.g. of a help that nobody reads to its end.

    The interpreter tries it again after a program's last word, and shows a person the exception
    that it meets (source: Python's library reference, ``signal``, "Note on SIGPIPE").
    """
    if sys.stdout is None:  # pyright: ignore[reportUnnecessaryComparison] - begun without one
        return
    try:
        sys.stdout.flush()
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


class LastingHandler(_StreamHandler):
    """Log lines on a stream; where it takes none the agent works on, and standard error says so.

    Once, until it takes one again: a traceback for each line would fill what may be a device's only
    log, and no handler's failure is the matter of whoever tells something.
    """

    _error: BaseException | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Write it, if the stream takes it."""
        before, self._error = self._error, None
        super().emit(record)
        if self._error is not None and before is None:
            with contextlib.suppress(OSError, ValueError, AttributeError):  # it may be shut as well
                sys.stderr.write(f"standard output takes no log: {self._error}; going on without\n")

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802 - logging's
        """Remember it."""
        self._error = sys.exc_info()[1]
