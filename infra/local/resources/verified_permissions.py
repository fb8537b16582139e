"""Verified Permissions: stores, schemas, identity sources."""

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

_SERVICE: Final = "verifiedpermissions"


class PolicyStore(Handler):
    """`aws.verifiedpermissions.PolicyStore`."""

    taggable = True

    def create(self, cloud: Cloud, inputs: dict[str, Any]) -> Made:
        """CreatePolicyStore."""
        made = cloud.client(_SERVICE).create_policy_store(tags=plain(inputs), **_store(inputs))
        return Made(
            made["policyStoreId"],
            {**inputs, "arn": made["arn"], "policyStoreId": made["policyStoreId"]},
        )

    def update(
        self, cloud: Cloud, id: str, old: dict[str, Any], inputs: dict[str, Any]
    ) -> dict[str, Any]:
        """UpdatePolicyStore and the tags."""
        client = cloud.client(_SERVICE)
        if differ(old, inputs, "description", "deletionProtection", "validationSettings"):
            client.update_policy_store(policyStoreId=id, **_store(inputs))
        if tags := plain(inputs):
            client.tag_resource(resourceArn=old["arn"], tags=tags)
        if gone := changed(old, inputs):
            client.untag_resource(resourceArn=old["arn"], tagKeys=gone)
        return {**old, **inputs}

    def read(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> dict[str, Any] | None:
        """GetPolicyStore; a mode or protection that somebody else has changed shows."""
        now = unless_absent(cloud.client(_SERVICE).get_policy_store, policyStoreId=id)
        if now is None:
            return None
        return {
            **outputs,
            "policyStoreId": id,
            "arn": now["arn"],
            "validationSettings": {"mode": now["validationSettings"]["mode"]},
            "deletionProtection": now.get("deletionProtection", "DISABLED"),
            "description": now.get("description", ""),
        }

    def delete(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> None:
        """DeletePolicyStore; refused while deletion protection is on."""
        del outputs
        with absent_is_fine():
            cloud.client(_SERVICE).delete_policy_store(policyStoreId=id)


class Schema(Handler):
    """`aws.verifiedpermissions.Schema`; its id is the store's."""

    replace_on = frozenset({"policyStoreId"})
    unstable = frozenset({"namespaces"})

    def create(self, cloud: Cloud, inputs: dict[str, Any]) -> Made:
        """PutSchema."""
        made = cloud.client(_SERVICE).put_schema(
            policyStoreId=inputs["policyStoreId"],
            definition={"cedarJson": inputs["definition"]["value"]},
        )
        return Made(inputs["policyStoreId"], {**inputs, "namespaces": made["namespaces"]})

    def update(
        self, cloud: Cloud, id: str, old: dict[str, Any], inputs: dict[str, Any]
    ) -> dict[str, Any]:
        """PutSchema overwrites."""
        del id, old
        return self.create(cloud, inputs).outputs

    def read(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> dict[str, Any] | None:
        """GetSchema; a schema that somebody else has put shows."""
        now = unless_absent(cloud.client(_SERVICE).get_schema, policyStoreId=id)
        if now is None:
            return None
        known = outputs.get("definition", {})
        return {
            **outputs,
            "namespaces": now.get("namespaces", []),
            "definition": {**known, "value": same_json(known.get("value"), now["schema"])},
        }

    def delete(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> None:
        """A schema cannot be deleted, only emptied; it leaves with its store."""


class IdentitySource(Handler):
    """`aws.verifiedpermissions.IdentitySource` of the Cognito kind. A store has at most one."""

    replace_on = frozenset({"policyStoreId"})
    delete_before_replace = True

    def create(self, cloud: Cloud, inputs: dict[str, Any]) -> Made:
        """CreateIdentitySource."""
        made = cloud.client(_SERVICE).create_identity_source(
            policyStoreId=inputs["policyStoreId"],
            principalEntityType=inputs["principalEntityType"],
            configuration={"cognitoUserPoolConfiguration": _pool(inputs)},
        )
        return Made(f"{inputs['policyStoreId']}:{made['identitySourceId']}", dict(inputs))

    def update(
        self, cloud: Cloud, id: str, old: dict[str, Any], inputs: dict[str, Any]
    ) -> dict[str, Any]:
        """UpdateIdentitySource."""
        del old
        store_id, _, source_id = id.partition(":")
        cloud.client(_SERVICE).update_identity_source(
            policyStoreId=store_id,
            identitySourceId=source_id,
            principalEntityType=inputs["principalEntityType"],
            updateConfiguration={"cognitoUserPoolConfiguration": _pool(inputs)},
        )
        return dict(inputs)

    def read(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> dict[str, Any] | None:
        """GetIdentitySource; a pool or client that somebody else has put in shows."""
        store_id, _, source_id = id.partition(":")
        now = unless_absent(
            cloud.client(_SERVICE).get_identity_source,
            policyStoreId=store_id,
            identitySourceId=source_id,
        )
        if now is None:
            return None
        pool = now["configuration"]["cognitoUserPoolConfiguration"]
        return {
            **outputs,
            "policyStoreId": store_id,
            "principalEntityType": now["principalEntityType"],
            "configuration": {
                "cognitoUserPoolConfiguration": {
                    "userPoolArn": pool["userPoolArn"],
                    "clientIds": pool["clientIds"],
                    "groupConfiguration": {
                        "groupEntityType": pool.get("groupConfiguration", {}).get(
                            "groupEntityType", ""
                        )
                    },
                }
            },
        }

    def delete(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> None:
        """DeleteIdentitySource: from then on the store accepts no token."""
        del outputs
        store_id, _, source_id = id.partition(":")
        with absent_is_fine():
            cloud.client(_SERVICE).delete_identity_source(
                policyStoreId=store_id, identitySourceId=source_id
            )


def _store(inputs: dict[str, Any]) -> dict[str, Any]:
    return {
        "validationSettings": {"mode": inputs["validationSettings"]["mode"]},
        "description": inputs.get("description", ""),
        "deletionProtection": inputs.get("deletionProtection", "DISABLED"),
    }


def _pool(inputs: dict[str, Any]) -> dict[str, Any]:
    pool = inputs["configuration"]["cognitoUserPoolConfiguration"]
    return {
        "userPoolArn": pool["userPoolArn"],
        "clientIds": pool["clientIds"],
        "groupConfiguration": {"groupEntityType": pool["groupConfiguration"]["groupEntityType"]},
    }


HANDLERS: Final[Mapping[str, Handler]] = {
    "aws:verifiedpermissions/policyStore:PolicyStore": PolicyStore(),
    "aws:verifiedpermissions/schema:Schema": Schema(),
    "aws:verifiedpermissions/identitySource:IdentitySource": IdentitySource(),
}
