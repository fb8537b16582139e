"""Stack files: what is wrong with one is said with file and key."""

from __future__ import annotations

from copy import deepcopy
from datetime import UTC, date, datetime, timedelta, timezone
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.stacks.config.platform import PlatformConfig
from infra.stacks.config.reading import ConfigError
from infra.stacks.config.tenant import TenantConfig

ROOT = Path(__file__).parents[4]


@cache
def _document(stack: str) -> Any:
    return yaml.safe_load((ROOT / "tenants" / f"Pulumi.{stack}.yaml").read_text())


def read_file(stack: str) -> dict[str, Any]:
    """A copy of what the committed file of a stack holds under its one key."""
    kind = "platform" if stack == "platform" else "tenant"
    return deepcopy(_document(stack)["config"][f"cedarfleet:{kind}"])


def changed(data: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    """A copy with one value set, at a path such as `sign_in.mfa` or `grants.0.until`."""
    copy: Any = deepcopy(data)
    place: Any = copy
    *way, last = path.split(".")
    for step in way:
        place = place[int(step)] if step.isdigit() else place[step]
    place[last] = value
    return copy


def tenant(data: object, name: str = "acme") -> TenantConfig:
    """Read as a tenant's file."""
    return TenantConfig.read(f"tenants/Pulumi.{name}.yaml", data, tenant=name, root=ROOT)


OIDC: dict[str, Any] = {
    "issuer": "https://idp.acme.example",
    "client_id": "the-pool",
    "client_secret": "cedarfleet/acme/entra",
    "attributes": {"email": "email"},
}


def test_a_provider_is_read() -> None:
    """With what it is asked for where the file does not say, and what it tells of a person."""
    read = tenant(changed(read_file("acme"), "sign_in.oidc", {"Entra": OIDC})).sign_in
    assert read.oidc["Entra"].scopes == ("openid", "email", "profile")
    assert read.mapped == {"email"}


@pytest.mark.parametrize(
    ("name", "wrong", "words"),
    [
        ("En_tra", {}, r"\.En_tra: must be letters, digits and inner `-`"),
        ("Google", {}, r"\.Google: Cognito knows this name"),
        ("Entra", {"attributes": {}}, r"\.Entra\.attributes: must map `email`"),
        (
            "Entra",
            {"attributes": {"email_verified": "x"}},
            r"\.attributes\.email_verified: must be one of email, family_name",
        ),
        ("Entra", {"issuer": "http://idp.acme.example"}, r"\.issuer: must be https on port 443"),
        ("Entra", {"issuer": "https://idp.acme.example:8443/"}, r"\.issuer: must be https on p"),
        ("Entra", {"client_secret": "is this one?"}, r"\.client_secret: must be the name or ARN"),
        ("Entra", {"scopes": ["email"]}, r"\.scopes: must have `openid`"),
    ],
)
def test_a_provider_that_none_could_use_is_refused(
    name: str, wrong: dict[str, Any], words: str
) -> None:
    """By its name, what it tells and where it is."""
    with pytest.raises(ConfigError, match=words) as refusal:
        tenant(changed(read_file("acme"), "sign_in.oidc", {name: OIDC | wrong}))
    assert "is this one?" not in str(refusal.value)  # it may be the secret itself


def test_who_has_providers_has_no_sign_in_calls() -> None:
    """Tokens of these calls may write what the provider says of a person."""
    data = changed(read_file("acme"), "sign_in.oidc", {"Entra": OIDC})
    with pytest.raises(ConfigError, match=r"sign_in\.flows: must be empty where there are"):
        tenant(changed(data, "sign_in.flows", ["srp"]))
    saml = {"Entra": {"metadata_url": OIDC["issuer"], "attributes": OIDC["attributes"]}}
    with pytest.raises(ConfigError, match=r"sign_in\.saml\.Entra: stands in `oidc` too"):
        tenant(changed(data, "sign_in.saml", saml))


def test_the_two_tenants_are_different() -> None:
    """Acme and globex differ in everything that a file can say."""
    acme, globex = tenant(read_file("acme")), tenant(read_file("globex"), "globex")

    for field in (
        "display_name",
        "regions",
        "groups",
        "lines",
        "commands",
        "grants",
        "policies",
        "artifact_days",
    ):
        assert getattr(acme, field) != getattr(globex, field), field
    assert acme.sign_in != globex.sign_in
    assert acme.protect
    assert globex.protect


def test_no_call_beside_the_page_signs_people_in() -> None:
    """The committed tenants allow the hosted page only."""
    for name in ("acme", "globex"):
        assert tenant(read_file(name), name).sign_in.flows == ()


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("grups", {}, ".grups: unknown key; known are"),
        ("sign_in.mfa_mode", "on", ".sign_in.mfa_mode: unknown key; known are"),
        ("display_name", 7, ".display_name: must be a text, is `7`"),
        ("regions", [], ".regions: must not be empty"),
        ("regions", ["eu central"], ".regions[0]: must be letters, digits"),
        (
            "regions",
            [f"{n:0>63}" for n in range(13)],
            ".regions: must have at most 800 characters together",
        ),
        ("regions", ["eu-central", "eu-central"], ".regions[1]: `eu-central` stands twice"),
        ("tags", ["building", "building"], ".tags[1]: `building` stands twice"),
        ("tags", ["7th"], ".tags[0]: must be a letter, then letters, digits"),
        ("tags", ["__entity"], ".tags[0]: must be a letter, then letters, digits"),
        ("groups", ["managers"], ".groups: must be a mapping"),
        ("groups", {"Managers": "x"}, ".groups.Managers: must be lower-case words"),
        ("lines", {"line--press": "x"}, ".lines.line--press: must be lower-case words"),
        (
            "groups",
            {"g" * 129: "x"},
            f".groups.{'g' * 129}: must have at most 128 characters, has 129",
        ),
        ("lines", {"l" * 65: "x"}, f".lines.{'l' * 65}: must have at most 64 characters, has 65"),
        (
            "lines",
            {"-".join("l" * 33): "x"},
            f".lines.{'-'.join('l' * 33)}: must have at most 64 characters, has 65",
        ),
        ("lines", {"all": "x"}, ".lines.all: every device is in this group already"),
        ("line_parents", {"hall-9": ["line-press"]}, ".line_parents.hall-9: `hall-9` is no line"),
        (
            "line_parents",
            {"line-press": ["hall-9"]},
            ".line_parents.line-press[0]: `hall-9` is no line; there are: `line-press`, ",
        ),
        (
            "line_parents",
            {"line-press": ["line-press"]},
            ".line_parents.line-press: lies in itself: `line-press` in `line-press`",
        ),
        (
            "lines",
            {"hall-1": "Gerät"},
            ".lines.hall-1: must be 1 to 2028 characters of printable ASCII",
        ),
        (
            "commands",
            {"upload-logs": "OperateDevice"},
            ".commands.upload-logs: every device has this command",
        ),
        (
            "grants.0.principal",
            'Fleet::User::"tom@acme.example"',
            ".grants[0].principal: `tom@acme.example` is no `sub` of a person",
        ),
        (
            "grants.0.principal",
            'Fleet::User::"AcmeEntra_tom"',
            ".grants[0].principal: `AcmeEntra_tom` is no `sub` of a person",
        ),
        (
            "commands",
            {"Reboot": "OperateDevice"},
            ".commands.Reboot: a command's name is a lower-case letter, then such, digits and `-`",
        ),
        (
            "commands",
            {"reboot": "operate device"},
            ".commands.reboot: must map a command to a Cedar action",
        ),
        ("sign_in.mfa", "sms", ".sign_in.mfa: must be one of off, optional, on, is `sms`"),
        (
            "sign_in.flows",
            ["magic"],
            ".sign_in.flows[0]: must be one of srp, password, admin-password",
        ),
        (
            "sign_in.callback_urls",
            ["http://evil.example/"],
            ".sign_in.callback_urls[0]: must be https",
        ),
        (
            "sign_in.callback_urls",
            ["http://localhost.evil.example/"],
            ".sign_in.callback_urls[0]: must be https",
        ),
        ("sign_in.domain_prefix", "-acme", ".sign_in.domain_prefix: must be a-z"),
        (
            "sign_in.domain_prefix",
            "acme-on-aws",
            ".sign_in.domain_prefix: must be a-z, 0-9 and inner `-`, at most 63",
        ),
        (
            "sign_in.domain_prefix",
            "amazonia",
            ".sign_in.domain_prefix: must be a-z, 0-9 and inner `-`, at most 63",
        ),
        (
            "sign_in.domain_prefix",
            "my-cognito",
            ".sign_in.domain_prefix: must be a-z, 0-9 and inner `-`, at most 63",
        ),
        (
            "sign_in.token_minutes",
            1,
            ".sign_in.token_minutes: must be a whole number from 5 to 1440, is `1`",
        ),
        ("sign_in.token_minutes", True, ".sign_in.token_minutes: must be a whole number"),
        ("machines.MES", ["view"], ".machines.MES: must be lower-case words"),
        (
            "machines.mes",
            [],
            ".machines.mes: must list at least one of view, operate, update, is `[]`",
        ),
        (
            "machines.mes",
            ["view", "admin"],
            ".machines.mes: must list at least one of view, operate, update",
        ),
        ("machines.mes", ["view", "view"], ".machines.mes[1]: `view` stands twice"),
        ("machines", ["mes"], ".machines: must be a mapping"),
        ("grants.0.until", "tomorrow", ".grants[0].until: must be a moment such as"),
        ("grants.0.until", "2026-12-31T18:00:00", ".grants[0].until: must carry its offset"),
        ("grants.0.until", "2026-12-31", ".grants[0].until: must carry its offset"),
        (
            "grants.0.until",
            "0001-01-01T00:00:00+14:00",
            ".grants[0].until: must be a moment of the years 1 to 9999 in UTC",
        ),
        (
            "grants.0.until",
            datetime.fromisoformat("2026-12-31T18:00"),
            ".grants[0].until: must carry its offset, such as 2026-12-31T18:00:00+01:00, is `2026-",
        ),
        (
            "grants.0.until",
            date(2026, 12, 31),
            ".grants[0].until: must be a moment such as 2026-12-31T18:00:00+01:00, is `2026-12-31`",
        ),
        ("display_name", date(2026, 12, 31), ".display_name: must be a text, is `2026-12-31`"),
        ("grants.0.principal", "managers", ".grants[0].principal: `managers` is no entity"),
        ("grants.0.principal", 'Fleet::Group::"strangers"', ".grants[0].principal: `Fleet::Group"),
        (
            "grants.0.resource",
            'Fleet::DeviceGroup::"line-9"',
            ".grants[0].resource: `Fleet::DeviceGroup",
        ),
        ("policies", "acme/nothing", ".policies: no such folder: tenants/acme/nothing"),
        ("policies", "../policies", ".policies: must lie inside tenants/"),
        ("artifact_days", 0, ".artifact_days: must be a whole number from 1 to 3650, is `0`"),
        ("suspended", "yes", ".suspended: must be true or false, is `'yes'`"),
        ("protect", "no", ".protect: must be true or false, is `'no'`"),
    ],
)
def test_a_wrong_value_is_refused_with_file_and_key(path: str, value: object, words: str) -> None:
    """The message starts with the file, goes on with the key, and says what would be right."""
    with pytest.raises(ConfigError) as refusal:
        tenant(changed(read_file("acme"), path, value))

    assert str(refusal.value).startswith("tenants/Pulumi.acme.yaml: cedarfleet:tenant" + words)


