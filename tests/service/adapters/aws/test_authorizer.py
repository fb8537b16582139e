"""How many authorization requests one call of Verified Permissions carries."""

from __future__ import annotations

from datetime import UTC, datetime

from service.adapters.aws.authorizer import batches
from service.cedar.request import AuthorizationRequest
from service.cedar.values import EntityUid
from service.domain.devices import Device
from service.domain.permissions import Permission


def test_batches_stay_within_the_quotas() -> None:
    """At most 30 requests and 100 entities in one call, all in order."""
    requests = [
        AuthorizationRequest(
            principal=EntityUid("Fleet::User", "pool|someone"),
            action=Permission.UPDATE_FIRMWARE,
            resource=EntityUid("Fleet::Device", f"d{number}"),
            entities=Device(
                tenant="acme",
                id=f"d{number}",
                groups=tuple(f"g{number}-{group}" for group in range(number % 9)),
            ).entities(),
            context={"now": datetime.now(UTC)},
        )
        for number in range(100)
    ]
    cut = list(batches(requests))
    assert [request for batch in cut for request in batch] == requests
    for batch in cut:
        assert len(batch) <= 30
        assert len({entity.uid for request in batch for entity in request.entities}) <= 100
    assert list(batches([])) == []
