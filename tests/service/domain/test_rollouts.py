"""The shape of a rollout: what is stored of it, its waves, its window, and when it is given up."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from service.domain.rollouts import (
    MAX_WAVES,
    PlannedRollout,
    Reach,
    Shape,
    WaveSize,
    Window,
    check_shape,
    wave_of,
)
from service.errors import InvalidRequestError

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
FULL = Shape(
    waves=(WaveSize(devices=2), WaveSize(percent=10)),
    pause_minutes=30,
    ended_percent=80,
    abort_percent=20,
    window=Window(text="22:00-04:00", utc_offset="+01:00"),
    retries=2,
    retry_minutes=5,
)


@pytest.mark.parametrize("shape", [Shape(), FULL, replace(FULL, window=None), Shape(retries=1)])
@pytest.mark.parametrize("via", [None, "agent"])
def test_what_is_stored_is_read_as_it_was(shape: Shape, via: str | None) -> None:
    """Whole; what a worker of the release before does not know stands there only if it is used."""
    planned = PlannedRollout(
        shape=shape, waves=(2, 3), reach=Reach(targets=5), requester="boss", via=via
    )
    text = planned.encode()
    assert PlannedRollout.decode(text) == planned
    assert ("via" in text, "retry_minutes" in text) == (via is not None, shape.retries > 0)


def test_a_rollout_has_a_most_of_waves() -> None:
    """As many are fine, one more is not; each says its size in one way."""
    one = WaveSize(devices=1)
    check_shape(Shape(waves=(one,) * MAX_WAVES))
    with pytest.raises(InvalidRequestError, match="at most 20") as caught:
        check_shape(Shape(waves=(one,) * (MAX_WAVES + 1)))
    assert caught.value.field == "waves"
    for wrong in (WaveSize(), WaveSize(devices=1, percent=1)):
        with pytest.raises(InvalidRequestError, match="exactly one") as caught:
            check_shape(Shape(waves=(one, wrong)))
        assert caught.value.field == "waves[1]"


def test_no_wave_is_empty_and_none_is_left_out() -> None:
    """A share is rounded up; what is left is the last wave, if something is."""
    assert FULL.sizes(25) == (2, 3, 20)
    assert FULL.sizes(2) == (2,)
    assert FULL.sizes(3) == (2, 1)
    assert FULL.sizes(0) == ()
    assert Shape().sizes(7) == (7,)
    assert [wave_of(job, (100, 101), job_members=100) for job in range(3)] == [
        (0, 0),
        (1, 0),
        (1, 1),
    ]
    with pytest.raises(ValueError, match="no wave has job 3"):
        wave_of(3, (100, 101), job_members=100)


@pytest.mark.parametrize(
    ("ended", "failed", "begun", "gives_up"),
    [(9, 9, 50, False), (10, 5, 50, True), (10, 4, 50, False), (2, 1, 2, True), (1, 1, 2, False)],
)
def test_a_rollout_is_given_up_by_its_share(
    ended: int, failed: int, begun: int, *, gives_up: bool
) -> None:
    """Of ten that ended, or of all that began where these are fewer; without a failure never."""
    assert Shape().is_failing(ended=ended, failed=failed, begun=begun) is gives_up
    never = Shape(abort_percent=0).is_failing(ended=ended, failed=0, begun=begun)
    assert never is False


@pytest.mark.parametrize(
    ("window", "opens"),
    [
        (Window(text="11:00-13:00"), timedelta()),
        (Window(text="12:00-13:00"), timedelta()),
        (Window(text="11:00-12:00"), timedelta(hours=23)),
        (Window(text="22:00-04:00"), timedelta(hours=10)),
        (Window(text="22:00-04:00", utc_offset="+01:30"), timedelta(hours=8, minutes=30)),
        (Window(text="22:00-04:00", utc_offset="-02:00"), timedelta(hours=12)),
    ],
)
def test_a_window_opens_by_its_own_clock(window: Window, opens: timedelta) -> None:
    """Inside it is open now, also in its first minute; the end is outside."""
    assert window.opens_at(NOON) - NOON == opens


@pytest.mark.parametrize("offset", ["", "1:00", "+15:00", "+01:60", "01:00"])
def test_an_offset_of_another_form_is_refused(offset: str) -> None:
    """When it is asked for, and also if a row holds it."""
    with pytest.raises(InvalidRequestError, match="must be like") as caught:
        Window.of("22:00-04:00", offset)
    assert caught.value.field == "utc_offset"
    with pytest.raises(ValueError, match="is no offset"):
        Window(text="22:00-04:00", utc_offset=offset).opens_at(NOON)
    for text in ("22:00", "22:00-22:00"):
        with pytest.raises(InvalidRequestError) as caught:
            Window.of(text, "+01:00")
        assert caught.value.field == "window"


def test_a_reach_is_counted_in_percent_rounded_up() -> None:
    """Of a fleet without anything critical it is none of it."""
    assert Reach.counted(targets=1, fleet=300, critical=1, critical_fleet=3) == Reach(
        targets=1, share_of_fleet=1, critical_targets=1, share_of_critical=34
    )
    assert Reach.counted(targets=1, fleet=1, critical=0, critical_fleet=0).share_of_critical == 0
