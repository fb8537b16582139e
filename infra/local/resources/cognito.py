"""Cognito: user pools and their groups."""

# ruff: noqa: A002 - `id` is Pulumi's word, and the engine's

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from infra.local.engine.handler import Handler, Made
from infra.local.resources.absence import absent_is_fine, unless_absent
from infra.local.resources.tags import changed, differ, plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.local.engine.handler import Cloud

_PASSWORD: Final = {
    "minimumLength": "MinimumLength",
    "requireLowercase": "RequireLowercase",
    "requireUppercase": "RequireUppercase",
    "requireNumbers": "RequireNumbers",
    "requireSymbols": "RequireSymbols",
    "temporaryPasswordValidityDays": "TemporaryPasswordValidityDays",
    "passwordHistorySize": "PasswordHistorySize",
}


_CHANGEABLE: Final = (
    "accountRecoverySetting",
    "adminCreateUserConfig",
    "autoVerifiedAttributes",
    "deletionProtection",
    "emailConfiguration",
    "passwordPolicy",
    "userPoolAddOns",
    "userPoolTier",
)
_MAIL: Final = {
    "emailSendingAccount": "EmailSendingAccount",
    "fromEmailAddress": "From",
    "sourceArn": "SourceArn",
}
_MFA: Final = ("mfaConfiguration", "softwareTokenMfaConfiguration")


