"""Operations on policy templates; what is linked to a template follows it at once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from . import client_tokens
from .call import Call, checked_name
from .errors import ConflictError, QuotaExceededError
from .pages import page
from .policy_checks import check_fixed_parts, template_statement
from .records import Policy, PolicyStore, Template, new_id
from .statements import parse

MAX_TEMPLATES: Final = 40  # per store


def create_policy_template(call: Call) -> dict[str, Any]:
    """CreatePolicyTemplate."""
    store = call.store()
    if (earlier := client_tokens.earlier_answer(call, "POLICY_TEMPLATE")) is not None:
        return earlier
    if len(call.state.templates.get(store.id, {})) >= MAX_TEMPLATES:
        raise QuotaExceededError("Policy Template Limit Exceeded.", resource_type="POLICY_TEMPLATE")
    name = _free_name(call, store, call.request.get("name"))
    template_statement(call, store, call.request["statement"])
    template = Template(
        id=new_id(),
        store=store.id,
        statement=call.request["statement"],
        description=call.request.get("description"),
        name=name,
        created=call.now,
        updated=call.now,
        order=call.state.next_order(),
    )
    return client_tokens.commit_created(
        call, template, resource_id=template.id, response=_summary(template)
    )


def get_policy_template(call: Call) -> dict[str, Any]:
    """GetPolicyTemplate."""
    template = call.required_template(call.store(), call.request["policyTemplateId"])
    return _item(template) | {"statement": template.statement}


def list_policy_templates(call: Call) -> dict[str, Any]:
    """ListPolicyTemplates: without statements."""
    shown, more = page(call, call.state.templates.get(call.store().id, {}).values())
    return {"policyTemplates": [_item(template) for template in shown], **more}


def update_policy_template(call: Call) -> dict[str, Any]:
    """UpdatePolicyTemplate: all but effect, principal and resource; its links follow at once."""
    store = call.store()
    template = call.required_template(store, call.request["policyTemplateId"])
    new = template_statement(call, store, call.request["statement"])
    check_fixed_parts(parse(template.statement), new, "/template/statement")
    updated = replace(
        template,
        statement=call.request["statement"],
        description=call.request.get("description"),
        updated=call.now,
    )
    name = call.request.get("name")
    if name is not None and name != template.name:  # JSON null is the member left out
        updated = replace(updated, name=_free_name(call, store, name))
    call.state.commit(put=[updated])
    return _summary(updated)


def delete_policy_template(call: Call) -> dict[str, Any]:
    """DeletePolicyTemplate: its links go with it, in one transaction."""
    store = call.store()
    template = call.required_template(store, call.request["policyTemplateId"])
    links: list[Policy] = [
        policy
        for policy in call.state.policies.get(store.id, {}).values()
        if policy.template == template.id
    ]
    call.state.commit(delete=[*links, template])
    return {}


def _free_name(call: Call, store: PolicyStore, given: str | None) -> str | None:
    name = checked_name(given)
    if name is not None and (held := call.template(store, name)) is not None:
        raise ConflictError(
            "The name is in use by another policy template.",
            resource_id=held.id,
            resource_type="POLICY_TEMPLATE",
        )
    return name


def _summary(template: Template) -> dict[str, Any]:
    return {
        "policyStoreId": template.store,
        "policyTemplateId": template.id,
        "createdDate": template.created,
        "lastUpdatedDate": template.updated,
    }


def _item(template: Template) -> dict[str, Any]:
    optional = {"description": template.description, "name": template.name}
    return _summary(template) | {name: text for name, text in optional.items() if text is not None}
