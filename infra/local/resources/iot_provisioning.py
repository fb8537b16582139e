"""IoT Core's fleet provisioning: templates."""

# ruff: noqa: A002 - `id` is Pulumi's word, and the engine's

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from infra.local.engine.handler import Handler, Made
from infra.local.resources.absence import absent_is_fine, unless_absent
from infra.local.resources.iam import same_json
from infra.local.resources.tags import differ, pairs, retag

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.local.engine.handler import Cloud


class ProvisioningTemplate(Handler):
    """`aws.iot.ProvisioningTemplate`; a changed body is a new default version."""

    replace_on = frozenset({"name", "type"})
    autoname = "name"
    taggable = True
    unstable = frozenset({"defaultVersionId"})

    def create(self, cloud: Cloud, inputs: dict[str, Any]) -> Made:
        """CreateProvisioningTemplate."""
        made = cloud.client("iot").create_provisioning_template(
            templateName=inputs["name"],
            description=inputs.get("description", ""),
            templateBody=inputs["templateBody"],
            enabled=inputs.get("enabled", False),
            provisioningRoleArn=inputs["provisioningRoleArn"],
            tags=pairs(inputs),
        )
        return Made(
            made["templateName"],
            {**inputs, "arn": made["templateArn"], "defaultVersionId": made["defaultVersionId"]},
        )

    def update(
        self, cloud: Cloud, id: str, old: dict[str, Any], inputs: dict[str, Any]
    ) -> dict[str, Any]:
        """UpdateProvisioningTemplate, and a new version where the body differs.

        As the real provider, it never deletes a version: AWS keeps five, so the fifth change of the
        body ends in VersionsLimitExceededException.
        """
        client = cloud.client("iot")
        outputs = {**old, **inputs}
        if inputs["templateBody"] != old.get("templateBody"):
            outputs["defaultVersionId"] = client.create_provisioning_template_version(
                templateName=id, templateBody=inputs["templateBody"], setAsDefault=True
            )["versionId"]
        if differ(old, inputs, "description", "enabled", "provisioningRoleArn"):
            client.update_provisioning_template(
                templateName=id,
                description=inputs.get("description", ""),
                enabled=inputs.get("enabled", False),
                provisioningRoleArn=inputs["provisioningRoleArn"],
            )
        retag(client, old["arn"], old, inputs)
        return outputs

    def read(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> dict[str, Any] | None:
        """DescribeProvisioningTemplate; what somebody else has changed shows."""
        answer = unless_absent(cloud.client("iot").describe_provisioning_template, templateName=id)
        if answer is None:
            return None
        return {
            **outputs,
            "name": id,
            "arn": answer["templateArn"],
            "enabled": answer["enabled"],
            "description": answer.get("description", ""),
            "provisioningRoleArn": answer["provisioningRoleArn"],
            "defaultVersionId": answer["defaultVersionId"],
            "templateBody": same_json(outputs.get("templateBody"), answer["templateBody"]),
        }

    def delete(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> None:
        """DeleteProvisioningTemplate, which takes its versions along."""
        del outputs
        with absent_is_fine():
            cloud.client("iot").delete_provisioning_template(templateName=id)

    def find(self, cloud: Cloud, inputs: dict[str, Any]) -> str | None:
        """The template of that name."""
        return inputs["name"] if self.read(cloud, inputs["name"], {}) is not None else None


HANDLERS: Final[Mapping[str, Handler]] = {
    "aws:iot/provisioningTemplate:ProvisioningTemplate": ProvisioningTemplate()
}
