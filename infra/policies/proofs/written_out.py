"""Writes a policy set out as static policies: links filled in, or templates with their blanks open.

The symbolic compiler takes no blanks, and versions of it before cedar-policy/cedar#2273 left linked
policies out in silence. So links are written out here, and the prover refuses a set with any.

A template is *opened*: its blanks may be anything, and the end of its grant is a member of the
context that may be any moment which a file can name. Whatever grant will ever be made of it allows
a part of what the opened one allows, so what is proved of it is proved of all grants to come. An
opened template matches a request if and only if some grant of it would: a blank can be filled with
the very principal and the very resource.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from service.cedar.binding import UNTIL
from service.cedar.pieces import filled
from service.cedar.statement import statement_est

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.cedar.policy_set import PolicySet

Written = dict[str, dict[str, Any]]
"""Name -> a policy in Cedar's JSON form, without blanks."""
_OPEN_SCOPE: Final = {"op": "All"}
_ENDS: Final = ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z")
"""Between which an end is: a stack's file, and the API, read it as a `datetime` of Python."""


def written_out(policies: PolicySet) -> Written:
    """All policies of a set, links filled in under their ids.

    Raises:
        ValueError: one does not parse, or two have one name.
    """
    found = {name: statement_est(text) for name, text in policies.static.items()}
    templates = {name: statement_est(text) for name, text in policies.templates.items()}
    for link in policies.links:
        # Fail closed: of two of one name one would not be proved.
        if link.id in found:
            raise ValueError(f"two policies are named `{link.id}`")
        found[link.id] = filled(templates[link.template], link)
    return found


def end_name(template: str) -> str:
    """The member of the context that stands for the end of a template's grants."""
    return f"end_of_{template.replace('-', '_')}"


def opened(name: str, text: str) -> dict[str, Any]:
    """A template as one policy that stands for all grants of it.

    Raises:
        ValueError: it does not parse.
    """
    est = statement_est(text)
    bounds: list[dict[str, Any]] = []
    end = {".": {"left": {"Var": "context"}, "attr": end_name(name)}}
    if UNTIL in text:
        first, last = ({"datetime": [{"Value": moment}]} for moment in _ENDS)
        bounds = [{"&&": {"left": {">=": _pair(end, first)}, "right": {"<=": _pair(end, last)}}}]
    devices = [
        {"is": {"left": {"Var": "resource"}, "entity_type": kind}}
        for kind in ("Fleet::Device", "Fleet::DeviceGroup")
    ]
    bounds.append({"||": _pair(*devices)})
    return {
        **est,
        "principal": _OPEN_SCOPE,
        "resource": _OPEN_SCOPE,
        "conditions": [
            *({"kind": "when", "body": bound} for bound in bounds),
            *(_with_end(condition, end) for condition in est["conditions"]),
        ],
    }


def with_ends(schema: str, templates: Mapping[str, str]) -> dict[str, Any]:
    """The schema in Cedar's JSON form, its context with an end for each template that has one."""
    document: dict[str, Any] = json.loads(schema)
    context = document["Fleet"]["commonTypes"]["RequestContext"]["attributes"]
    for name, text in templates.items():
        if UNTIL in text:
            context[end_name(name)] = {"type": "EntityOrCommon", "name": "datetime"}
    return document


def _pair(left: object, right: object) -> dict[str, Any]:
    return {"left": left, "right": right}


def _with_end(node: Any, end: dict[str, Any]) -> Any:
    if isinstance(node, list):
        return [_with_end(item, end) for item in node]
    if not isinstance(node, dict):
        return node
    if node == {"datetime": [{"Value": "until"}]}:
        return end
    return {key: _with_end(item, end) for key, item in node.items()}
