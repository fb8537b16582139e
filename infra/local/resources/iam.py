"""IAM: roles and their inline policies."""

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


class Role(Handler):
    """`aws.iam.Role`."""

    replace_on = frozenset({"name", "path"})
    autoname = "name"
    taggable = True

    def create(self, cloud: Cloud, inputs: dict[str, Any]) -> Made:
        """CreateRole."""
        role = cloud.client("iam").create_role(
            RoleName=inputs["name"],
            Path=inputs.get("path", "/"),
            Description=inputs.get("description", ""),
            MaxSessionDuration=inputs.get("maxSessionDuration", 3600),
            AssumeRolePolicyDocument=inputs["assumeRolePolicy"],
            Tags=pairs(inputs),
        )["Role"]
        return Made(role["RoleName"], {**inputs, "arn": role["Arn"], "uniqueId": role["RoleId"]})

    def update(
        self, cloud: Cloud, id: str, old: dict[str, Any], inputs: dict[str, Any]
    ) -> dict[str, Any]:
        """UpdateRole, UpdateAssumeRolePolicy and the tags."""
        client = cloud.client("iam")
        if differ(old, inputs, "description", "maxSessionDuration"):
            client.update_role(
                RoleName=id,
                Description=inputs.get("description", ""),
                MaxSessionDuration=inputs.get("maxSessionDuration", 3600),
            )
        if differ(old, inputs, "assumeRolePolicy"):
            client.update_assume_role_policy(RoleName=id, PolicyDocument=inputs["assumeRolePolicy"])
        if tags := pairs(inputs):
            client.tag_role(RoleName=id, Tags=tags)
        if gone := changed(old, inputs):
            client.untag_role(RoleName=id, TagKeys=gone)
        return {**old, **inputs}

    def read(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> dict[str, Any] | None:
        """GetRole; what somebody else has changed shows, of the trust policy too."""
        answer = unless_absent(cloud.client("iam").get_role, RoleName=id)
        if answer is None:
            return None
        role = answer["Role"]
        trust = same_json(outputs.get("assumeRolePolicy"), role["AssumeRolePolicyDocument"])
        now = {
            "description": role.get("Description", ""),
            "maxSessionDuration": role.get("MaxSessionDuration", 3600),
        }
        said = {key: text for key, text in now.items() if key in outputs}
        return {**outputs, "name": id, "arn": role["Arn"], "assumeRolePolicy": trust, **said}

    def delete(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> None:
        """DeleteRole; its inline policies are resources of their own."""
        del outputs
        with absent_is_fine():
            cloud.client("iam").delete_role(RoleName=id)

    def find(self, cloud: Cloud, inputs: dict[str, Any]) -> str | None:
        """The role of that name."""
        return inputs["name"] if self.read(cloud, inputs["name"], {}) is not None else None


class RolePolicy(Handler):
    """`aws.iam.RolePolicy`: an inline policy."""

    replace_on = frozenset({"name", "role"})
    autoname = "name"

    def create(self, cloud: Cloud, inputs: dict[str, Any]) -> Made:
        """PutRolePolicy."""
        cloud.client("iam").put_role_policy(
            RoleName=inputs["role"], PolicyName=inputs["name"], PolicyDocument=inputs["policy"]
        )
        return Made(f"{inputs['role']}:{inputs['name']}", dict(inputs))

    def update(
        self, cloud: Cloud, id: str, old: dict[str, Any], inputs: dict[str, Any]
    ) -> dict[str, Any]:
        """PutRolePolicy overwrites."""
        del id, old
        return self.create(cloud, inputs).outputs

    def read(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> dict[str, Any] | None:
        """GetRolePolicy; a document that somebody else has changed shows."""
        role, _, name = id.partition(":")
        answer = unless_absent(cloud.client("iam").get_role_policy, RoleName=role, PolicyName=name)
        if answer is None:
            return None
        return {**outputs, "policy": same_json(outputs.get("policy"), answer["PolicyDocument"])}

    def delete(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> None:
        """DeleteRolePolicy."""
        del outputs
        role, _, name = id.partition(":")
        with absent_is_fine():
            cloud.client("iam").delete_role_policy(RoleName=role, PolicyName=name)


def same_json(known: str | None, now: object) -> str:
    """`known` if the service says the same now, else the service's text; layout is ignored."""
    if isinstance(now, str):
        now = json.loads(now)
    if known is not None and json.loads(known) == now:
        return known
    return json.dumps(now)


HANDLERS: Final[Mapping[str, Handler]] = {
    "aws:iam/role:Role": Role(),
    "aws:iam/rolePolicy:RolePolicy": RolePolicy(),
}
