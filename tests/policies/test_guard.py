"""The tenant guard holds where a guard written naively fails open, and no forbid can be skipped."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cedarpy import Schema
from hypothesis import given, seed, settings
from hypothesis import strategies as some

from infra.policies import load
from infra.policies.cases.reference_fleet import (
    NIGHT,
    OTHER_TENANT,
    POOL_ID,
    TENANT_ID,
    ReferenceFleet,
)
from infra.policies.cases.requests import Resource, sample_artifact
from service.cedar.entities import DEVICE
from service.cedar.evaluator import Evaluator
from service.cedar.policy_set import PolicySet
from service.cedar.request import AuthorizationRequest, RequestContext, TokenBearer
from service.cedar.statement import Problem, parse

POLICIES = Path(__file__).parents[2] / "policies"
BUNDLE = load(POLICIES, ReferenceFleet.read(POLICIES).policies)
BOUND = BUNDLE.policy_set.bound(tenant=TENANT_ID, pool_id=POOL_ID)
EVALUATOR = Evaluator(BOUND)
SEED = int(os.environ.get("CEDARFLEET_SEED", "0")) or int.from_bytes(os.urandom(4))

NAIVE = """@id("tenant-guard")
forbid (principal, action, resource is Fleet::Device)
unless { resource.tenant == Fleet::Tenant::"acme" };
"""


def asked(
    bearer: TokenBearer,
    action: str,
    device: Resource,
    context: RequestContext,
    *,
    known: bool = True,
) -> AuthorizationRequest:
    """The request; unless the device is known, its entity is left out."""
    request = AuthorizationRequest.of(
        principal=bearer.uid(POOL_ID),
        action=action,
        entities=device.entities(TENANT_ID),
        context=context,
    )
    kept = tuple(one for one in request.entities if known or one.uid != request.resource)
    return replace(request, entities=kept).with_bearer(bearer, pool_id=POOL_ID)


UNKNOWN = asked(
    TokenBearer(groups=("managers",)),
    "StopDevice",
    Resource(type=DEVICE, id="press-07"),
    RequestContext(now=NIGHT),
    known=False,
)


def test_naive_guard_fails_open():
    """Without the device's entity the naive guard fails: Cedar leaves it out and allows."""
    naive = Evaluator(
        PolicySet(
            schema=BOUND.schema,
            static={
                "tenant-guard": NAIVE,
                "managers-everything": BOUND.static["managers-everything"],
            },
            templates={},
            links=(),
        )
    )
    evaluation = naive.evaluate(UNKNOWN)
    assert evaluation.engine_allows
    assert evaluation.policies == ("managers-everything",)
    assert "tenant-guard" in evaluation.errors[0]
    assert not evaluation.allowed  # fail closed: ours takes an error for a denial


def test_real_guard_denies_the_same_request():
    """The real guard asks `has` first, so it is evaluated and denies."""
    evaluation = EVALUATOR.evaluate(UNKNOWN)
    assert not evaluation.engine_allows
    assert (evaluation.policies, evaluation.errors) == (("tenant-guard",), ())


def test_naive_guard_cannot_be_stamped():
    """No attribute of the schema is required, so the validator itself refuses the naive guard."""
    naive = parse("naive.cedar", NAIVE)
    assert not isinstance(naive, Problem)
    (problem,) = naive.validate(Schema.from_json_str(BUNDLE.schema_json))
    assert problem.words == (
        "unable to guarantee safety of access to optional attribute `tenant` "
        "on entity type `Fleet::Device`: ask `resource has tenant &&` before it"
    )


