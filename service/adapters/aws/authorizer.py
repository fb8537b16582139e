"""Decisions by Amazon Verified Permissions, which verifies the token once more by itself."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Any, Final

import structlog

from service.adapters.aws.client.failures import asks
from service.cedar.decision import Evaluation
from service.cedar.entities import DEVICE_GROUP, TENANT
from service.cedar.request import ACTION
from service.cedar.values import EntityUid, datetime_text, duration_text
from service.domain.identities import TokenUse
from service.errors import UpstreamError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from service.adapters.aws.client.door import AwsDoor
    from service.cedar.decision import Decision
    from service.cedar.entities import Entity
    from service.cedar.request import AuthorizationRequest, TokenBearer
    from service.cedar.values import Value
    from service.domain.identities import Principal
    from service.domain.tenants import Tenant

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()
_STORE: Final = "the policy store"
MAX_REQUESTS: Final = 30  # of one batch (docs: Verified Permissions quotas)
_MAX_ENTITIES: Final = 100  # of one batch, distinct
# Of a batch's entities. A request has at most 1 MB (docs: Verified Permissions quotas), and tokens,
# actions and contexts stand in it too.
_MAX_ENTITY_BYTES: Final = 700_000
_SHARED: Final = frozenset({DEVICE_GROUP, TENANT})
_MOST_SPELT: Final = 4096
_spelt_before: Final[dict[int, tuple[Entity, dict[str, Any]]]] = {}
_TOKEN: Final = {TokenUse.ID: "identityToken", TokenUse.ACCESS: "accessToken"}


@dataclass(frozen=True, kw_only=True)
class VerifiedPermissionsAuthorizer:
    """Asks the policy store that the tenant's registry row names."""

    aws: AwsDoor

    @asks(_STORE)
    async def decide(self, principal: Principal, request: AuthorizationRequest) -> Decision:
        answer = await self.aws.tenant(principal.tenant, "verifiedpermissions").call(
            "IsAuthorizedWithToken",
            **_common(principal, request.entities),
            **_asked(request),
        )
        return _decision(principal.tenant, answer)

    @asks(_STORE)
    async def decide_all(
        self, principal: Principal, requests: Sequence[AuthorizationRequest]
    ) -> tuple[Decision, ...]:
        store = self.aws.tenant(principal.tenant, "verifiedpermissions")
        decisions: list[Decision] = []
        for batch in batches(requests):
            entities = {entity.uid: entity for request in batch for entity in request.entities}
            answer = await store.call(
                "BatchIsAuthorizedWithToken",
                **_common(principal, tuple(entities.values())),
                requests=[_asked(request) for request in batch],
            )
            # Fail closed: each request needs its own answer.
            if len(answer["results"]) != len(batch):
                raise UpstreamError("the policy store left questions open")
            decisions += [_decision(principal.tenant, result) for result in answer["results"]]
        return tuple(decisions)

    @asks(_STORE)
    async def decide_all_for(
        self, tenant: Tenant, bearer: TokenBearer, requests: Sequence[AuthorizationRequest]
    ) -> tuple[Decision, ...]:
        store = self.aws.tenant(tenant, "verifiedpermissions")
        person = bearer.entities(tenant.pool_id)
        decisions: list[Decision] = []
        for batch in batches(requests, beside=person):
            entities = {entity.uid: entity for request in batch for entity in request.entities}
            answer = await store.call(
                "BatchIsAuthorized",
                policyStoreId=tenant.policy_store_id,
                entities={
                    "entityList": [_item(entity) for entity in (*person, *entities.values())]
                },
                # All of one principal, as a batch has to be (source: Verified Permissions API
                # reference, BatchIsAuthorized). What the store makes of an access token itself if
                # it is given one stands in the context here.
                requests=[
                    {
                        "principal": _identifier(bearer.uid(tenant.pool_id)),
                        **_asked(replace(request, context={**request.context, **bearer.context()})),
                    }
                    for request in batch
                ],
            )
            # Fail closed: each request needs its own answer.
            if len(answer["results"]) != len(batch):
                raise UpstreamError("the policy store left questions open")
            decisions += [_decision(tenant, result) for result in answer["results"]]
        return tuple(decisions)


