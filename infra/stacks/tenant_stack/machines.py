"""Programs of the tenant's file that call the API: an app client, a secret and scopes each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi
import pulumi_aws as aws

from infra.stacks.config.limits import SCOPES

if TYPE_CHECKING:
    from infra.stacks.config.tenant import TenantConfig
    from infra.stacks.tenant_stack.user_pool import UserPool

_IDENTIFIER = "fleet"  # the policies say `fleet/view` and so on
_LEAST_REFRESH_MINUTES = 60  # Cognito takes no less


@dataclass(frozen=True, kw_only=True)
class MachinesArgs:
    """What the file says of machines and of the life of tokens, and the pool that knows them."""

    config: TenantConfig
    user_pool: UserPool


class Machines(pulumi.ComponentResource):
    """Resource server with the scopes, and a client (client credentials only) for each machine.

    The secrets are secret outputs: ciphertext in the state, and in no other resource.
    """

    client_ids: dict[str, pulumi.Output[str]]
    secrets: pulumi.Output[dict[str, str]]

    def __init__(
        self, name: str, args: MachinesArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("cedarfleet:tenant:Machines", name, None, opts)
        self._child = pulumi.ResourceOptions(parent=self)
        self._name = name
        # There without machines too: the API makes some at run time (docs/adr/0039).
        server = aws.cognito.ResourceServer(
            f"{name}-scopes",
            identifier=_IDENTIFIER,
            name=_IDENTIFIER,
            user_pool_id=args.user_pool.pool_id,
            scopes=[
                {"scope_name": scope, "scope_description": text} for scope, text in SCOPES.items()
            ],
            opts=self._child,
        )
        clients = {
            one: self._client(one, scopes, server, args)
            for one, scopes in args.config.machines.items()
        }
        self.client_ids = {one: client.id for one, client in clients.items()}
        secrets = pulumi.Output.all(
            **{one: client.client_secret for one, client in clients.items()}
        )
        self.secrets = pulumi.Output.secret(secrets.apply(dict))  # `all` of nothing is a list
        self.register_outputs({"client_ids": self.client_ids})

    def _client(
        self,
        machine: str,
        scopes: tuple[str, ...],
        server: aws.cognito.ResourceServer,
        args: MachinesArgs,
    ) -> aws.cognito.UserPoolClient:
        return aws.cognito.UserPoolClient(
            f"{self._name}-client-{machine}",
            name=machine,
            user_pool_id=args.user_pool.pool_id,
            generate_secret=True,
            allowed_oauth_flows_user_pool_client=True,
            allowed_oauth_flows=["client_credentials"],
            allowed_oauth_scopes=[
                pulumi.Output.concat(server.identifier, "/", scope) for scope in scopes
            ],
            # Left out, it would be Cognito's default, by which people sign in.
            explicit_auth_flows=["ALLOW_REFRESH_TOKEN_AUTH"],
            prevent_user_existence_errors="ENABLED",
            enable_token_revocation=True,
            id_token_validity=args.config.sign_in.token_minutes,
            access_token_validity=args.config.sign_in.token_minutes,
            # The grant gives no such token, yet Cognito takes no other tokens that outlive it
            # (source: Cognito API, CreateUserPoolClient).
            refresh_token_validity=max(_LEAST_REFRESH_MINUTES, args.config.sign_in.token_minutes),
            token_validity_units={
                "id_token": "minutes",
                "access_token": "minutes",
                "refresh_token": "minutes",
            },
            opts=self._child,
        )
