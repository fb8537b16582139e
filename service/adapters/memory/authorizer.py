"""A twin of Verified Permissions: the real Cedar engine on the real policy files of a directory.

It trusts the principal that the service verified, where Verified Permissions verifies the token
once more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from service.cedar.evaluator import Evaluator
from service.cedar.policy_set import PolicySet
from service.errors import ConfigurationError, UpstreamError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from service.cedar.decision import Decision
    from service.cedar.request import AuthorizationRequest, TokenBearer
    from service.domain.identities import Principal
    from service.domain.tenants import Tenant

_CLAIMS: Final = frozenset({"email", "custom:region"})


class CedarAuthorizer:
    """Decides by the base policies of a directory, or by what a tenant has beside them.

    Args:
        policies: the directory, with ``schema.cedarschema`` and ``static/*.cedar``.
        tenants: by tenant id, everything that its store holds if that is more than the base: its
            own policies and its grants; as the files say it, not yet bound to tenant and pool.

    Raises:
        ConfigurationError: a file is missing.
    """

    def __init__(self, policies: Path, tenants: Mapping[str, PolicySet] | None = None) -> None:
        self._base = _read(policies)
        self._tenants = tenants or {}
        self._evaluators: dict[str, Evaluator] = {}

    async def decide(self, principal: Principal, request: AuthorizationRequest) -> Decision:
        """See ``ports.Authorizer``.

        Raises:
            ConfigurationError: a policy does not parse.
            UpstreamError: the request does not fit the schema, or the token is none of Cognito's.
        """
        evaluator = self._evaluator(principal.tenant)
        try:
            bearer = principal.bearer(_CLAIMS)
            asked = request.with_bearer(bearer, pool_id=principal.tenant.pool_id)
            return evaluator.evaluate(asked).decision
        except ValueError as error:
            raise UpstreamError(f"the policies cannot answer: {error}") from error

    async def decide_all(
        self, principal: Principal, requests: Sequence[AuthorizationRequest]
    ) -> tuple[Decision, ...]:
        return tuple([await self.decide(principal, request) for request in requests])

    async def decide_all_for(
        self, tenant: Tenant, bearer: TokenBearer, requests: Sequence[AuthorizationRequest]
    ) -> tuple[Decision, ...]:
        evaluator = self._evaluator(tenant)
        try:
            return tuple(
                evaluator.evaluate(one.with_bearer(bearer, pool_id=tenant.pool_id)).decision
                for one in requests
            )
        except ValueError as error:
            raise UpstreamError(f"the policies cannot answer: {error}") from error

    def _evaluator(self, tenant: Tenant) -> Evaluator:
        if tenant.issuer not in self._evaluators:
            policies = self._tenants.get(tenant.id, self._base)
            try:
                bound = policies.bound(tenant=tenant.id, pool_id=tenant.pool_id)
                self._evaluators[tenant.issuer] = Evaluator(bound)
            except ValueError as error:
                raise ConfigurationError(f"the policies cannot be read: {error}") from error
        return self._evaluators[tenant.issuer]


def _read(policies: Path) -> PolicySet:
    files = sorted((policies / "static").glob("*.cedar"))
    if not files:
        raise ConfigurationError(f"no policies in {policies / 'static'}")
    return PolicySet(
        schema=(policies / "schema.cedarschema").read_text(encoding="utf-8"),
        static={file.stem: file.read_text(encoding="utf-8") for file in files},
        templates={},
        links=(),
    )