def batches(
    requests: Sequence[AuthorizationRequest], *, beside: tuple[Entity, ...] = ()
) -> Iterator[list[AuthorizationRequest]]:
    """The requests in order, cut so that no batch exceeds what one call may carry.

    Args:
        requests: any number.
        beside: entities that each batch carries too.
    """
    batch: list[AuthorizationRequest] = []
    always = {entity.uid: _size(entity) for entity in beside}
    entities = dict(always)  # and how many bytes each takes
    for request in requests:
        own = {entity.uid: _size(entity) for entity in request.entities}
        together = entities | own
        if batch and (
            len(batch) == MAX_REQUESTS
            or len(together) > _MAX_ENTITIES
            or sum(together.values()) > _MAX_ENTITY_BYTES
        ):
            yield batch
            batch, together = [], always | own
        batch.append(request)
        entities = together
    if batch:
        yield batch


def _common(principal: Principal, entities: tuple[Entity, ...]) -> dict[str, Any]:
    return {
        "policyStoreId": principal.tenant.policy_store_id,
        _TOKEN[principal.token_use]: principal.token,
        "entities": {"entityList": [_item(entity) for entity in entities]},
    }


def _asked(request: AuthorizationRequest) -> dict[str, Any]:
    return {
        "action": {"actionType": ACTION, "actionId": str(request.action)},
        "resource": _identifier(request.resource),
        "context": {
            "contextMap": {name: attribute_value(value) for name, value in request.context.items()}
        },
    }


def _decision(tenant: Tenant, answer: Mapping[str, Any]) -> Decision:
    errors: list[Any] = answer["errors"]
    if errors:
        log.warning("access.evaluation_errors", count=len(errors))
    names = tenant.policy_names
    ids = [policy["policyId"] for policy in answer["determiningPolicies"]]
    return Evaluation(
        engine_allows=answer["decision"] == "ALLOW",
        policies=tuple(sorted(names.get(policy_id, policy_id) for policy_id in ids)),
        errors=tuple(str(error["errorDescription"]) for error in errors),
    ).decision


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
            return {"datetime": datetime_text(value)}
        case timedelta():
            return {"duration": duration_text(value)}
        case IPv4Address() | IPv6Address():
            return {"ipaddr": str(value)}
        case EntityUid():
            return {"entityIdentifier": _identifier(value)}
        case tuple():
            return {"set": [attribute_value(item) for item in value]}
        case _:
            return {"record": {name: attribute_value(item) for name, item in value.items()}}


def _identifier(uid: EntityUid) -> dict[str, str]:
    return {"entityType": uid.type, "entityId": uid.id}


def _item(entity: Entity) -> dict[str, Any]:
    """An entity; groups and tenants, of which one object is many requests', are spelt once."""
    if entity.uid.type not in _SHARED:
        return _spelt(entity)
    known = _spelt_before.get(id(entity))
    if known is not None and known[0] is entity:
        return known[1]
    if len(_spelt_before) >= _MOST_SPELT:
        _spelt_before.clear()
    item = _spelt(entity)
    # Kept with its entity, so that no other one comes to stand where it stands.
    _spelt_before[id(entity)] = entity, item
    return item


def _spelt(entity: Entity) -> dict[str, Any]:
    tags = {name: {"string": text} for name, text in entity.tags.items()}
    return {
        "identifier": _identifier(entity.uid),
        "attributes": {name: attribute_value(value) for name, value in entity.attributes.items()},
        "parents": [_identifier(parent) for parent in entity.parents],
        **({"tags": tags} if tags else {}),
    }


def _size(entity: Entity) -> int:
    """How many bytes of a request the entity takes."""
    return len(json.dumps(_item(entity)))
