"""Rules that every stack keeps, checked before a resource is made.

The same rules run inside the embedded engine and, as a policy pack, under the real CLI: `pulumi up
--policy-pack infra/guardrails`. Standard library only, since the pack runs in a process of its own.
"""

from infra.guardrails.declared import Declared, UnknownYetError, plain
from infra.guardrails.rules import RULES, STACK_RULES, Rule, StackRule, of_resource, of_stack

__all__ = [
    "RULES",
    "STACK_RULES",
    "Declared",
    "Rule",
    "StackRule",
    "UnknownYetError",
    "of_resource",
    "of_stack",
    "plain",
]
