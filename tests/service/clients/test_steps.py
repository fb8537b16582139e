"""What the client does next, step by step, without a service."""

from __future__ import annotations

from typing import Any

import pytest
from cedarfleet import BusyError, NotEndedError, UnexpectedAnswerError
from cedarfleet.generated.api.default import read_me, send_command
from cedarfleet.generated.models import Accepted, CommandOut, Me
from cedarfleet.steps import Call, Pause, ask, command_ended

WHO = Me.from_dict(
    {
        "tenant": "acme",
        "principal": "p",
        "token_use": "id",
        "groups": [],
        "email": None,
        "expires_at": "2026-11-30T06:00:00Z",
        "commands": [],
        "may": None,
        "grant_templates": [],
        "tier": None,
        "not_in_tier": [],
    }
)


def busy(status: int, seconds: float | None) -> BusyError:
    """An answer that asks for patience."""
    return BusyError(status, {"type": "urn:cedarfleet:problem:over-budget"}, seconds)


def ended(steps: Any, outcome: Any) -> Any:
    """What the steps return for a last outcome."""
    with pytest.raises(StopIteration) as end:
        steps.send(outcome)
    return end.value.value


def test_a_busy_api_is_asked_again_when_it_says() -> None:
    """After the time that it names, at most 30 s; four times in all."""
    steps = ask(Me, read_me)
    call = steps.send(None)
    assert isinstance(call, Call)
    for seconds, waited in ((2.0, 2.0), (600.0, 30.0), (1.0, 1.0)):
        assert steps.throw(busy(503, seconds)) == Pause(seconds=waited)
        assert steps.send(None) == call
    assert ended(steps, WHO) is WHO

    steps = ask(Me, read_me)
    steps.send(None)
    for _ in range(3):
        steps.throw(busy(429, 1.0))
        steps.send(None)
    with pytest.raises(BusyError):
        steps.throw(busy(429, 1.0))


def test_what_may_have_been_done_is_not_repeated() -> None:
    """Without a key a 503 may hide that it was done; a 429 was surely not, and is asked again."""
    steps = ask(Accepted, send_command, again=False)
    steps.send(None)
    with pytest.raises(BusyError):
        steps.throw(busy(503, 1.0))
    steps = ask(Accepted, send_command, again=False)
    steps.send(None)
    assert steps.throw(busy(429, 1.0)) == Pause(seconds=1.0)
    steps = ask(Me, read_me)
    steps.send(None)
    with pytest.raises(BusyError):
        steps.throw(busy(503, None))


def test_another_answer_is_an_error() -> None:
    """What is of another kind than the API's is never handed on."""
    steps = ask(Me, read_me)
    steps.send(None)
    with pytest.raises(UnexpectedAnswerError):
        steps.send(None)


def test_patience_ends_with_the_last_state() -> None:
    """Who waited in vain is told how it stood."""
    running = CommandOut.from_dict(
        {
            "id": "c",
            "device": "press-01",
            "name": "stop",
            "state": "running",
            "is_final": False,
            "reported_by": "device",
            "detail": {},
            "reason": None,
            "campaign": None,
            "created_by": "p",
            "created_at": None,
            "expires_at": None,
            "cancel_requested_at": None,
            "history": [],
            "history_truncated": False,
        }
    )
    steps = command_ended("c", seconds=0.1)
    assert isinstance(steps.send(None), Call)
    with pytest.raises(NotEndedError, match="`running`") as over:
        steps.send(running)
    assert over.value.last is running
