"""CloudWatch alarms, the SNS topics they are sent to, and who may publish there."""

# ruff: noqa: A002 - `id` is Pulumi's word, and the engine's

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from infra.local.engine.handler import Handler, Made
from infra.local.resources.absence import absent_is_fine, unless_absent
from infra.local.resources.tags import changed, differ, pairs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.local.engine.handler import Cloud

_ALARM: Final = {
    "alarmDescription": "AlarmDescription",
    "namespace": "Namespace",
    "metricName": "MetricName",
    "statistic": "Statistic",
    "comparisonOperator": "ComparisonOperator",
    "threshold": "Threshold",
    "period": "Period",
    "evaluationPeriods": "EvaluationPeriods",
    "datapointsToAlarm": "DatapointsToAlarm",
    "treatMissingData": "TreatMissingData",
    "alarmActions": "AlarmActions",
    "okActions": "OKActions",
}
_QUERY: Final = {"id": "Id", "expression": "Expression", "label": "Label", "period": "Period"}


class MetricAlarm(Handler):
    """`aws.cloudwatch.MetricAlarm` on one metric, or on an expression of some."""

    replace_on = frozenset({"name"})
    autoname = "name"
    taggable = True

    def create(self, cloud: Cloud, inputs: dict[str, Any]) -> Made:
        """PutMetricAlarm."""
        cloud.client("cloudwatch").put_metric_alarm(Tags=pairs(inputs), **_alarm(inputs))
        arn = f"arn:aws:cloudwatch:{cloud.region}:{cloud.account_id}:alarm:{inputs['name']}"
        return Made(inputs["name"], {**inputs, "arn": arn})

    def update(
        self, cloud: Cloud, id: str, old: dict[str, Any], inputs: dict[str, Any]
    ) -> dict[str, Any]:
        """PutMetricAlarm overwrites all but the tags, which have calls of their own.

        Source: CloudWatch API reference, PutMetricAlarm: of an existing alarm "any tags you specify
        in this parameter are ignored".
        """
        del id
        client = cloud.client("cloudwatch")
        if differ(old, inputs, "dimensions", "metricQueries", *_ALARM):
            client.put_metric_alarm(**_alarm(inputs))
        if tags := pairs(inputs):
            client.tag_resource(ResourceARN=old["arn"], Tags=tags)
        if gone := changed(old, inputs):
            client.untag_resource(ResourceARN=old["arn"], TagKeys=gone)
        return {**old, **inputs}

    def read(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> dict[str, Any] | None:
        """DescribeAlarms; whatever somebody else has changed shows."""
        alarms = cloud.client("cloudwatch").describe_alarms(AlarmNames=[id])["MetricAlarms"]
        if not alarms:
            return None
        now, found = alarms[0], dict(outputs)
        for key, name in _ALARM.items():
            if key in outputs and name in now:
                found[key] = _whole(now[name])
        if "metricQueries" in outputs and "Metrics" in now:
            found["metricQueries"] = [_query(one) for one in now["Metrics"]]
        if "dimensions" in outputs:
            found["dimensions"] = {each["Name"]: each["Value"] for each in now["Dimensions"]}
        return found

    def delete(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> None:
        """DeleteAlarms."""
        del outputs
        with absent_is_fine():
            cloud.client("cloudwatch").delete_alarms(AlarmNames=[id])


class Topic(Handler):
    """`aws.sns.Topic`; its id is its ARN."""

    replace_on = frozenset({"name", "fifoTopic"})
    autoname = "name"
    taggable = True

    def create(self, cloud: Cloud, inputs: dict[str, Any]) -> Made:
        """CreateTopic."""
        arn = cloud.client("sns").create_topic(Name=inputs["name"], Tags=pairs(inputs))["TopicArn"]
        return Made(arn, {**inputs, "arn": arn, "owner": cloud.account_id})

    def update(
        self, cloud: Cloud, id: str, old: dict[str, Any], inputs: dict[str, Any]
    ) -> dict[str, Any]:
        """Only tags change in place."""
        client = cloud.client("sns")
        if tags := pairs(inputs):
            client.tag_resource(ResourceArn=id, Tags=tags)
        if gone := changed(old, inputs):
            client.untag_resource(ResourceArn=id, TagKeys=gone)
        return {**old, **inputs}

    def read(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> dict[str, Any] | None:
        """GetTopicAttributes."""
        return (
            None
            if unless_absent(cloud.client("sns").get_topic_attributes, TopicArn=id) is None
            else outputs
        )

    def delete(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> None:
        """DeleteTopic."""
        del outputs
        with absent_is_fine():
            cloud.client("sns").delete_topic(TopicArn=id)


class TopicPolicy(Handler):
    """`aws.sns.TopicPolicy`; its id is the topic's ARN."""

    replace_on = frozenset({"arn"})

    def create(self, cloud: Cloud, inputs: dict[str, Any]) -> Made:
        """SetTopicAttributes writes over whatever policy the topic has."""
        _write_policy(cloud, inputs["arn"], inputs["policy"])
        return Made(inputs["arn"], {**inputs, "owner": cloud.account_id})

    def update(
        self, cloud: Cloud, id: str, old: dict[str, Any], inputs: dict[str, Any]
    ) -> dict[str, Any]:
        """As `create`."""
        del id
        return {**old, **self.create(cloud, inputs).outputs}

    def read(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> dict[str, Any] | None:
        """GetTopicAttributes; the document as it was written, if it says the same."""
        answer = unless_absent(cloud.client("sns").get_topic_attributes, TopicArn=id)
        if answer is None or not (now := answer["Attributes"].get("Policy")):
            return None
        known = outputs.get("policy")
        same = known is not None and json.loads(known) == json.loads(now)
        return {**outputs, "arn": id, "policy": known if same else now}

    def delete(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> None:
        """A topic always has one: the provider writes the one that SNS gives at first."""
        del outputs
        with absent_is_fine():
            _write_policy(cloud, id, _policy_at_first(id, cloud.account_id))


def _write_policy(cloud: Cloud, topic: str, policy: str) -> None:
    cloud.client("sns").set_topic_attributes(
        TopicArn=topic, AttributeName="Policy", AttributeValue=policy
    )


def _policy_at_first(topic: str, account: str) -> str:
    """What comes for its owner may use it (source: SNS developer guide, "Example cases")."""
    actions = [
        "GetTopicAttributes",
        "SetTopicAttributes",
        "AddPermission",
        "RemovePermission",
        "DeleteTopic",
        "Subscribe",
        "ListSubscriptionsByTopic",
        "Publish",
        "Receive",
    ]
    statement = {
        "Sid": "__default_statement_ID",
        "Effect": "Allow",
        "Principal": {"AWS": "*"},
        "Action": [f"SNS:{action}" for action in actions],
        "Resource": topic,
        "Condition": {"StringEquals": {"AWS:SourceOwner": account}},
    }
    return json.dumps(
        {"Version": "2008-10-17", "Id": "__default_policy_ID", "Statement": [statement]}
    )


def _alarm(inputs: dict[str, Any]) -> dict[str, Any]:
    """What PutMetricAlarm is given; beside `Metrics` it takes no dimensions of its own."""
    queries = inputs.get("metricQueries")
    return {
        "AlarmName": inputs["name"],
        **(
            {"Metrics": [_asked(one) for one in queries]}
            if queries
            else {"Dimensions": _pairs(inputs.get("dimensions", {}))}
        ),
        **{name: inputs[key] for key, name in _ALARM.items() if key in inputs},
    }


def _asked(query: dict[str, Any]) -> dict[str, Any]:
    """A query as the API has it."""
    asked = {name: query[key] for key, name in _QUERY.items() if key in query}
    asked["ReturnData"] = query.get("returnData", False)
    if "metric" in query:
        metric = query["metric"]
        asked["MetricStat"] = {
            "Metric": {
                "Namespace": metric["namespace"],
                "MetricName": metric["metricName"],
                "Dimensions": _pairs(metric.get("dimensions", {})),
            },
            "Period": metric["period"],
            "Stat": metric["stat"],
        }
    return asked


def _query(asked: dict[str, Any]) -> dict[str, Any]:
    """A query as the resource has it."""
    query = {key: asked[name] for key, name in _QUERY.items() if name in asked}
    if asked.get("ReturnData"):
        query["returnData"] = True
    if "MetricStat" in asked:
        stat = asked["MetricStat"]
        query["metric"] = {
            "namespace": stat["Metric"]["Namespace"],
            "metricName": stat["Metric"]["MetricName"],
            "dimensions": {one["Name"]: one["Value"] for one in stat["Metric"]["Dimensions"]},
            "period": _whole(stat["Period"]),
            "stat": stat["Stat"],
        }
    return query


def _pairs(dimensions: dict[str, str]) -> list[dict[str, str]]:
    return [{"Name": name, "Value": value} for name, value in sorted(dimensions.items())]


def _whole(value: Any) -> Any:
    """CloudWatch answers 10.0 for the 10 that it was given."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


HANDLERS: Final[Mapping[str, Handler]] = {
    "aws:cloudwatch/metricAlarm:MetricAlarm": MetricAlarm(),
    "aws:sns/topic:Topic": Topic(),
    "aws:sns/topicPolicy:TopicPolicy": TopicPolicy(),
}
