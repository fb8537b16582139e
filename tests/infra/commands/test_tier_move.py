"""`tenants move` brings a tenant to another tier and back, over a kill, and loses nothing."""

from __future__ import annotations

import subprocess
import sys
from argparse import Namespace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest
import yaml
from msgspec import structs

from infra import names
from infra.__main__ import main
from infra.commands import standing_terms, terms_change, tier_loss, tier_move
from infra.commands.account import Account
from infra.commands.file_lines import worded
from infra.commands.run_report import read
from infra.commands.tier_moves import TierMoves
from infra.stacks.config.tenants import configured
from infra.stacks.config.terms import terms_of, tiers_of
from infra.stacks.config.tiers import Tier
from tests.infra.bus_listener import BusListener, told

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.infra.conftest import Project

MOVED: Final = "globex"
HELD: Final = "0-held"


@pytest.fixture
def account(project: Project) -> Account:
    """In which the project is stamped."""
    return Account(client=project.cloud.client, region=project.cloud.region)


@pytest.fixture
def back(own: Project) -> Iterator[None]:
    """The tenant is of no tier after a test, as before it."""
    file = own.root / "tenants" / f"Pulumi.{MOVED}.yaml"
    before = file.read_text()
    yield
    file.write_text(before)
    own.up(MOVED)


@pytest.fixture
def webhook(project: Project) -> Iterator[dict[str, Any]]:
    """A webhook's row of the tenant's."""
    key = {"thing": {"S": f"{MOVED}--webhooks"}, "sk": {"S": HELD}}
    table = project.cloud.client("dynamodb")
    row = {**key, "state": {"S": "active"}}
    table.put_item(TableName=names.COMMANDS_TABLE, Item=row)
    yield row
    table.delete_item(TableName=names.COMMANDS_TABLE, Key=key)


def pool_of(project: Project) -> Any:
    """The tenant's user pool, as Cognito tells it."""
    cognito = project.cloud.client("cognito-idp")
    pool = project.engine.outputs(MOVED).outputs["user_pool_id"]
    return cognito.describe_user_pool(UserPoolId=pool)["UserPool"]


def row_of(project: Project) -> Any:
    """The tenant's row of the registry."""
    issuer = project.engine.outputs(MOVED).outputs["issuer"]
    table = project.cloud.client("dynamodb")
    return table.get_item(TableName=names.TENANTS_TABLE, Key={"issuer": {"S": issuer}})["Item"]


def heard(listener: BusListener) -> list[Any]:
    """Of the tenant's moves alone: rules of other tests hear of others."""
    return [one for one in listener.heard() if one["detail-type"] == "tenant.tier-changed"]


def refuses_loss(
    own: Project, places: list[str], capsys: pytest.CaptureFixture[str], *, words: list[str]
) -> None:
    """Preview and `up` of an edited file say the words of the move; `up` goes no further."""
    assert words[0] == f"{MOVED}: enterprise -> starter"
    assert "  features: campaigns, machines, wanted-versions, webhooks -> machines" in words
    assert "  telemetry_days: 365 -> 30" in words
    assert "  threat_protection: full-function -> none" in words
    assert words[-1] == "  stays and works, and no other can be made: 1 webhooks"
    report = own.root / "runs" / "report.json"
    for verb, code in (("preview", 0), ("up", 1)):
        run = ["tenants", verb, MOVED, "--report", str(report), *places]
        assert main(run, root=own.root) == code
        said = capsys.readouterr().out
        assert said.startswith("\n".join((*words, f"canary {MOVED}: ")))
        stack = read(report).stacks[MOVED]
        assert stack.terms == words
        assert "\n".join(words) in (report.parent / stack.log).read_text()
        is_refused = "has what `starter` lacks; nothing is changed without --accept" in said
        assert is_refused == bool(code)
        assert f"other terms for 1 of 1: {MOVED}\n" in said


def leaves_its_tier(
    own: Project,
    places: list[str],
    capsys: pytest.CaptureFixture[str],
    listener: BusListener,
) -> None:
    """The line is taken out by hand, and the tenant stamped."""
    file = own.root / "tenants" / f"Pulumi.{MOVED}.yaml"
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(line for line in lines if "    tier:" not in line))
    capsys.readouterr()
    assert main(["tenants", "up", MOVED, *places], root=own.root) == 0
    assert capsys.readouterr().out.startswith(f"{MOVED}: starter -> no tier\n")
    assert "tier" not in row_of(own)
    [event] = heard(listener)
    assert (event["detail"]["from"], "to" in event["detail"]) == ("starter", False)


