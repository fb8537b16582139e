"""Whatever a handler gives or raises is one outcome, which the log and the cloud can read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from cedarfleet_device.commands.handlers import Command, Handler
from cedarfleet_device.commands.invocation import call_handler
from cedarfleet_device.wire import CommandState

if TYPE_CHECKING:
    from collections.abc import Callable

    from cedarfleet_device.commands.handlers import Function
    from cedarfleet_device.commands.invocation import Outcome


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("done", {"result": "done"}),
        (42, {"result": 42}),
        ([1, 2], {"result": [1, 2]}),
        (None, {}),
        ({"a": 1}, {"a": 1}),
    ],
)
def test_whatever_a_handler_gives_is_sent(given: object, sent: dict[str, Any]):
    """What is no JSON object stands as ``result``: no answer is thrown away."""
    assert _called(lambda _: given)[:2] == (CommandState.SUCCEEDED, sent)


def test_a_bug_in_a_handler_is_found_by_its_log(caplog: pytest.LogCaptureFixture):
    """The log has file, line and function of what was raised; so has an answer that cannot go."""

    def outer(_: Command) -> object:
        empty: dict[str, int] = {}
        return empty["c"]

    assert _called(outer)[0] is CommandState.FAILED
    (record,) = caplog.records
    fields: dict[str, Any] = record.__dict__["fields"]
    assert fields["error"] == "KeyError: 'c'"
    assert fields["at"][-1].startswith(__file__)
    assert fields["at"][-1].endswith(" in outer")
    caplog.clear()
    state, detail, _ = _called(lambda _: {"s": {1, 2}})
    assert (state, list(detail)) == (CommandState.SUCCEEDED, ["truncated"])
    (record,) = caplog.records
    assert record.__dict__["fields"]["name"] == "x"


def _called(function: Function) -> Outcome:
    handler = Handler(function=function, idempotent=True, time_limit_seconds=60)
    command = Command(
        command_id="0" * 26,
        name="x",
        arguments={},
        issued_at=1,
        expires_at=2,
        report=lambda _: None,
    )
    return call_handler(handler, command)


class Mute(Exception):  # noqa: N818 - a maker's
    """An error that fails to say what it is."""

    def __str__(self) -> str:
        """Fails.

        Raises:
            KeyError: always.
        """
        raise KeyError("text")


class Undecided:
    """What is neither true nor false, as an array of numbers is."""

    def __bool__(self) -> bool:
        """Fails.

        Raises:
            ValueError: always.
        """
        raise ValueError("ambiguous")


def raising(_: Command) -> None:
    """A handler that raises ``Mute``."""
    raise Mute


@pytest.mark.parametrize(
    ("function", "state", "word"),
    [
        (raising, CommandState.FAILED, "Mute"),
        (lambda _: Undecided(), CommandState.SUCCEEDED, "no JSON object"),
        (lambda _: {1}, CommandState.SUCCEEDED, "no JSON object"),
        (lambda _: {"x": Undecided()}, CommandState.SUCCEEDED, "no JSON object"),
        (lambda _: {"x": float("nan")}, CommandState.SUCCEEDED, "no JSON object"),
    ],
)
def test_whatever_a_handler_gives_or_raises_is_an_outcome(
    function: Callable[[Command], Any], state: CommandState, word: str
):
    """Nothing of it leaves the call, since it would end the thread that runs handlers."""
    found, detail, _ = _called(function)
    assert found is state
    assert word in str(detail)


def test_an_outcome_is_what_it_was_when_the_handler_returned():
    """The maker's threads may go on changing what was given, while it waits for the disk."""
    shared: dict[str, Any] = {"inner": {"value": 1}}
    _, detail, _ = _called(lambda _: shared)
    shared["inner"]["value"] = object()
    assert detail == {"inner": {"value": 1}}
