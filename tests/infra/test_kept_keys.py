"""A changed key of a stack's file makes nothing anew but what is meant, or is refused in words."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

import pytest
import yaml
from msgspec.structs import fields

from infra.local.engine import Op, ProgramError
from infra.stacks.config.platform import PlatformConfig
from infra.stacks.config.sign_in import SignIn
from infra.stacks.config.tenant import TenantConfig

if TYPE_CHECKING:
    from pathlib import Path

    from tests.infra.conftest import Project

_OTHER_URLS: Final = ["https://elsewhere.example/"]
# Stack -> key -> another value, which may stand from the next `up`.
FREE: Final[dict[str, dict[str, Any]]] = {
    "platform": {
        "domain_name": "fleet.elsewhere.example",
        "hosted_zone_id": "Z9",
        "image_tag": "0.2.0",
        "nat_gateways": 1,
        "tasks_min": 3,
        "tasks_max": 11,
        "log_days": 60,
        "access_log_days": 90,
        "isolation_canary": ["globex", "acme"],
        "tiers": {"gold": {"threat_protection": "audit-only"}},
        "firewall": "block",
        "firewall_requests": 12_000,
        "flow_log_days": 60,
        "iot_log_level": "WARN",
        "monthly_dollars": 500,
        "key_rotation_days": 90,
        "mail_from": "hello@cedarfleet.example",
        "protect": False,
    },
    "acme": {
        "display_name": "Acme",
        "tier": "enterprise",
        "regions": ["eu-central", "eu-north", "eu-south"],
        "groups": {"managers": "Runs the plants"},
        "lines": {"line-new": "New"},
        "line_parents": {"line-press": ["zone-hall-1"]},
        "commands": {"reboot": "StopDevice"},
        "command_rules": {},
        "kinds": ["press", "pump", "saw"],
        "tags": ["building", "customer", "certified_by", "floor"],
        "sign_in.callback_urls": _OTHER_URLS,
        "sign_in.logout_urls": _OTHER_URLS,
        "sign_in.mfa": "on",
        "sign_in.flows": ["srp"],
        "sign_in.token_minutes": 90,
        "sign_in.refresh_days": 2,
        "machines": {"mes": ["view"], "erp": ["view"]},
        "grants": [],
        "policies": None,
        "budget": {"commands": {"per_second": 30, "burst": 40}},
        "artifact_days": 30,
        "telemetry_days": 30,
        "device_log_days": 10,
        "suspended": True,
        "protect": False,
    },
}
# What others exclude, changed after them: a tenant with providers has no sign-in calls.
INSTEAD: Final[dict[str, dict[str, Any]]] = {
    "platform": {},
    "acme": {
        "sign_in.flows": None,
        "sign_in.oidc": {},
        "sign_in.saml": {
            "AcmeSaml": {
                "metadata_url": "https://idp.acme.example/metadata",
                "attributes": {"email": "mail"},
            }
        },
    },
}
# Stack, key, another value, what is said of it.
KEPT: Final = (
    ("platform", "cidr", "10.30.0.0/16", "`10.20.0.0/16`"),
    (
        "platform",
        "availability_zones",
        ["eu-central-1a", "eu-central-1c"],
        "`eu-central-1a, eu-central-1b`",
    ),
    ("platform", "cell", "two", "`one`"),
    (
        "platform",
        "device_endpoint",
        "two.devices.cedarfleet.example",
        "`one.devices.cedarfleet.example`",
    ),
    ("acme", "sign_in.domain_prefix", "acme-elsewhere", "`cedarfleet-acme`"),
)
# Stack -> keys that must be what another stack says.
AGREED: Final[dict[str, set[str]]] = {"platform": set(), "acme": {"cell"}}
# What a free key makes anew, since AWS has no change of it; the new one comes first.
MADE_ANEW: Final = {
    "platform": {
        "api-task": "a task definition is a new revision with each change",
        "api-worker-task": "and that of the worker too",
        "balancer-certificate": "a certificate is of its name",
        "balancer-proof": "so is the record that proves it",
        "balancer-proven": "and the proof",
        "balancer-name": "a record is of its name and zone",
        "devices-name": "a record is of its zone",
        "devices-proof": "so is this one",
        **{f"mail-key-{index}": "and each that proves the sender's" for index in range(3)},
    },
    "acme": {},
}


def change(project: Project, stack: str, key: str, value: object) -> None:
    """Set a key of the stack's file, which may be one of `sign_in`; None takes it away."""
    path = project.root / "tenants" / f"Pulumi.{stack}.yaml"
    document = yaml.safe_load(path.read_text())
    table = document["config"][f"cedarfleet:{'platform' if stack == 'platform' else 'tenant'}"]
    outer, _, inner = key.rpartition(".")
    table = table[outer] if outer else table
    if isinstance(value, dict):
        table[inner] = table.get(inner, {}) | value
    elif value is None:
        del table[inner]
    else:
        table[inner] = value
    path.write_text(yaml.safe_dump(document))


