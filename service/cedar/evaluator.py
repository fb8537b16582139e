"""Evaluates requests by a policy set in this process, with the engine of Verified Permissions."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import cedarpy

from service.cedar.decision import Evaluation
from service.cedar.statement import statement_est

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from service.cedar.entities import Entity
    from service.cedar.policy_set import PolicySet
    from service.cedar.request import AuthorizationRequest
    from service.cedar.values import EntityUid


class Evaluator:
    """Evaluates requests of one tenant; parses the policies once.

    Args:
        policies: bound to the tenant and its pool, as the requests are.

    Raises:
        ValueError: the schema or a policy does not parse.
    """

    def __init__(self, policies: PolicySet) -> None:
        in_json = policies.schema.lstrip().startswith("{")
        parse = cedarpy.Schema.from_json_str if in_json else cedarpy.Schema.from_str
        self._schema = parse(policies.schema)
        # No entities, but the action groups of the schema.
        self._actions = cedarpy.Entities.from_json_str("[]", self._schema)
        self._policies = _parsed(policies)

    def evaluate(self, request: AuthorizationRequest) -> Evaluation:
        """What the engine says to one request.

        Raises:
            ValueError: the request does not fit the schema.
        """
        return self.evaluate_all([request])[0]

    def evaluate_all(self, requests: Sequence[AuthorizationRequest]) -> list[Evaluation]:
        """What the engine says to each request; their entities are parsed once for all.

        Raises:
            ValueError: a request does not fit the schema, e.g. an action that does not apply to
                its resource, or two requests disagree about an entity.
        """
        entities: dict[EntityUid, Entity] = {}
        for request in requests:
            for entity in request.entities:
                known = entities.setdefault(entity.uid, entity)
                if known is not entity and known != entity:
                    raise ValueError(f"two requests disagree about `{entity.uid}`")
        given = self._actions.with_added_json_str(
            json.dumps([entity.json() for entity in entities.values()]), self._schema
        )
        asked = [request.json() for request in requests]
        results = cedarpy.is_authorized_batch(asked, self._policies, given, self._schema)
        return [evaluation_of(result) for result in results]


def evaluation_of(result: cedarpy.AuthzResult) -> Evaluation:
    """What the engine answered, as an evaluation.

    Raises:
        ValueError: it could not read the request.
    """
    decision, told = result.decision, result.diagnostics
    errors = tuple(sorted(told.errors))
    if decision is cedarpy.Decision.NoDecision:
        raise ValueError("; ".join(errors))
    return Evaluation(
        engine_allows=decision is cedarpy.Decision.Allow,
        policies=tuple(sorted(told.reasons)),
        errors=errors,
    )


def _parsed(policies: PolicySet) -> cedarpy.PolicySet:
    def value(uid: EntityUid) -> dict[str, Any]:
        return {"__entity": uid.json()}

    # Templates get a namespace of their own: a link may be named like its template.
    links = [
        {
            "templateId": f"template {link.template}",
            "newId": link.id,
            "values": {"?principal": value(link.principal), "?resource": value(link.resource)},
        }
        for link in policies.links
    ]
    templates = {f"template {name}": text for name, text in policies.templates.items()}
    document = {
        "staticPolicies": _ests(policies.static),
        "templates": _ests(templates),
        "templateLinks": links,
    }
    return cedarpy.PolicySet.from_json_str(json.dumps(document))


def _ests(statements: Mapping[str, str]) -> dict[str, Any]:
    ests: dict[str, Any] = {}
    for name, text in statements.items():
        try:
            ests[name] = statement_est(text)
        except ValueError as error:
            raise ValueError(f"policy `{name}`: {error}") from error
    return ests
