"""A maker's function is waited for so long and no longer, whatever it does."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest
from cedarfleet_device.installs.bounded import BoundedCalls, StepError

if TYPE_CHECKING:
    from collections.abc import Iterator

SECONDS = 20.0  # of a step that ends by itself


class Mute(Exception):  # noqa: N818 - a maker's
    """An error that fails to say what it is."""

    def __str__(self) -> str:
        """Fails.

        Raises:
            KeyError: always.
        """
        raise KeyError("text")


@pytest.fixture
def hanging() -> Iterator[threading.Event]:
    """Ends a step that hangs, at the latest with the test."""
    release = threading.Event()
    yield release
    release.set()


def raising(error: BaseException) -> None:
    """A step that fails so.

    Raises:
        BaseException: the error.
    """
    raise error


def test_an_answer_is_handed_on():
    """And the next step is begun at once: the thread of the last one is gone."""
    calls = BoundedCalls("steps")
    assert [calls.call("x", lambda at=at: at, seconds=SECONDS) for at in range(50)] == [*range(50)]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (RuntimeError("flash"), "`install` failed: RuntimeError: flash"),
        (SystemExit(3), "`install` failed: SystemExit: 3"),
        (KeyboardInterrupt(), "`install` failed: KeyboardInterrupt: "),
        (Mute(), "`install` failed: Mute: it fails to say why"),
        (StepError("said already"), "said already"),
    ],
)
def test_what_a_step_raises_is_told_in_words(error: BaseException, words: str):
    """Nothing of it ends the agent; a long text is cut."""
    with pytest.raises(StepError) as caught:
        BoundedCalls("steps").call("install", lambda: raising(error), seconds=SECONDS)
    assert str(caught.value) == words
    with pytest.raises(StepError) as caught:
        BoundedCalls("steps").call("x", lambda: raising(ValueError("w" * 9999)), seconds=SECONDS)
    assert len(str(caught.value)) < 600


def test_a_step_that_hangs_lets_no_other_begin(hanging: threading.Event):
    """Until it has returned: two that write one slot at once would break both."""
    calls = BoundedCalls("steps")
    with pytest.raises(StepError, match=r"`works` did not end within its limit of 0\.01 s"):
        calls.call("works", hanging.wait, seconds=0.01)
    ran: list[str] = []
    with pytest.raises(StepError, match="`commit` is not begun: an earlier step has not ended"):
        calls.call("commit", lambda: ran.append("commit"), seconds=SECONDS)
    hanging.set()
    last = calls._last
    assert last is not None
    last.join(SECONDS)
    calls.call("commit", lambda: ran.append("commit"), seconds=SECONDS)
    assert ran == ["commit"]


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_that_a_step_forks_ends_with_it():
    """It would go on as a second agent on the same store."""
    calls = BoundedCalls("steps")
    child = calls.call("install", os.fork, seconds=SECONDS)
    assert os.waitpid(child, 0) == (child, 0)