@pytest.mark.usefixtures("back")
@pytest.mark.timeout(300)  # a stack is stamped three times, of which some share a core
def test_a_move_goes_on_after_a_kill(
    own: Project,
    state: Path,
    account: Account,
    webhook: Any,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Killed anywhere, the same command ends it: one event, one pool, all of the tier's terms."""
    places = ["--engine", "embedded", "--state", str(state)]
    up = ["tenants", "move", MOVED, "--tier", "enterprise", *places]
    listener = BusListener.begin(own.cloud)
    pool = pool_of(own)["Id"]
    assert main(up, root=own.root) == 1
    words = "sign_in.mfa: `enterprise` asks for at least `on`, is `optional`"
    assert words in capsys.readouterr().err
    file = own.root / "tenants" / f"Pulumi.{MOVED}.yaml"
    own_lines = ("      mfa: optional\n", "    artifact_days: 365\n")
    text = file.read_text()
    for line in own_lines:
        assert line in text
        text = text.replace(line, "")
    file.write_text(text)

    program = f"from infra.__main__ import main; from pathlib import Path; main({up}, root=Path())"
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=own.root, stdout=subprocess.PIPE, text=True
    ) as killed:
        assert killed.stdout is not None
        assert killed.stdout.readline() == f"{MOVED}: no tier -> enterprise\n"
        killed.kill()
    assert main(up, root=own.root) == 0
    now = pool_of(own)
    assert (now["Id"], now["UserPoolTier"], now["MfaConfiguration"]) == (pool, "PLUS", "ON")
    assert now["UserPoolAddOns"] == {"AdvancedSecurityMode": "ENFORCED"}
    password = now["Policies"]["PasswordPolicy"]
    assert (password["MinimumLength"], password["PasswordHistorySize"]) == (16, 10)
    assert row_of(own)["budgets"]["M"]["requests"]["M"]["per_second"] == {"S": "100"}
    ids = {(one["detail"]["id"], one["detail"]["to"]) for one in heard(listener)}
    assert [to for _, to in ids] == ["enterprise"]
    assert TierMoves(account).of(MOVED) is None

    down = ["tenants", "move", MOVED, "--tier", "starter", *places]
    assert main(down, root=own.root) == 1
    assert (
        "has what `starter` lacks; nothing is changed without --accept" in capsys.readouterr().err
    )
    assert pool_of(own)["UserPoolTier"] == "PLUS"
    assert TierMoves(account).of(MOVED) is None
    # A move that was killed before its stack was stamped is an edited file to everybody else.
    accepted = Namespace(tenant=MOVED, tier="starter", accept=True, preview=False)
    assert tier_move.begin(accepted, root=own.root, account=account)
    refuses_loss(own, places, capsys, words=capsys.readouterr().out.splitlines())
    assert (pool_of(own)["UserPoolTier"], heard(listener)) == ("PLUS", [])
    assert main(["tenants", "up", MOVED, "--accept", *places], root=own.root) == 0
    now, row = pool_of(own), row_of(own)
    assert (now["Id"], now["UserPoolTier"], now["MfaConfiguration"]) == (pool, "LITE", "OPTIONAL")
    assert "UserPoolAddOns" not in now or now["UserPoolAddOns"]["AdvancedSecurityMode"] == "OFF"
    assert row["features"]["M"]["webhooks"] == {"S": "no"}
    assert row["tier"] == {"S": "starter"}
    [event] = heard(listener)
    assert (event["detail"]["from"], event["detail"]["to"]) == ("enterprise", "starter")
    kept = own.cloud.client("dynamodb").get_item(
        TableName=names.COMMANDS_TABLE, Key={key: webhook[key] for key in ("thing", "sk")}
    )
    assert kept["Item"] == webhook

    leaves_its_tier(own, places, capsys, listener)
    assert TierMoves(account).of(MOVED) is None


def test_what_stands_is_read_as_it_was_stamped(project: Project, account: Account) -> None:
    """Of a tier and of none: each term, whatever the files say by now."""
    for tenant in ("acme", MOVED):
        config = configured(project.root, tenant)
        asked = terms_of(tenant, config, tiers_of(project.root))
        found = standing_terms.of(account, tenant)
        assert found is not None
        terms, bucket = found
        assert structs.replace(asked.within, description="") == terms.within
        assert terms.tier == asked.tier
        assert bucket == project.engine.outputs(tenant).outputs["bucket"]
    assert standing_terms.of(account, "initech") is None


