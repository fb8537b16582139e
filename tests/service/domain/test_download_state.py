"""The state of a whole download out of what its job says."""

from __future__ import annotations

import pytest

from service.domain.downloads import DeliveryState, whole_state


@pytest.mark.parametrize(
    ("job", "counts", "expected"),
    [
        ("IN_PROGRESS", {}, DeliveryState.QUEUED),
        ("IN_PROGRESS", {"queued": 2}, DeliveryState.QUEUED),
        ("IN_PROGRESS", {"queued": 1, "succeeded": 1}, DeliveryState.IN_PROGRESS),
        ("IN_PROGRESS", {"in_progress": 1}, DeliveryState.IN_PROGRESS),
        ("IN_PROGRESS", {"succeeded": 2}, DeliveryState.SUCCEEDED),
        ("COMPLETED", {"succeeded": 2}, DeliveryState.SUCCEEDED),
        ("COMPLETED", {"succeeded": 1, "failed": 1}, DeliveryState.PARTLY_FAILED),
        ("COMPLETED", {"failed": 1, "timed_out": 1}, DeliveryState.FAILED),
        ("COMPLETED", {"rejected": 1}, DeliveryState.FAILED),
        ("COMPLETED", {}, DeliveryState.UNKNOWN),
        ("CANCELED", {"succeeded": 1}, DeliveryState.CANCELED),
        ("SCHEDULED", {}, DeliveryState.QUEUED),
    ],
)
def test_a_completed_job_is_not_a_success_by_itself(
    job: str, counts: dict[str, int], expected: DeliveryState
) -> None:
    """IoT Jobs completes a job that failed everywhere; we say that it failed."""
    assert (
        whole_state(job, {DeliveryState(name): count for name, count in counts.items()}) is expected
    )
