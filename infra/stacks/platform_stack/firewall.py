"""Before a token is looked at: a bound on what one address asks, and AWS's managed rules."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pulumi
import pulumi_aws as aws

from infra import names
from infra.stacks import iam

if TYPE_CHECKING:
    from infra.stacks.config.limits import FirewallMode, LogDays
    from infra.stacks.platform_stack.balancer import Balancer

WINDOW_SECONDS: Final = 60
COUNTED: Final = {
    "NoUserAgent_HEADER": "a device enrols without one (device_sdk/.../enrollment/service.py)",
    "SizeRestrictions_BODY": "it blocks over 8 KB, and plans, registrations and replays are larger;"
    " the service bounds each and answers 413 in words",
    "SizeRestrictions_QUERYSTRING": "it blocks over 2,048 bytes, which cursor and filter may have",
    "RestrictedExtensions_URIPATH": "a package may be called `boot.ini` or `app.log`",
    "RestrictedExtensions_QUERYARGUMENTS": "so may a file that is looked for",
    "GenericLFI_BODY": "a command's arguments are its maker's: a path is no fault",
    "GenericRFI_BODY": "nor is the address of a host in a plant, `http://192.168.1.10/`",
    "CrossSiteScripting_BODY": "nor is markup for a display; the console shows text alone",
}
"""Rules of the core rule set that would refuse what tenants and devices rightly send: they count,
and block nothing (source: WAF developer guide, "Baseline rule groups", "Core rule set")."""
_GROUPS: Final[dict[str, dict[str, str]]] = {
    # Addresses that AWS has seen attack. Not `AWSManagedRulesAnonymousIpList`: it names hosting
    # providers, where machines of tenants run.
    "AWSManagedRulesAmazonIpReputationList": {},
    "AWSManagedRulesCommonRuleSet": COUNTED,
    "AWSManagedRulesKnownBadInputsRuleSet": {},
}
_TOO_OFTEN: Final = "too-often"
METRIC: Final = "cedarfleet"
"""Of the web ACL; its name too, since AWS's pages call the metrics' dimension by either."""
RATE: Final = "rate-of-an-address"
"""The rule of what one address asks, and its metric."""


@dataclass(frozen=True, kw_only=True)
class FirewallArgs:
    """What stands behind it, and how it is set.

    Attributes:
        balancer: before which it stands.
        mode: whether it blocks what its rules match, or only counts it.
        requests: of one address, in a minute, before the next is refused.
        log_days: how long its lines are kept.
        account_id: twelve digits.
        region: AWS region.
    """

    balancer: Balancer
    mode: FirewallMode
    requests: int
    log_days: LogDays
    account_id: pulumi.Output[str]
    region: str


class Firewall(pulumi.ComponentResource):
    """Web ACL before the load balancer, and a log of what it refused or counted.

    It sees the first 8 KB of a body (source: WAF developer guide, "Considerations for managing body
    inspection": "For Application Load Balancer [...] the limit is fixed at 8 KB"). Files of tenants
    and devices go to S3 and never pass here. If AWS cannot ask the firewall, the load balancer
    answers 500 and lets nothing through: fail closed, and AWS's default (source: Elastic Load
    Balancing, "waf.fail_open.enabled").
    """

    def __init__(
        self, name: str, args: FirewallArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("cedarfleet:platform:Firewall", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        acl = aws.wafv2.WebAcl(
            f"{name}-rules",
            name=METRIC,
            description="before the API: a rate of each address, and managed rules",
            scope="REGIONAL",
            default_action={"allow": {}},
            custom_response_bodies=[
                {"key": _TOO_OFTEN, "content_type": "APPLICATION_JSON", "content": too_often()}
            ],
            rules=rules(requests=args.requests, mode=args.mode),
            visibility_config=_visible(METRIC),
            opts=child,
        )
        aws.wafv2.WebAclAssociation(
            f"{name}-before-the-balancer",
            resource_arn=args.balancer.arn,
            web_acl_arn=acl.arn,
            opts=child,
        )
        self._log(name, args, acl)
        self.register_outputs({})

    def _log(self, name: str, args: FirewallArgs, acl: aws.wafv2.WebAcl) -> None:
        child = pulumi.ResourceOptions(parent=self)
        log = aws.cloudwatch.LogGroup(
            f"{name}-log",
            name=names.FIREWALL_LOG,
            retention_in_days=args.log_days,
            opts=child,
        )
        # A policy of its own: the one that WAF writes by itself grows with each web ACL that ever
        # was, until it is full (source: registry documentation, WebAclLoggingConfiguration).
        written = aws.cloudwatch.LogResourcePolicy(
            f"{name}-log",
            policy_name="cedarfleet-firewall",
            policy_document=pulumi.Output.all(log.arn, args.account_id).apply(
                lambda known: json.dumps(
                    log_policy(log_group_arn=known[0], account_id=known[1], region=args.region)
                )
            ),
            opts=child,
        )
        # A line has the request's headers and query (source: WAF developer guide, "Log fields"): no
        # token, and no code of a sign-in, may be in it.
        aws.wafv2.WebAclLoggingConfiguration(
            f"{name}-log",
            resource_arn=acl.arn,
            log_destination_configs=[log.arn],
            redacted_fields=[
                {"single_header": {"name": "authorization"}},
                {"single_header": {"name": "cookie"}},
                {"query_string": {}},
            ],
            logging_filter={
                "default_behavior": "DROP",
                "filters": [
                    {
                        "behavior": "KEEP",
                        "requirement": "MEETS_ANY",
                        "conditions": [
                            {"action_condition": {"action": action}}
                            for action in ("BLOCK", "COUNT")
                        ],
                    }
                ],
            },
            opts=pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(depends_on=[written])),
        )


def log_policy(*, log_group_arn: str, account_id: str, region: str) -> iam.Document:
    """Web ACLs of this account in this region write lines into the one log group.

    Source: WAF developer guide, "Sending web ACL traffic logs to a CloudWatch Logs log group",
    permissions; CloudWatch Logs user guide, "Enable logging from AWS services".
    """
    return iam.document(
        iam.allow_service(
            "WriteLines",
            "delivery.logs.amazonaws.com",
            ["logs:CreateLogStream", "logs:PutLogEvents"],
            f"{log_group_arn}:*",
            when={
                "StringEquals": {"aws:SourceAccount": account_id},
                "ArnLike": {"aws:SourceArn": f"arn:aws:logs:{region}:{account_id}:*"},
            },
        )
    )


def too_often() -> str:
    """What an address is told that asks too often: a problem document, as the service's own."""
    return json.dumps(
        {
            "type": "urn:cedarfleet:problem:address-over-rate",
            "title": "Too Many Requests",
            "status": 429,
            "detail": "this address asks more often than the platform lets one address ask",
        }
    )


