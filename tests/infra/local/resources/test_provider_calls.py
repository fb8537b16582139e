"""Recorded resources are checked as the calls that the provider would make."""

from __future__ import annotations

from typing import Any

import pytest

from infra.local.resources import HANDLERS
from infra.local.resources.provider_calls import CALLS, RefusedCallError, check

_BALANCER = "aws:lb/loadBalancer:LoadBalancer"
_ARN = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:loadbalancer/app/c/0123456789abcdef"


@pytest.mark.parametrize(
    ("kind", "inputs", "words"),
    [
        ("aws:lb/listener:Listener", {"loadBalancerArn": _ARN, "port": 70_000}, "65535"),
        ("aws:lb/listener:Listener", {"loadBalancerArn": _ARN, "protocol": "H2"}, "enum value set"),
        ("aws:lb/targetGroup:TargetGroup", {"port": 80}, "'Name'"),
        (
            "aws:lb/targetGroup:TargetGroup",
            {"name": "n", "healthCheck": {"healthyThreshold": 1}},
            "greater than or equal to 2",
        ),
        (_BALANCER, {"name": "n", "loadBalancerType": "classic"}, "enum value set"),
        (
            "aws:route53/record:Record",
            {"zoneId": "Z1", "name": "a", "type": "B", "records": ["1"], "ttl": 1},
            "enum",
        ),
        ("aws:ecs/service:Service", {"name": "s", "launchType": "CLOUD"}, "enum value set"),
        (
            "aws:cognito/riskConfiguration:RiskConfiguration",
            {
                "userPoolId": "eu-central-1_AbCd12345",
                "compromisedCredentialsRiskConfiguration": {"actions": {"eventAction": "ASK"}},
            },
            "enum value set",
        ),
        (
            "aws:appautoscaling/target:Target",
            {"serviceNamespace": "ecs", "resourceId": "r"},
            "'ScalableDimension'",
        ),
    ],
)
def test_what_aws_would_refuse_is_refused(kind: str, inputs: dict[str, Any], words: str) -> None:
    """A value out of range, of no enumeration, or missing fails the resource."""
    with pytest.raises(RefusedCallError, match=words):
        check(CALLS[kind](_ARN, inputs))


def test_every_recorded_type_has_its_calls() -> None:
    """No recorded type goes unchecked."""
    assert set(CALLS) == {kind for kind, handler in HANDLERS.items() if handler.recorded}
