"""The calls that the AWS provider would make for the types that are only recorded here.

They are checked against the services' models like calls that are made: what AWS would refuse by
its shape fails here too. Names and order are those of the Terraform provider behind pulumi-aws.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from infra.local.cloud.limits.shapes import problems

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Call = tuple[str, str, dict[str, Any]]
    Calls = Callable[[str, dict[str, Any]], list[Call]]


class RefusedCallError(ValueError):
    """AWS would refuse a call for its shape."""


def check(calls: list[Call]) -> None:
    """Refuse what AWS would.

    Raises:
        RefusedCallError: names the operation and all that is wrong with its parameters.
    """
    for service, operation, parameters in calls:
        if found := problems(service, operation, parameters):
            raise RefusedCallError(f"{operation}: {'; '.join(found)}")


def _given(**parameters: Any) -> dict[str, Any]:
    return {name: value for name, value in parameters.items() if value is not None}


def _tags(inputs: dict[str, Any], key: str = "Key", value: str = "Value") -> Any:
    return [{key: name, value: text} for name, text in inputs.get("tags", {}).items()] or None


def _attributes(**values: Any) -> list[dict[str, str]]:
    return [
        {"Key": name.replace("__", "."), "Value": str(value).lower()}
        for name, value in values.items()
        if value is not None
    ]


def _load_balancer(made: str, inputs: dict[str, Any]) -> list[Call]:
    create = _given(
        Name=inputs.get("name"),
        Type=inputs.get("loadBalancerType"),
        Scheme="internal" if inputs.get("internal") else "internet-facing",
        Subnets=inputs.get("subnets"),
        SecurityGroups=inputs.get("securityGroups"),
        Tags=_tags(inputs),
    )
    logs = inputs.get("accessLogs") or {}
    attributes = _attributes(
        access_logs__s3__enabled=logs.get("enabled"),
        access_logs__s3__bucket=logs.get("bucket"),
        deletion_protection__enabled=inputs.get("enableDeletionProtection"),
        idle_timeout__timeout_seconds=inputs.get("idleTimeout"),
        routing__http__drop_invalid_header_fields__enabled=inputs.get("dropInvalidHeaderFields"),
    )
    modify = {"LoadBalancerArn": made, "Attributes": attributes}
    return [
        ("elbv2", "CreateLoadBalancer", create),
        ("elbv2", "ModifyLoadBalancerAttributes", modify),
    ]


def _target_group(made: str, inputs: dict[str, Any]) -> list[Call]:
    health = inputs.get("healthCheck", {})
    create = _given(
        Name=inputs.get("name"),
        Port=inputs.get("port"),
        Protocol=inputs.get("protocol"),
        VpcId=inputs.get("vpcId"),
        TargetType=inputs.get("targetType"),
        HealthCheckPath=health.get("path"),
        HealthCheckIntervalSeconds=health.get("interval"),
        HealthCheckTimeoutSeconds=health.get("timeout"),
        HealthyThresholdCount=health.get("healthyThreshold"),
        UnhealthyThresholdCount=health.get("unhealthyThreshold"),
        Matcher={"HttpCode": health["matcher"]} if "matcher" in health else None,
        Tags=_tags(inputs),
    )
    delay = _attributes(
        deregistration_delay__timeout_seconds=inputs.get("deregistrationDelay"),
    )
    modify = {"TargetGroupArn": made, "Attributes": delay}
    return [
        ("elbv2", "CreateTargetGroup", create),
        ("elbv2", "ModifyTargetGroupAttributes", modify),
    ]


def _listener(_made: str, inputs: dict[str, Any]) -> list[Call]:
    certificate = inputs.get("certificateArn")
    create = _given(
        LoadBalancerArn=inputs.get("loadBalancerArn"),
        Port=inputs.get("port"),
        Protocol=inputs.get("protocol"),
        SslPolicy=inputs.get("sslPolicy"),
        Certificates=[{"CertificateArn": certificate}] if certificate else None,
        DefaultActions=[_action(action) for action in inputs.get("defaultActions", [])],
        Tags=_tags(inputs),
    )
    return [("elbv2", "CreateListener", create)]


def _action(action: dict[str, Any]) -> dict[str, Any]:
    redirect = action.get("redirect")
    return _given(
        Type=action.get("type"),
        TargetGroupArn=action.get("targetGroupArn"),
        RedirectConfig=_given(
            Port=redirect.get("port"),
            Protocol=redirect.get("protocol"),
            StatusCode=redirect.get("statusCode"),
        )
        if redirect
        else None,
    )


def _validation(_made: str, inputs: dict[str, Any]) -> list[Call]:
    return [("acm", "DescribeCertificate", _given(CertificateArn=inputs.get("certificateArn")))]


def _record(_made: str, inputs: dict[str, Any]) -> list[Call]:
    aliases = [
        _given(
            HostedZoneId=alias.get("zoneId"),
            DNSName=alias.get("name"),
            EvaluateTargetHealth=alias.get("evaluateTargetHealth"),
        )
        for alias in inputs.get("aliases", [])
    ]
    values = [{"Value": value} for value in inputs.get("records", [])]
    record = _given(
        Name=inputs.get("name"),
        Type=inputs.get("type"),
        TTL=inputs.get("ttl"),
        ResourceRecords=values or None,
        AliasTarget=aliases[0] if aliases else None,
    )
    action = "UPSERT" if inputs.get("allowOverwrite") else "CREATE"
    batch = {"Changes": [{"Action": action, "ResourceRecordSet": record}]}
    parameters = _given(HostedZoneId=inputs.get("zoneId"), ChangeBatch=batch)
    return [("route53", "ChangeResourceRecordSets", parameters)]


def _service(_made: str, inputs: dict[str, Any]) -> list[Call]:
    breaker = inputs.get("deploymentCircuitBreaker")
    network = inputs.get("networkConfiguration", {})
    alarms = inputs.get("alarms")
    create = _given(
        serviceName=inputs.get("name"),
        cluster=inputs.get("cluster"),
        taskDefinition=inputs.get("taskDefinition"),
        launchType=inputs.get("launchType"),
        desiredCount=inputs.get("desiredCount"),
        healthCheckGracePeriodSeconds=inputs.get("healthCheckGracePeriodSeconds"),
        deploymentConfiguration=_given(
            minimumHealthyPercent=inputs.get("deploymentMinimumHealthyPercent"),
            maximumPercent=inputs.get("deploymentMaximumPercent"),
            deploymentCircuitBreaker=breaker,
            alarms=alarms
            and _given(
                alarmNames=alarms.get("alarmNames"),
                enable=alarms.get("enable"),
                rollback=alarms.get("rollback"),
            ),
        ),
        networkConfiguration={
            "awsvpcConfiguration": _given(
                subnets=network.get("subnets"),
                securityGroups=network.get("securityGroups"),
                assignPublicIp="ENABLED" if network.get("assignPublicIp") else "DISABLED",
            )
        },
        loadBalancers=inputs.get("loadBalancers"),
        tags=_tags(inputs, "key", "value"),
    )
    return [("ecs", "CreateService", create)]


def _scaled(inputs: dict[str, Any]) -> dict[str, Any]:
    return _given(
        ServiceNamespace=inputs.get("serviceNamespace"),
        ScalableDimension=inputs.get("scalableDimension"),
        ResourceId=inputs.get("resourceId"),
    )


def _scaling_target(_made: str, inputs: dict[str, Any]) -> list[Call]:
    limits = _given(MinCapacity=inputs.get("minCapacity"), MaxCapacity=inputs.get("maxCapacity"))
    tags = _given(Tags=inputs.get("tags") or None)
    parameters = _scaled(inputs) | limits | tags
    return [("application-autoscaling", "RegisterScalableTarget", parameters)]


def _scaling_policy(_made: str, inputs: dict[str, Any]) -> list[Call]:
    tracking = inputs.get("targetTrackingScalingPolicyConfiguration", {})
    metric = tracking.get("predefinedMetricSpecification", {})
    parameters = _scaled(inputs) | _given(
        PolicyName=inputs.get("name"),
        PolicyType=inputs.get("policyType"),
        TargetTrackingScalingPolicyConfiguration=_given(
            TargetValue=tracking.get("targetValue"),
            ScaleInCooldown=tracking.get("scaleInCooldown"),
            ScaleOutCooldown=tracking.get("scaleOutCooldown"),
            PredefinedMetricSpecification=_given(
                PredefinedMetricType=metric.get("predefinedMetricType"),
                ResourceLabel=metric.get("resourceLabel"),
            ),
        ),
    )
    return [("application-autoscaling", "PutScalingPolicy", parameters)]


def _risk_configuration(_: str, inputs: dict[str, Any]) -> list[Call]:
    takeover = inputs.get("accountTakeoverRiskConfiguration", {}).get("actions", {})
    stolen = inputs.get("compromisedCredentialsRiskConfiguration", {}).get("actions", {})
    parameters = _given(
        UserPoolId=inputs.get("userPoolId"),
        AccountTakeoverRiskConfiguration={
            "Actions": {
                f"{level.capitalize()}Action": {
                    "EventAction": takeover[f"{level}Action"]["eventAction"],
                    "Notify": takeover[f"{level}Action"]["notify"],
                }
                for level in ("low", "medium", "high")
                if f"{level}Action" in takeover
            }
        },
        CompromisedCredentialsRiskConfiguration={
            "Actions": {"EventAction": stolen.get("eventAction")}
        },
    )
    return [("cognito-idp", "SetRiskConfiguration", parameters)]


def _web_acl(_made: str, inputs: dict[str, Any]) -> list[Call]:
    told = {key: value for key, value in inputs.items() if key not in {"tags", "__defaults"}}
    bodies = {
        body["key"]: {"ContentType": body["contentType"], "Content": body["content"]}
        for body in told.pop("customResponseBodies", [])
    }
    create = _given(**_as_waf(told), CustomResponseBodies=bodies or None, Tags=_tags(inputs))
    return [("wafv2", "CreateWebACL", create)]


def _web_acl_association(_made: str, inputs: dict[str, Any]) -> list[Call]:
    both = _given(WebACLArn=inputs.get("webAclArn"), ResourceArn=inputs.get("resourceArn"))
    return [("wafv2", "AssociateWebACL", both)]


def _web_acl_log(_made: str, inputs: dict[str, Any]) -> list[Call]:
    told = {key: value for key, value in inputs.items() if key != "__defaults"}
    return [("wafv2", "PutLoggingConfiguration", {"LoggingConfiguration": _as_waf(told)})]


def _as_waf(value: Any) -> Any:
    """WAF's names are the provider's with a capital letter, but for `CloudWatch`."""
    if isinstance(value, dict):
        members = cast("dict[str, Any]", value)
        return {
            (key[:1].upper() + key[1:]).replace("Cloudwatch", "CloudWatch"): _as_waf(member)
            for key, member in members.items()
        }
    if isinstance(value, list):
        return [_as_waf(member) for member in cast("list[Any]", value)]
    return value


def _flow_log(_made: str, inputs: dict[str, Any]) -> list[Call]:
    create = _given(
        ResourceIds=[inputs["vpcId"]],
        ResourceType="VPC",
        TrafficType=inputs.get("trafficType"),
        LogDestinationType=inputs.get("logDestinationType"),
        LogDestination=inputs.get("logDestination"),
        DeliverLogsPermissionArn=inputs.get("iamRoleArn"),
        MaxAggregationInterval=inputs.get("maxAggregationInterval"),
        TagSpecifications=[{"ResourceType": "vpc-flow-log", "Tags": _tags(inputs) or []}],
    )
    return [("ec2", "CreateFlowLogs", create)]


def _iot_log(_made: str, inputs: dict[str, Any]) -> list[Call]:
    options = _given(
        defaultLogLevel=inputs.get("defaultLogLevel"),
        disableAllLogs=inputs.get("disableAllLogs"),
        roleArn=inputs.get("roleArn"),
    )
    return [("iot", "SetV2LoggingOptions", options)]


def _identity(_made: str, inputs: dict[str, Any]) -> list[Call]:
    create = _given(EmailIdentity=inputs.get("emailIdentity"), Tags=_tags(inputs))
    return [("sesv2", "CreateEmailIdentity", create)]


def _budget(made: str, inputs: dict[str, Any]) -> list[Call]:
    account, _, name = made.partition(":")
    types = inputs.get("costTypes", {})
    budget = _given(
        BudgetName=name,
        BudgetType=inputs.get("budgetType"),
        TimeUnit=inputs.get("timeUnit"),
        BudgetLimit={"Amount": inputs.get("limitAmount"), "Unit": inputs.get("limitUnit")},
        CostTypes={key[:1].upper() + key[1:]: value for key, value in _plain(types)},
    )
    tags = _tags(inputs)
    create = _given(AccountId=account, Budget=budget, ResourceTags=tags)
    return [("budgets", "CreateBudget", create)] + [
        (
            "budgets",
            "CreateNotification",
            {
                "AccountId": account,
                "BudgetName": name,
                "Notification": _given(
                    NotificationType=told.get("notificationType"),
                    ComparisonOperator=told.get("comparisonOperator"),
                    Threshold=told.get("threshold"),
                    ThresholdType=told.get("thresholdType"),
                ),
                "Subscribers": [
                    {"SubscriptionType": "SNS", "Address": topic}
                    for topic in told.get("subscriberSnsTopicArns", [])
                ],
            },
        )
        for told in inputs.get("notifications", [])
    ]


def _plain(members: dict[str, Any]) -> list[tuple[str, Any]]:
    """What the program has set, without the engine's own word of it."""
    return [(key, value) for key, value in members.items() if key != "__defaults"]


CALLS: Final[Mapping[str, Calls]] = {
    "aws:lb/loadBalancer:LoadBalancer": _load_balancer,
    "aws:lb/targetGroup:TargetGroup": _target_group,
    "aws:lb/listener:Listener": _listener,
    "aws:acm/certificateValidation:CertificateValidation": _validation,
    "aws:route53/record:Record": _record,
    "aws:ecs/service:Service": _service,
    "aws:appautoscaling/target:Target": _scaling_target,
    "aws:appautoscaling/policy:Policy": _scaling_policy,
    "aws:cognito/riskConfiguration:RiskConfiguration": _risk_configuration,
    "aws:wafv2/webAcl:WebAcl": _web_acl,
    "aws:wafv2/webAclAssociation:WebAclAssociation": _web_acl_association,
    "aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration": _web_acl_log,
    "aws:ec2/flowLog:FlowLog": _flow_log,
    "aws:iot/loggingOptions:LoggingOptions": _iot_log,
    "aws:sesv2/emailIdentity:EmailIdentity": _identity,
    "aws:budgets/budget:Budget": _budget,
}