@pytest.mark.parametrize(
    "key", ["display_name", "regions", "groups", "lines", "commands", "sign_in"]
)
def test_a_missing_key_is_refused_with_file_and_key(key: str) -> None:
    """What must be there is named."""
    data = read_file("acme")
    del data[key]
    with pytest.raises(
        ConfigError, match=rf"tenants/Pulumi\.acme\.yaml: cedarfleet:tenant\.{key}: missing"
    ):
        tenant(data)


@pytest.mark.parametrize("name", ["Acme", "a", "acme--dev", "-acme", "acme_1", "x" * 33])
def test_a_stack_that_is_no_tenant_id_is_refused(name: str) -> None:
    """A tenant id that could not be read back from a thing's name, never becomes a tenant."""
    with pytest.raises(ConfigError, match="is no tenant id"):
        tenant(read_file("acme"), name)


@pytest.mark.parametrize("data", [None, [], "x", {1: 2}])
def test_a_file_that_is_no_mapping_is_refused(data: object) -> None:
    """Nothing but a mapping with text keys is a stack's configuration."""
    with pytest.raises(
        ConfigError, match=r"tenants/Pulumi\.acme\.yaml: cedarfleet:tenant: must be a mapping"
    ):
        tenant(data)


@pytest.mark.parametrize(
    "end",
    [
        "2026-12-31T18:00:00+01:00",
        "2026-12-31T17:00:00Z",
        "2026-12-31 18:00:00 +0100 +0100",
        "2026-12-31 17:00:00 +0000 UTC",
        "2026-12-31 18:00:00 +0100 CET",
        datetime(2026, 12, 31, 18, tzinfo=timezone(timedelta(hours=1))),
    ],
)
def test_a_grant_keeps_its_end(end: object) -> None:
    """An end is the same moment in UTC: as written, as Go prints it, and as YAML reads it."""
    grants = tenant(changed(read_file("acme"), "grants.0.until", end)).grants

    assert grants[0].until == datetime(2026, 12, 31, 17, 0, tzinfo=UTC)