# The service refuses absurd facts before it asks; the policies hold without it.
DURATIONS = some.sampled_from([0, 345, -660, 840, -5_999, 5_999]).map(
    lambda minutes: timedelta(minutes=minutes)
) | some.timedeltas(min_value=timedelta(days=-9_999), max_value=timedelta(days=9_999))
ATTRIBUTES = some.fixed_dictionaries(
    {},
    optional={
        "kind": some.text(max_size=5),
        "region": some.sampled_from(["eu-central", ""]),
        "criticality": some.sampled_from(["low", "high", "?"]),
        "utc_offset": DURATIONS,
        "window_start": DURATIONS,
        "window_end": DURATIONS,
        "security_patch": some.sampled_from(
            [datetime(year, 10, 1, tzinfo=UTC) for year in (1, 2026, 9999)]
        ),
    },
)
DEVICES = some.builds(
    Resource,
    type=some.just(DEVICE),
    id=some.just("d"),
    attributes=ATTRIBUTES,
    tenant=some.sampled_from([None, OTHER_TENANT]),
)
CONTEXTS = some.builds(
    RequestContext,
    now=some.datetimes(
        min_value=datetime(1000, 1, 1),  # noqa: DTZ001 - the strategy wants naive bounds
        timezones=some.just(UTC),
    ),
    emergency=some.booleans(),
    reason=some.none() | some.text(max_size=3),
    artifact=some.none()
    | some.sampled_from([TENANT_ID, OTHER_TENANT]).map(
        lambda tenant: sample_artifact(tenant=tenant)
    ),
    members_allowed=some.none() | some.booleans(),
)
BEARERS = some.builds(
    TokenBearer,
    groups=some.lists(
        some.sampled_from(["managers", "operators", "it-staff", "technicians"]), max_size=2
    ).map(tuple),
    scopes=some.none() | some.just(("fleet/update",)),
)
ACTIONS = some.sampled_from(
    ["ViewDevice", "StopDevice", "MaintainDevice", "DownloadFile", "UpdateFirmware"]
)


@pytest.mark.soak
@seed(SEED)
@settings(deadline=None, database=None, print_blob=False)
@given(bearer=BEARERS, action=ACTIONS, device=DEVICES, context=CONTEXTS, known=some.booleans())
def test_no_policy_fails_to_evaluate_whatever_is_missing(
    bearer: TokenBearer, action: str, device: Resource, context: RequestContext, known: bool
):
    """No attribute, missing or absurd, fails a policy; nothing unknown or foreign is allowed."""
    evaluation = EVALUATOR.evaluate(asked(bearer, action, device, context, known=known))
    assert evaluation.errors == (), f"seed {SEED}"
    foreign_file = context.artifact and context.artifact.uid.id.startswith(OTHER_TENANT)
    if device.tenant or not known or foreign_file:
        assert not evaluation.allowed, f"seed {SEED}"


@pytest.mark.soak
@seed(SEED)
@settings(deadline=None, database=None, print_blob=False)
@given(
    now=some.datetimes(
        min_value=datetime(2026, 1, 1),  # noqa: DTZ001 - the strategy wants naive bounds
        max_value=datetime(2027, 1, 1),  # noqa: DTZ001 - the strategy wants naive bounds
        timezones=some.just(UTC),
    ),
    offset_minutes=some.integers(-14 * 4, 14 * 4).map(lambda quarters: quarters * 15),
    start=some.integers(0, 24 * 60 - 1),
    end=some.integers(0, 24 * 60 - 1),
    patched_days_ago=some.integers(25, 35),
)
def test_window_and_patch_date_agree_with_the_calendar(
    now: datetime, offset_minutes: int, start: int, end: int, patched_days_ago: int
):
    """IT staff get firmware through exactly when Python's calendar says that both fit."""
    now = now.replace(microsecond=0)
    patch = (now - timedelta(days=patched_days_ago)).replace(hour=0, minute=0, second=0)
    device = Resource(
        type=DEVICE,
        id="d",
        groups=("zone-hall-1",),
        attributes={
            "utc_offset": timedelta(minutes=offset_minutes),
            "window_start": timedelta(minutes=start),
            "window_end": timedelta(minutes=end),
            "security_patch": patch,
        },
    )
    local = now + timedelta(minutes=offset_minutes)
    at = local.hour * 60 + local.minute
    inside = start <= at < end if start <= end else at >= start or at < end
    staff = TokenBearer(groups=("it-staff",))
    request = asked(staff, "UpdateFirmware", device, RequestContext(now=now))
    expected = inside and now - patch > timedelta(days=30)
    assert EVALUATOR.evaluate(request).allowed is expected, f"seed {SEED}"
