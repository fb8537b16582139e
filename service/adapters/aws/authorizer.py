"""Decisions by Amazon Verified Permissions, which verifies the caller's token once more against the tenant's pool."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Any, Final

import structlog

from service.domain.decisions import EntityId, decision_of
from service.domain.identities import TokenUse

if TYPE_CHECKING:
    from service.adapters.aws.calls import AwsCalls
    from service.adapters.aws.sessions import AwsSessions
    from service.domain.decisions import Decision, Entity, Question, Value
    from service.domain.identities import Principal

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()
_TOKEN: Final = {TokenUse.ID: "identityToken", TokenUse.ACCESS: "accessToken"}


@dataclass(frozen=True, kw_only=True)
class VerifiedPermissionsAuthorizer:
    """Asks the policy store that the tenant's registry row names."""

    calls: AwsCalls
    sessions: AwsSessions

    async def decide(self, principal: Principal, question: Question) -> Decision:
        """See ``ports.Authorizer``."""
        answer = await self.calls.run("the policy store", self._ask, principal, question)
        errors: list[Any] = answer.get("errors", [])
        if errors:
            log.warning("access.evaluation_errors", action=question.action, count=len(errors))
        names = principal.tenant.policy_names
        ids = [policy["policyId"] for policy in answer["determiningPolicies"]]
        return decision_of(
            allowed=answer["decision"] == "ALLOW",
            policies=tuple(sorted(names.get(policy_id, policy_id) for policy_id in ids)),
            errors=len(errors),
        )

    def _ask(self, principal: Principal, question: Question) -> dict[str, Any]:
        client = self.sessions.tenant(principal.tenant, "verifiedpermissions")
        return client.is_authorized_with_token(
            policyStoreId=principal.tenant.policy_store_id,
            **{_TOKEN[principal.token_use]: principal.token},
            action={"actionType": "Fleet::Action", "actionId": str(question.action)},
            resource=_identifier(question.resource),
            context={"contextMap": {name: attribute_value(value) for name, value in question.context.items()}},
            entities={"entityList": [_item(entity) for entity in question.entities]},
        )


def attribute_value(value: Value) -> dict[str, Any]:  # noqa: PLR0911 - one per member of the union
    """A value as Verified Permissions spells it (botocore model, shape ``AttributeValue``)."""
    match value:
        case bool():
            return {"boolean": value}
        case int():
            return {"long": value}
        case str():
            return {"string": value}
        case datetime():
            return {
                "datetime": value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{value.microsecond // 1000:03}Z"
            }
        case timedelta():
            return {"duration": f"{value // timedelta(milliseconds=1)}ms"}
        case IPv4Address() | IPv6Address():
            return {"ipaddr": str(value)}
        case EntityId():
            return {"entityIdentifier": _identifier(value)}


def _identifier(uid: EntityId) -> dict[str, str]:
    return {"entityType": uid.type, "entityId": uid.id}


def _item(entity: Entity) -> dict[str, Any]:
    return {
        "identifier": _identifier(entity.uid),
        "attributes": {name: attribute_value(value) for name, value in entity.attributes.items()},
        "parents": [_identifier(parent) for parent in entity.parents],
    }
