"""A bad policy or template is refused with its file, its line and what is wrong."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from infra.policies import TenantPolicies, load
from infra.policies.files.rules import (
    MAX_STATEMENT_BYTES,
    MAX_UNSPECIFIC_BYTES,
    all_together,
    bindable,
)
from service.cedar.statement import Problem, Statement, parse
from tests.infra.policies.files.refusal import ACTIONS, CHANGING, refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

OPEN = "a permit must constrain principal or action: this one is open to everybody for everything"
GROUPS = ", ".join(
    f'Fleet::Action::"{group}"' for group in ("View", "Operate", "Maintain", "Update", "Administer")
)
IDLE = "is always true where it is asked: leave it out"
BEYOND = "a permit that is open to everybody may give no more than View; this one gives "
SAY_WHO = 'say who, as in `principal in Fleet::Group::"..."`'


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        (
            'permit (\n  principal in Fleet::Group::"x",\n  action resource\n);',
            ["5: `,` is missing before `resource`"],
        ),
        (
            "permit (principal, action, resource)\nwhen {\n  resource.kind ==\n};",
            ["6: something is missing before `}`"],
        ),
        (
            "permit (principal, action, resource)\nwhen {\n  true && \n",
            ["5: `}` is missing: `{` of line 4 is never closed"],
        ),
        (
            (
                "forbid (principal, action, resource is Fleet::Device)\n"
                'when { resource.colour == "red" };'
            ),
            [
                (
                    "4: the schema has no attribute `colour` for Fleet::Device; it has "
                    "criticality, kind, region, security_patch, tenant, utc_offset, window_end, "
                    "window_start"
                )
            ],
        ),
        (
            'permit (\n  principal,\n  action == Fleet::Action::"Explode",\n  resource\n);',
            [f"5: the schema has no action `Explode`; there are {ACTIONS}"],
        ),
        ("permit (principal, action, resource);", [f"3: {OPEN}"]),
        (
            f"permit (principal, action in [{GROUPS}], resource);",
            [f"3: {BEYOND}{CHANGING}: {SAY_WHO}"],
        ),
        (
            f"permit (principal is Fleet::User, action in [{GROUPS}], resource);",
            [f"3: {BEYOND}{CHANGING}: {SAY_WHO}"],
        ),
        (
            (
                "permit (principal, "
                'action in [Fleet::Action::"View", Fleet::Action::"StopDevice"], resource);'
            ),
            [f"3: {BEYOND}StopDevice: {SAY_WHO}"],
        ),
        (
            (
                'permit (principal, action == Fleet::Action::"DownloadFile", resource)\n'
                "when { context has token };"
            ),
            [f"3: {BEYOND}DownloadFile: {SAY_WHO}"],
        ),
        (
            "permit (principal is Fleet::User, action, resource)\nwhen { true };",
            [f"4: `true` {IDLE}", f"3: {OPEN}"],
        ),
        (
            "permit (principal == ?principal, action, resource);",
            ["3: a policy has no slot; a template stands in policies/templates"],
        ),
        (
            (
                "forbid (principal, action, resource)\n"
                'when { context has now && context.now < datetime("until") };'
            ),
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
def test_bad_policy_is_refused_with_file_line_and_words(
    files: Path, statement: str, expected: list[str]
):
    """Each mistake names file, line and what is wrong, where it is Cedar's in its words."""
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


def test_file_without_name_or_reason_or_with_two_is_refused(files: Path):
    """``@id`` is the file's name, the first line says why, and a file has one statement."""
    where = "tenants/acme/policies/mine.cedar:1: "
    assert refusal(
        files, own='@id("other")\npermit (principal in Fleet::Group::"x", action, resource);\n'
    ) == [
        f'{where}`@id("mine")` expected, the file\'s name; found `other`',
        f"{where}the first line must be a comment that says why the policy is there",
    ]
    for own, count in (("// Nothing.\n", 0), ("permit (principal, action, resource);\n" * 2, 2)):
        assert refusal(files, own=own) == [
            f"tenants/acme/policies/mine.cedar: one statement a file, found {count}"
        ]


def test_oversized_policy_is_refused(files: Path):
    """A policy that would exceed the quota once bound is refused before anything is stamped."""
    padding = "// padding\n" * 1000
    forbid = 'forbid (principal in Fleet::Group::"x", action, resource);'
    own = f'// Why.\n{padding}@id("mine")\n{forbid}\n'
    assert refusal(files, own=own) == [
        "tenants/acme/policies/mine.cedar: 11135 bytes once bound; at most 10000"
    ]


