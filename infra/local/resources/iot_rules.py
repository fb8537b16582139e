"""IoT Core's rules: a topic rule with the actions that the program uses."""

# ruff: noqa: A002 - `id` is Pulumi's word, and the engine's

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from infra.local.engine.handler import Handler, Made
from infra.local.resources.absence import is_absent
from infra.local.resources.tags import differ, retag

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.local.engine.handler import Cloud

from botocore.exceptions import ClientError

_KNOWN: Final = frozenset(
    {
        "name",
        "description",
        "enabled",
        "sql",
        "sqlVersion",
        "dynamodbv2s",
        "firehoses",
        "sqs",
        "errorAction",
        "tags",
        "region",
    }
)


class TopicRule(Handler):
    """`aws.iot.TopicRule` with DynamoDBv2, Firehose and SQS actions, and an SQS error action."""

    replace_on = frozenset({"name"})
    taggable = True

    def create(self, cloud: Cloud, inputs: dict[str, Any]) -> Made:
        """CreateTopicRule."""
        payload = _payload(inputs)
        cloud.client("iot").create_topic_rule(ruleName=inputs["name"], topicRulePayload=payload)
        arn = f"arn:aws:iot:{cloud.region}:{cloud.account_id}:rule/{inputs['name']}"
        retag(cloud.client("iot"), arn, {}, inputs)
        return Made(inputs["name"], {**inputs, "arn": arn})

    def update(
        self, cloud: Cloud, id: str, old: dict[str, Any], inputs: dict[str, Any]
    ) -> dict[str, Any]:
        """ReplaceTopicRule: no message is missed in between; and the tags."""
        if differ(old, inputs, *_KNOWN - {"name", "tags", "region"}):
            cloud.client("iot").replace_topic_rule(ruleName=id, topicRulePayload=_payload(inputs))
        retag(cloud.client("iot"), old["arn"], old, inputs)
        return {**old, **inputs}

    def read(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> dict[str, Any] | None:
        """GetTopicRule; what somebody else has changed shows.

        AWS says UnauthorizedException for a rule that does not exist.
        """
        try:
            rule = cloud.client("iot").get_topic_rule(ruleName=id)["rule"]
        except ClientError as error:
            if (
                is_absent(error)
                or error.response.get("Error", {}).get("Code") == "UnauthorizedException"
            ):
                return None
            raise
        found: dict[str, Any] = {
            **outputs,
            "name": id,
            "sql": rule["sql"],
            "sqlVersion": rule.get("awsIotSqlVersion", outputs.get("sqlVersion")),
            "description": rule.get("description", ""),
            "enabled": not rule.get("ruleDisabled", False),
        }
        # Of the actions, whatever differs from what is known shows as it is in the cloud.
        wanted = _payload({name: outputs[name] for name in _KNOWN if name in outputs})
        if rule.get("actions", []) != wanted["actions"]:
            found["sqs" if "sqs" in outputs else "dynamodbv2s"] = rule.get("actions", [])
        if rule.get("errorAction") != wanted.get("errorAction"):
            found["errorAction"] = rule.get("errorAction")
        return found

    def delete(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> None:
        """DeleteTopicRule; for a rule that is gone AWS says only that it is denied."""
        if self.read(cloud, id, outputs) is not None:
            cloud.client("iot").delete_topic_rule(ruleName=id)


def _payload(inputs: dict[str, Any]) -> dict[str, Any]:
    if unknown := inputs.keys() - _KNOWN - {"__defaults"}:
        raise ValueError(f"the embedded cloud runs no rule with {', '.join(sorted(unknown))}")
    payload: dict[str, Any] = {
        "sql": inputs["sql"],
        "awsIotSqlVersion": inputs["sqlVersion"],
        "description": inputs.get("description", ""),
        "ruleDisabled": not inputs["enabled"],
        "actions": [
            {
                "dynamoDBv2": {
                    "roleArn": action["roleArn"],
                    "putItem": {"tableName": action["putItem"]["tableName"]},
                }
            }
            for action in inputs.get("dynamodbv2s", [])
        ]
        + [_to_stream(stream) for stream in inputs.get("firehoses", [])]
        + [_to_queue(queue) for queue in inputs.get("sqs", [])],
    }
    if queue := inputs.get("errorAction", {}).get("sqs"):
        payload["errorAction"] = _to_queue(queue)
    return payload


def _to_queue(queue: dict[str, Any]) -> dict[str, Any]:
    return {
        "sqs": {
            "roleArn": queue["roleArn"],
            "queueUrl": queue["queueUrl"],
            "useBase64": queue.get("useBase64", False),
        }
    }


def _to_stream(stream: dict[str, Any]) -> dict[str, Any]:
    return {
        "firehose": {
            "roleArn": stream["roleArn"],
            "deliveryStreamName": stream["deliveryStreamName"],
            "separator": stream["separator"],
        }
    }


HANDLERS: Final[Mapping[str, Handler]] = {"aws:iot/topicRule:TopicRule": TopicRule()}
