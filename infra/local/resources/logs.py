"""CloudWatch Logs: log groups, and who of AWS may write into them."""

# ruff: noqa: A002 - `id` is Pulumi's word, and the engine's

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from infra.local.engine.handler import Handler, Made
from infra.local.resources.absence import absent_is_fine
from infra.local.resources.tags import changed, differ, plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.local.engine.handler import Cloud


class LogGroup(Handler):
    """`aws.cloudwatch.LogGroup`."""

    replace_on = frozenset({"name"})
    autoname = "name"
    taggable = True

    def create(self, cloud: Cloud, inputs: dict[str, Any]) -> Made:
        """CreateLogGroup, then the retention."""
        cloud.client("logs").create_log_group(logGroupName=inputs["name"], tags=plain(inputs))
        if inputs.get("retentionInDays"):
            self._retain(cloud, inputs)
        arn = f"arn:aws:logs:{cloud.region}:{cloud.account_id}:log-group:{inputs['name']}"
        return Made(inputs["name"], {**inputs, "arn": arn})

    def update(
        self, cloud: Cloud, id: str, old: dict[str, Any], inputs: dict[str, Any]
    ) -> dict[str, Any]:
        """PutRetentionPolicy and the tags."""
        del id
        if differ(old, inputs, "retentionInDays"):
            self._retain(cloud, inputs)
        if tags := plain(inputs):
            cloud.client("logs").tag_resource(resourceArn=old["arn"], tags=tags)
        if gone := changed(old, inputs):
            cloud.client("logs").untag_resource(resourceArn=old["arn"], tagKeys=gone)
        return {**old, **inputs}

    def read(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> dict[str, Any] | None:
        """DescribeLogGroups; it takes a prefix."""
        groups = cloud.client("logs").describe_log_groups(logGroupNamePrefix=id)["logGroups"]
        group = next((group for group in groups if group["logGroupName"] == id), None)
        return (
            None
            if group is None
            else {**outputs, "retentionInDays": group.get("retentionInDays", 0)}
        )

    def delete(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> None:
        """DeleteLogGroup."""
        del outputs
        with absent_is_fine():
            cloud.client("logs").delete_log_group(logGroupName=id)

    def _retain(self, cloud: Cloud, inputs: dict[str, Any]) -> None:
        # Without a number of days events are kept for good.
        if days := inputs.get("retentionInDays"):
            cloud.client("logs").put_retention_policy(
                logGroupName=inputs["name"], retentionInDays=days
            )
        else:
            cloud.client("logs").delete_retention_policy(logGroupName=inputs["name"])


class LogResourcePolicy(Handler):
    """`aws.cloudwatch.LogResourcePolicy`: who of AWS may write; of the account and region."""

    replace_on = frozenset({"policyName"})

    def create(self, cloud: Cloud, inputs: dict[str, Any]) -> Made:
        """PutResourcePolicy."""
        cloud.client("logs").put_resource_policy(
            policyName=inputs["policyName"], policyDocument=inputs["policyDocument"]
        )
        return Made(inputs["policyName"], dict(inputs))

    def update(
        self, cloud: Cloud, id: str, old: dict[str, Any], inputs: dict[str, Any]
    ) -> dict[str, Any]:
        """PutResourcePolicy writes over it."""
        del id
        return {**old, **self.create(cloud, inputs).outputs}

    def read(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> dict[str, Any] | None:
        """DescribeResourcePolicies; the document as it was written, if it says the same."""
        found = cloud.client("logs").describe_resource_policies()["resourcePolicies"]
        policy = next((one for one in found if one["policyName"] == id), None)
        if policy is None:
            return None
        known, now = outputs.get("policyDocument"), policy["policyDocument"]
        same = known is not None and json.loads(known) == json.loads(now)
        return {**outputs, "policyName": id, "policyDocument": known if same else now}

    def delete(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> None:
        """DeleteResourcePolicy."""
        del outputs
        with absent_is_fine():
            cloud.client("logs").delete_resource_policy(policyName=id)


HANDLERS: Final[Mapping[str, Handler]] = {
    "aws:cloudwatch/logGroup:LogGroup": LogGroup(),
    "aws:cloudwatch/logResourcePolicy:LogResourcePolicy": LogResourcePolicy(),
}