def test_a_bucket_that_forgets_nothing_is_told(project: Project, account: Account) -> None:
    """Its rules were taken away by hand: the next stamping begins to delete, and says so."""
    bucket = project.engine.outputs("acme").outputs["bucket"]
    s3 = project.cloud.client("s3")
    rules = s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    s3.delete_bucket_lifecycle(Bucket=bucket)
    try:
        found = standing_terms.of(account, "acme")
        change = terms_change.of(
            account,
            "acme",
            terms_of("acme", configured(project.root, "acme"), tiers_of(project.root)),
        )
    finally:
        s3.put_bucket_lifecycle_configuration(
            Bucket=bucket, LifecycleConfiguration={"Rules": rules}
        )
    assert found is not None
    assert found[0].within.telemetry_days == standing_terms.FOR_EVER
    assert change is not None
    assert [*change.lines()] == [
        "acme: other terms of standard",
        "  artifact_days: 36500 -> 90",
        "  telemetry_days: 36500 -> 90",
        "  device_log_days: 36500 -> 30",
    ]


def test_what_a_smaller_tier_forgets_is_counted(project: Project, account: Account) -> None:
    """Telemetry and logs older than its days, and replaced versions; nothing that it keeps."""
    bucket = project.engine.outputs(MOVED).outputs["bucket"]
    s3 = project.cloud.client("s3")
    keys = (f"{names.TELEMETRY_PREFIX}old", f"{names.LOGS_PREFIX}old", "file", "file")
    made = [
        {"Key": key, "VersionId": s3.put_object(Bucket=bucket, Key=key, Body=b"x")["VersionId"]}
        for key in keys
    ]
    years, days = Tier(telemetry_days=365, device_log_days=365, artifact_days=365), Tier()
    later = datetime.now(UTC) + timedelta(days=100)
    try:
        loss = tier_loss.of(account, MOVED, bucket, before=years, after=days, now=later)
        assert loss.forgotten == (
            "1 files of telemetry older than 90 days",
            "1 logs of devices older than 30 days",
            "1 replaced versions of files older than 90 days",
        )
        soon = datetime.now(UTC) + timedelta(days=1)
        for before, after, now in ((days, years, later), (days, days, later), (years, days, soon)):
            assert not tier_loss.of(account, MOVED, bucket, before=before, after=after, now=now)
    finally:
        s3.delete_objects(Bucket=bucket, Delete={"Objects": made})


@pytest.mark.usefixtures("webhook")
def test_what_a_smaller_tier_cannot_make_is_counted(project: Project, account: Account) -> None:
    """A webhook of a tier that has none; not where the former had none either."""
    bucket = project.engine.outputs(MOVED).outputs["bucket"]
    all_of_them, none = Tier(), Tier(features=())
    now = datetime.now(UTC)
    loss = tier_loss.of(account, MOVED, bucket, before=all_of_them, after=none, now=now)
    assert loss.closed == ("1 webhooks",)
    for before, after in ((none, none), (none, all_of_them)):
        assert not tier_loss.of(account, MOVED, bucket, before=before, after=after, now=now)


def test_a_move_back_before_anybody_heard_is_not_told(project: Project, account: Account) -> None:
    """The tier that was told last is the one that it comes from, whoever heard of none since."""
    listener, moves = BusListener.begin(project.cloud), TierMoves(account)
    moves.begin("acme", came_from="standard", to="starter")
    assert not moves.end("acme", tier="standard")  # its stack was stamped before the move
    moves.begin("acme", came_from="standard", to="standard")
    assert not moves.end("acme", tier="standard")
    assert moves.of("acme") is None
    assert "acme" not in {tenant for _, tenant in told(listener.heard())}


def test_a_files_tier_is_set_and_all_else_stays(project: Project) -> None:
    """The line keeps its comment; a word that YAML would read otherwise is put in quotes."""
    text = (project.root / "tenants" / "Pulumi.acme.yaml").read_text()
    moved = worded(text, "tier", "starter")
    assert moved == text.replace("tier: standard ", "tier: starter ")
    assert worded(moved, "tier", "standard") == text
    for name in ("on", "null", "gold-2"):
        read = yaml.safe_load(worded(text, "tier", name))
        assert read["config"]["cedarfleet:tenant"]["tier"] == name
    without = (project.root / "tenants" / f"Pulumi.{MOVED}.yaml").read_text()
    read = yaml.safe_load(worded(without, "tier", "starter"))["config"]["cedarfleet:tenant"]
    assert read.pop("tier") == "starter"
    assert read == yaml.safe_load(without)["config"]["cedarfleet:tenant"]
