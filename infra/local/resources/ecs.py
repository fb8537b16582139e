"""ECS and ECR: repository, cluster, task definition; the service is recorded, nothing runs here."""

# ruff: noqa: A002 - `id` is Pulumi's word, and the engine's

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from infra.local.engine.handler import Handler, Made
from infra.local.resources.absence import absent_is_fine, unless_absent
from infra.local.resources.iam import same_json
from infra.local.resources.tags import differ, pairs, retag

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.local.engine.handler import Cloud


class Repository(Handler):
    """`aws.ecr.Repository`."""

    replace_on = frozenset({"name", "encryptionConfigurations"})
    autoname = "name"
    taggable = True

    def create(self, cloud: Cloud, inputs: dict[str, Any]) -> Made:
        """CreateRepository."""
        made = cloud.client("ecr").create_repository(
            repositoryName=inputs["name"],
            imageTagMutability=inputs.get("imageTagMutability", "MUTABLE"),
            imageScanningConfiguration={"scanOnPush": _scans(inputs)},
            tags=pairs(inputs),
        )["repository"]
        return Made(
            inputs["name"],
            {
                **inputs,
                "arn": made["repositoryArn"],
                "repositoryUrl": made["repositoryUri"],
                "registryId": cloud.account_id,
            },
        )

    def update(
        self, cloud: Cloud, id: str, old: dict[str, Any], inputs: dict[str, Any]
    ) -> dict[str, Any]:
        """Tag mutability, scanning and tags."""
        client = cloud.client("ecr")
        if differ(old, inputs, "imageTagMutability"):
            client.put_image_tag_mutability(
                repositoryName=id, imageTagMutability=inputs.get("imageTagMutability", "MUTABLE")
            )
        if differ(old, inputs, "imageScanningConfiguration"):
            client.put_image_scanning_configuration(
                repositoryName=id, imageScanningConfiguration={"scanOnPush": _scans(inputs)}
            )
        retag(client, old["arn"], old, inputs)
        return {**old, **inputs}

    def read(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> dict[str, Any] | None:
        """DescribeRepositories; what somebody else has changed shows."""
        answer = unless_absent(cloud.client("ecr").describe_repositories, repositoryNames=[id])
        if not answer or not answer["repositories"]:
            return None
        now, found = answer["repositories"][0], dict(outputs)
        if "imageTagMutability" in outputs:
            found["imageTagMutability"] = now.get("imageTagMutability", "MUTABLE")
        if "imageScanningConfiguration" in outputs:
            scans = now.get("imageScanningConfiguration", {}).get("scanOnPush", False)
            found["imageScanningConfiguration"] = {"scanOnPush": scans}
        return found

    def delete(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> None:
        """DeleteRepository; refused while it holds images, unless `forceDelete`."""
        with absent_is_fine():
            cloud.client("ecr").delete_repository(
                repositoryName=id, force=outputs.get("forceDelete", False)
            )


class LifecyclePolicy(Handler):
    """`aws.ecr.LifecyclePolicy`."""

    replace_on = frozenset({"repository", "policy"})
    delete_before_replace = True

    def create(self, cloud: Cloud, inputs: dict[str, Any]) -> Made:
        """PutLifecyclePolicy."""
        cloud.client("ecr").put_lifecycle_policy(
            repositoryName=inputs["repository"], lifecyclePolicyText=inputs["policy"]
        )
        return Made(inputs["repository"], {**inputs, "registryId": cloud.account_id})

    def update(
        self, cloud: Cloud, id: str, old: dict[str, Any], inputs: dict[str, Any]
    ) -> dict[str, Any]:
        """Nothing of it can be changed in place."""
        del id, old
        return self.create(cloud, inputs).outputs

    def read(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> dict[str, Any] | None:
        """GetLifecyclePolicy; a policy that somebody else has changed shows."""
        answer = unless_absent(cloud.client("ecr").get_lifecycle_policy, repositoryName=id)
        if answer is None:
            return None
        now = same_json(outputs.get("policy"), answer["lifecyclePolicyText"])
        return {**outputs, "policy": now}

    def delete(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> None:
        """DeleteLifecyclePolicy."""
        del outputs
        with absent_is_fine():
            cloud.client("ecr").delete_lifecycle_policy(repositoryName=id)


class Cluster(Handler):
    """`aws.ecs.Cluster`."""

    replace_on = frozenset({"name"})
    autoname = "name"
    taggable = True

    def create(self, cloud: Cloud, inputs: dict[str, Any]) -> Made:
        """CreateCluster."""
        made = cloud.client("ecs").create_cluster(
            clusterName=inputs["name"],
            settings=inputs.get("settings", []),
            tags=pairs(inputs, "key", "value"),
        )["cluster"]
        return Made(made["clusterArn"], {**inputs, "arn": made["clusterArn"]})

    def update(
        self, cloud: Cloud, id: str, old: dict[str, Any], inputs: dict[str, Any]
    ) -> dict[str, Any]:
        """UpdateCluster and the tags."""
        client = cloud.client("ecs")
        if differ(old, inputs, "settings"):
            client.update_cluster(cluster=id, settings=inputs.get("settings", []))
        retag(client, id, old, inputs, "key", "value")
        return {**old, **inputs}

    def read(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> dict[str, Any] | None:
        """DescribeClusters with settings; a deleted one lingers as INACTIVE."""
        answer = cloud.client("ecs").describe_clusters(clusters=[id], include=["SETTINGS"])
        active = [cluster for cluster in answer["clusters"] if cluster["status"] == "ACTIVE"]
        if not active:
            return None
        if "settings" not in outputs:
            return outputs
        return {**outputs, "settings": active[0].get("settings", [])}

    def delete(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> None:
        """DeleteCluster."""
        del outputs
        with absent_is_fine():
            cloud.client("ecs").delete_cluster(cluster=id)


class TaskDefinition(Handler):
    """`aws.ecs.TaskDefinition`; a revision never changes, so every change is a new one."""

    replace_on = frozenset(
        {
            "family",
            "containerDefinitions",
            "cpu",
            "memory",
            "executionRoleArn",
            "taskRoleArn",
            "networkMode",
            "requiresCompatibilities",
            "runtimePlatform",
        }
    )
    taggable = True

    def create(self, cloud: Cloud, inputs: dict[str, Any]) -> Made:
        """RegisterTaskDefinition."""
        taken = (
            "family",
            "cpu",
            "memory",
            "executionRoleArn",
            "taskRoleArn",
            "networkMode",
            "runtimePlatform",
        )
        made = cloud.client("ecs").register_task_definition(
            **{key: inputs[key] for key in taken if key in inputs},
            requiresCompatibilities=inputs.get("requiresCompatibilities", []),
            containerDefinitions=json.loads(inputs["containerDefinitions"]),
            tags=pairs(inputs, "key", "value"),
        )["taskDefinition"]
        arn = made["taskDefinitionArn"]
        outputs = {
            "arn": arn,
            "arnWithoutRevision": arn.rpartition(":")[0],
            "revision": made["revision"],
        }
        return Made(inputs["family"], {**inputs, **outputs})

    def update(
        self, cloud: Cloud, id: str, old: dict[str, Any], inputs: dict[str, Any]
    ) -> dict[str, Any]:
        """Only tags change in place."""
        del id
        retag(cloud.client("ecs"), old["arn"], old, inputs, "key", "value")
        return {**old, **inputs}

    def read(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> dict[str, Any] | None:
        """DescribeTaskDefinition of this very revision."""
        del id
        answer = unless_absent(
            cloud.client("ecs").describe_task_definition, taskDefinition=outputs["arn"]
        )
        return outputs if answer and answer["taskDefinition"]["status"] == "ACTIVE" else None

    def delete(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> None:
        """DeregisterTaskDefinition."""
        del id
        with absent_is_fine():
            cloud.client("ecs").deregister_task_definition(taskDefinition=outputs["arn"])


def _scans(inputs: dict[str, Any]) -> bool:
    return inputs.get("imageScanningConfiguration", {}).get("scanOnPush", False)


HANDLERS: Final[Mapping[str, Handler]] = {
    "aws:ecr/repository:Repository": Repository(),
    "aws:ecr/lifecyclePolicy:LifecyclePolicy": LifecyclePolicy(),
    "aws:ecs/cluster:Cluster": Cluster(),
    "aws:ecs/taskDefinition:TaskDefinition": TaskDefinition(),
}
