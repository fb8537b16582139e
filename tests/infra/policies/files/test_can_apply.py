"""A policy that can never apply is refused with the reason, and so is a condition that is idle."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import cedarpy
import pytest

from infra.policies.files.conditions import LIMIT
from tests.infra.policies.files.test_known_names import LISTS, SCHEMA, forbid, told
from tests.seed import new_seed

if TYPE_CHECKING:
    from collections.abc import Iterator

NEVER = "file:2: it can never apply: "
IDLE = "is always {} where it is asked: leave it out"


@pytest.mark.parametrize(
    ("condition", "reason"),
    [
        (
            (
                'resource has criticality && resource.criticality == "high" && '
                'resource.criticality == "low"'
            ),
            '`resource.criticality == "high"` and `resource.criticality == "low"`',
        ),
        (
            (
                'resource has criticality && !(resource.criticality == "low" || '
                'resource.criticality == "medium" || resource.criticality like "h*")'
            ),
            (
                '`!(resource.criticality == "low")`, `!(resource.criticality == "medium")` and '
                '`!(resource.criticality like "h*")`'
            ),
        ),
        (
            (
                'context has now && context.now < datetime("2026-01-01") && '
                'context.now >= datetime("2026-01-01")'
            ),
            '`context.now < datetime("2026-01-01")` and `context.now >= datetime("2026-01-01")`',
        ),
        (
            (
                "context has artifact && context.artifact has size && context.artifact.size < 5 && "
                "context.artifact.size > 6"
            ),
            "`context.artifact.size < 5` and `context.artifact.size > 6`",
        ),
        (
            'action in Fleet::Action::"View" && action == Fleet::Action::"StopDevice"',
            '`action in Fleet::Action::"View"` and `action == Fleet::Action::"StopDevice"`',
        ),
        (
            '!(principal in Fleet::Group::"operators")',
            (
                '`principal in Fleet::Group::"operators"` and '
                '`!(principal in Fleet::Group::"operators")`'
            ),
        ),
        (
            "resource is Fleet::DeviceGroup && resource has tenant",
            "`resource is Fleet::DeviceGroup` is never true",
        ),
        ("context has reason && false", "`false` is never true"),
    ],
)
def test_policy_that_never_applies_says_why(condition: str, reason: str):
    """The fewest conditions that never hold together are the reason."""
    ending = "" if reason.endswith("true") else " never hold together"
    assert told(forbid(condition)) == [f"{NEVER}{reason}{ending}"]


def test_a_reason_stands_at_the_attribute_it_speaks_of():
    """Written without blanks no line has its words; a number at its end tells of none."""
    condition = (
        "context has share_of_fleet && context.share_of_fleet<3 &&\n"
        "context has targets && context.targets>5 && context.targets<3"
    )
    why = "`context.targets > 5` and `context.targets < 3` never hold together"
    assert told(forbid(condition)) == [f"file:3: it can never apply: {why}"]


def test_unless_that_always_holds_never_applies():
    """What `unless` denies is part of the reason."""
    text = forbid("context has reason") + '\nunless { context has reason || resource has "kind" };'
    assert told(text.replace(";\nunless", "\nunless")) == [
        (
            "file:2: it can never apply: `context has reason` and `!(context has reason)` "
            "never hold together"
        )
    ]


@pytest.mark.parametrize(
    ("condition", "part", "comes_to"),
    [
        ('resource has kind && (resource.kind == "press" || true)', "true", "true"),
        ("resource has kind && resource has kind", "resource has kind", "true"),
        ("principal is Fleet::User && resource has kind", "principal is Fleet::User", "true"),
        ("resource has kind || resource is Fleet::Tenant", "resource is Fleet::Tenant", "false"),
        (
            'resource has kind && resource.kind like "*" && resource has region',
            'resource.kind like "*"',
            "true",
        ),
        (
            "context has emergency && (context.emergency || !context.emergency)",
            "context.emergency || !context.emergency",
            "true",
        ),
        ("true", "true", "true"),
    ],
)
def test_idle_condition_is_named(condition: str, part: str, comes_to: str):
    """A part that always comes to the same does not do what somebody thought it does."""
    assert told(forbid(condition)) == [f"file:2: `{part}` {IDLE.format(comes_to)}"]


@pytest.mark.parametrize(
    "condition",
    [
        'resource has kind && resource.kind != "press" && resource.kind != "pump"',
        "if context has emergency then context.emergency else false",
        'context has reason && context.reason like "*\\"*" && context.reason like "*.*"',
        (
            'context has now && context.now >= datetime("2026-01-01") && '
            'context.now < datetime("2026-01-01").offset(duration("1ms"))'
        ),
        (
            'principal has "custom:region" && resource has region && '
            'principal["custom:region"] == resource.region'
        ),
    ],
)
def test_condition_that_may_hold_is_not_refused(condition: str):
    """A tenant's list is not the world, and texts may be like two patterns at once."""
    assert told(forbid(condition)) == []


