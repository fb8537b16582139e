"""Policies are loaded in the order of their creation, or refused with all that is wrong at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from infra.policies import PolicyError, TenantPolicies, load
from infra.policies.cases.reference_fleet import ReferenceFleet
from service.cedar.values import EntityUid
from tests.infra.policies.files.refusal import grant, refusal

if TYPE_CHECKING:
    from pathlib import Path


def test_forbids_come_first_and_templates_only_if_linked(files: Path):
    """The bundle is in the order of creation, and holds each template once for each end."""
    bundle = load(files / "policies", ReferenceFleet.read(files / "policies").policies)
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
    assert bundle.links[0].principal == EntityUid(type="Fleet::Group", id="certified-line-press")


def test_tenant_may_not_reuse_an_id(files: Path):
    """A tenant's policy named like a base policy, or a grant like either, is refused."""
    own = (
        '// Why.\n@id("tenant-guard")\nforbid (principal in Fleet::Group::"x", action, resource);\n'
    )
    found = refusal(
        files,
        own=own,
        name="tenant-guard",
        grants=(grant(id="managers-everything"), grant(), grant()),
    )
    taken = "the id `{0}` is taken by policies/static/{0}.cedar".format
    assert found == [
        f"tenants/acme/policies/tenant-guard.cedar:2: {taken('tenant-guard')}",
        f"tenant acme, grant managers-everything: {taken('managers-everything')}",
        "tenant acme, grant g: stands 2 times; each grant needs an id of its own",
    ]


def test_everything_wrong_is_said_at_once(files: Path):
    """Problems of several files come in one error, so that one round of corrections is enough."""
    static = files / "policies" / "static"
    (static / "tenant-guard.cedar.off").write_text("switched off?", encoding="utf-8")
    (static / "bytes.cedar").write_bytes(b"\xff\xfe")
    (files / "policies" / "templates" / "break-glass.cedar").write_text("permit", encoding="utf-8")
    found = refusal(files, own="permit (", grants=(grant(template="nope"),))
    assert [problem.partition(": ")[0] for problem in found] == [
        "policies/static/bytes.cedar:1",
        "policies/static/tenant-guard.cedar.off",
        "policies/templates/break-glass.cedar:1",
        "tenants/acme/policies/mine.cedar:1",
        "tenant acme, grant g",
    ]


def test_missing_folder_and_schema_are_refused(files: Path):
    """A folder that is not there is an error, never an empty set of policies."""
    with pytest.raises(PolicyError, match="no such folder"):
        load(files / "policies", TenantPolicies(tenant="acme", folder=files / "nowhere"))
    fleet = ReferenceFleet.read(files / "policies")
    schema = files / "policies" / "schema.cedarschema"
    schema.write_text("namespace Fleet { entity }", encoding="utf-8")
    with pytest.raises(
        PolicyError,
        match=r"policies/schema.cedarschema: .*error parsing schema: unexpected token `}`",
    ):
        load(files / "policies", fleet.policies)
    schema.unlink()
    with pytest.raises(PolicyError, match=r"schema\.cedarschema: no such file"):
        load(files / "policies", fleet.policies)
