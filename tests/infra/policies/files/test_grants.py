"""A bad grant is refused by name, with what would be right, before anything is stamped."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from infra.policies import Grant, TenantPolicies, load
from infra.policies.files.rules import MAX_TEMPLATES
from tests.infra.policies.files.refusal import grant, refusal

if TYPE_CHECKING:
    from pathlib import Path

SOON = datetime(2026, 12, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (grant(id="Not An Id"), "`Not An Id`: an id is a-z, 0-9 and single inner `-`, at most 64"),
        (
            grant(template="nope"),
            "no template `nope`; there are break-glass, certified-for-line, ",
        ),
        (
            grant(principal="technicians"),
            "`technicians` is no entity: write it as in a policy file",
        ),
        (grant(principal='Fleet::Device::"d"'), "it must be Fleet::Group or Fleet::User"),
        (grant(resource='Fleet::Tenant::"this"'), "it must be Fleet::Device or Fleet::DeviceGroup"),
        (
            grant(principal='Fleet::User::"pool|x"'),
            "write the bare name, the pool is added at stamping",
        ),
        (grant(until=SOON), "template `certified-for-line` has no end; leave out `until`"),
        (
            grant(template="break-glass"),
            "template `break-glass` ends: say `until`, e.g. 2026-12-24T18:00:00Z",
        ),
        (
            grant(template="break-glass", until=SOON.replace(tzinfo=None)),
            "`until` 2026-12-01T00:00:00 has no time zone",
        ),
        (
            grant(template="break-glass", until=SOON),
            "is of type `Fleet::Group`; it must be Fleet::User",
        ),
        (
            grant(template="technician-for-line", until=SOON),
            "is of type `Fleet::Group`; it must be Fleet::User",
        ),
        (
            grant(principal='Fleet::Group::"certified-line-presss"'),
            "none of that name; did you mean `certified-line-press`? It has certified-line-press, ",
        ),
        (
            grant(resource='Fleet::DeviceGroup::"line-perss"'),
            "this tenant has none of that name; did you mean `line-press`? It has all, line-press",
        ),
    ],
)
def test_bad_grant_is_refused(files: Path, bad: Grant, words: str):
    """Each mistake in a grant names the tenant, the grant and what would be right."""
    (problem,) = refusal(files, grants=(bad,), known=True)
    assert problem.startswith(f"tenant acme, grant {bad.id}: ")
    assert words in problem


def test_grant_that_the_store_would_refuse_is_refused_before(files: Path):
    """A link is validated: one that fits no request would stop a stamping half way."""
    template = files / "policies" / "templates" / "certified-for-line.cedar"
    template.write_text(
        template.read_text().replace('[Fleet::Action::"View", ', '[Fleet::Action::"ListDevices", ')
    )
    text = template.read_text().replace(', Fleet::Action::"Maintain"]', "]")
    template.write_text(text)
    (problem,) = refusal(files, grants=(grant(),))
    assert problem.startswith('tenant acme, grant g: `Fleet::Group::"certified-line-press"` on ')
    assert problem.endswith(
        "unable to find an applicable action given the policy scope constraints"
    )


def test_template_quota_is_checked(files: Path):
    """One template for each end: the 21st is refused, with the reason and what to do."""
    kim = 'Fleet::User::"kim"'
    grants = tuple(
        grant(id=f"g{n}", template="break-glass", principal=kim, until=SOON + timedelta(hours=n))
        for n in range(MAX_TEMPLATES + 1)
    )
    (problem,) = refusal(files, grants=grants)
    assert problem.startswith(
        "tenant acme, grants: 21 templates, one for each template and end; at most 20, half of "
        "what a policy store may hold: an update that changes them needs old and new together."
    )
    assert (
        load(files / "policies", TenantPolicies(tenant="acme", grants=grants[1:])).links[0].id
        == "g1"
    )
