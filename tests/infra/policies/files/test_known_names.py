"""Every name and value of a policy is one that the schema or the tenant's file knows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from infra.policies.files import meaning
from infra.policies.files.vocabulary import Lists, Schema
from service.cedar.statement import Statement, parse
from tests.infra.policies.files.refusal import ACTIONS

TEXT: Final = (Path(__file__).parents[4] / "policies" / "schema.cedarschema").read_text()
SCHEMA: Final = Schema(TEXT)
LISTS: Final = Lists(
    groups=frozenset({"managers", "operators", "freezer-keepers"}),
    lines=frozenset({"line-press"}),
    values={
        "regions": frozenset({"eu-central", "eu-north"}),
        "commands": frozenset({"reboot", "stop"}),
        "kinds": frozenset({"press", "pump"}),
        "tags": frozenset({"floor"}),
    },
)
DEVICE = "criticality, kind, region, security_patch, tenant, utc_offset, window_end, window_start"


def told(text: str, *, lists: Lists = LISTS, schema: Schema = SCHEMA) -> list[str]:
    """What is wrong with a statement, with its lines."""
    statement = parse("file", text)
    assert isinstance(statement, Statement), str(statement)
    found = meaning.problems(statement, schema, lists)
    return [str(problem) for problem in found]


def forbid(condition: str, *, resource: str = "resource is Fleet::Device") -> str:
    """A forbid for operators with a condition on its second line."""
    return (
        f'forbid (principal in Fleet::Group::"operators", action, {resource})\n'
        f"when {{ {condition} }};"
    )


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        (
            'resource has critical && resource.critical == "high"',
            (
                "the schema has no attribute `critical` for Fleet::Device; did you mean "
                "`criticality`? "
                f"It has {DEVICE}"
            ),
        ),
        (
            "resource has Kind",
            (
                f"the schema has no attribute `Kind` for Fleet::Device; did you mean `kind`? "
                f"It has {DEVICE}"
            ),
        ),
        (
            "context has emergncy",
            (
                "the schema has no attribute `emergncy` for context; did you mean `emergency`? "
                "It has approved, approver_groups, artifact, changed_tags, command, "
                "command_action, critical_targets, emergency, holds_all, machine_scopes, "
                "members_allowed, now, people_groups, planned, reason, requester, "
                "share_of_critical, share_of_fleet, source_ip, targets, template, to_self, "
                "token, via"
            ),
        ),
        (
            "context has artifact && context.artifact has knd",
            (
                "the schema has no attribute `knd` for Fleet::Artifact; did you mean `kind`? "
                "It has kind, size, tenant"
            ),
        ),
        (
            "context has artifact.knd",
            (
                "the schema has no attribute `knd` for Fleet::Artifact; did you mean `kind`? "
                "It has kind, size, tenant"
            ),
        ),
        (
            "context has token && context.token has scpoe",
            (
                "the schema has no attribute `scpoe` for context.token; did you mean `scope`? "
                "It has client_id, scope, sub"
            ),
        ),
        (
            "principal has department",
            "the schema has no attribute `department` for Fleet::User; it has custom:region, email",
        ),
        (
            'principal has "custom:regin"',
            (
                "the schema has no attribute `custom:regin` for Fleet::User; did you mean "
                "`custom:region`? It has custom:region, email"
            ),
        ),
        (
            "resource has size",
            (
                f"the schema has no attribute `size` for Fleet::Device; it has {DEVICE}; "
                "Fleet::Artifact has one of that name"
            ),
        ),
        (
            'resource.hasTag("building")',
            (
                "the schema has no tag `building` for Fleet::Device; it has certified_by, floor; "
                "`tags` of the tenant's file lists more"
            ),
        ),
        (
            "principal is Fleet::Usr",
            "the schema has no entity type `Fleet::Usr`; did you mean `Fleet::User`? There are ",
        ),
    ],
)
def test_unknown_attribute_is_named(condition: str, words: str):
    """To Cedar it is simply not there; the message has the nearest name and all that are known."""
    assert any(one.startswith(f"file:2: {words}") for one in told(forbid(condition)))


def test_an_unknown_attribute_is_the_only_fault():
    """What is confirmed to be compared with it is not said to be compared with nothing."""
    condition = 'resource has knd && resource.knd == "press"'
    (problem,) = told('@values("press")\n' + forbid(condition))
    assert problem.startswith("file:3: the schema has no attribute `knd` for Fleet::Device; did ")


def test_attribute_must_be_known_in_the_scope():
    """What a device has and the tenant has not is unknown where the tenant alone is asked about."""
    own = 'permit (principal, action == Fleet::Action::"ListDevices", resource)\n'
    assert told(f"{own}when {{ resource has kind }};") == [
        (
            "file:2: the schema has no attribute `kind` for Fleet::Tenant; it has none; "
            "Fleet::Artifact and Fleet::Device has one of that name"
        )
    ]
    groups = 'permit (principal, action in Fleet::Action::"Update", resource)\n'
    assert told(f"{groups}when {{ resource has criticality }};") == []


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        (
            'resource has criticality && resource.criticality == "hihg"',
            (
                "`resource.criticality` is never `hihg`; did you mean `high`? "
                "The schema lists high, low, medium"
            ),
        ),
        (
            'resource has criticality && ["low", "mediun"].contains(resource.criticality)',
            (
                "`resource.criticality` is never `mediun`; did you mean `medium`? "
                "The schema lists high, low, medium"
            ),
        ),
        (
            'resource has criticality && resource.criticality like "hgh*"',
            (
                "`resource.criticality` is never `hgh*`; did you mean `high`? "
                "The schema lists high, low, medium"
            ),
        ),
        (
            (
                "context has artifact && context.artifact has kind && "
                'context.artifact.kind != "firmwear"'
            ),
            (
                "`context.artifact.kind` is never `firmwear`; did you mean `firmware`? "
                "The schema lists file, firmware"
            ),
        ),
        (
            (
                "context has token && context.token has scope && "
                'context.token.scope.contains("fleet/operat")'
            ),
            (
                "`context.token.scope` is never `fleet/operat`; did you mean `fleet/operate`? "
                "The schema lists fleet/operate, fleet/update, fleet/view"
            ),
        ),
        (
            'resource has region && resource.region == "eu-centrl"',
            (
                "`resource.region` is never `eu-centrl`; did you mean `eu-central`? "
                "`regions` of the tenant's file lists eu-central, eu-north"
            ),
        ),
        (
            'principal has "custom:region" && principal["custom:region"] == "eu-nort"',
            (
                '`principal["custom:region"]` is never `eu-nort`; did you mean `eu-north`? '
                "`regions` of the tenant's file lists eu-central, eu-north"
            ),
        ),
        (
            'context has command && context.command == "rebot"',
            (
                "`context.command` is never `rebot`; did you mean `reboot`? "
                "`commands` of the tenant's file lists reboot, stop"
            ),
        ),
        (
            (
                "resource has kind && resource.kind == "
                '(if principal has email then "press" else "pmp")'
            ),
            (
                "`resource.kind` is never `pmp`; did you mean `pump`? "
                "`kinds` of the tenant's file lists press, pump"
            ),
        ),
        (
            'principal in Fleet::Group::"freezer-keeper"',
            (
                '`Fleet::Group::"freezer-keeper"` is no group of this tenant; did you mean '
                "`freezer-keepers`? It has freezer-keepers, managers, operators"
            ),
        ),
        (
            'resource in Fleet::DeviceGrup::"line-press"',
            (
                "the schema has no entity type `Fleet::DeviceGrup`; did you mean "
                "`Fleet::DeviceGroup`? "
                "There are Fleet::Artifact, Fleet::Device, Fleet::DeviceGroup, Fleet::Group, "
                "Fleet::Tenant, Fleet::User"
            ),
        ),
        (
            'action in Fleet::Action::"Operte"',
            (f"the schema has no action `Operte`; did you mean `Operate`? There are {ACTIONS}"),
        ),
    ],
)
def test_unknown_value_is_named(condition: str, words: str):
    """A comparison with what an attribute never is would be false for ever."""
    assert told(forbid(condition)) == [f"file:2: {words}"]


@pytest.mark.parametrize(
    ("condition", "literal", "words"),
    [
        ('principal has email && principal.email == "a@example.com"', "a@example.com", ""),
        ('principal has email && principal.email like "*@example.com"', "*@example.com", ""),
        ('principal == Fleet::User::"a3d4"', "a3d4", "the id `a3d4`"),
        ('resource == Fleet::Device::"press-07"', "press-07", "the id `press-07`"),
    ],
)
def test_free_literal_must_be_confirmed(condition: str, literal: str, words: str):
    """Where no list is known, a person confirms the spelling in the file, and nothing else."""
    (problem,) = told(forbid(condition))
    assert words or "`principal.email` is compared with" in problem
    assert problem.endswith(
        f'confirm that it is spelt right, with `@values("{literal}")` after `@id`'
    )
    assert told(f'@values("{literal}")\n{forbid(condition)}') == []
    unconfirmed, unused = told(f'@values("{literal}x")\n{forbid(condition)}')
    assert unconfirmed.endswith(f"after `@id`; did you mean `{literal}x`?")
    assert unused == (
        f"file:1: `@values` confirms `{literal}x`, which no attribute without a list is compared "
        f"with; to confirm there is {literal}"
    )


def test_kind_is_confirmed_where_the_tenant_lists_none():
    """A tenant that lists its kinds is held to the list; another confirms in the policy."""
    condition = 'resource has kind && resource.kind == "press"'
    none = replace(LISTS, values={})
    (problem,) = told(forbid(condition), lists=none)
    assert "list it as `kinds` of the tenant's file, or confirm" in problem
    assert told('@values("press")\n' + forbid(condition), lists=none) == []
    assert told(forbid(condition), lists=replace(LISTS, values=None)) == []
    assert told('@values("press")\n' + forbid(condition), lists=replace(LISTS, values=None)) == []


def test_punctuation_needs_no_confirmation():
    """A blank or an empty text has no spelling."""
    assert told(forbid('context has reason && !(context.reason like " *")')) == []
    assert told(forbid('context has reason && context.reason != ""')) == []


@pytest.mark.parametrize(
    ("scope", "words"),
    [
        (
            'principal == Fleet::Group::"operators", action, resource',
            (
                '`principal == Fleet::Group::"operators"` is true of the group itself only, and '
                "not of "
                'what is in it: write `principal in Fleet::Group::"operators"`'
            ),
        ),
        (
            'principal, action, resource == Fleet::DeviceGroup::"line-press"',
            (
                '`resource == Fleet::DeviceGroup::"line-press"` is true of the group itself '
                "only, and "
                'not of what is in it: write `resource in Fleet::DeviceGroup::"line-press"`; for '
                "the "
                "group alone write `resource is Fleet::DeviceGroup in "
                'Fleet::DeviceGroup::"line-press"`'
            ),
        ),
        (
            'principal, action == Fleet::Action::"Update", resource',
            '`Update` is a group of actions: write `action in Fleet::Action::"Update"`',
        ),
    ],
)
def test_group_is_no_member_of_itself(scope: str, words: str):
    """`==` with a group says to use `in`, in the scope and in a condition."""
    assert told(f"forbid ({scope});") == [f"file:1: {words}"]
    comparison = scope.split(", ")[[" == " in part for part in scope.split(", ")].index(True)]
    found = told(f"forbid (principal, action, resource)\nwhen {{ {comparison} }};")
    assert f"file:2: {words}" in found


def test_other_annotation_is_refused():
    """A slip in the name of an annotation would confirm nothing, in silence."""
    (found,) = told('@valeus("x")\n' + forbid("context has reason"))
    assert found.startswith("file:1: `@valeus` means nothing here; did you mean `values`?")
    assert found.endswith("There are id, unless, values, when")


def test_words_are_as_many_as_the_conditions() -> None:
    """Words for another number of conditions would be told of the wrong ones."""
    for words in ("one", "one; two; three", "one; "):
        (found,) = told(f'@when("{words}")\n' + forbid("context has reason && context has now"))
        assert "and there are 2: part them by `;`" in found
    assert told('@when("one; two")\n' + forbid("context has reason && context has now")) == []


@pytest.mark.parametrize(
    ("scope", "words"),
    [
        (
            'principal, action == Fleet::Action::"ListDevices", resource is Fleet::Device',
            (
                "no action that it names is asked of a Fleet::Device: ListDevices is asked of "
                "Fleet::Tenant"
            ),
        ),
        (
            "principal is Fleet::Group, action, resource",
            "who asks is never a Fleet::Group, but Fleet::User",
        ),
        (
            "principal, action, resource is Fleet::Artifact",
            (
                "what is asked about is never a Fleet::Artifact, but Fleet::Device or "
                "Fleet::DeviceGroup or Fleet::Tenant"
            ),
        ),
        (
            'principal, action, resource in Fleet::Group::"operators"',
            (
                'what is asked about is never in Fleet::Group::"operators", but Fleet::Device or '
                "Fleet::DeviceGroup or Fleet::Tenant"
            ),
        ),
    ],
)
def test_scope_that_nobody_asks_for_is_said(scope: str, words: str):
    """Cedar says only that there is no applicable action; the message says why."""
    assert told(f"forbid ({scope});") == [f"file:1: it can never apply: {words}"]


def test_a_list_may_stand_beside_what_the_schema_names():
    """The base's own tag is known to every tenant, beside those of its file; no other is."""
    scope = 'principal, action == Fleet::Action::"SetDeviceTags", resource'

    def wrong(tag: str, lists: Lists = LISTS) -> list[str]:
        condition = f'context has changed_tags && context.changed_tags.contains("{tag}")'
        return told(f"forbid ({scope})\nwhen {{ {condition} }};", lists=lists)

    for tag in ("certified_by", "floor"):
        assert wrong(tag) == []
    assert wrong("flor") == [
        (
            "file:2: `context.changed_tags` is never `flor`; did you mean `floor`? `tags` of the "
            "tenant's file, with the schema, lists certified_by, floor"
        )
    ]
    assert wrong("anything", Lists()) == []  # what the file lists is not known


def test_tag_is_one_that_the_schema_declares():
    """Where entities have tags, an annotation lists their names, and the check knows them."""
    text = TEXT.replace('  @tags("certified_by") ', '  @tags("building, floor") ')
    text = text.replace('  @tags_listed_as("tags")\n', "")
    schema = Schema(text)
    right = 'resource.hasTag("building") && resource.getTag("building") == "A"'
    good = '@values("A")\n' + forbid(right)
    assert told(good, schema=schema) == []
    wrong = forbid('resource.hasTag("buildng")')
    assert told(wrong, schema=schema) == [
        (
            "file:2: the schema has no tag `buildng` for Fleet::Device; did you mean `building`? "
            "It has building, floor"
        )
    ]
