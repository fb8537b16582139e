"""What AWS needs before what, where no input names it: read off the stamped platform."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.infra.stamped import resources

if TYPE_CHECKING:
    from tests.infra.conftest import Project


@pytest.mark.parametrize(
    ("later", "earlier"),
    [
        ("Eip network-nat-0", {"Route network-public-out"}),
        ("Eip network-nat-1", {"Route network-public-out"}),
        ("NatGateway network-nat-0", {"Route network-public-out"}),
        ("NatGateway network-nat-1", {"Route network-public-out"}),
        ("Route network-public-out", {"InternetGateway network-gateway"}),
        ("LoadBalancer balancer-balancer", {"Route network-public-out"}),
        (
            "Service api-service",
            {
                "Listener balancer-https",
                "Route network-private-0-out",
                "Route network-private-1-out",
                "RolePolicy api-service",
                "RolePolicy api-execution",
            },
        ),
        ("TopicRule fleet-status", {"RolePolicy fleet-status"}),
    ],
)
def test_it_waits_for_what_it_needs(project: Project, later: str, earlier: set[str]) -> None:
    """Each dependency is in the state, so that no run makes the two at the same time."""
    (found,) = [one for one in resources(project.root, "platform") if one.name == later]
    assert earlier <= found.after


def test_the_load_balancer_asks_whether_a_task_lives(project: Project) -> None:
    """A task that is unready since DynamoDB fails is not replaced: the next would be as unready."""
    (group,) = [
        one for one in resources(project.root, "platform") if one.name.startswith("TargetGroup ")
    ]
    assert group.inputs["healthCheck"]["path"] == "/health/live"
