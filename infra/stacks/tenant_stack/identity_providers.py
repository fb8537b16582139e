"""Where people of a tenant's own organization sign in: by SAML or OpenID Connect (ADR 0069).

The pool stays the issuer of every token, so service, policies and grants know nothing of them.
Whoever comes first is a profile of the pool's without any of our groups, and may do nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pulumi
import pulumi_aws as aws

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.stacks.config.limits import ClaimName, MappedAttribute
    from infra.stacks.config.sign_in import Oidc, SignIn


def identity_providers(
    name: str, sign_in: SignIn, pool: aws.cognito.UserPool, child: pulumi.ResourceOptions
) -> list[pulumi.Output[str]]:
    """Make a pool's providers.

    Args:
        name: of the component.
        sign_in: of the tenant's file.
        pool: whose they are.
        child: options of the component's children.

    Returns:
        Their names, once each is there: an app client can name no other.
    """
    made = [
        aws.cognito.IdentityProvider(
            f"{name}-{own}",
            provider_name=own,
            provider_type="OIDC",
            user_pool_id=pool.id,
            provider_details=_oidc_details(oidc, child),
            attribute_mapping=_mapping(oidc.attributes),
            opts=child,
        )
        for own, oidc in sign_in.oidc.items()
    ] + [
        aws.cognito.IdentityProvider(
            f"{name}-{own}",
            provider_name=own,
            provider_type="SAML",
            user_pool_id=pool.id,
            # Not `IDPInit`: an assertion that nobody here asked for is refused.
            provider_details={
                "MetadataURL": saml.metadata_url,
                "RequestSigningAlgorithm": "rsa-sha256",
            },
            attribute_mapping=_mapping(saml.attributes),
            opts=child,
        )
        for own, saml in sign_in.saml.items()
    ]
    return [provider.provider_name for provider in made]


def _mapping(attributes: Mapping[MappedAttribute, ClaimName]) -> dict[str, pulumi.Input[str]]:
    return {str(attribute): claim for attribute, claim in attributes.items()}


def _oidc_details(
    oidc: Oidc, child: pulumi.ResourceOptions
) -> pulumi.Output[dict[str, pulumi.Input[str]]]:
    """Of the provider, with the client's secret of now; sealed as a whole in the state.

    Changed in Secrets Manager, it reaches Cognito with the next `up`.
    """
    secret = aws.secretsmanager.get_secret_version_output(
        secret_id=oidc.client_secret, opts=pulumi.InvokeOutputOptions(parent=child.parent)
    ).secret_string
    plain = {
        "oidc_issuer": oidc.issuer,
        "client_id": oidc.client_id,
        "authorize_scopes": " ".join(oidc.scopes),
        # The profile is in the ID token; who asks the provider for more asks by GET.
        "attributes_request_method": "GET",
    }
    return pulumi.Output.secret(secret).apply(lambda text: {**plain, "client_secret": text})
