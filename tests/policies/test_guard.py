"""The tenant guard holds where a guard written naively fails open, and no forbid can be skipped."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cedarpy import Schema
from hypothesis import given, seed, settings
from hypothesis import strategies as some

from infra.policies import fleet, load
from infra.policies.evaluator import BoundPolicies, Evaluator, bound
from infra.policies.question import Artifact, Circumstances, Question, Target, Who
from service.cedar.statement import Problem, parse

POLICIES = Path(__file__).parents[2] / "policies"
BUNDLE = load(POLICIES, fleet.REFERENCE)
BOUND = bound(BUNDLE, tenant=fleet.TENANT_ID, pool_id=fleet.POOL_ID)
EVALUATOR = Evaluator(BOUND, tenant=fleet.TENANT_ID, pool_id=fleet.POOL_ID)
SEED = int(os.environ.get("CEDARFLEET_SEED", "0")) or int.from_bytes(os.urandom(4))

NAIVE = """@id("tenant-guard")
forbid (principal, action, resource is Fleet::Device)
unless { resource.tenant == Fleet::Tenant::"acme" };
"""
UNKNOWN = Question(
    who=Who(groups=("managers",)),
    action="StopDevice",
    target=Target(kind="device", id="press-07", known=False),
    circumstances=Circumstances(now=fleet.NIGHT),
)


def test_naive_guard_fails_open():
    """Without the device's entity the naive guard cannot be evaluated: Cedar leaves it out and says Allow."""
    naive = Evaluator(
        BoundPolicies(
            schema_json=BOUND.schema_json,
            static={
                "tenant-guard": NAIVE,
                "managers-everything": BOUND.static["managers-everything"],
            },
            templates={},
            links=(),
        ),
        tenant=fleet.TENANT_ID,
        pool_id=fleet.POOL_ID,
    )
    decision = naive.decide(UNKNOWN)
    assert decision.policies == ("managers-everything",)  # what Cedar itself would allow by
    assert "tenant-guard" in decision.errors[0]
    assert not decision.allowed  # fail closed: ours takes an error for a denial


def test_real_guard_denies_the_same_request():
    """The real guard asks `has` first, so it is evaluated and denies."""
    decision = EVALUATOR.decide(UNKNOWN)
    assert (decision.allowed, decision.policies, decision.errors) == (False, ("tenant-guard",), ())


def test_naive_guard_cannot_be_stamped():
    """No attribute of the schema is required, so the validator itself refuses the naive guard."""
    naive = parse("naive.cedar", NAIVE)
    assert not isinstance(naive, Problem)
    words = [problem.words for problem in naive.validate(Schema.from_json_str(BUNDLE.schema_json))]
    assert words == [
        "unable to guarantee safety of access to optional attribute `tenant` on entity type `Fleet::Device`"
    ]


OFFSETS = some.sampled_from(["+00:00", "+05:45", "-11:00", "+14:00", "-99:59", "+99:59"])
ATTRIBUTES = some.fixed_dictionaries(
    {},
    optional={
        "kind": some.text(max_size=5),
        "region": some.sampled_from(["eu-central", ""]),
        "criticality": some.sampled_from(["low", "high", "?"]),
        "utc_offset": OFFSETS,
        "window": some.sampled_from(["22:00-04:00", "04:00-22:00", "00:00-00:00", "99:99-99:99"]),
        "security_patch": some.sampled_from(["2026-10-01", "0001-01-01", "9999-12-31"]),
    },
)
TARGETS = some.builds(
    Target,
    kind=some.just("device"),
    id=some.just("d"),
    attributes=ATTRIBUTES,
    tenant=some.sampled_from([None, "globex"]),
    known=some.booleans(),
)
CIRCUMSTANCES = some.builds(
    Circumstances,
    now=some.datetimes(
        min_value=datetime(1000, 1, 1),  # noqa: DTZ001 - the strategy wants naive bounds
        timezones=some.just(UTC),
    ),
    emergency=some.booleans(),
    reason=some.none() | some.text(max_size=3),
    artifact=some.none() | some.builds(Artifact, tenant=some.sampled_from([None, "globex"])),
    members_allowed=some.none() | some.booleans(),
)
QUESTIONS = some.builds(
    Question,
    who=some.builds(
        Who,
        groups=some.lists(
            some.sampled_from(["managers", "operators", "it-staff", "technicians"]), max_size=2
        ).map(tuple),
        scopes=some.none() | some.just(("fleet/update",)),
    ),
    action=some.sampled_from(
        ["ViewDevice", "StopDevice", "MaintainDevice", "DownloadFile", "UpdateFirmware"]
    ),
    target=TARGETS,
    circumstances=CIRCUMSTANCES,
)


@seed(SEED)
@settings(max_examples=400, deadline=None, database=None, print_blob=False)
@given(question=QUESTIONS)
def test_no_policy_fails_to_evaluate_whatever_is_missing(question: Question):
    """No attribute, missing or absurd, makes a policy fail, and nothing unknown or foreign is ever allowed."""
    decision = EVALUATOR.decide(question)
    assert decision.errors == (), f"seed {SEED}"
    artifact = question.circumstances.artifact
    if question.target.tenant or not question.target.known or (artifact and artifact.tenant):
        assert not decision.allowed, f"seed {SEED}"


@seed(SEED)
@settings(max_examples=300, deadline=None, database=None, print_blob=False)
@given(
    now=some.datetimes(
        min_value=datetime(2026, 1, 1),  # noqa: DTZ001 - the strategy wants naive bounds
        max_value=datetime(2027, 1, 1),  # noqa: DTZ001
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
    """IT staff get firmware through exactly when Python's own calendar says that window and patch date fit."""
    patch = (now - timedelta(days=patched_days_ago)).replace(
        hour=0, minute=0, second=0, microsecond=0
    )
    sign, minutes = "-" if offset_minutes < 0 else "+", abs(offset_minutes)
    device = Target(
        kind="device",
        id="d",
        groups=("zone-hall-1",),
        attributes={
            "utc_offset": f"{sign}{minutes // 60:02}:{minutes % 60:02}",
            "window": f"{start // 60:02}:{start % 60:02}-{end // 60:02}:{end % 60:02}",
            "security_patch": patch.strftime("%Y-%m-%d"),
        },
    )
    now = now.replace(microsecond=0)
    local = now + timedelta(minutes=offset_minutes)
    at = local.hour * 60 + local.minute
    inside = start <= at < end if start <= end else at >= start or at < end
    question = Question(
        who=Who(groups=("it-staff",)),
        action="UpdateFirmware",
        target=device,
        circumstances=Circumstances(now=now),
    )
    assert EVALUATOR.decide(question).allowed is (inside and now - patch > timedelta(days=30)), (
        f"seed {SEED}"
    )
