"""SQS: queues."""

# ruff: noqa: A002 - `id` is Pulumi's word, and the engine's

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from infra.local.engine.handler import Handler, Made
from infra.local.resources.absence import absent_is_fine, unless_absent
from infra.local.resources.iam import same_json
from infra.local.resources.tags import changed, differ, plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.local.engine.handler import Cloud


_ATTRIBUTES: Final = {
    "messageRetentionSeconds": "MessageRetentionPeriod",
    "visibilityTimeoutSeconds": "VisibilityTimeout",
    "redrivePolicy": "RedrivePolicy",
    "sqsManagedSseEnabled": "SqsManagedSseEnabled",
}


class Queue(Handler):
    """`aws.sqs.Queue`; its id is its URL."""

    replace_on = frozenset({"name", "fifoQueue"})
    autoname = "name"
    taggable = True

    def create(self, cloud: Cloud, inputs: dict[str, Any]) -> Made:
        """CreateQueue."""
        client = cloud.client("sqs")
        url = client.create_queue(
            QueueName=inputs["name"], Attributes=_attributes(inputs), tags=plain(inputs)
        )["QueueUrl"]
        arn = client.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"][
            "QueueArn"
        ]
        return Made(url, {**inputs, "arn": arn, "url": url})

    def update(
        self, cloud: Cloud, id: str, old: dict[str, Any], inputs: dict[str, Any]
    ) -> dict[str, Any]:
        """SetQueueAttributes."""
        client = cloud.client("sqs")
        if differ(old, inputs, *_ATTRIBUTES):
            client.set_queue_attributes(QueueUrl=id, Attributes=_attributes(inputs))
        if tags := plain(inputs):
            client.tag_queue(QueueUrl=id, Tags=tags)
        if gone := changed(old, inputs):
            client.untag_queue(QueueUrl=id, TagKeys=gone)
        return {**old, **inputs}

    def read(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> dict[str, Any] | None:
        """GetQueueAttributes; what somebody else has changed shows."""
        answer = unless_absent(
            cloud.client("sqs").get_queue_attributes, QueueUrl=id, AttributeNames=["All"]
        )
        if answer is None:
            return None
        now = answer["Attributes"]
        found = {**outputs, "url": id, "arn": now["QueueArn"]}
        for key in ("messageRetentionSeconds", "visibilityTimeoutSeconds"):
            if key in outputs:
                found[key] = int(now[_ATTRIBUTES[key]])
        if "redrivePolicy" in outputs:
            found["redrivePolicy"] = same_json(
                outputs["redrivePolicy"], now.get("RedrivePolicy", "")
            )
        if "sqsManagedSseEnabled" in outputs and "SqsManagedSseEnabled" in now:
            found["sqsManagedSseEnabled"] = now["SqsManagedSseEnabled"] == "true"
        return found

    def delete(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> None:
        """DeleteQueue."""
        del outputs
        with absent_is_fine():
            cloud.client("sqs").delete_queue(QueueUrl=id)


def _attributes(inputs: dict[str, Any]) -> dict[str, str]:
    return {
        name: str(inputs[key]).lower() if isinstance(inputs[key], bool) else str(inputs[key])
        for key, name in _ATTRIBUTES.items()
        if key in inputs
    }


HANDLERS: Final[Mapping[str, Handler]] = {"aws:sqs/queue:Queue": Queue()}
