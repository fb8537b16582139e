"""Types that the embedded cloud does not make: recorded with the outputs that the program needs.

The engine's result names them.

Load balancer, proofs of domains, DNS and autoscaling belong to the path of requests on AWS; the
embedded service is a process that is called directly. What Cognito does about a risk is its own.
Only the shape of their outputs follows AWS, nothing listens, and no state is proven. The calls that
the provider would make are checked all the same (`provider_calls`).
"""

# ruff: noqa: A002 - `id` is Pulumi's word, and the engine's

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

from infra.local.engine.handler import Handler, Made
from infra.local.resources.provider_calls import CALLS, check

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from infra.local.engine.handler import Cloud


class Recorded(Handler):
    """Keeps the inputs and adds synthesised outputs.

    Args:
        kind: Pulumi's type.
        identify: from cloud and inputs to the resource's id.
        describe: from id and inputs to the outputs that AWS would add.
        fixed: inputs that force a replacement.
        taggable: whether the type has tags.
    """

    recorded = True

    def __init__(
        self,
        kind: str,
        identify: Callable[[Cloud, dict[str, Any]], str],
        describe: Callable[[str, dict[str, Any]], dict[str, Any]],
        *fixed: str,
        taggable: bool = False,
    ) -> None:
        self._calls, self._identify, self._describe = CALLS[kind], identify, describe
        self.replace_on = frozenset(fixed)
        self.taggable = taggable

    def create(self, cloud: Cloud, inputs: dict[str, Any]) -> Made:
        """Write it down, if AWS would take the calls."""
        made = self._identify(cloud, inputs)
        check(self._calls(made, inputs))
        return Made(made, {**inputs, **self._describe(made, inputs)})

    def update(
        self, cloud: Cloud, id: str, old: dict[str, Any], inputs: dict[str, Any]
    ) -> dict[str, Any]:
        """Write the change down, if AWS would take it in a new one."""
        del cloud, old
        check(self._calls(id, inputs))
        return {**inputs, **self._describe(id, inputs)}

    def read(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> dict[str, Any] | None:
        """What was written down: nobody else can change it."""
        del cloud, id
        return outputs

    def delete(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> None:
        """Nothing stands anywhere."""


def _digest(*parts: str) -> str:
    """Sixteen hex digits where AWS has random ones: the same resource keeps its ARN."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _arn(service: str, resource: str) -> Callable[[Cloud, dict[str, Any]], str]:
    def identify(cloud: Cloud, inputs: dict[str, Any]) -> str:
        name = inputs.get("name") or inputs.get("domainName") or ""
        arn = f"arn:aws:{service}:{cloud.region}:{cloud.account_id}:{resource}"
        return f"{arn}/{name}/{_digest(resource, name)}"

    return identify


def _listener(cloud: Cloud, inputs: dict[str, Any]) -> str:
    del cloud
    balancer: str = inputs["loadBalancerArn"]
    listener = balancer.replace(":loadbalancer/", ":listener/")
    return f"{listener}/{_digest(balancer, str(inputs['port']))}"


def _balancer(made: str, inputs: dict[str, Any]) -> dict[str, Any]:
    region = made.split(":")[3]
    return {
        "arn": made,
        "arnSuffix": made.partition(":loadbalancer/")[2],
        "dnsName": f"{inputs['name']}-{_digest(made)[:10]}.{region}.elb.amazonaws.com",
        "zoneId": "ZRECORDED",
    }


HANDLERS: Final[Mapping[str, Handler]] = {
    # Nobody's sign-in is judged here, so there is nothing to act on.
    "aws:cognito/riskConfiguration:RiskConfiguration": Recorded(
        "aws:cognito/riskConfiguration:RiskConfiguration",
        lambda _, inputs: str(inputs["userPoolId"]),
        lambda _made, _inputs: {},
        "userPoolId",
        "clientId",
    ),
    "aws:lb/loadBalancer:LoadBalancer": Recorded(
        "aws:lb/loadBalancer:LoadBalancer",
        _arn("elasticloadbalancing", "loadbalancer/app"),
        _balancer,
        "name",
        "internal",
        "loadBalancerType",
        taggable=True,
    ),
    "aws:lb/targetGroup:TargetGroup": Recorded(
        "aws:lb/targetGroup:TargetGroup",
        _arn("elasticloadbalancing", "targetgroup"),
        lambda made, _: {"arn": made, "arnSuffix": made.rpartition(":")[2]},
        "name",
        "port",
        "protocol",
        "vpcId",
        "targetType",
        taggable=True,
    ),
    "aws:lb/listener:Listener": Recorded(
        "aws:lb/listener:Listener",
        _listener,
        lambda made, _: {"arn": made},
        "loadBalancerArn",
        taggable=True,
    ),
    "aws:acm/certificateValidation:CertificateValidation": Recorded(
        "aws:acm/certificateValidation:CertificateValidation",
        lambda _, inputs: _digest(inputs["certificateArn"]),
        lambda _made, _inputs: {},
        "certificateArn",
    ),
    "aws:route53/record:Record": Recorded(
        "aws:route53/record:Record",
        lambda _, inputs: f"{inputs['zoneId']}_{inputs['name']}_{inputs['type']}",
        lambda _, inputs: {"fqdn": inputs["name"].rstrip(".")},
        "zoneId",
        "name",
        "type",
    ),
    "aws:ecs/service:Service": Recorded(
        "aws:ecs/service:Service",
        lambda cloud, inputs: (
            f"arn:aws:ecs:{cloud.region}:{cloud.account_id}:service/"
            f"{inputs['cluster'].rpartition('/')[2]}/{inputs['name']}"
        ),
        lambda made, _: {"arn": made},
        "name",
        "cluster",
        "launchType",
        taggable=True,
    ),
    "aws:appautoscaling/target:Target": Recorded(
        "aws:appautoscaling/target:Target",
        lambda _, inputs: inputs["resourceId"],
        lambda made, inputs: {"arn": f"{inputs['serviceNamespace']}:{made}"},
        "resourceId",
        "scalableDimension",
        "serviceNamespace",
        taggable=True,
    ),
    "aws:appautoscaling/policy:Policy": Recorded(
        "aws:appautoscaling/policy:Policy",
        lambda _, inputs: inputs["name"],
        lambda made, inputs: {"arn": f"{inputs['resourceId']}:{made}"},
        "name",
        "resourceId",
        "scalableDimension",
        "serviceNamespace",
    ),
    "aws:wafv2/webAcl:WebAcl": Recorded(
        "aws:wafv2/webAcl:WebAcl",
        _arn("wafv2", "regional/webacl"),
        lambda made, _: {"arn": made},
        "name",
        "scope",
        taggable=True,
    ),
    "aws:wafv2/webAclAssociation:WebAclAssociation": Recorded(
        "aws:wafv2/webAclAssociation:WebAclAssociation",
        lambda _, inputs: f"{inputs['webAclArn']},{inputs['resourceArn']}",
        lambda _made, _inputs: {},
        "webAclArn",
        "resourceArn",
    ),
    "aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration": Recorded(
        "aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration",
        lambda _, inputs: inputs["resourceArn"],
        lambda _made, _inputs: {},
        "resourceArn",
    ),
    "aws:ec2/flowLog:FlowLog": Recorded(
        "aws:ec2/flowLog:FlowLog",
        lambda _, inputs: f"fl-{_digest(inputs['vpcId'], inputs['logDestination'])}",
        lambda _made, _inputs: {},
        "vpcId",
        "trafficType",
        "logDestination",
        "logDestinationType",
        "iamRoleArn",
        "maxAggregationInterval",
        taggable=True,
    ),
    # Nothing costs here.
    "aws:budgets/budget:Budget": Recorded(
        "aws:budgets/budget:Budget",
        lambda cloud, inputs: f"{cloud.account_id}:{inputs['name']}",
        lambda made, inputs: {
            "accountId": made.partition(":")[0],
            "arn": f"arn:aws:budgets::{made.partition(':')[0]}:budget/{inputs['name']}",
        },
        "name",
        taggable=True,
    ),
    "aws:iot/loggingOptions:LoggingOptions": Recorded(
        "aws:iot/loggingOptions:LoggingOptions",
        lambda cloud, _: cloud.region,
        lambda _made, _inputs: {},
    ),
    "aws:sesv2/emailIdentity:EmailIdentity": Recorded(
        "aws:sesv2/emailIdentity:EmailIdentity",
        lambda cloud, inputs: (
            f"arn:aws:ses:{cloud.region}:{cloud.account_id}:identity/{inputs['emailIdentity']}"
        ),
        lambda made, _: {
            "arn": made,
            "dkimSigningAttributes": {"tokens": [_digest(made, number) for number in "123"]},
        },
        "emailIdentity",
        taggable=True,
    ),
}