def rules(*, requests: int, mode: FirewallMode) -> list[Any]:
    """The rate of an address first, so that nothing else is paid for it, then AWS's groups.

    Args:
        requests: of one address, in a minute.
        mode: whether a match blocks, or only counts.
    """
    managed = (_managed(priority, group, mode) for priority, group in enumerate(_GROUPS, start=1))
    return [_rate(requests=requests, mode=mode), *managed]


def _rate(*, requests: int, mode: FirewallMode) -> dict[str, Any]:
    refused = {
        "custom_response": {
            "response_code": 429,
            "custom_response_body_key": _TOO_OFTEN,
            "response_headers": [{"name": "Retry-After", "value": str(WINDOW_SECONDS)}],
        }
    }
    return {
        "name": RATE,
        "priority": 0,
        "action": {"block": refused} if mode == "block" else {"count": {}},
        "statement": {
            "rate_based_statement": {
                "aggregate_key_type": "IP",
                "evaluation_window_sec": WINDOW_SECONDS,
                "limit": requests,
            }
        },
        "visibility_config": _visible(RATE),
    }


def _managed(priority: int, group: str, mode: FirewallMode) -> dict[str, Any]:
    return {
        "name": group,
        "priority": priority,
        "override_action": {"none": {}} if mode == "block" else {"count": {}},
        "statement": {
            "managed_rule_group_statement": {
                "vendor_name": "AWS",
                "name": group,
                "rule_action_overrides": [
                    {"name": rule, "action_to_use": {"count": {}}} for rule in _GROUPS[group]
                ],
            }
        },
        "visibility_config": _visible(group),
    }


def _visible(metric: str) -> Any:
    # No samples: AWS keeps them for three hours with all their headers, the token too.
    return {
        "cloudwatch_metrics_enabled": True,
        "metric_name": metric,
        "sampled_requests_enabled": False,
    }