def stood(file: Path) -> dict[str, Any]:
    """URN -> resource of a state, without ciphertext: that is another one at each writing."""
    text = re.sub(r'("ciphertext": *)"[^"]*"', r'\1""', file.read_text())
    return {one["urn"]: one for one in json.loads(text)["deployment"]["resources"]}


def test_every_key_is_free_or_kept() -> None:
    """A new key of a stack's file must say which of both it is."""
    known = {
        "platform": {one.name for one in fields(PlatformConfig)},
        "acme": {one.name for one in fields(TenantConfig) if one.name != "sign_in"}
        | {f"sign_in.{one.name}" for one in fields(SignIn)},
    }
    kept = {stack: {key for of, key, *_ in KEPT if of == stack} for stack in known}
    known_as = {
        stack: FREE[stack].keys() | INSTEAD[stack].keys() | kept[stack] | AGREED[stack]
        for stack in known
    }
    assert known_as == known


@pytest.mark.parametrize("stack", FREE)
def test_a_free_key_makes_nothing_anew(own: Project, stack: str) -> None:
    """All of them changed at once replace only what is listed with its reason."""
    for changed in filter(None, (FREE[stack], INSTEAD[stack])):
        for key, value in changed.items():
            change(own, stack, key, value)
        changes = own.engine.preview(stack).changes
        assert {one.urn.rpartition("::")[2] for one in changes if one.op is Op.REPLACE} == set(
            MADE_ANEW[stack]
        )


def test_no_tier_makes_anything_anew(own: Project) -> None:
    """From a stamped tier to each other one, up and down: nothing is replaced or deleted."""
    for key in ("artifact_days", "sign_in.mfa"):  # of its own, which not every tier has
        change(own, "acme", key, None)
    platform = yaml.safe_load((own.root / "tenants" / "Pulumi.platform.yaml").read_text())
    tiers = platform["config"]["cedarfleet:platform"]["tiers"]
    assert len(tiers) > 1
    for tier in (*tiers, None):
        change(own, "acme", "tier", tier)
        ops = {(one.op, one.urn.rpartition("::")[2]) for one in own.engine.preview("acme").changes}
        made = {name for op, name in ops if op not in {Op.READ, Op.UPDATE}}
        assert made == ({"identity-risk"} if tier == "enterprise" else set()), f"{tier}: {ops}"
        assert ((Op.UPDATE, "registry-row") in ops) is (tier != "standard"), f"{tier}: {ops}"


@pytest.mark.parametrize(("stack", "key", "value", "stands"), KEPT)
def test_a_kept_key_is_refused(
    own: Project, stack: str, key: str, value: object, stands: str
) -> None:
    """What stands, what was asked and what to do are said, each time, and no state changes."""
    file = own.root / "state" / "stacks" / "cedarfleet" / f"{stack}.json"
    before = stood(file)
    change(own, stack, key, value)
    asked = ", ".join(value) if isinstance(value, list) else value
    kind = "platform" if stack == "platform" else "tenant"
    for run in (own.engine.preview, own.up, own.up):
        with pytest.raises(ProgramError) as refused:
            run(stack)
        said = str(refused.value)
        assert f": tenants/Pulumi.{stack}.yaml: cedarfleet:{kind}.{key}: is {stands} since " in said
        assert f"cannot become `{asked}`: " in said
        assert f". Put {stands} back, or " in said
    after = stood(file)
    assert [urn for urn in before.keys() | after.keys() if before.get(urn) != after.get(urn)] == []


def test_another_region_is_refused(own: Project) -> None:
    """The platform stays where its tables are."""
    path = own.root / "tenants" / "Pulumi.platform.yaml"
    path.write_text(path.read_text().replace("eu-central-1", "eu-north-1"))
    with pytest.raises(ProgramError, match=r"aws:region: is `eu-central-1` since this stack was"):
        own.engine.preview("platform")


def test_a_tenant_of_another_cell_is_refused(own: Project) -> None:
    """Both cells are named, and nothing is made; a file without one means the first."""
    before = stood(own.root / "state" / "stacks" / "cedarfleet" / "acme.json")
    change(own, "acme", "cell", "two")
    for run in (own.engine.preview, own.up):
        with pytest.raises(ProgramError, match=r"account is cell `one`, the file asks for `two`"):
            run("acme")
    assert stood(own.root / "state" / "stacks" / "cedarfleet" / "acme.json") == before
