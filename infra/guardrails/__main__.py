"""The rules as a policy pack of Pulumi's, which the real CLI starts and asks.

`make guardrails` fetches pulumi-policy into `.policy-pack/`, and not into the lock: its metadata
asks for protobuf 5, while Pulumi's own SDK here runs with 6 (read: pulumi-policy 1.21.0). What it
imports of it are Pulumi's generated messages; tests/infra/guardrails/test_policy_pack.py speaks
with the pack over its own protocol.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

_ROOT: Final = Path(__file__).parents[2]
# Pulumi runs this folder as a script, so neither the project nor what was fetched is on the path.
sys.path[:0] = [str(_ROOT), str(_ROOT / ".policy-pack")]

import pulumi_policy as policy  # noqa: E402  # pyright: ignore[reportMissingImports]  # not in the lock

from infra import guardrails  # noqa: E402 - as said above

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


def _declared(asked: Any) -> guardrails.Declared:
    """What the CLI tells of a resource; an unknown value raises pulumi-policy's own error."""
    provider = asked.provider.props if asked.provider else {}
    settings = provider.get("defaultTags") or {}
    # A provider's nested settings travel as JSON text.
    settings = json.loads(settings) if isinstance(settings, str) else settings
    return guardrails.Declared(
        kind=asked.resource_type,
        name=asked.name,
        inputs=asked.props,
        protect=asked.opts.protect,
        tags=settings.get("tags") or {},
        refers_to=frozenset(_referred(asked)),
    )


def _referred(asked: Any) -> Iterator[str]:
    known: Iterable[Any] = getattr(asked, "property_dependencies", {}).values()
    for resources in known:
        yield from (one.name for one in resources)


def _of_resource(rule: guardrails.Rule) -> Any:
    def validate(args: Any, report: Any) -> None:
        for words in rule.check(_declared(args)):
            report(words, None)

    return policy.ResourceValidationPolicy(
        name=rule.name, description=rule.about, validate=validate
    )


def _of_stack(rule: guardrails.StackRule) -> Any:
    def validate(args: Any, report: Any) -> None:
        seen = [(_declared(one), one.urn) for one in args.resources]
        for broken, words in rule.check([declared for declared, _ in seen]):
            report(words, next(urn for declared, urn in seen if declared is broken))

    return policy.StackValidationPolicy(name=rule.name, description=rule.about, validate=validate)


def _policies() -> Sequence[Any]:
    return [*map(_of_resource, guardrails.RULES), *map(_of_stack, guardrails.STACK_RULES)]


if __name__ == "__main__":
    policy.PolicyPack(
        name="cedarfleet",
        enforcement_level=policy.EnforcementLevel.MANDATORY,
        policies=_policies(),
    )
