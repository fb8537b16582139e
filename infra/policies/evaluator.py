"""Decides questions by the real files, with the engine that Verified Permissions runs, in this process."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cedarpy import (
    AuthzResult,
    Entities,
    PolicySet,
    Schema,
    is_authorized_batch,
)
from cedarpy import Decision as CedarDecision

from service.cedar.binding import bind, bind_uid
from service.cedar.policy_set import Link
from service.cedar.statement import named_entities, statement_est

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from infra.policies.bundle import PolicyBundle
    from infra.policies.question import Question
    from service.cedar.statement import Effect
    from service.cedar.values import EntityUid


@dataclass(frozen=True, kw_only=True)
class BoundPolicies:
    """What a policy store holds or is to hold, bound to the tenant's pool; keys are our ids, not those of the store.

    Attributes:
        schema_json: the schema.
        static: id -> statement.
        templates: id -> statement.
        links: with bound entities.
    """

    schema_json: str
    static: Mapping[str, str]
    templates: Mapping[str, str]
    links: tuple[Link, ...]

    @property
    def effects(self) -> dict[str, Effect]:
        """Id of each static policy -> its effect."""
        return {name: statement_est(text)["effect"] for name, text in self.static.items()}

    def statements(self) -> tuple[str, ...]:
        """Policies and templates."""
        return (*self.static.values(), *self.templates.values())

    def entities(self) -> Iterator[EntityUid]:
        """Everything that the policies and links name."""
        for text in self.statements():
            yield from named_entities(statement_est(text))
        for link in self.links:
            yield from (link.principal, link.resource)


@dataclass(frozen=True, kw_only=True)
class Decision:
    """The answer.

    Attributes:
        allowed: whether a permit matched, no forbid did, and nothing went wrong.
        policies: ids of the deciding policies; empty if nothing matched.
        errors: policies that Cedar left out since they could not be evaluated, in its words.
    """

    allowed: bool
    policies: tuple[str, ...]
    errors: tuple[str, ...] = ()

    def __str__(self) -> str:
        names = ", ".join(self.policies)
        return ("yes" if self.allowed else "no") + (f": {names}" if names else "")


def bound(bundle: PolicyBundle, *, tenant: str, pool_id: str) -> BoundPolicies:
    """The bundle as the tenant's store is to hold it."""
    return BoundPolicies(
        schema_json=bundle.schema_json,
        static={p.id: bind(p.statement, tenant=tenant, pool_id=pool_id) for p in bundle.static},
        templates={
            t.id: bind(t.statement, tenant=tenant, pool_id=pool_id) for t in bundle.templates
        },
        links=tuple(
            Link(
                id=link.id,
                template=link.template,
                principal=bind_uid(link.principal, tenant=tenant, pool_id=pool_id),
                resource=bind_uid(link.resource, tenant=tenant, pool_id=pool_id),
            )
            for link in bundle.links
        ),
    )


class Evaluator:
    """Answers questions of one tenant; parses once."""

    def __init__(self, policies: BoundPolicies, *, tenant: str, pool_id: str) -> None:
        self._tenant = tenant
        self._pool_id = pool_id
        self._schema = Schema.from_json_str(policies.schema_json)
        self._actions = Entities.from_json_str(
            "[]", self._schema
        )  # the action groups of the schema
        self._policies = _policy_set(policies)

    def decide(self, question: Question) -> Decision:
        """The decision.

        Raises:
            ValueError: the question does not fit the schema, e.g. an action that does not apply to the target.
        """
        return self.decide_all([question])[0]

    def decide_all(self, questions: Sequence[Question]) -> list[Decision]:
        """The decisions of questions about the same person and target, whose entities are then parsed once.

        Raises:
            ValueError: a question does not fit the schema, or two disagree about an entity.
        """
        requests: list[dict[str, Any]] = []
        entities: dict[str, dict[str, Any]] = {}
        for question in questions:
            request, named = question.cedar(tenant=self._tenant, pool_id=self._pool_id)
            requests.append(request)
            for entity in named:
                if entities.setdefault(str(entity["uid"]), entity) != entity:
                    raise ValueError(f"two questions disagree about {entity['uid']}")
        known = self._actions.with_added_json_str(json.dumps(list(entities.values())), self._schema)
        results = is_authorized_batch(requests, self._policies, known, self._schema)
        return [_decision(result) for result in results]


def _decision(result: AuthzResult) -> Decision:
    errors = tuple(result.diagnostics.errors)
    if result.decision is CedarDecision.NoDecision:
        raise ValueError("; ".join(errors))
    return Decision(
        allowed=result.allowed
        and not errors,  # fail closed: a policy that could not be evaluated may be a forbid
        policies=tuple(sorted(result.diagnostics.reasons)),
        errors=errors,
    )


def _policy_set(policies: BoundPolicies) -> PolicySet:
    def value(entity: EntityUid) -> dict[str, Any]:
        return {"__entity": {"type": entity.type, "id": entity.id}}

    links = [
        {
            "templateId": f"template {link.template}",  # a namespace of its own: a link may be named like its template
            "newId": link.id,
            "values": {"?principal": value(link.principal), "?resource": value(link.resource)},
        }
        for link in policies.links
    ]
    document = {
        "staticPolicies": {name: statement_est(text) for name, text in policies.static.items()},
        "templates": {
            f"template {name}": statement_est(text) for name, text in policies.templates.items()
        },
        "templateLinks": links,
    }
    return PolicySet.from_json_str(json.dumps(document))
