"""A twin of a Cognito user pool: issues ID and access tokens as Cognito shapes them."""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from service.cedar.binding import bind
from service.domain.permissions import Permission
from service.domain.rates import MOST_PER_SECOND, Budget, Rate
from service.domain.tenants import Tenant, TenantStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from service.adapters.memory.memory_ports import MemoryPorts
    from service.cedar.granted import GrantTemplate

_LIFE_SECONDS = 3600
_PLENTY = Rate(per_second=MOST_PER_SECOND, burst=MOST_PER_SECOND)


class MemoryUserPool:
    """The pool of one tenant.

    Args:
        tenant: the tenant's id.
        commands: its command names, with the action that each asks for.
        groups: its device groups, with the groups that each lies in.
        lists: what its stack file lists, by key.
        budgets: how much of each is let through; by default more than a test asks for.
        region: of tenant and pool.
        templates: of which grants are made, not yet bound.
    """

    def __init__(
        self,
        tenant: str,
        *,
        commands: Mapping[str, Permission] | None = None,
        groups: Mapping[str, tuple[str, ...]] | None = None,
        lists: Mapping[str, frozenset[str]] | None = None,
        budgets: Mapping[Budget, Rate] | None = None,
        region: str = "eu-central-1",
        templates: Mapping[str, GrantTemplate] | None = None,
    ) -> None:
        self.key_id = f"{tenant}-key"
        self.client_id = f"{tenant}client"
        self.agent_client_id = f"{tenant}agent"
        issuer = f"https://cognito-idp.{region}.amazonaws.com/{region}_{tenant.replace('-', '')}"
        pool_id = issuer.rpartition("/")[2]
        role = f"arn:aws:iam::123456789012:role/cedarfleet-{tenant}"
        self.tenant = Tenant(
            id=tenant,
            issuer=issuer,
            status=TenantStatus.ACTIVE,
            region=region,
            account_id="123456789012",
            jwks_uri=f"{issuer}/.well-known/jwks.json",
            sign_in_url=f"https://{tenant}.auth.{region}.amazoncognito.com",
            client_ids=frozenset({self.client_id, self.agent_client_id}),
            console_client_id=self.client_id,
            agent_client_id=self.agent_client_id,
            policy_store_id=f"PS{tenant}",
            policy_names={},
            role_arn=role,
            thing_group=tenant,
            bucket=f"{tenant}-artifacts",
            presign_role_arn=f"{role}-presign",
            commands=commands or {"reboot": Permission.OPERATE_DEVICE},
            groups=groups or {},
            lists=lists or {},
            budgets=budgets or dict.fromkeys(Budget, _PLENTY),
            templates={
                name: replace(one, statement=bind(one.statement, tenant=tenant, pool_id=pool_id))
                for name, one in (templates or {}).items()
            },
        )

    @cached_property
    def key(self) -> rsa.RSAPrivateKey:
        """Signs its tokens; made once it is asked for, since that takes a twentieth of a second."""
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def join(self, ports: MemoryPorts) -> None:
        """Make the tenant and the pool's key known behind ``ports``."""
        ports.tenants.rows[self.tenant.issuer] = self.tenant
        ports.signing_keys.keys[self.tenant.issuer, self.key_id] = self.key.public_key()

    def claims(self, name: str, groups: Iterable[str] = (), **changes: object) -> dict[str, Any]:
        """The claims of an ID token; a change to ``None`` removes a claim."""
        now = int(time.time())
        claims: dict[str, Any] = {
            "sub": str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{name}.{self.tenant.id}")),
            "iss": self.tenant.issuer,
            "aud": self.client_id,
            "token_use": "id",
            "auth_time": now,
            "iat": now,
            "exp": now + _LIFE_SECONDS,
            "email": f"{name}@{self.tenant.id}.test",
            "cognito:username": name,
            "cognito:groups": list(groups),
        }
        return {claim: value for claim, value in (claims | changes).items() if value is not None}

    def sign(self, claims: Mapping[str, Any], **header: object) -> str:
        """A token of any claims, signed with the pool's key."""
        payload = json.dumps(dict(claims)).encode()
        return jwt.PyJWS().encode(
            payload, self.key, algorithm="RS256", headers={"kid": self.key_id, **header}
        )

    def id_token(self, name: str, groups: Iterable[str] = (), **changes: object) -> str:
        """A person's token."""
        return self.sign(self.claims(name, groups, **changes))

    def access_token(self, name: str, scope: str, **changes: object) -> str:
        """A machine's token, as client credentials are given it: its subject is its client."""
        own = {"sub": self.client_id, "client_id": self.client_id, "token_use": "access"}
        changes = {"aud": None, "email": None, **own, **changes}
        claims = self.claims(name, (), scope=scope, **changes)
        return self.sign(
            {claim: value for claim, value in claims.items() if not claim.startswith("cognito:")}
        )
