"""Verified Permissions: policies and templates."""

# ruff: noqa: A002 - `id` is Pulumi's word, and the engine's

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from infra.local.engine.handler import Handler, Made
from infra.local.resources.absence import absent_is_fine, unless_absent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.local.engine.handler import Cloud


_SERVICE: Final = "verifiedpermissions"


class Policy(Handler):
    """`aws.verifiedpermissions.Policy`, static or template-linked.

    As the real provider does, it changes a static statement in place unless the program says
    `replace_on_changes`.
    """

    replace_on = frozenset({"policyStoreId"})

    def create(self, cloud: Cloud, inputs: dict[str, Any]) -> Made:
        """CreatePolicy."""
        made = cloud.client(_SERVICE).create_policy(
            policyStoreId=inputs["policyStoreId"], definition=_definition(inputs["definition"])
        )
        return Made(
            f"{made['policyId']},{inputs['policyStoreId']}",
            {
                **inputs,
                "policyId": made["policyId"],
                "createdDate": made["createdDate"].isoformat(),
            },
        )

    def update(
        self, cloud: Cloud, id: str, old: dict[str, Any], inputs: dict[str, Any]
    ) -> dict[str, Any]:
        """UpdatePolicy, which refuses another effect, principal or resource.

        Raises:
            ValueError: a link is to change, which only a replacement can do.
        """
        policy_id, _, store_id = id.partition(",")
        if "static" in inputs["definition"]:
            cloud.client(_SERVICE).update_policy(
                policyStoreId=store_id,
                policyId=policy_id,
                definition=_definition(inputs["definition"]),
            )
        elif _definition(inputs["definition"]) != _definition(old["definition"]):
            raise ValueError(f"link {policy_id} cannot be changed in place")
        return {**old, **inputs}

    def read(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> dict[str, Any] | None:
        """GetPolicy; a statement that somebody else has changed shows."""
        policy_id, _, store_id = id.partition(",")
        now = unless_absent(
            cloud.client(_SERVICE).get_policy, policyStoreId=store_id, policyId=policy_id
        )
        if now is None:
            return None
        static = outputs.get("definition", {}).get("static")
        if static is None:  # of a link nothing can change
            return outputs
        found = now["definition"]["static"]
        said = {
            "statement": found["statement"],
            "description": found.get("description", ""),
        }
        changed = {key: text for key, text in said.items() if text != static.get(key, "")}
        return {**outputs, "definition": {"static": {**static, **changed}}}

    def delete(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> None:
        """DeletePolicy."""
        del outputs
        policy_id, _, store_id = id.partition(",")
        with absent_is_fine():
            cloud.client(_SERVICE).delete_policy(policyStoreId=store_id, policyId=policy_id)


class PolicyTemplate(Handler):
    """`aws.verifiedpermissions.PolicyTemplate`, changed in place, and its links with it."""

    replace_on = frozenset({"policyStoreId"})

    def create(self, cloud: Cloud, inputs: dict[str, Any]) -> Made:
        """CreatePolicyTemplate."""
        made = cloud.client(_SERVICE).create_policy_template(
            policyStoreId=inputs["policyStoreId"],
            statement=inputs["statement"],
            description=inputs.get("description", ""),
        )
        return Made(
            f"{inputs['policyStoreId']}:{made['policyTemplateId']}",
            {**inputs, "policyTemplateId": made["policyTemplateId"]},
        )

    def update(
        self, cloud: Cloud, id: str, old: dict[str, Any], inputs: dict[str, Any]
    ) -> dict[str, Any]:
        """UpdatePolicyTemplate."""
        store_id, _, template_id = id.partition(":")
        cloud.client(_SERVICE).update_policy_template(
            policyStoreId=store_id,
            policyTemplateId=template_id,
            statement=inputs["statement"],
            description=inputs.get("description", ""),
        )
        return {**old, **inputs}

    def read(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> dict[str, Any] | None:
        """GetPolicyTemplate; a statement that somebody else has changed shows."""
        store_id, _, template_id = id.partition(":")
        now = unless_absent(
            cloud.client(_SERVICE).get_policy_template,
            policyStoreId=store_id,
            policyTemplateId=template_id,
        )
        if now is None:
            return None
        found = {**outputs, "statement": now["statement"]}
        if now.get("description", "") != outputs.get("description", ""):
            found["description"] = now.get("description", "")
        return found

    def delete(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> None:
        """DeletePolicyTemplate."""
        del outputs
        store_id, _, template_id = id.partition(":")
        with absent_is_fine():
            cloud.client(_SERVICE).delete_policy_template(
                policyStoreId=store_id, policyTemplateId=template_id
            )


def _definition(definition: dict[str, Any]) -> dict[str, Any]:
    if static := definition.get("static"):
        return {
            "static": {
                "statement": static["statement"],
                "description": static.get("description", ""),
            }
        }
    linked = definition["templateLinked"]
    return {
        "templateLinked": {
            key: linked[key]
            for key in ("policyTemplateId", "principal", "resource")
            if key in linked
        }
    }


HANDLERS: Final[Mapping[str, Handler]] = {
    "aws:verifiedpermissions/policy:Policy": Policy(),
    "aws:verifiedpermissions/policyTemplate:PolicyTemplate": PolicyTemplate(),
}
