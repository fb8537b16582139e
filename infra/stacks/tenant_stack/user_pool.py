"""The tenant's people: a user pool, its groups, its app, the console, and its sign-in page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pulumi
import pulumi_aws as aws

from infra import names
from infra.stacks.tenant_stack.identity_providers import identity_providers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infra.stacks.config.limits import SignInFlow, ThreatProtection
    from infra.stacks.config.sign_in import SignIn
    from infra.stacks.config.tenant import TenantConfig
    from infra.stacks.config.tiers import Password, Tier

# What a person may change in their own profile. Everything else, `custom:region` and `email` above
# all, only an administrator: a client without this list may write every attribute (source: Cognito,
# "attribute permissions").
_OWN_ATTRIBUTES = ["family_name", "given_name", "locale", "zoneinfo"]


_DOMAIN: Final = ".auth."
_MODES: Final[dict[ThreatProtection, str]] = {"audit-only": "AUDIT", "full-function": "ENFORCED"}
_FLOWS: Final[dict[SignInFlow, str]] = {
    "srp": "ALLOW_USER_SRP_AUTH",
    "password": "ALLOW_USER_PASSWORD_AUTH",
    "admin-password": "ALLOW_ADMIN_USER_PASSWORD_AUTH",
}


def domain_prefix_of(sign_in_url: str) -> str:
    """What stands before Cognito's own part of the sign-in page's host; it holds no dot."""
    return sign_in_url.removeprefix("https://").partition(_DOMAIN)[0]


def email_configuration(*, sender: str | None, identity: str | None) -> Any:
    """Through SES as the sender, or by Cognito's own sender: some 50 messages a day and account.

    Source: Cognito developer guide, "Email settings for user pools".
    """
    if sender is None or identity is None:
        return {"email_sending_account": "COGNITO_DEFAULT"}
    return {
        "email_sending_account": "DEVELOPER",
        "source_arn": identity,
        "from_email_address": sender,
    }


def console_urls(
    tenant: str, origin: pulumi.Output[str]
) -> tuple[list[pulumi.Output[str]], list[pulumi.Output[str]]]:
    """Where the sign-in page sends people of the console back to, and where after signing out.

    Cognito compares the whole URL, so each is one page (source: Cognito developer guide, "App
    client settings": callback URLs).
    """
    page = names.console_path(tenant)
    return (
        [pulumi.Output.concat(origin, page, names.CONSOLE_CALLBACK)],
        [pulumi.Output.concat(origin, page)],
    )


def plan(terms: Tier) -> str:
    """The least of Cognito's feature plans that has what a tenant gets, since each has a price.

    Threat protection, and watching alone, is of Plus, a memory of passwords of Essentials (source:
    Cognito developer guide, "User pool feature plans"). What else the dearer ones have no tenant
    has here: passwordless sign-in, a page of one's own design, claims by a function.
    """
    if terms.threat_protection is not None:
        return "PLUS"
    return "ESSENTIALS" if terms.password.remembered else "LITE"


def password_policy(password: Password) -> aws.cognito.UserPoolPasswordPolicyArgs:
    """As Cognito takes it; a memory of none is left out, as Lite knows no such member."""
    return aws.cognito.UserPoolPasswordPolicyArgs(
        minimum_length=password.length,
        require_lowercase=True,
        require_uppercase=True,
        require_numbers=True,
        require_symbols=password.symbols,
        temporary_password_validity_days=password.invitation_days,
        password_history_size=password.remembered or None,
    )


def _written(sign_in: SignIn) -> list[str]:
    """What a sign-in by a client may write: what people may change, and what a provider says.

    "this array must include all attributes that you have mapped to IdP attributes" (source: Cognito
    API, UserPoolClientType, WriteAttributes). No person gets to write these by that: it takes the
    scope `aws.cognito.signin.user.admin`, which no client here may ask for, or a sign-in call,
    which a tenant with providers cannot allow (``TenantConfig.read``).
    """
    return sorted({*_OWN_ATTRIBUTES, *sign_in.mapped})


@dataclass(frozen=True, kw_only=True)
class UserPoolArgs:
    """Whose pool it is, what its file says of groups, sign-in and deletion, the platform's part.

    Attributes:
        tenant: its id.
        config: its file.
        terms: what it gets of its tier.
        region: of the platform.
        service_url: of the API, which serves the console.
        mail: who invites, and its domain's ARN in SES; without either Cognito sends itself.
    """

    tenant: str
    config: TenantConfig
    terms: Tier
    region: pulumi.Output[str]
    service_url: pulumi.Output[str]
    mail: tuple[pulumi.Output[str | None], pulumi.Output[str | None]]


class UserPool(pulumi.ComponentResource):
    """Cognito user pool, groups, public clients (code and PKCE) of each app of people, domain."""

    pool_id: pulumi.Output[str]
    pool_arn: pulumi.Output[str]
    client_id: pulumi.Output[str]
    console_client_id: pulumi.Output[str]
    cli_client_id: pulumi.Output[str]
    agent_client_id: pulumi.Output[str]
    issuer: pulumi.Output[str]
    jwks_uri: pulumi.Output[str]
    sign_in_url: pulumi.Output[str]

    def __init__(
        self, name: str, args: UserPoolArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("cedarfleet:tenant:Identity", name, None, opts)
        self._child = pulumi.ResourceOptions(parent=self)
        pool = self._pool(name, args)
        if args.terms.threat_protection == "full-function":
            self._acts_on_risk(name, pool)
        for group, description in args.config.groups.items():
            aws.cognito.UserGroup(
                f"{name}-{group}",
                name=group,
                description=description,
                user_pool_id=pool.id,
                opts=self._child,
            )
        sign_in = args.config.sign_in
        self._federated = identity_providers(name, sign_in, pool, self._child)
        client = self._client(
            name, args, pool, "app", (list(sign_in.callback_urls), list(sign_in.logout_urls))
        )
        console = self._client(
            name, args, pool, "console", console_urls(args.tenant, args.service_url)
        )
        # Public, as the app's: a program on somebody's machine keeps no secret either.
        cli = self._client(name, args, pool, "cli", ([names.CLI_CALLBACK], [names.CLI_CALLBACK]))
        # One of its own, so that a token says that an agent asks: policies see it.
        agent = self._client(
            name, args, pool, "agent", ([names.AGENT_CALLBACK], [names.AGENT_CALLBACK])
        )
        domain = aws.cognito.UserPoolDomain(
            f"{name}-page",
            domain=args.config.sign_in.domain_prefix,
            user_pool_id=pool.id,
            opts=self._child,
        )
        self.pool_id = pool.id
        self.pool_arn = pool.arn
        self.client_id = client.id
        self.console_client_id = console.id
        self.cli_client_id = cli.id
        self.agent_client_id = agent.id
        self.issuer = pulumi.Output.concat(
            "https://cognito-idp.", args.region, ".amazonaws.com/", pool.id
        )
        self.jwks_uri = pulumi.Output.concat(self.issuer, "/.well-known/jwks.json")
        self.sign_in_url = pulumi.Output.concat(
            "https://", domain.domain, _DOMAIN, args.region, ".amazoncognito.com"
        )
        self.register_outputs(
            {"pool_id": self.pool_id, "client_id": self.client_id, "issuer": self.issuer}
        )

    def _pool(self, name: str, args: UserPoolArgs) -> aws.cognito.UserPool:
        return aws.cognito.UserPool(
            f"{name}-pool",
            name=f"cedarfleet-{args.tenant}",
            user_pool_tier=plan(args.terms),
            email_configuration=pulumi.Output.all(*args.mail).apply(
                lambda known: email_configuration(sender=known[0], identity=known[1])
            ),
            username_attributes=["email"],
            auto_verified_attributes=["email"],
            username_configuration={"case_sensitive": False},
            admin_create_user_config={"allow_admin_create_user_only": True},
            account_recovery_setting={
                "recovery_mechanisms": [{"name": "verified_email", "priority": 1}]
            },
            # Left out where nothing is watched: AWS then sets it to its default, which is off
            # (source: Cognito API, UpdateUserPool).
            user_pool_add_ons=None
            if args.terms.threat_protection is None
            else {"advanced_security_mode": _MODES[args.terms.threat_protection]},
            mfa_configuration=args.terms.mfa.upper(),
            software_token_mfa_configuration={"enabled": True} if args.terms.mfa != "off" else None,
            password_policy=password_policy(args.terms.password),
            schemas=[
                {
                    "name": "region",  # the token's claim is `custom:region`
                    "attribute_data_type": "String",
                    "mutable": True,
                    "string_attribute_constraints": {"min_length": "1", "max_length": "64"},
                }
            ],
            deletion_protection="ACTIVE" if args.config.protect else "INACTIVE",
            opts=pulumi.ResourceOptions.merge(
                self._child, pulumi.ResourceOptions(protect=args.config.protect)
            ),
        )

    def _acts_on_risk(self, name: str, pool: aws.cognito.UserPool) -> None:
        """What Cognito does where it sees a risk; it writes to nobody, which would need SES.

        Left behind where the tier is left: Cognito takes this call with protection on alone
        (UserPoolAddOnNotEnabledException), and heeds none of it once that is off (source: Cognito
        API, SetRiskConfiguration).
        """
        aws.cognito.RiskConfiguration(
            f"{name}-risk",
            user_pool_id=pool.id,
            compromised_credentials_risk_configuration={"actions": {"event_action": "BLOCK"}},
            account_takeover_risk_configuration={
                "actions": {
                    "low_action": {"event_action": "NO_ACTION", "notify": False},
                    "medium_action": {"event_action": "MFA_IF_CONFIGURED", "notify": False},
                    "high_action": {"event_action": "BLOCK", "notify": False},
                }
            },
            opts=pulumi.ResourceOptions.merge(
                self._child, pulumi.ResourceOptions(retain_on_delete=True)
            ),
        )

    def _client(
        self,
        name: str,
        args: UserPoolArgs,
        pool: aws.cognito.UserPool,
        app: str,
        urls: tuple[Sequence[pulumi.Input[str]], Sequence[pulumi.Input[str]]],
    ) -> aws.cognito.UserPoolClient:
        """A public client named ``app``, which is sent back to the first or, signed out, second."""
        return aws.cognito.UserPoolClient(
            f"{name}-{app}",
            name=app,
            user_pool_id=pool.id,
            generate_secret=False,  # a browser cannot keep one; PKCE stands in for it
            allowed_oauth_flows_user_pool_client=True,
            allowed_oauth_flows=["code"],
            allowed_oauth_scopes=["openid", "email", "profile"],
            supported_identity_providers=["COGNITO", *self._federated],
            callback_urls=urls[0],
            logout_urls=urls[1],
            explicit_auth_flows=[
                "ALLOW_REFRESH_TOKEN_AUTH",
                *(_FLOWS[flow] for flow in args.config.sign_in.flows),
            ],
            prevent_user_existence_errors="ENABLED",
            enable_token_revocation=True,
            id_token_validity=args.config.sign_in.token_minutes,
            access_token_validity=args.config.sign_in.token_minutes,
            refresh_token_validity=args.config.sign_in.refresh_days,
            token_validity_units={
                "id_token": "minutes",
                "access_token": "minutes",
                "refresh_token": "days",
            },
            read_attributes=["email", "email_verified", "custom:region", *_OWN_ATTRIBUTES],
            write_attributes=_written(args.config.sign_in),
            opts=self._child,
        )
