"""Bad policies are refused with file, line and reason, all at once."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from infra.policies import Entity, Grant, PolicyError, TenantPolicies, fleet, load
from infra.policies.rules import MAX_TEMPLATES

if TYPE_CHECKING:
    from pathlib import Path

SOON = datetime(2026, 12, 1, tzinfo=UTC)


def refusal(
    files: Path, *, own: str = "", name: str = "mine", grants: tuple[Grant, ...] = (), known: bool = False
) -> list[str]:
    """What ``load`` says of the project with one more policy of the tenant, whose groups and lines may be known."""
    folder = files / "tenants" / "acme" / "policies"
    if own:
        (folder / f"{name}.cedar").write_text(own, encoding="utf-8")
    tenant = TenantPolicies(tenant="acme", folder=folder, grants=grants)
    if known:
        groups = frozenset({"certified-line-press", "quality-inspectors"})
        tenant = replace(tenant, groups=groups, lines=frozenset({"line-press"}))
    with pytest.raises(PolicyError) as refused:
        load(files / "policies", tenant)
    return [str(problem) for problem in refused.value.problems]


def grant(**changes: object) -> Grant:
    """A good grant with changes."""
    good: dict[str, object] = {
        "id": "g",
        "template": "certified-for-line",
        "principal": 'Fleet::Group::"certified-line-press"',
        "resource": 'Fleet::DeviceGroup::"line-press"',
    }
    return Grant(**{**good, **changes})  # pyright: ignore[reportArgumentType]


def test_forbids_come_first_and_templates_only_if_linked(files: Path):
    """The bundle is in the order in which it is to be created, and holds each template once for each end."""
    bundle = load(files / "policies", fleet.REFERENCE)
    effects = [policy.effect for policy in bundle.static]
    assert effects == sorted(effects)
    assert bundle.static == (*bundle.forbids, *bundle.permits)
    assert "tenant-guard" in {policy.id for policy in bundle.forbids}
    assert [template.id for template in bundle.templates] == [
        "certified-for-line",
        "firmware-for-zone",
        "technician-for-line-until-20261201T000000Z",
        "technician-for-line-until-20261101T000000Z",
        "break-glass-until-20261123T003000Z",
    ]
    assert all('"until"' not in template.statement for template in bundle.templates)
    assert bundle.links[0].principal == Entity(type="Fleet::Group", id="certified-line-press")


OPEN = "a permit must constrain principal or action: this one is open to everybody for everything"
GROUPS = ", ".join(f'Fleet::Action::"{group}"' for group in ("View", "Operate", "Maintain", "Update", "Administer"))
BEYOND = "a permit that is open to everybody may give no more than View; this one gives "
EVERYTHING = "ConfigureDevice, DownloadFile, MaintainDevice, OperateDevice, SetParameters, StopDevice, UpdateFirmware"
SAY_WHO = 'say who, as in `principal in Fleet::Group::"..."`'
NO_ACTION = "unable to find an applicable action given the policy scope constraints"


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ('permit (\n  principal in Fleet::Group::"x",\n  action resource\n);', ["5: unexpected token `resource`"]),
        ("permit (principal, action, resource)\nwhen {\n  resource.kind ==\n};", ["6: unexpected token `}`"]),
        ("permit (principal, action, resource)\nwhen {\n  true && \n", ["5: unexpected end of input"]),
        (
            'forbid (principal, action, resource is Fleet::Device)\nwhen { resource.colour == "red" };',
            ["4: attribute `colour` on entity type `Fleet::Device` not found"],
        ),
        (
            'permit (\n  principal,\n  action == Fleet::Action::"Explode",\n  resource\n);',
            ['5: unrecognized action `Fleet::Action::"Explode"`', f"3: {NO_ACTION}"],
        ),
        ("permit (principal, action, resource);", [f"3: {OPEN}"]),
        (f"permit (principal, action in [{GROUPS}], resource);", [f"3: {BEYOND}{EVERYTHING}: {SAY_WHO}"]),
        (
            f"permit (principal is Fleet::User, action in [{GROUPS}], resource);",
            [f"3: {BEYOND}{EVERYTHING}: {SAY_WHO}"],
        ),
        (
            'permit (principal, action in [Fleet::Action::"View", Fleet::Action::"StopDevice"], resource);',
            [f"3: {BEYOND}StopDevice: {SAY_WHO}"],
        ),
        (
            'permit (principal, action == Fleet::Action::"DownloadFile", resource)\nwhen { context has token };',
            [f"3: {BEYOND}DownloadFile: {SAY_WHO}"],
        ),
        ("permit (principal is Fleet::User, action, resource)\nwhen { true };", [f"3: {OPEN}"]),
        (
            "permit (principal == ?principal, action, resource);",
            ["3: a policy has no slot; a template stands in policies/templates"],
        ),
        (
            'forbid (principal, action, resource)\nwhen { context has now && context.now < datetime("until") };',
            ['4: only a template ends: `datetime("until")` is written by a grant'],
        ),
        (
            'forbid (principal, action, resource in Fleet::Tenant::"globex");',
            ['3: `Fleet::Tenant::"globex"`: a policy knows only `Fleet::Tenant::"this"`'],
        ),
        (
            'forbid (principal in Fleet::Group::"pool|x", action, resource);',
            ['3: `Fleet::Group::"pool|x"`: write the bare name, the pool is added at stamping'],
        ),
        (
            'forbid (principal in Fleet::Group:: "x", action, resource);',
            ['3: `Fleet::Group` `x` cannot be bound: write it plainly, as in Fleet::Group::"name"'],
        ),
    ],
)
def test_bad_policy_is_refused_with_file_line_and_words(files: Path, statement: str, expected: list[str]):
    """Each mistake names the file, the line and what is wrong, in the validator's words where it is Cedar's."""
    found = refusal(files, own=f'// Why.\n@id("mine")\n{statement}\n')
    assert found == [f"tenants/acme/policies/mine.cedar:{problem}" for problem in expected]


def test_open_permit_may_give_a_view(files: Path):
    """What everybody may see is a tenant's to say; a permit that names a group may give more."""
    folder = files / "tenants" / "acme" / "policies"
    (folder / "mine.cedar").write_text(
        '// Why.\n@id("mine")\npermit (principal is Fleet::User, action in [Fleet::Action::"View", '
        'Fleet::Action::"ListDevices"], resource);\n'
    )
    (folder / "ours.cedar").write_text(
        '// Why.\n@id("ours")\npermit (principal is Fleet::User in Fleet::Group::"x", '
        'action in [Fleet::Action::"Operate"], resource);\n'
    )
    bundle = load(files / "policies", TenantPolicies(tenant="acme", folder=folder))
    assert {"mine", "ours"} <= {policy.id for policy in bundle.permits}