class UserPool(Handler):
    """`aws.cognito.UserPool`."""

    replace_on = frozenset({"usernameAttributes", "aliasAttributes", "usernameConfiguration"})
    autoname = "name"
    taggable = True

    def create(self, cloud: Cloud, inputs: dict[str, Any]) -> Made:
        """CreateUserPool, then the MFA configuration, which has a call of its own."""
        client = cloud.client("cognito-idp")
        pool = client.create_user_pool(
            PoolName=inputs["name"],
            UsernameAttributes=inputs.get("usernameAttributes", []),
            UsernameConfiguration={
                "CaseSensitive": inputs.get("usernameConfiguration", {}).get("caseSensitive", True)
            },
            Schema=[_schema(attribute) for attribute in inputs.get("schemas", [])],
            UserPoolTags=plain(inputs),
            **_settings(inputs),
        )["UserPool"]
        self._set_mfa(cloud, pool["Id"], inputs)
        return Made(pool["Id"], _pool_outputs(cloud, pool, inputs))

    def update(
        self, cloud: Cloud, id: str, old: dict[str, Any], inputs: dict[str, Any]
    ) -> dict[str, Any]:
        """UpdateUserPool. Attributes cannot be changed or removed; only new ones are added.

        Raises:
            ValueError: an attribute would have to be changed or removed.
        """
        client = cloud.client("cognito-idp")
        known = {attribute["name"]: attribute for attribute in old.get("schemas", [])}
        wanted = {attribute["name"]: attribute for attribute in inputs.get("schemas", [])}
        for name, attribute in known.items():
            if wanted.get(name) != attribute:
                raise ValueError(
                    f"attribute `{name}` of user pool {id} can neither be changed nor removed"
                )
        if added := [_schema(attribute) for name, attribute in wanted.items() if name not in known]:
            client.add_custom_attributes(UserPoolId=id, CustomAttributes=added)
        if differ(old, inputs, *_CHANGEABLE):
            # What this call leaves out falls back to its default, tags too.
            client.update_user_pool(UserPoolId=id, UserPoolTags=plain(inputs), **_settings(inputs))
        if differ(old, inputs, *_MFA):
            self._set_mfa(cloud, id, inputs)
        if tags := plain(inputs):
            client.tag_resource(ResourceArn=old["arn"], Tags=tags)
        if gone := changed(old, inputs):
            client.untag_resource(ResourceArn=old["arn"], TagKeys=gone)
        return {**old, **inputs}

    def read(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> dict[str, Any] | None:
        """DescribeUserPool; settings that somebody else has changed show."""
        answer = unless_absent(cloud.client("cognito-idp").describe_user_pool, UserPoolId=id)
        if answer is None:
            return None
        now = answer["UserPool"]
        found = _pool_outputs(cloud, now, outputs)
        only = now.get("AdminCreateUserConfig", {}).get("AllowAdminCreateUserOnly", False)
        password = now.get("Policies", {}).get("PasswordPolicy", {})
        for name, value in (
            ("deletionProtection", now.get("DeletionProtection", "INACTIVE")),
            ("userPoolTier", now.get("UserPoolTier", "ESSENTIALS")),
            (
                "userPoolAddOns",
                {"advancedSecurityMode": now.get("UserPoolAddOns", {}).get("AdvancedSecurityMode")},
            ),
            ("mfaConfiguration", now.get("MfaConfiguration", "OFF")),
            (
                "emailConfiguration",
                {
                    key: value
                    for key, name in _MAIL.items()
                    if (value := now.get("EmailConfiguration", {}).get(name)) is not None
                },
            ),
            ("autoVerifiedAttributes", now.get("AutoVerifiedAttributes", [])),
            ("adminCreateUserConfig", {"allowAdminCreateUserOnly": only}),
            (
                "passwordPolicy",
                {
                    key: password.get(_PASSWORD[key])
                    for key in outputs.get("passwordPolicy", {})
                    if key in _PASSWORD
                },
            ),
        ):
            if name in outputs:
                found[name] = value
        return found

    def delete(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> None:
        """DeleteUserPool; refused by Cognito while deletion protection is on."""
        del outputs
        with absent_is_fine():
            cloud.client("cognito-idp").delete_user_pool(UserPoolId=id)

    def _set_mfa(self, cloud: Cloud, pool_id: str, inputs: dict[str, Any]) -> None:
        token = inputs.get("softwareTokenMfaConfiguration", {}).get("enabled", False)
        mode = inputs.get("mfaConfiguration", "OFF")
        arguments: dict[str, Any] = {"UserPoolId": pool_id, "MfaConfiguration": mode}
        if mode != "OFF":
            arguments["SoftwareTokenMfaConfiguration"] = {"Enabled": token}
        cloud.client("cognito-idp").set_user_pool_mfa_config(**arguments)


class UserGroup(Handler):
    """`aws.cognito.UserGroup`."""

    replace_on = frozenset({"name", "userPoolId"})

    def create(self, cloud: Cloud, inputs: dict[str, Any]) -> Made:
        """CreateGroup."""
        cloud.client("cognito-idp").create_group(
            GroupName=inputs["name"],
            UserPoolId=inputs["userPoolId"],
            Description=inputs.get("description", ""),
        )
        return Made(f"{inputs['userPoolId']}/{inputs['name']}", dict(inputs))

    def update(
        self, cloud: Cloud, id: str, old: dict[str, Any], inputs: dict[str, Any]
    ) -> dict[str, Any]:
        """UpdateGroup."""
        del id, old
        cloud.client("cognito-idp").update_group(
            GroupName=inputs["name"],
            UserPoolId=inputs["userPoolId"],
            Description=inputs.get("description", ""),
        )
        return dict(inputs)

    def read(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> dict[str, Any] | None:
        """GetGroup."""
        pool_id, _, name = id.partition("/")
        answer = unless_absent(
            cloud.client("cognito-idp").get_group, UserPoolId=pool_id, GroupName=name
        )
        if answer is None:
            return None
        return {
            **outputs,
            "name": name,
            "userPoolId": pool_id,
            "description": answer["Group"].get("Description", ""),
        }

    def delete(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> None:
        """DeleteGroup."""
        del outputs
        pool_id, _, name = id.partition("/")
        with absent_is_fine():
            cloud.client("cognito-idp").delete_group(UserPoolId=pool_id, GroupName=name)


def _settings(inputs: dict[str, Any]) -> dict[str, Any]:
    recovery = inputs.get("accountRecoverySetting", {}).get("recoveryMechanisms", [])
    settings: dict[str, Any] = {
        "AutoVerifiedAttributes": inputs.get("autoVerifiedAttributes", []),
        "AdminCreateUserConfig": {
            "AllowAdminCreateUserOnly": inputs.get("adminCreateUserConfig", {}).get(
                "allowAdminCreateUserOnly", False
            )
        },
        "UserPoolTier": inputs.get("userPoolTier", "ESSENTIALS"),
        "DeletionProtection": inputs.get("deletionProtection", "INACTIVE"),
        "Policies": {
            "PasswordPolicy": {
                _PASSWORD[key]: value
                for key, value in inputs.get("passwordPolicy", {}).items()
                if key in _PASSWORD
            }
        },
    }
    if add_ons := inputs.get("userPoolAddOns"):
        settings["UserPoolAddOns"] = {"AdvancedSecurityMode": add_ons["advancedSecurityMode"]}
    if mail := inputs.get("emailConfiguration"):
        settings["EmailConfiguration"] = {
            _MAIL[key]: value for key, value in mail.items() if key in _MAIL
        }
    if recovery:
        settings["AccountRecoverySetting"] = {
            "RecoveryMechanisms": [
                {"Name": way["name"], "Priority": way["priority"]} for way in recovery
            ]
        }
    return settings


def _schema(attribute: dict[str, Any]) -> dict[str, Any]:
    limits = attribute.get("stringAttributeConstraints", {})
    return {
        "Name": attribute["name"],
        "AttributeDataType": attribute["attributeDataType"],
        "Mutable": attribute.get("mutable", True),
        "StringAttributeConstraints": {
            "MinLength": str(limits.get("minLength", "0")),
            "MaxLength": str(limits.get("maxLength", "2048")),
        },
    }


def _pool_outputs(cloud: Cloud, pool: dict[str, Any], properties: dict[str, Any]) -> dict[str, Any]:
    return {
        **properties,
        "name": pool["Name"],
        "arn": pool.get(
            "Arn", f"arn:aws:cognito-idp:{cloud.region}:{cloud.account_id}:userpool/{pool['Id']}"
        ),
        "endpoint": f"cognito-idp.{cloud.region}.amazonaws.com/{pool['Id']}",
    }


HANDLERS: Final[Mapping[str, Handler]] = {
    "aws:cognito/userPool:UserPool": UserPool(),
    "aws:cognito/userGroup:UserGroup": UserGroup(),
}
