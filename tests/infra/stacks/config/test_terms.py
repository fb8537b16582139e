"""What a tenant gets of its tier, and what its own file may ask for within it."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING, Any, Final

import pytest

from infra.stacks.config.limits import FEATURES
from infra.stacks.config.reading import ConfigError, read
from infra.stacks.config.tenants import configured
from infra.stacks.config.terms import terms_of, tiers_of
from infra.stacks.config.tiers import Budget, Rate, Tier
from tests.infra.stacks.config.test_tenant import ROOT, changed, read_file, tenant

if TYPE_CHECKING:
    from pathlib import Path

    from infra.stacks.config.terms import Terms

RATE: Final = {"per_second": 10, "burst": 15}
SMALL: Final = read(
    Tier,
    "tiers.small",
    {
        "budget": {"requests": RATE, "commands": RATE},
        "features": ["campaigns"],
        "artifact_days": 50,
        "telemetry_days": 40,
        "device_log_days": 30,
        "mfa": "optional",
        "password": {"remembered": 4},
        "threat_protection": "audit-only",
    },
)


def asked(**own: Any) -> dict[str, Any]:
    """A tenant's file that names the tier and says nothing else that a tier says."""
    data = read_file("acme")
    del data["artifact_days"], data["sign_in"]["mfa"]
    return data | {"tier": "small", "machines": {}} | own


def given(data: Any) -> Terms:
    """What such a file gets."""
    return terms_of("acme", tenant(data), {"small": SMALL})


def test_a_file_that_says_nothing_gets_its_tier() -> None:
    """All of the tier, and nothing else."""
    got = given(asked())
    assert (got.tier, got.within) == ("small", SMALL)


def test_a_file_gets_less_if_it_asks_for_less() -> None:
    """A smaller budget, a shorter retention, a stricter sign-in; the rest is the tier's."""
    own = asked(telemetry_days=7, budget={"commands": {"per_second": 1, "burst": 2}})
    got = given(changed(own, "sign_in.mfa", "on")).within
    assert got.telemetry_days == 7
    assert got.budget == Budget(
        requests=Rate(per_second=10, burst=15), commands=Rate(per_second=1, burst=2)
    )
    assert (got.mfa, got.artifact_days, got.features) == ("on", 50, ("campaigns",))


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("budget", {"requests": RATE | {"per_second": 11}}, ".budget.requests.per_second: tier"),
        ("budget", {"commands": RATE | {"burst": 16}}, "has at most 15, is `16`"),
        ("artifact_days", 51, ".artifact_days: tier `small` keeps for at most 50 days, is `51`"),
        ("telemetry_days", 41, ".telemetry_days: tier `small` keeps for at most 40 days"),
        ("device_log_days", 31, ".device_log_days: tier `small` keeps for at most 30 days"),
        ("sign_in.mfa", "off", ".sign_in.mfa: tier `small` asks for at least `optional`, is `off`"),
        ("machines", {"mes": ["view"]}, ".machines: tier `small` has no machines"),
        ("tier", "large", ".tier: `large` is no tier of tenants/Pulumi.platform.yaml; there are:"),
    ],
)
def test_a_file_that_asks_for_more_is_refused(path: str, value: object, words: str) -> None:
    """By file and key, and what the tier has; at the bound it is taken."""
    with pytest.raises(ConfigError, match=re.escape(words)) as refused:
        given(changed(asked(), path, value))
    assert str(refused.value).startswith("tenants/Pulumi.acme.yaml: cedarfleet:tenant.")
    own = asked(artifact_days=50, telemetry_days=40, device_log_days=30, budget={"commands": RATE})
    assert given(changed(own, "sign_in.mfa", "optional"))


def test_a_tenant_without_a_tier_is_as_before() -> None:
    """The terms that a file got before there were tiers, and no bound."""
    data = asked(artifact_days=3650, budget={"requests": {"per_second": 9999, "burst": 9999}})
    del data["tier"]
    data["sign_in"] |= {"mfa": "off"}
    got = given(data)
    assert got.tier is None
    assert (got.within.artifact_days, got.within.budget.requests.burst) == (3650, 9999)
    assert (got.within.mfa, got.within.features) == ("off", FEATURES)
    assert got.within.password == Tier().password
    assert got.within.threat_protection is None


def test_a_file_is_read_with_the_platforms_tiers(tmp_path: Path) -> None:
    """The committed file fits its tier; without the platform's file nobody knows what it gets."""
    assert configured(ROOT, "acme").tier in tiers_of(ROOT)
    shutil.copytree(ROOT / "tenants", tmp_path / "tenants")
    assert configured(tmp_path, "acme")
    (tmp_path / "tenants" / "Pulumi.platform.yaml").unlink()
    with pytest.raises(ConfigError, match=r"`standard` is no tier of .*; there are: none"):
        configured(tmp_path, "acme")