def test_file_without_name_reason_or_with_two_statements_is_refused(files: Path):
    """The house rules: ``@id`` is the file's name, the first line says why, one statement a file."""
    assert refusal(files, own='@id("other")\npermit (principal in Fleet::Group::"x", action, resource);\n') == [
        'tenants/acme/policies/mine.cedar:1: `@id("mine")` expected, the file\'s name; found `other`',
        "tenants/acme/policies/mine.cedar:1: the first line must be a comment that says why the policy is there",
    ]
    for own, count in (("// Nothing.\n", 0), ("permit (principal, action, resource);\n" * 2, 2)):
        assert refusal(files, own=own) == [f"tenants/acme/policies/mine.cedar: one statement a file, found {count}"]


def test_oversized_policy_is_refused(files: Path):
    """A policy that would exceed the quota once bound is refused before anything is stamped."""
    padding = "// padding\n" * 1000
    own = f'// Why.\n{padding}@id("mine")\nforbid (principal in Fleet::Group::"x", action, resource);\n'
    assert refusal(files, own=own) == ["tenants/acme/policies/mine.cedar: 11135 bytes once bound; at most 10000"]


def test_deep_nesting_is_refused_before_the_parser_sees_it(files: Path):
    """A file that would overflow Cedar's parser, and with it end the whole process, is named like any other mistake."""
    text = '// why\n@id("mine")\npermit (principal in Fleet::Group::"managers", action, resource)\nwhen { '
    found = refusal(files, own=text + "(" * 5000 + "true" + ")" * 5000 + " };\n")
    assert found == ["tenants/acme/policies/mine.cedar:4: brackets are nested more than 100 deep"]


