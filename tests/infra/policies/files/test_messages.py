"""Wrong policies and tenant files, each with the one message that a person gets: a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from infra.policies import PolicyError, load
from infra.stacks.config.reading import ConfigError
from infra.stacks.config.tenants import of_tenant
from tests.infra.policies.files.refusal import ACTIONS

if TYPE_CHECKING:
    from pathlib import Path

SCOPE: Final = 'principal in Fleet::Group::"operators", action, resource is Fleet::Device'
OWN: Final = "tenants/acme/policies/mine.cedar"
STACK: Final = "tenants/Pulumi.acme.yaml: cedarfleet:tenant"

POLICIES: Final = {
    "attribute": (
        f'forbid ({SCOPE})\nwhen {{ resource has critical && resource.critical == "high" }};',
        (
            f"{OWN}:4: the schema has no attribute `critical` for Fleet::Device; did you mean "
            "`criticality`? It has criticality, kind, region, security_patch, tenant, utc_offset, "
            "window_end, window_start"
        ),
    ),
    "value": (
        f'forbid ({SCOPE})\nwhen {{ resource has criticality && resource.criticality == "hihg" }};',
        (
            f"{OWN}:4: `resource.criticality` is never `hihg`; did you mean `high`? "
            "The schema lists high, low, medium"
        ),
    ),
    "kind": (
        f'forbid ({SCOPE})\nwhen {{ resource has kind && resource.kind == "pres" }};',
        (
            f"{OWN}:4: `resource.kind` is never `pres`; did you mean `press`? "
            "`kinds` of the tenant's file lists press, pump"
        ),
    ),
    "free": (
        (
            f"forbid ({SCOPE})\n"
            'when { principal has email && principal.email like "*@exmaple.com" };'
        ),
        (
            f"{OWN}:4: `principal.email` is compared with `*@exmaple.com`, of which no list is "
            f"known: "
            'confirm that it is spelt right, with `@values("*@exmaple.com")` after `@id`'
        ),
    ),
    "equal": (
        'forbid (principal == Fleet::Group::"operators", action, resource);',
        (
            f'{OWN}:3: `principal == Fleet::Group::"operators"` is true of the group itself '
            f"only, and "
            'not of what is in it: write `principal in Fleet::Group::"operators"`'
        ),
    ),
    "action": (
        'forbid (principal, action == Fleet::Action::"StopDevise", resource);',
        (
            f"{OWN}:3: the schema has no action `StopDevise`; did you mean `StopDevice`? There are "
            f"{ACTIONS}"
        ),
    ),
    "never": (
        (
            f"forbid ({SCOPE})\nwhen {{ resource has criticality && resource.criticality == "
            f'"high" && '
            'resource.criticality == "low" };'
        ),
        (
            f'{OWN}:4: it can never apply: `resource.criticality == "high"` and '
            '`resource.criticality == "low"` never hold together'
        ),
    ),
    "unasked": (
        f'forbid ({SCOPE})\nwhen {{ resource.kind == "press" }};',
        (
            f"{OWN}:4: unable to guarantee safety of access to optional attribute `kind` on entity "
            "type `Fleet::Device`: ask `resource has kind &&` before it"
        ),
    ),
    "unasked tag": (
        f'@values("7")\nforbid ({SCOPE})\nwhen {{ resource.getTag("building") == "7" }};',
        (
            f'{OWN}:5: unable to guarantee safety of access to tag `"building"` on entity '
            'type `Fleet::Device`: ask `resource.hasTag("building") &&` before it'
        ),
    ),
    "and": (
        f'forbid ({SCOPE})\nwhen {{ resource has kind and resource.kind == "press" }};',
        f"{OWN}:4: `and` is written `&&` in Cedar",
    ),
    "semicolon": (f"forbid ({SCOPE})", f"{OWN}:3: `;` is missing at the end"),
    "brace": (
        f"forbid ({SCOPE})\nwhen resource has kind }};",
        f"{OWN}:4: `{{` is missing before `resource`",
    ),
}
FILES: Final = {
    "group": (
        'Fleet::Group::"it-staff"',
        'Fleet::Group::"it-stuff"',
        (
            f'{STACK}.grants[1].principal: `Fleet::Group::"it-stuff"`: this tenant has none of '
            f"that "
            "name; did you mean `it-staff`? It has certified-line-press, emergency-responders, "
            "it-staff, managers, operations-managers, operators, process-engineers, "
            "quality-inspectors, technicians"
        ),
    ),
    "template": (
        "template: firmware-for-zone",
        "template: firmware-for-zones",
        (
            "tenant acme, grant firmware-hall-1: no template `firmware-for-zones`; did you mean "
            "`firmware-for-zone`? There are break-glass, certified-for-line, firmware-for-zone, "
            "technician-for-line"
        ),
    ),
}


def message(files: Path) -> str:
    """What stops a stamping of acme: the program loads the same, before it makes a resource."""
    with pytest.raises((PolicyError, ConfigError)) as refused:
        load(files / "policies", of_tenant(files, "acme"))
    print(refused.value)
    return str(refused.value)


@pytest.mark.parametrize("mistake", POLICIES)
def test_wrong_policy_has_one_message(files: Path, mistake: str):
    """File and line, what is wrong, the nearest that is known, and all that are."""
    text, words = POLICIES[mistake]
    (files / OWN).write_text(f'// Why.\n@id("mine")\n{text}\n', encoding="utf-8")
    assert message(files) == words


@pytest.mark.parametrize("mistake", FILES)
def test_wrong_tenant_file_has_one_message(files: Path, mistake: str):
    """File and key, what is wrong, the nearest that is known, and all that are."""
    right, wrong, words = FILES[mistake]
    stack = files / "tenants" / "Pulumi.acme.yaml"
    stack.write_text(stack.read_text().replace(right, wrong), encoding="utf-8")
    assert message(files) == words
