"""Names inside inputs are those of pulumi_aws: the laptop's resources would take any."""

from __future__ import annotations

import inspect
import sys
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ForwardRef, get_args

import pulumi
import pulumi_aws as aws
import pytest

from infra.local.engine import Engine
from infra.local.engine.program import from_file
from infra.local.resources import HANDLERS, INVOKES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    from tests.infra.conftest import Project


@dataclass(frozen=True, kw_only=True)
class Registered:
    """One resource as the program asked for it, with Python's names."""

    type: type[pulumi.Resource]
    name: str
    inputs: dict[str, Any]


def shapes(annotation: object) -> Iterator[str]:
    """The typed dictionaries that an annotation names, e.g. `ServiceLoadBalancerArgsDict`."""
    text = annotation.__forward_arg__ if isinstance(annotation, ForwardRef) else annotation
    if isinstance(text, str) and text.endswith("ArgsDict"):
        yield text
    for part in get_args(annotation):
        yield from shapes(part)


def wrong_names(
    value: object, annotation: object, module: ModuleType, where: str, seen: Counter[str]
) -> Iterator[str]:
    """Each key of a value that its shape does not have, and each required one that is missing."""
    if isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from wrong_names(item, annotation, module, f"{where}[{index}]", seen)
    names = sorted(set(shapes(annotation)))
    if not isinstance(value, dict) or not names:
        return
    (name,) = names
    seen[name] += 1
    shape = getattr(module, name)
    yield from (
        f"{where}: `{key}` is no key of {name}"
        for key in sorted(value.keys() - shape.__annotations__.keys())
    )
    yield from (
        f"{where}: {name} needs `{key}`" for key in sorted(shape.__required_keys__ - value.keys())
    )
    for key in value.keys() & shape.__annotations__.keys():
        inner = sys.modules[shape.__module__]
        yield from wrong_names(
            value[key], shape.__annotations__[key], inner, f"{where}.{key}", seen
        )


def wrong_inputs(one: Registered, seen: Counter[str]) -> list[str]:
    """What is wrong with the names inside a resource's inputs."""
    wrong: list[str] = []
    generated: Any = one.type  # each class of pulumi_aws has the method
    for name, parameter in inspect.signature(generated._internal_init).parameters.items():
        if one.inputs.get(name) is not None:
            module = sys.modules[one.type.__module__]
            wrong += wrong_names(
                one.inputs[name], parameter.annotation, module, f"{one.name}.{name}", seen
            )
    return wrong


@pytest.fixture(scope="module")
def registered(project: Project) -> list[Registered]:
    """All that the program asks pulumi_aws for: the platform and the tenant that uses most."""
    found: list[Registered] = []

    def take(args: pulumi.ResourceTransformationArgs) -> None:
        if args.type_.startswith("aws:"):
            found.append(
                Registered(type=type(args.resource), name=args.name, inputs=dict(args.props))
            )

    program = from_file(project.engine.project.program)

    def watched() -> None:
        pulumi.runtime.register_stack_transformation(take)
        program()

    for stack in ("platform", "acme"):
        Engine(
            project.root, project.root / "state", project.cloud, HANDLERS, INVOKES, program=watched
        ).preview(stack)
    return found


def test_every_name_inside_an_input_is_one_of_the_provider(registered: list[Registered]) -> None:
    """Keys of nested inputs are those of pulumi_aws, and none that it requires is missing."""
    seen: Counter[str] = Counter()
    wrong = [words for one in registered for words in wrong_inputs(one, seen)]

    assert wrong == []
    assert len(registered) > 100
    assert len(seen) > 30, sorted(seen)


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        (
            {"load_balancers": [{"container_name": "x", "container_prt": 1}]},
            "`container_prt` is no key of ServiceLoad",
        ),
        (
            {"load_balancers": [{"container_name": "x"}]},
            "ServiceLoadBalancerArgsDict needs `container_port`",
        ),
        (
            {"deployment_circuit_breaker": {"enable": True, "rollback": True, "x": 1}},
            "circuit_breaker: `x` is no key",
        ),
        (
            {"network_configuration": {"subnets": [], "assignPublicIp": False}},
            "`assignPublicIp` is no key of Service",
        ),
    ],
)
def test_a_wrong_name_is_found(inputs: dict[str, Any], words: str) -> None:
    """The search finds a typo, a missing key and a name in the wrong case, in lists as well."""
    found = wrong_inputs(Registered(type=aws.ecs.Service, name="service", inputs=inputs), Counter())
    assert any(words in one for one in found), found
