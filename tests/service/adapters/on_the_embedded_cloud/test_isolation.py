"""The worker itself tries the boundary between two tenants, and finds it open if a role is."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import pytest

from infra import names
from service.domain.isolation import Part

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from infra.local.processes import Child
    from tests.service.adapters.on_the_embedded_cloud.conftest import DeployedService

SECONDS: Final = 60
"""Until the next trial is told of: it waits for nothing but a machine that is busy."""
OPENED: Final = "opened-by-hand"


@pytest.fixture(scope="module")
def canary(deployed: DeployedService) -> Iterator[Child]:
    """A worker of its own, under the worker's role, that tries each second and tells as often."""
    started = deployed.setup.start_worker(
        "canary",
        CEDARFLEET_ISOLATION_CANARY="acme,globex",
        CEDARFLEET_ISOLATION_SECONDS="1",
        CEDARFLEET_METRICS_LINE_SECONDS="1",
    )
    yield started
    assert started.stop(seconds=SECONDS) == 0


@contextmanager
def opened(deployed: DeployedService, *actions: str, resource: str) -> Generator[None]:
    """Somebody gives acme's role more than its own, and takes it back."""
    iam = deployed.setup.cloud.client("iam")
    role = {"RoleName": names.tenant_role("acme"), "PolicyName": OPENED}
    statement = {"Effect": "Allow", "Action": [*actions], "Resource": resource}
    document = {"Version": "2012-10-17", "Statement": [statement]}
    iam.put_role_policy(**role, PolicyDocument=json.dumps(document))
    try:
        yield
    finally:
        iam.delete_role_policy(**role)


def told(canary: Child, outcome: str) -> dict[str, Any]:
    """The next line for CloudWatch by which a trial ended so."""
    return canary.await_event(
        "metrics.told",
        seconds=SECONDS,
        where=lambda line: names.ISOLATION in line and line["outcome"] == outcome,
    )


def test_a_boundary_that_stands_is_told_as_refused(canary: Child) -> None:
    """Every part, in both directions, in sessions that are let in to their own."""
    assert told(canary, "refused")[names.ISOLATION] >= 1


@pytest.mark.parametrize(
    ("part", "action"),
    [
        (Part.DEVICES, "dynamodb:Query"),
        (Part.COMMANDS, "dynamodb:GetItem"),
        (Part.COMMANDS_WRITTEN, "dynamodb:UpdateItem"),
        (Part.FILES, "s3:ListBucket"),
        (Part.DECISIONS, "verifiedpermissions:IsAuthorized"),
        (Part.PEOPLE, "cognito-idp:ListUsers"),
        (Part.STATES, "iot:GetThingShadow"),
    ],
)
def test_a_role_that_is_opened_is_found(
    deployed: DeployedService, canary: Child, part: Part, action: str
) -> None:
    """The part is named, and by whom it is reached; closed, it is refused again."""
    with opened(deployed, action, resource="*"):
        found = canary.await_event(
            "isolation.broken", seconds=SECONDS, where=lambda line: line["part"] == part
        )
        assert (found["by"], found["of"]) == ("acme", "globex")
        told(canary, "reached")
    told(canary, "refused")
