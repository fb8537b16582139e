"""Operations on policies: static ones and links of templates."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from . import client_tokens
from .call import ALIAS_PREFIX, Call, checked_name, find_store
from .cedar_values import action_identifier, entity_identifier, entity_uid
from .errors import ConflictError, Field, InvalidInputError, NotFoundError
from .pages import page
from .policy_checks import check_fixed_parts, check_room, link_statement, static_statement
from .policy_sets import statement_of
from .records import Policy, PolicyStore, new_id
from .statements import Statement, scope_actions, scope_entity

if TYPE_CHECKING:
    from collections.abc import Callable

_EFFECTS: Final = {"permit": "Permit", "forbid": "Forbid"}


def create_policy(call: Call) -> dict[str, Any]:
    """CreatePolicy: nothing is stored that does not parse, or does not validate in STRICT mode."""
    store = call.store()
    if (earlier := client_tokens.earlier_answer(call, "POLICY")) is not None:
        return earlier
    name = _free_name(call, store, call.request.get("name"))
    policy = Policy(
        id=new_id(),
        store=store.id,
        name=name,
        created=call.now,
        updated=call.now,
        order=call.state.next_order(),
    )
    definition = call.request["definition"]
    if (static := definition.get("static")) is not None:
        statement = static_statement(call, store, static["statement"])
        policy = replace(
            policy, statement=static["statement"], description=static.get("description")
        )
    else:
        linked = definition["templateLinked"]
        template = call.required_template(store, linked["policyTemplateId"])
        principal, resource = (_uid(linked.get(part)) for part in ("principal", "resource"))
        statement = link_statement(call, store, template, principal=principal, resource=resource)
        policy = replace(policy, template=template.id, principal=principal, resource=resource)
    check_room(call, store, new=statement)
    return client_tokens.commit_created(
        call, policy, resource_id=policy.id, response=_summary(policy, statement)
    )


def get_policy(call: Call) -> dict[str, Any]:
    """GetPolicy: with the statement, or the template and its entities."""
    policy = _required(call, call.store())
    return _detail(policy, statement_of(call.state, policy))


def batch_get_policy(call: Call) -> dict[str, Any]:
    """BatchGetPolicy: what is found and what is not, each in the order asked."""
    results: list[dict[str, Any]] = []
    errors: list[dict[str, Any]] = []
    for item in call.request["requests"]:
        store = find_store(call.state, call.caller, item["policyStoreId"])
        policy = call.policy(store, item["policyId"]) if store is not None else None
        if policy is not None:
            detail = _detail(policy, statement_of(call.state, policy))
            results.append({name: detail[name] for name in _BATCH_MEMBERS if name in detail})
            continue
        if store is not None:
            code, message = "POLICY_NOT_FOUND", "Policy does not exist."
        elif item["policyStoreId"].startswith(ALIAS_PREFIX):
            code, message = "POLICY_STORE_ALIAS_NOT_FOUND", "Policy Store Alias does not exist."
        else:
            code, message = "POLICY_STORE_NOT_FOUND", "Policy Store does not exist."
        errors.append({**item, "code": code, "message": message})
    return {"results": results, "errors": errors}


def list_policies(call: Call) -> dict[str, Any]:
    """ListPolicies: without statements; filters must all match."""
    store = call.store()
    wanted = call.request.get("filter") or {}
    template = wanted.get("policyTemplateId")
    if template is not None and (found := call.template(store, template)) is not None:
        template = found.id
    tests: list[Callable[[Policy, Statement], bool]] = []
    if template is not None:
        tests.append(lambda policy, _: policy.template == template)
    if (kind := wanted.get("policyType")) is not None:
        tests.append(lambda policy, _: _type(policy) == kind)
    for part in ("principal", "resource"):
        if (reference := wanted.get(part)) is not None:
            entity = _uid(reference.get("identifier"))
            if entity is None and reference.get("unspecified") is False:
                raise InvalidInputError(
                    Field(f"/filter/{part}/unspecified", "Must be true when it is set.")
                )
            tests.append(
                lambda _, statement, part=part, entity=entity: (
                    scope_entity(getattr(statement, part)) == entity
                )
            )
    matching = [
        policy
        for policy in call.state.policies.get(store.id, {}).values()
        if all(test(policy, statement_of(call.state, policy)) for test in tests)
    ]
    shown, more = page(call, matching)
    return {
        "policies": [_item(policy, statement_of(call.state, policy)) for policy in shown],
        **more,
    }


def update_policy(call: Call) -> dict[str, Any]:
    """UpdatePolicy: all but effect, principal and resource; of a link only the name."""
    store = call.store()
    policy = _required(call, store)
    statement = statement_of(call.state, policy)
    updated = replace(policy, updated=call.now)
    definition = call.request.get("definition")
    if definition is not None:
        if policy.statement is None:
            raise InvalidInputError(
                Field("/definition/static", "A template-linked policy cannot be updated.")
            )
        static = definition["static"]
        new = static_statement(call, store, static["statement"])
        check_fixed_parts(statement, new, "/definition/static/statement")
        check_room(call, store, new=new, instead_of=policy.id)
        statement = new
        updated = replace(
            updated, statement=static["statement"], description=static.get("description")
        )
    name = call.request.get("name")
    if name is not None and name != policy.name:  # JSON null is the member left out
        updated = replace(updated, name=_free_name(call, store, name))
    call.state.commit(put=[updated])
    return _summary(updated, statement)


def delete_policy(call: Call) -> dict[str, Any]:
    """DeletePolicy: a policy that is not there is already deleted."""
    policy = call.policy(call.store(), call.request["policyId"])
    if policy is not None:
        call.state.commit(delete=[policy])
    return {}


_BATCH_MEMBERS: Final = (
    "policyStoreId",
    "policyId",
    "policyType",
    "definition",
    "createdDate",
    "lastUpdatedDate",
    "name",
)


def _required(call: Call, store: PolicyStore) -> Policy:
    reference = call.request["policyId"]
    policy = call.policy(store, reference)
    if policy is None:
        raise NotFoundError("Policy does not exist.", resource_id=reference, resource_type="POLICY")
    return policy


def _free_name(call: Call, store: PolicyStore, given: str | None) -> str | None:
    name = checked_name(given)
    if name is not None and (held := call.policy(store, name)) is not None:
        raise ConflictError(
            "The name is in use by another policy.", resource_id=held.id, resource_type="POLICY"
        )
    return name


def _type(policy: Policy) -> str:
    return "STATIC" if policy.statement is not None else "TEMPLATE_LINKED"


def _summary(policy: Policy, statement: Statement) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "policyStoreId": policy.store,
        "policyId": policy.id,
        "policyType": _type(policy),
        "effect": _EFFECTS[statement.effect],
        "createdDate": policy.created,
        "lastUpdatedDate": policy.updated,
    }
    for part in ("principal", "resource"):
        if (entity := scope_entity(getattr(statement, part))) is not None:
            answer[part] = entity_identifier(entity)
    if actions := scope_actions(statement.action):
        answer["actions"] = [action_identifier(action) for action in actions]
    return answer


def _item(policy: Policy, statement: Statement) -> dict[str, Any]:
    definition = _link(policy) if policy.statement is None else {"static": _description(policy)}
    return _summary(policy, statement) | {"definition": definition} | _name(policy)


def _detail(policy: Policy, statement: Statement) -> dict[str, Any]:
    definition: dict[str, Any]
    if policy.statement is None:
        definition = _link(policy)
    else:
        definition = {"static": {"statement": policy.statement, **_description(policy)}}
    return _summary(policy, statement) | {"definition": definition} | _name(policy)


def _link(policy: Policy) -> dict[str, Any]:
    linked: dict[str, Any] = {"policyTemplateId": policy.template}
    for part, entity in (("principal", policy.principal), ("resource", policy.resource)):
        if entity is not None:
            linked[part] = entity_identifier(entity)
    return {"templateLinked": linked}


def _description(policy: Policy) -> dict[str, str]:
    return {} if policy.description is None else {"description": policy.description}


def _name(policy: Policy) -> dict[str, str]:
    return {} if policy.name is None else {"name": policy.name}


def _uid(identifier: dict[str, str] | None) -> dict[str, str] | None:
    return None if identifier is None else entity_uid(identifier)