def test_deep_nesting_is_refused_before_the_parser_sees_it(files: Path):
    """A file that would overflow Cedar's parser, and end the process, is named like any mistake."""
    scope = 'principal in Fleet::Group::"managers", action, resource'
    text = f'// why\n@id("mine")\npermit ({scope})\nwhen {{ '
    found = refusal(files, own=text + "(" * 5000 + "true" + ")" * 5000 + " };\n")
    assert found == ["tenants/acme/policies/mine.cedar:4: brackets are nested more than 100 deep"]


def test_policies_without_resource_share_a_quota(files: Path):
    """Twelve large policies that name no resource are refused together, and so is a bad name."""
    scope = 'principal in Fleet::Group::"x", action, resource'
    folder = files / "tenants" / "acme" / "policies"
    padding = "// padding\n" * 800
    for number in range(12):
        text = f'// Why.\n{padding}@id("p{number}")\nforbid ({scope});\n'
        (folder / f"p{number}.cedar").write_text(text)
    own = f'// Why.\n@id("Mine_2")\nforbid ({scope} is Fleet::Device);\n'
    name, together = refusal(files, own=own, name="Mine_2")
    assert name.startswith(
        "tenants/acme/policies/Mine_2.cedar: `Mine_2`: a name is a-z, 0-9 and single inner `-`"
    )
    assert together.startswith("policies: ")
    assert "bytes together; at most 100000, half of what a policy store may hold" in together


def test_own_policy_names_only_groups_and_lines_of_the_tenant(files: Path):
    """A slip in a name is an error: a forbid for nobody, or for no device, would forbid nothing."""
    own = (
        '// Why.\n@id("mine")\nforbid (principal in Fleet::Group::"operatosr", action, '
        'resource in Fleet::DeviceGroup::"line-perss");\n'
    )
    where, groups = (
        "tenants/acme/policies/mine.cedar:3: ",
        "certified-line-press, it-staff, quality-inspectors, technicians",
    )
    assert refusal(files, own=own, known=True) == [
        f'{where}`Fleet::Group::"operatosr"` is no group of this tenant; it has {groups}',
        (
            f'{where}`Fleet::DeviceGroup::"line-perss"` is no device group of this tenant; '
            "did you mean `line-press`? It has all, line-press"
        ),
    ]
    right = own.replace("operatosr", "quality-inspectors")
    (files / "tenants" / "acme" / "policies" / "mine.cedar").write_text(
        right.replace("line-perss", "all")
    )
    folder, lines = files / "tenants" / "acme" / "policies", frozenset({"line-press"})
    tenant = TenantPolicies(
        tenant="acme",
        folder=folder,
        groups=frozenset({"it-staff", "quality-inspectors", "technicians"}),
        lines=lines,
    )
    assert "mine" in {policy.id for policy in load(files / "policies", tenant).forbids}


def test_template_must_be_a_permit_with_both_slots(files: Path):
    """A template that the store would refuse, or a forbid that only some have, is refused."""
    (files / "policies" / "templates" / "odd.cedar").write_text(
        '// Why.\n@id("odd")\nforbid (principal == ?principal, action, resource);\n',
        encoding="utf-8",
    )
    odd = "policies/templates/odd.cedar:3: a template must"
    assert refusal(files) == [
        f"{odd} be a permit: forbids hold for everybody, from the first moment",
        f"{odd} bind `?resource` in its scope",
    ]


@pytest.mark.parametrize(
    ("rule", "most", "size_of"),
    [
        (bindable, MAX_STATEMENT_BYTES, r"^(\d+) bytes once bound"),
        (lambda one: all_together([one]), MAX_UNSPECIFIC_BYTES, r", (\d+) bytes together"),
    ],
    ids=["one", "all_open"],
)
def test_a_quota_may_be_used_to_its_last_byte(
    rule: Callable[[Statement], Iterator[Problem]], most: int, size_of: str
) -> None:
    """One byte more is refused, with how many there are."""

    def problems(padding: int) -> list[Problem]:
        text = f'permit (principal in Fleet::Group::"x", action, resource); //é{"x" * padding}'
        one = parse("file", text)
        assert isinstance(one, Statement)
        return list(rule(one))

    [refused] = problems(most)
    found = re.search(size_of, refused.words)
    assert found is not None
    just_right = 2 * most - int(found[1])
    assert problems(just_right) == []
    assert len(problems(just_right + 1)) == 1