def test_policies_without_resource_share_a_quota(files: Path):
    """Twelve large policies that name no resource are refused together; a name that is no id is refused too."""
    folder = files / "tenants" / "acme" / "policies"
    padding = "// padding\n" * 800
    for number in range(12):
        text = f'// Why.\n{padding}@id("p{number}")\nforbid (principal in Fleet::Group::"x", action, resource);\n'
        (folder / f"p{number}.cedar").write_text(text)
    own = '// Why.\n@id("Mine_2")\nforbid (principal in Fleet::Group::"x", action, resource is Fleet::Device);\n'
    name, together = refusal(files, own=own, name="Mine_2")
    assert name.startswith("tenants/acme/policies/Mine_2.cedar: `Mine_2`: a name is a-z, 0-9 and single inner `-`")
    assert together.startswith("policies: ")
    assert "bytes together; at most 100000, half of what a policy store may hold" in together


def test_tenant_may_not_reuse_an_id(files: Path):
    """A tenant's policy named like a base policy, or a grant like either, is refused: it would hide the other."""
    own = '// Why.\n@id("tenant-guard")\nforbid (principal in Fleet::Group::"x", action, resource);\n'
    found = refusal(files, own=own, name="tenant-guard", grants=(grant(id="managers-everything"), grant(), grant()))
    taken = "the id `{0}` is taken by policies/static/{0}.cedar".format
    assert found == [
        f"tenants/acme/policies/tenant-guard.cedar:2: {taken('tenant-guard')}",
        f"tenant acme, grant managers-everything: {taken('managers-everything')}",
        "tenant acme, grant g: stands 2 times; each grant needs an id of its own",
    ]


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (grant(id="Not An Id"), "`Not An Id`: an id is a-z, 0-9 and single inner `-`, at most 64"),
        (grant(template="nope"), "no template `nope`; there are: break-glass, certified-for-line, "),
        (grant(principal="technicians"), "`technicians` is no entity: write it as in a policy file"),
        (grant(principal='Fleet::Device::"d"'), "it must be Fleet::Group or Fleet::User"),
        (grant(resource='Fleet::Tenant::"this"'), "it must be Fleet::Device or Fleet::DeviceGroup"),
        (grant(principal='Fleet::User::"pool|x"'), "write the bare name, the pool is added at stamping"),
        (grant(until=SOON), "template `certified-for-line` has no end; leave out `until`"),
        (grant(template="break-glass"), "template `break-glass` ends: say `until`, e.g. 2026-12-24T18:00:00Z"),
        (
            grant(template="break-glass", until=SOON.replace(tzinfo=None)),
            "`until` 2026-12-01T00:00:00 has no time zone",
        ),
        (grant(template="break-glass", until=SOON), "is of type `Fleet::Group`; it must be Fleet::User"),
        (grant(template="technician-for-line", until=SOON), "is of type `Fleet::Group`; it must be Fleet::User"),
        (
            grant(principal='Fleet::Group::"certified-line-presss"'),
            "this tenant has none of that name, but certified-line-press, quality-inspectors",
        ),
        (
            grant(resource='Fleet::DeviceGroup::"line-perss"'),
            "this tenant has none of that name, but all, line-press",
        ),
    ],
)
def test_bad_grant_is_refused(files: Path, bad: Grant, words: str):
    """Each mistake in a grant names the tenant, the grant and what would be right."""
    (problem,) = refusal(files, grants=(bad,), known=True)
    assert problem.startswith(f"tenant acme, grant {bad.id}: ")
    assert words in problem


