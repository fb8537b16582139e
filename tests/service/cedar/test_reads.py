"""What policies can read of a device is never less than what they do read."""

from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.adapters.memory.user_pool import MemoryUserPool
from service.cedar.compiled import CompiledPolicies
from service.cedar.device_facts import DEVICE_FACTS, FACTS_OF, device_attributes
from service.cedar.evaluator import Evaluator
from service.cedar.reads import Reads, context_members, texts_beside
from service.cedar.request import AuthorizationRequest, RequestContext, TokenBearer
from service.cedar.statement import statement_est
from service.cedar.values import EntityUid
from service.domain.devices import Device
from tests.service.stamped_policies import only

if TYPE_CHECKING:
    from service.cedar.decision import Evaluation

ACME: Final = MemoryUserPool("acme", groups={"line": (), "cell": ("line",), "hall": ()}).tenant
NOW: Final = datetime(2026, 10, 1, 22, 30, tzinfo=UTC)
RESOURCES: Final = (
    "resource",
    "resource is Fleet::Device",
    'resource in Fleet::DeviceGroup::"line"',
    'resource is Fleet::Device in Fleet::DeviceGroup::"hall"',
    'resource == Fleet::Device::"press-07"',
    'resource in Fleet::Tenant::"acme"',
)
CONDITIONS: Final = (
    "true",
    'resource has kind && resource.kind == "press"',
    'resource has region && ["eu", "us"].contains(resource.region)',
    'resource.hasTag("b") && resource.getTag("b") == "7"',
    'resource.hasTag("b") && resource has kind && resource.hasTag(resource.kind)',
    (
        "context has now && resource has utc_offset"
        ' && context.now.offset(resource.utc_offset).toTime() >= duration("22h")'
    ),
    'resource has window_start && resource.window_start > duration("21h")',
    'resource has security_patch && resource.security_patch < datetime("2026-06-01")',
    'resource has tenant && resource.tenant == Fleet::Tenant::"acme"',
    'resource in [Fleet::DeviceGroup::"cell", Fleet::DeviceGroup::"hall"]',
    'resource != Fleet::Device::"pump-1"',
    "[resource].contains(resource)",
    'if resource has criticality then resource.criticality == "high" else false',
)
POLICIES: Final = st.builds(
    '{} (principal, action == Fleet::Action::"ViewDevice", {}) when {{ {} }};'.format,
    st.sampled_from(["permit", "permit", "forbid"]),
    st.sampled_from(RESOURCES),
    st.sampled_from(CONDITIONS),
)
DEVICES: Final = st.builds(
    Device,
    tenant=st.just("acme"),
    id=st.sampled_from(["press-07", *(f"pump-{number}" for number in range(1, 15))]),
    groups=st.lists(st.sampled_from(["line", "cell", "hall"]), unique=True).map(sorted).map(tuple),
    attributes=st.fixed_dictionaries(
        {},
        optional={
            "kind": st.sampled_from(["press", "b"]),
            "region": st.sampled_from(["eu", "asia"]),
            "criticality": st.sampled_from(["low", "high"]),
            "window": st.sampled_from(["22:00-04:00", "01:00-02:00"]),
            "security_patch": st.sampled_from(["2026-01-01", "2026-09-01"]),
        },
    ).flatmap(
        lambda facts: st.sampled_from(
            [facts, {**facts, "utc_offset": "+01:00"}, {**facts, "time_zone": "Asia/Tokyo"}]
        )
    ),
    tags=st.dictionaries(st.sampled_from(["b", "c"]), st.sampled_from(["7", "8"])),
)


def reads(*attributes: str, tags: bool = False, groups: bool = False, devices: str = "") -> Reads:
    """What a condition reads, nothing unless it is said."""
    return Reads(
        attributes=frozenset(attributes), tags=tags, groups=groups, devices=frozenset(devices)
    )


def viewed(policies: CompiledPolicies, device: Device) -> Evaluation:
    """What the policies say of one device to somebody without any group."""
    request = AuthorizationRequest.of(
        principal=EntityUid("Fleet::User", "x"),
        action="ViewDevice",
        entities=device.entities(ACME.groups),
        context=RequestContext(now=NOW),
    )
    return policies.evaluate(request.with_bearer(TokenBearer(), pool_id=ACME.pool_id))


@settings(max_examples=60)
@given(
    st.lists(POLICIES, min_size=1, max_size=4, unique=True),
    st.lists(DEVICES, min_size=6, max_size=12, unique_by=lambda device: device.id),
)
def test_devices_that_are_read_alike_are_decided_alike(
    texts: list[str], devices: list[Device]
) -> None:
    """By the same policies too; devices that differ elsewhere are one question."""
    named = {f"p{number}": text for number, text in enumerate(texts)}
    policies = CompiledPolicies(only(ACME, **named), actions=["ViewDevice"])
    read = policies.reads("ViewDevice")
    found: dict[tuple[object, ...], Evaluation] = {}
    for device in devices:
        said = viewed(policies, device)
        assert found.setdefault(device.as_read(read, ACME.groups), said) == said, device


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ("true", reads()),
        (
            CONDITIONS[1],
            reads("kind"),
        ),
        (
            CONDITIONS[3],
            reads(tags=True),
        ),
        (
            CONDITIONS[9],
            reads(groups=True),
        ),
        (
            'resource in Fleet::DeviceGroup::"all" && resource == Fleet::Device::"a"',
            reads(devices="a"),
        ),
        # What is used as a whole, or compared with what is no name, may be read to the last.
        ("[resource].contains(resource)", None),
        ("principal in resource", None),
        ("resource in principal", None),
        ("{a: resource}.a == resource", None),
        ("resource == context.artifact", None),
    ],
)
def test_a_condition_reads_what_it_names(condition: str, found: Reads | None) -> None:
    """And what cannot be told is taken for everything."""
    est = statement_est(f"permit (principal, action, resource) when {{ {condition} }};")
    assert Reads.of([est]) == found


