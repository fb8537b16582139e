"""What a tenant's user pool is, as Cognito has it."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from tests.infra.conftest import Project

NAME = "AcmeEntra"
PROVIDER: dict[str, Any] = {
    "issuer": "https://idp.acme.example",
    "client_id": "the-pool",
    "client_secret": "cedarfleet/acme/entra",
    "attributes": {"email": "email", "custom:region": "plant"},
}


def test_a_pool_pays_for_what_it_uses(project: Project) -> None:
    """The plan is LITE: Cognito's default one is dearer, and nothing of it is used."""
    pool = project.engine.outputs("acme").outputs["user_pool_id"]
    told = project.cloud.client("cognito-idp").describe_user_pool(UserPoolId=pool)
    assert told["UserPool"]["UserPoolTier"] == "LITE"


def test_a_provider_is_made_and_its_secret_is_sealed(own: Project) -> None:
    """Each client of people names it and may write what it says; a new secret comes with `up`."""
    cognito, vault = (own.cloud.client(name) for name in ("cognito-idp", "secretsmanager"))
    before, known = secrets.token_urlsafe(), {"SecretId": PROVIDER["client_secret"]}
    vault.create_secret(Name=known["SecretId"], SecretString=before)
    path = own.root / "tenants" / "Pulumi.acme.yaml"
    text = path.read_text()
    document = yaml.safe_load(text)
    document["config"]["cedarfleet:tenant"]["sign_in"]["oidc"] = {NAME: PROVIDER}
    path.write_text(yaml.safe_dump(document))
    outputs = own.up("acme").outputs
    try:
        pool = {"UserPoolId": outputs["user_pool_id"]}
        made = cognito.describe_identity_provider(**pool, ProviderName=NAME)["IdentityProvider"]
        assert made["ProviderDetails"] == {
            "oidc_issuer": "https://idp.acme.example",
            "client_id": "the-pool",
            "client_secret": before,
            "authorize_scopes": "openid email profile",
            "attributes_request_method": "GET",
        }
        assert made["AttributeMapping"] == PROVIDER["attributes"]
        for key in ("client_id", "console_client_id", "cli_client_id"):
            client = cognito.describe_user_pool_client(**pool, ClientId=outputs[key])
            told = client["UserPoolClient"]
            assert told["SupportedIdentityProviders"] == ["COGNITO", NAME]
            assert {"email", "custom:region", "given_name"} <= set(told["WriteAttributes"])
            assert "email_verified" not in told["WriteAttributes"]
            assert "aws.cognito.signin.user.admin" not in told["AllowedOAuthScopes"]
        assert before not in _state(own)

        after = secrets.token_urlsafe()
        vault.put_secret_value(**known, SecretString=after)
        own.up("acme")
        made = cognito.describe_identity_provider(**pool, ProviderName=NAME)["IdentityProvider"]
        assert made["ProviderDetails"]["client_secret"] == after
        assert after not in _state(own)
    finally:
        path.write_text(text)
        own.up("acme")
        vault.delete_secret(**known, ForceDeleteWithoutRecovery=True)
    listed = cognito.list_identity_providers(**pool, MaxResults=10)["Providers"]
    assert listed == [], "taken out of the file, it is gone"


def _state(project: Project) -> str:
    """All that the engine has written down."""
    files = sorted((project.root / "state").rglob("*"))
    return "".join(file.read_text(errors="replace") for file in files if file.is_file())
