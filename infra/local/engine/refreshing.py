"""Compares the state with the cloud, resource by resource."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from infra.local.engine.result import Op
from infra.local.engine.values import DEFAULTS, for_handler, from_handler, hide, is_secret, reveal

if TYPE_CHECKING:
    from infra.local.engine.handler import Cloud
    from infra.local.engine.run import Run
    from infra.local.engine.snapshot import Resource
    from infra.local.engine.state import StackState


def refresh(state: StackState, cloud: Cloud, run: Run) -> None:
    """Read every managed resource; drop what is gone, take over what drifted.

    What was left pending is cleared.

    An input that drifted is taken over too, so that the next ``up`` sees that it differs from the
    program.
    """
    gone: set[str] = set()
    for resource in state.snapshot.resources():
        handler = (
            run.handler(resource.type, resource.urn)
            if resource.is_managed and not resource.delete
            else None
        )
        if handler is None:
            continue
        known = for_handler(resource.outputs)
        try:
            found = handler.read(cloud, resource.id, dict(known))
        # One resource that cannot be read must not hide the others.
        except Exception as error:  # noqa: BLE001
            run.fail(resource.urn, "reading", error)
            continue
        if found is None:
            gone.add(resource.urn)
            state.drop(resource.key)
            run.note(Op.DELETE, resource.urn, resource.type)
            continue
        drifted = sorted(key for key in {*known, *found} if known.get(key) != found.get(key))
        if drifted:
            state.amend(_taken_over(resource, found, drifted))
        run.note(Op.UPDATE if drifted else Op.SAME, resource.urn, resource.type, drifted)
    for resource in state.snapshot.resources():
        if gone.intersection(resource.dependencies):
            state.amend(_without(resource, gone))
    for urn in list(state.snapshot.pending):
        state.abandon(urn)


def _without(resource: Resource, gone: set[str]) -> Resource:
    """Pulumi refuses a state in which a resource depends on one that is not there."""
    properties = {
        key: [urn for urn in urns if urn not in gone]
        for key, urns in resource.property_dependencies.items()
    }
    return replace(
        resource,
        dependencies=[urn for urn in resource.dependencies if urn not in gone],
        property_dependencies=properties,
    )


def _taken_over(resource: Resource, found: dict[str, Any], drifted: list[str]) -> Resource:
    secret = {
        *resource.additional_secret_outputs,
        *(key for key, value in resource.outputs.items() if is_secret(value)),
    }
    outputs = hide(from_handler(found), secret)
    inputs = dict(resource.inputs)
    for key in drifted:
        if key in inputs and key != DEFAULTS:
            inputs[key] = hide(
                {key: reveal(outputs.get(key))}, [key] if is_secret(inputs[key]) else []
            )[key]
    return replace(resource, inputs=inputs, outputs=outputs)