def test_a_template_may_read_anything() -> None:
    """Its blank is filled by nobody yet; nor is a scope understood that says nothing."""
    template = statement_est("permit (principal, action, resource in ?resource);")
    assert Reads.of([template]) is None
    assert Reads.of([{**template, "resource": {}}]) is None
    for scope in RESOURCES:
        assert Reads.of([statement_est(f"permit (principal, action, {scope});")]) is not None


def test_texts_that_stand_beside_a_set_are_found() -> None:
    """Alone, in a list, on either side and in whatever part; those beside another set are not."""
    condition = (
        'context has approver_groups && (context.approver_groups.contains("qa") || '
        '!(["safety", "night"].containsAny(context.approver_groups))) && '
        'context.machine_scopes.contains("fleet/view") && context.via == "agent"'
    )
    est = statement_est(f"forbid (principal, action, resource) unless {{ {condition} }};")
    assert sorted(texts_beside(est, "approver_groups")) == ["night", "qa", "safety"]
    assert list(texts_beside(est, "machine_scopes")) == ["fleet/view"]
    assert list(texts_beside(est, "via")) == []


def test_a_list_of_many_is_few_questions() -> None:
    """What no policy reads parts nobody: a hundred devices of one kind are one question."""
    est = statement_est(f"permit (principal, action, resource) when {{ {CONDITIONS[1]} }};")
    read = Reads.of([est])
    devices = [
        Device(
            tenant="acme",
            id=f"d-{number}",
            attributes={"kind": ("press", "pump")[number % 2], "region": f"r{number}"},
            tags={"serial": str(number)},
        )
        for number in range(100)
    ]
    assert len({device.as_read(read, ACME.groups) for device in devices}) == 2


def test_each_attribute_of_the_schema_names_its_facts() -> None:
    """A fact that two attributes come of stands at both."""
    samples = {
        "kind": "press",
        "region": "eu",
        "criticality": "low",
        "utc_offset": "+01:00",
        "window": "22:00-04:00",
        "security_patch": "2026-01-01",
    }
    assert samples.keys() == DEVICE_FACTS.keys() - {"time_zone"}
    for fact, text in samples.items():
        for attribute in device_attributes({fact: text}):
            assert fact in FACTS_OF[attribute]
    assert "time_zone" in FACTS_OF["utc_offset"]  # of the moment: `Entity.at`


OF_THE_CONTEXT: Final = (
    ("true", set[str]()),
    ("context.emergency", {"emergency"}),
    ('context has now && context.now.toTime() >= duration("22h")', {"now"}),
    ('context has source_ip && context.source_ip.isInRange(ip("10.0.0.0/8"))', {"source_ip"}),
    ("context.targets > 3", {"targets"}),
    ("context has targets", {"targets"}),
    (
        'if context.emergency then context has via else context.reason like "*x*"',
        {"emergency", "via", "reason"},
    ),
    ("context has token && context.token.scope.contains(context.token.sub)", {"token"}),
    ("[context].contains(context)", None),
    ("context == {emergency: true}", None),
    ("{a: context}.a.emergency", None),
)


@pytest.mark.parametrize(("condition", "members"), OF_THE_CONTEXT)
def test_what_no_policy_reads_of_a_context_decides_nothing(
    condition: str, members: set[str] | None
) -> None:
    """Evaluated without it, a request is answered as with all of it, errors too."""
    statement = f"permit (principal, action, resource) when {{ {condition} }};"
    assert context_members([statement_est(statement)]) == members
    forbids = f"forbid (principal, action, resource) unless {{ {condition} }};"
    policies = only(ACME, permit=statement, forbid=forbids)
    copy, whole = CompiledPolicies(policies, actions=["ViewDevice"]), Evaluator(policies)
    device = Device(tenant="acme", id="press-07").entities(ACME.groups)
    for context in (
        RequestContext(now=NOW, emergency=True, via="agent", source_ip=ip_address("10.1.2.3")),
        RequestContext(now=NOW.replace(hour=1), reason="mixed", targets=5),
    ):
        for bearer in (TokenBearer(), TokenBearer(subject="m", scopes=("m", "n"))):
            request = AuthorizationRequest.of(
                principal=bearer.uid(ACME.pool_id),
                action="ViewDevice",
                entities=device,
                context=context,
            ).with_bearer(bearer, pool_id=ACME.pool_id)
            for _ in range(2):  # of unknown form, and of a known one
                assert copy.evaluate(request) == whole.evaluate(request)
