"""CloudWatch alarms and the SNS topics they are sent to."""

# ruff: noqa: A002 - `id` is Pulumi's word, and the engine's

from __future__ import annotations

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


class MetricAlarm(Handler):
    """`aws.cloudwatch.MetricAlarm` on one metric."""

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
        if differ(old, inputs, "dimensions", *_ALARM):
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


def _alarm(inputs: dict[str, Any]) -> dict[str, Any]:
    return {
        "AlarmName": inputs["name"],
        "Dimensions": [
            {"Name": name, "Value": value}
            for name, value in sorted(inputs.get("dimensions", {}).items())
        ],
        **{name: inputs[key] for key, name in _ALARM.items() if key in inputs},
    }


def _whole(value: Any) -> Any:
    """CloudWatch answers 10.0 for the 10 that it was given."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


HANDLERS: Final[Mapping[str, Handler]] = {
    "aws:cloudwatch/metricAlarm:MetricAlarm": MetricAlarm(),
    "aws:sns/topic:Topic": Topic(),
}