def test_yaml_words_that_read_as_truth_values_are_understood() -> None:
    """A bare `on` is a truth value to YAML and a word to us."""
    assert tenant(changed(read_file("acme"), "sign_in.mfa", True)).sign_in.mfa == "on"
    assert tenant(changed(read_file("acme"), "sign_in.mfa", False)).sign_in.mfa == "off"


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("domain_name", "API.example", ".domain_name: must be a host name"),
        ("hosted_zone_id", "", ".hosted_zone_id: must be a text"),
        ("cidr", "10.0.0.0/24", ".cidr: must be a /16"),
        ("cidr", "10.0.0.1/16", ".cidr: must be an IPv4 network"),
        (
            "availability_zones",
            ["eu-central-1a"],
            ".availability_zones: must name two zones, is `['eu-central-1a']`",
        ),
        ("tasks_max", 1, ".tasks_max: must be at least tasks_min (2), is 1"),
        ("tasks", 3, ".tasks: unknown key"),
    ],
)
def test_a_wrong_value_of_the_platform_is_refused(path: str, value: object, words: str) -> None:
    """The platform's file is read as strictly."""
    with pytest.raises(ConfigError) as refusal:
        PlatformConfig.read(
            "tenants/Pulumi.platform.yaml",
            changed(read_file("platform"), path, value),
            region="eu-central-1",
        )

    assert str(refusal.value).startswith(
        "tenants/Pulumi.platform.yaml: cedarfleet:platform" + words
    )
