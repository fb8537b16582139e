"""Cognito's providers of identities, and the secret of Secrets Manager that one of them needs."""

# ruff: noqa: A002 - `id` is Pulumi's word, and the engine's

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from infra.local.engine.handler import Handler, Made
from infra.local.resources.absence import absent_is_fine, unless_absent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.local.engine.handler import Cloud, Invoke


class IdentityProvider(Handler):
    """`aws.cognito.IdentityProvider`."""

    replace_on = frozenset({"providerName", "providerType", "userPoolId"})

    def create(self, cloud: Cloud, inputs: dict[str, Any]) -> Made:
        """CreateIdentityProvider."""
        cloud.client("cognito-idp").create_identity_provider(
            **_named(inputs), ProviderType=inputs["providerType"], **_settings(inputs)
        )
        return Made(f"{inputs['userPoolId']}:{inputs['providerName']}", dict(inputs))

    def update(
        self, cloud: Cloud, id: str, old: dict[str, Any], inputs: dict[str, Any]
    ) -> dict[str, Any]:
        """UpdateIdentityProvider."""
        del id, old
        cloud.client("cognito-idp").update_identity_provider(**_named(inputs), **_settings(inputs))
        return dict(inputs)

    def read(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> dict[str, Any] | None:
        """DescribeIdentityProvider; what somebody else has changed shows."""
        del id
        answer = unless_absent(
            cloud.client("cognito-idp").describe_identity_provider, **_named(outputs)
        )
        if answer is None:
            return None
        now = answer["IdentityProvider"]
        return {
            **outputs,
            "providerDetails": now["ProviderDetails"],
            "attributeMapping": now.get("AttributeMapping", {}),
        }

    def delete(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> None:
        """DeleteIdentityProvider."""
        del id
        with absent_is_fine():
            cloud.client("cognito-idp").delete_identity_provider(**_named(outputs))


def _named(properties: dict[str, Any]) -> dict[str, str]:
    return {"UserPoolId": properties["userPoolId"], "ProviderName": properties["providerName"]}


def _settings(inputs: dict[str, Any]) -> dict[str, Any]:
    return {
        "ProviderDetails": inputs["providerDetails"],
        "AttributeMapping": inputs.get("attributeMapping", {}),
    }


def _secret_version(cloud: Cloud, arguments: dict[str, Any]) -> dict[str, Any]:
    answer = cloud.client("secretsmanager").get_secret_value(SecretId=arguments["secretId"])
    return {
        "arn": answer["ARN"],
        "createdDate": "",
        "id": f"{arguments['secretId']}|AWSCURRENT",
        "region": cloud.region,
        "secretBinary": "",
        "secretId": arguments["secretId"],
        "secretString": answer["SecretString"],
        "versionId": answer["VersionId"],
        "versionStages": answer["VersionStages"],
    }


HANDLERS: Final[Mapping[str, Handler]] = {
    "aws:cognito/identityProvider:IdentityProvider": IdentityProvider(),
}
INVOKES: Final[Mapping[str, Invoke]] = {
    "aws:secretsmanager/getSecretVersion:getSecretVersion": _secret_version,
}