def test_own_policy_names_only_groups_and_lines_of_the_tenant(files: Path):
    """A slip in a name is an error: a forbid for nobody, or for no device, would forbid nothing."""
    own = (
        '// Why.\n@id("mine")\nforbid (principal in Fleet::Group::"operatosr", action, '
        'resource in Fleet::DeviceGroup::"line-perss");\n'
    )
    where, groups = "tenants/acme/policies/mine.cedar:3: ", "certified-line-press, quality-inspectors"
    assert refusal(files, own=own, known=True) == [
        f'{where}`Fleet::Group::"operatosr"` is no group of this tenant; it has {groups}',
        f'{where}`Fleet::DeviceGroup::"line-perss"` is no device group of this tenant; it has all, line-press',
    ]
    right = own.replace("operatosr", "quality-inspectors")
    (files / "tenants" / "acme" / "policies" / "mine.cedar").write_text(right.replace("line-perss", "all"))
    folder, lines = files / "tenants" / "acme" / "policies", frozenset({"line-press"})
    tenant = TenantPolicies(tenant="acme", folder=folder, groups=frozenset({"quality-inspectors"}), lines=lines)
    assert "mine" in {policy.id for policy in load(files / "policies", tenant).forbids}


def test_grant_that_the_store_would_refuse_is_refused_before(files: Path):
    """A link is written out and validated: one that fits no request would stop a stamping half way."""
    template = files / "policies" / "templates" / "certified-for-line.cedar"
    template.write_text(template.read_text().replace('[Fleet::Action::"View", ', '[Fleet::Action::"ListDevices", '))
    text = template.read_text().replace(', Fleet::Action::"Maintain"]', "]")
    template.write_text(text)
    (problem,) = refusal(files, grants=(grant(),))
    assert problem.startswith('tenant acme, grant g: `Fleet::Group::"certified-line-press"` on ')
    assert problem.endswith("unable to find an applicable action given the policy scope constraints")


def test_template_quota_is_checked(files: Path):
    """One template for each end: the 21st is refused, with the reason and what to do."""
    kim = 'Fleet::User::"kim"'
    grants = tuple(
        grant(id=f"g{n}", template="break-glass", principal=kim, until=SOON + timedelta(hours=n))
        for n in range(MAX_TEMPLATES + 1)
    )
    (problem,) = refusal(files, grants=grants)
    assert problem.startswith(
        "tenant acme, grants: 21 templates, one for each template and end; at most 20, half of what a policy store may "
        "hold: an update that changes them needs old and new together."
    )
    assert load(files / "policies", TenantPolicies(tenant="acme", grants=grants[1:])).links[0].id == "g1"


def test_template_must_be_a_permit_with_both_slots(files: Path):
    """A template that the store would refuse, or a forbid that only some have, is refused."""
    (files / "policies" / "templates" / "odd.cedar").write_text(
        '// Why.\n@id("odd")\nforbid (principal == ?principal, action, resource);\n', encoding="utf-8"
    )
    odd = "policies/templates/odd.cedar:3: a template must"
    assert refusal(files) == [
        f"{odd} be a permit: forbids hold for everybody, from the first moment",
        f"{odd} bind `?resource` in its scope",
    ]


def test_everything_wrong_is_said_at_once(files: Path):
    """Problems of several files come in one error, so that one round of corrections is enough."""
    static = files / "policies" / "static"
    (static / "tenant-guard.cedar.off").write_text("switched off?", encoding="utf-8")
    (static / "bytes.cedar").write_bytes(b"\xff\xfe")
    (files / "policies" / "templates" / "break-glass.cedar").write_text("permit", encoding="utf-8")
    found = refusal(files, own="permit (", grants=(grant(template="nope"),))
    assert [problem.partition(": ")[0] for problem in found] == [
        "policies/static/bytes.cedar",
        "policies/static/tenant-guard.cedar.off",
        "policies/templates/break-glass.cedar:1",
        "tenants/acme/policies/mine.cedar:1",
        "tenant acme, grant g",
    ]


def test_missing_folder_and_schema_are_refused(files: Path):
    """A folder that is not there is an error, never an empty set of policies."""
    with pytest.raises(PolicyError, match="no such folder"):
        load(files / "policies", TenantPolicies(tenant="acme", folder=files / "nowhere"))
    schema = files / "policies" / "schema.cedarschema"
    schema.write_text("namespace Fleet { entity }", encoding="utf-8")
    with pytest.raises(PolicyError, match=r"policies/schema.cedarschema: .*error parsing schema: unexpected token `}`"):
        load(files / "policies", fleet.REFERENCE)
    schema.unlink()
    with pytest.raises(PolicyError, match=r"schema\.cedarschema: no such file"):
        load(files / "policies", fleet.REFERENCE)
