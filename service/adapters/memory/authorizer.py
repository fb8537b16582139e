"""A twin of Verified Permissions: the real Cedar engine on the real policy files of a directory.

It trusts the principal that the service verified, where Verified Permissions verifies the token once more.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Any, Final

import cedarpy

from service.domain.decisions import EntityId, decision_of
from service.domain.identities import TokenUse
from service.errors import ConfigurationError, UpstreamError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from service.domain.decisions import Decision, Entity, Question, Value
    from service.domain.identities import Principal
    from service.domain.tenants import Tenant

_GROUP: Final = re.compile(r'Fleet::Group::"([^"|]+)"')
_THIS: Final = 'Fleet::Tenant::"this"'
_CLAIMS: Final = ("email", "custom:region")


class CedarAuthorizer:
    """Decides by ``schema.cedarschema`` and ``static/*.cedar`` of a policies directory, bound to tenant and pool.

    Args:
        policies: the directory.

    Raises:
        ConfigurationError: a file is missing or does not parse.
    """

    def __init__(self, policies: Path) -> None:
        self._statements: dict[str, str] = {}
        files = sorted((policies / "static").glob("*.cedar"))
        if not files:
            raise ConfigurationError(f"no policies in {policies / 'static'}")
        for file in files:
            self._statements[file.stem] = file.read_text(encoding="utf-8")
        self._schema = cedarpy.Schema.from_str(
            (policies / "schema.cedarschema").read_text(encoding="utf-8")
        )
        self._actions = cedarpy.Entities.from_json_str("[]", self._schema)
        self._bound: dict[str, cedarpy.PolicySet] = {}

    async def decide(self, principal: Principal, question: Question) -> Decision:
        """See ``ports.Authorizer``."""
        entities = self._actions.with_added_json_str(
            json.dumps(
                [*_principal(principal), *(_entity(entity) for entity in question.entities)]
            ),
            self._schema,
        )
        context = {name: cedar_value(value) for name, value in question.context.items()}
        if principal.token_use is TokenUse.ACCESS:
            scope = str(principal.claims.get("scope", "")).split()
            context["token"] = {
                "scope": scope,
                "client_id": principal.client_id,
                "sub": principal.subject,
            }
        request = {
            "principal": {"type": "Fleet::User", "id": principal.entity_id},
            "action": {"type": "Fleet::Action", "id": str(question.action)},
            "resource": {"type": question.resource.type, "id": question.resource.id},
            "context": context,
        }
        answer = cedarpy.is_authorized(
            request, self._policies(principal.tenant), entities, self._schema
        )
        if answer.decision is cedarpy.Decision.NoDecision:
            raise UpstreamError(f"the policies cannot answer: {answer.diagnostics.errors}")
        return decision_of(
            allowed=answer.decision is cedarpy.Decision.Allow,
            policies=tuple(sorted(answer.diagnostics.reasons)),
            errors=len(answer.diagnostics.errors),
        )

    async def decide_all(
        self, principal: Principal, questions: Sequence[Question]
    ) -> tuple[Decision, ...]:
        """See ``ports.Authorizer``."""
        return tuple([await self.decide(principal, question) for question in questions])

    def _policies(self, tenant: Tenant) -> cedarpy.PolicySet:
        if tenant.issuer not in self._bound:
            static = {
                name: _parsed(name, _bind(text, tenant)) for name, text in self._statements.items()
            }
            document = {"staticPolicies": static, "templates": {}, "templateLinks": []}
            self._bound[tenant.issuer] = cedarpy.PolicySet.from_json_str(json.dumps(document))
        return self._bound[tenant.issuer]


def cedar_value(value: Value) -> Any:
    """A value in Cedar's JSON form (docs: Cedar "JSON format for entities")."""
    match value:
        case bool() | int() | str():
            return value
        case datetime():
            instant = value.astimezone(UTC)
            return _extension(
                "datetime",
                instant.strftime("%Y-%m-%dT%H:%M:%S.") + f"{instant.microsecond // 1000:03}Z",
            )
        case timedelta():
            return _extension("duration", f"{value // timedelta(milliseconds=1)}ms")
        case IPv4Address() | IPv6Address():
            return _extension("ip", str(value))
        case EntityId():
            return {"__entity": {"type": value.type, "id": value.id}}


def _extension(function: str, argument: str) -> dict[str, Any]:
    return {"__extn": {"fn": function, "arg": argument}}


def _bind(statement: str, tenant: Tenant) -> str:
    grouped = _GROUP.sub(lambda match: f'Fleet::Group::"{tenant.pool_id}|{match[1]}"', statement)
    return grouped.replace(_THIS, f'Fleet::Tenant::"{tenant.id}"')


def _parsed(name: str, statement: str) -> Any:
    try:
        policies = json.loads(cedarpy.policies_to_json_str(statement))["staticPolicies"]
    except ValueError as error:
        raise ConfigurationError(f"policy `{name}` does not parse: {error}") from error
    if len(policies) != 1:
        raise ConfigurationError(f"policy file `{name}` must hold exactly one statement")
    return next(iter(policies.values()))


def _principal(principal: Principal) -> list[dict[str, Any]]:
    groups = [
        {"type": "Fleet::Group", "id": f"{principal.tenant.pool_id}|{group}"}
        for group in principal.groups
    ]
    claims = principal.claims if principal.token_use is TokenUse.ID else {}
    user = {
        "uid": {"type": "Fleet::User", "id": principal.entity_id},
        "attrs": {name: claims[name] for name in _CLAIMS if name in claims},
        "parents": groups,
    }
    return [user, *({"uid": group, "attrs": {}, "parents": []} for group in groups)]


def _entity(entity: Entity) -> dict[str, Any]:
    return {
        "uid": {"type": entity.uid.type, "id": entity.uid.id},
        "attrs": {name: cedar_value(value) for name, value in entity.attributes.items()},
        "parents": [{"type": parent.type, "id": parent.id} for parent in entity.parents],
    }
