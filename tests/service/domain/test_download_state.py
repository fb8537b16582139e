"""The state of a whole download out of how its devices ended, and when it is stopped."""

from __future__ import annotations

from dataclasses import replace

import pytest

from service.domain.downloads import (
    Closing,
    DeliveryState,
    DownloadRecord,
    DownloadRecordState,
    TargetKind,
    counted,
    is_failing,
    whole_state,
)
from service.domain.rollouts import PlannedRollout, Reach, Shape

RECORD = DownloadRecord(
    download_id="01JD0000000000000000000000",
    tenant="acme",
    target_kind=TargetKind.GROUP,
    target="line-press",
    artifact="recipes/steel.json",
    size=20,
    sha256="ab" * 32,
    etag='"e"',
    created_by="somebody",
    created_at=1_790_000_000_000,
    state=DownloadRecordState.STARTED,
    devices=2,
)


def states(**counts: int) -> dict[DeliveryState, int]:
    """Devices by state."""
    return {DeliveryState(name): count for name, count in counts.items()}


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ({}, DeliveryState.QUEUED),
        ({"succeeded": 1}, DeliveryState.IN_PROGRESS),
        ({"succeeded": 2}, DeliveryState.SUCCEEDED),
        ({"succeeded": 1, "failed": 1}, DeliveryState.PARTLY_FAILED),
        ({"failed": 1, "timed_out": 1}, DeliveryState.FAILED),
        ({"rejected": 2}, DeliveryState.REJECTED),
        ({"canceled": 2}, DeliveryState.CANCELED),
    ],
)
def test_all_devices_make_the_whole(known: dict[str, int], expected: DeliveryState) -> None:
    """IoT Jobs completes a job that failed everywhere; we say that it failed."""
    assert whole_state(RECORD, counted(RECORD, states(**known))) is expected


def test_what_is_closed_or_failed_says_so() -> None:
    """Whatever the devices say: it failed to begin, was stopped, expired, or nobody knows any."""
    for record, expected in (
        (replace(RECORD, state=DownloadRecordState.CREATED), DeliveryState.CREATED),
        (replace(RECORD, state=DownloadRecordState.FAILED), DeliveryState.FAILED),
        (replace(RECORD, closing=Closing.STOPPED), DeliveryState.CANCELED),
        (replace(RECORD, closing=Closing.EXPIRED), DeliveryState.CANCELED),
        (replace(RECORD, devices=0), DeliveryState.UNKNOWN),
    ):
        assert whole_state(record, counted(record, {})) is expected


def test_who_failed_may_be_tried_again_until_it_is_closed() -> None:
    """With all ended, a plan that tries again goes on; closed, or without a retry, it is over."""
    planned = PlannedRollout(
        shape=Shape(retries=1), waves=(2,), reach=Reach(targets=2), requester="boss"
    )
    record = replace(RECORD, rollout=planned, waves_at={0: 1})
    failed, rejected = states(failed=1, succeeded=1), states(rejected=1, succeeded=1)
    assert whole_state(record, failed) is DeliveryState.IN_PROGRESS
    assert whole_state(record, rejected) is DeliveryState.PARTLY_FAILED, "it rejects it again"
    closed = replace(record, closing=Closing.ENDED)
    assert whole_state(closed, failed) is DeliveryState.PARTLY_FAILED
    once = replace(record, rollout=replace(planned, shape=Shape()))
    assert whole_state(once, failed) is DeliveryState.PARTLY_FAILED


@pytest.mark.parametrize(
    ("closing", "known", "expected"),
    [
        (Closing.CANCELED, {"succeeded": 1, "canceled": 1}, DeliveryState.CANCELED),
        (Closing.CANCELED, {"succeeded": 1, "failed": 1}, DeliveryState.PARTLY_FAILED),
        (Closing.ENDED, {"succeeded": 1, "canceled": 1}, DeliveryState.PARTLY_FAILED),
    ],
)
def test_a_cancel_that_reached_nobody_says_how_it_ended(
    closing: Closing, known: dict[str, int], expected: DeliveryState
) -> None:
    """It is canceled if somebody asked for it, and a device was."""
    assert whole_state(replace(RECORD, closing=closing), states(**known)) is expected


@pytest.mark.parametrize(
    ("known", "stops"),
    [
        ({"failed": 9}, False),
        ({"failed": 5, "succeeded": 5}, True),
        ({"failed": 4, "succeeded": 6}, False),
        ({"failed": 5, "canceled": 5}, True),
        ({"timed_out": 10}, False),
    ],
)
def test_half_of_ten_failures_stop_a_download(known: dict[str, int], stops: bool) -> None:
    """Over all jobs together; before ten have ended nothing is known."""
    assert is_failing(RECORD, states(**known)) is stops
