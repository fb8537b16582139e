"""Decisions by Amazon Verified Permissions, which verifies the caller's token once more against the tenant's pool."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Any, Final

import structlog

from service.domain.decisions import EntityId, decision_of
from service.domain.identities import TokenUse
from service.errors import UpstreamError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from service.adapters.aws.calls import AwsCalls
    from service.adapters.aws.sessions import AwsSessions
    from service.domain.decisions import Decision, Entity, Question, Value
    from service.domain.identities import Principal

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()
_MAX_REQUESTS: Final = 30  # of one batch (docs: Verified Permissions quotas)
_MAX_ENTITIES: Final = 100  # of one batch, distinct
_TOKEN: Final = {TokenUse.ID: "identityToken", TokenUse.ACCESS: "accessToken"}


@dataclass(frozen=True, kw_only=True)
class VerifiedPermissionsAuthorizer:
    """Asks the policy store that the tenant's registry row names."""

    calls: AwsCalls
    sessions: AwsSessions

    async def decide(self, principal: Principal, question: Question) -> Decision:
        """See ``ports.Authorizer``."""
        return await self.calls.run("the policy store", self._ask, principal, question)

    async def decide_all(
        self, principal: Principal, questions: Sequence[Question]
    ) -> tuple[Decision, ...]:
        """See ``ports.Authorizer``."""
        return await self.calls.run("the policy store", self._ask_all, principal, questions)

    def _ask(self, principal: Principal, question: Question) -> Decision:
        client = self.sessions.tenant(principal.tenant, "verifiedpermissions")
        answer = client.is_authorized_with_token(
            **_common(principal, question.entities),
            **_asked(question),
        )
        return _decision(principal, answer)

    def _ask_all(self, principal: Principal, questions: Sequence[Question]) -> tuple[Decision, ...]:
        client = self.sessions.tenant(principal.tenant, "verifiedpermissions")
        decisions: list[Decision] = []
        for batch in batches(questions):
            entities = {entity.uid: entity for question in batch for entity in question.entities}
            answer = client.batch_is_authorized_with_token(
                **_common(principal, tuple(entities.values())),
                requests=[_asked(question) for question in batch],
            )
            if len(answer["results"]) != len(
                batch
            ):  # fail closed: each question needs its own answer
                raise UpstreamError("the policy store left questions open")
            decisions += [_decision(principal, result) for result in answer["results"]]
        return tuple(decisions)


def batches(questions: Sequence[Question]) -> Iterator[list[Question]]:
    """The questions in order, cut so that no batch exceeds what one call may carry."""
    batch: list[Question] = []
    entities: set[EntityId] = set()
    for question in questions:
        own = {entity.uid for entity in question.entities}
        if batch and (len(batch) == _MAX_REQUESTS or len(entities | own) > _MAX_ENTITIES):
            yield batch
            batch, entities = [], set()
        batch.append(question)
        entities |= own
    if batch:
        yield batch


def _common(principal: Principal, entities: tuple[Entity, ...]) -> dict[str, Any]:
    return {
        "policyStoreId": principal.tenant.policy_store_id,
        _TOKEN[principal.token_use]: principal.token,
        "entities": {"entityList": [_item(entity) for entity in entities]},
    }


def _asked(question: Question) -> dict[str, Any]:
    return {
        "action": {"actionType": "Fleet::Action", "actionId": str(question.action)},
        "resource": _identifier(question.resource),
        "context": {
            "contextMap": {name: attribute_value(value) for name, value in question.context.items()}
        },
    }


def _decision(principal: Principal, answer: Mapping[str, Any]) -> Decision:
    errors: list[Any] = answer.get("errors", [])
    if errors:
        log.warning("access.evaluation_errors", count=len(errors))
    names = principal.tenant.policy_names
    ids = [policy["policyId"] for policy in answer["determiningPolicies"]]
    return decision_of(
        allowed=answer["decision"] == "ALLOW",
        policies=tuple(sorted(names.get(policy_id, policy_id) for policy_id in ids)),
        errors=len(errors),
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
                "datetime": value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.")
                + f"{value.microsecond // 1000:03}Z"
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