def test_too_many_combinations_are_said():
    """What is too big to be looked through is an error, and never passes in silence."""
    lists = replace(LISTS, groups=None)
    odd = " && ".join(
        f'((principal in Fleet::Group::"g{n}" && principal has email) || '
        f'principal in Fleet::Group::"h{n}")'
        for n in range(14)
    )
    (problem,) = told(forbid(odd), lists=lists)
    assert problem.startswith(f"file:1: more than {LIMIT} combinations of what its conditions look")


ATOMS: Final = (
    "resource has criticality",
    'resource has criticality && resource.criticality == "high"',
    'resource has criticality && ["low", "high"].contains(resource.criticality)',
    'resource has criticality && resource.criticality like "*i*"',
    "context has emergency",
    "context has emergency && context.emergency",
    'principal in Fleet::Group::"managers"',
    "context has artifact",
)


def test_analysis_agrees_with_the_engine():
    """Of random conditions, those that are said never to apply match no request, and no others."""
    chance = random.Random(new_seed())  # noqa: S311 - conditions
    schema = SCHEMA.validator
    requests = list(_requests())
    # One that never applies, and one that may: else a run might meet none of a kind.
    known = [f"{ATOMS[0]} && !({ATOMS[0]})", ATOMS[0]]
    refused, conditions = 0, [*known, *(_condition(chance, 4) for _ in range(25))]
    for condition in conditions:
        text = forbid(condition)
        never = any("never" in problem for problem in told(text))
        permit = cedarpy.PolicySet.from_str(text.replace("forbid", "permit", 1))
        matches = any(
            cedarpy.is_authorized(request, permit, entities, schema).allowed
            for request, entities in requests
        )
        assert never is not matches, text
        refused += never
    assert 0 < refused < len(conditions)


def _condition(chance: random.Random, depth: int) -> str:
    if depth == 0 or chance.random() < 0.15:
        return f"({chance.choice(ATOMS)})"
    match chance.randrange(4):
        case 0 | 1:
            return f"({_condition(chance, depth - 1)} && {_condition(chance, depth - 1)})"
        case 2:
            return f"({_condition(chance, depth - 1)} || {_condition(chance, depth - 1)})"
        case _:
            return f"!{_condition(chance, depth - 1)}"


def _requests() -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    parents = [{"type": "Fleet::Group", "id": "operators"}]
    managers = {"type": "Fleet::Group", "id": "managers"}
    artifact = {"__entity": {"type": "Fleet::Artifact", "id": "a"}}
    asked = itertools.product(
        (None, "low", "medium", "high"), (None, True, False), (False, True), (False, True)
    )
    for level, emergency, manager, delivers in asked:
        attributes: dict[str, str] = {} if level is None else {"criticality": level}
        user = {"type": "Fleet::User", "id": "u"}
        device = {"type": "Fleet::Device", "id": "d"}
        entities: list[dict[str, Any]] = [
            {"uid": user, "attrs": {}, "parents": [*parents, *[managers] * manager]},
            {"uid": device, "attrs": attributes, "parents": []},
        ]
        context: dict[str, Any] = {} if emergency is None else {"emergency": emergency}
        yield (
            {
                "principal": user,
                "action": {"type": "Fleet::Action", "id": "StopDevice"},
                "resource": device,
                "context": {**context, **({"artifact": artifact} if delivers else {})},
            },
            entities,
        )
