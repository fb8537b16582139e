"""A tenant is taken away with all it left, over any number of kills, and its neighbours stay."""

from __future__ import annotations

import json
import os
import random
import re
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pytest

from infra import names
from infra.commands.account import Account, Belongings
from infra.commands.offboarding import record, traces
from infra.commands.offboarding.offboard import OPERATORS_PARTITION, put_away
from infra.commands.tenant_archive.archive import Archive, sha256_of
from tests.certificates import certified
from tests.infra.bus_listener import BusListener, told
from tests.infra.conftest import ROOT, Project, copy_project, running_cloud

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TABLES: Final = {
    "cedarfleet-devices": "partition",
    "cedarfleet-commands": "thing",
    "cedarfleet-audit": "partition",
}
NEIGHBOUR: Final = "acme-two"  # begins as the tenant's name does
ROWS: Final = 60  # of a table: more than one batch
# Of one action: a preview asks both sets about all that a changed policy may speak of.
BY_HAND: Final = 'forbid (principal, action == Fleet::Action::"ViewAudit", resource);'
PAGE: Final = (ROOT / "docs" / "operations.md").read_text()
COMMANDS: Final = [
    line
    for line in re.findall(r"^ *python -m infra (tenants [^\n#]+)$", PAGE, re.MULTILINE)
    if line.split()[1] not in {"offboard", "destroy", "import", "new"} and "<report>" not in line
]
"""Of the page's blocks: those about a tenant that is there and stays."""
STEPS: Final = (
    "suspend",
    "export",
    "inventory",
    "certificates",
    "things",
    "jobs",
    "timers",
    "unprotect",
    "destroy",
    "rows",
)


@dataclass(frozen=True, kw_only=True)
class Platform:
    """A cloud of its own with the platform, acme and globex, as `make up` keeps it."""

    project: Project
    state: Path
    listener: BusListener

    @property
    def account(self) -> Account:
        """As the operator has it."""
        return Account(client=self.project.cloud.client, region=self.project.cloud.region)

    def command(self, *words: str, stamps: bool = True) -> list[str]:
        """`python -m infra tenants` on this project; what stamps is told where the stacks are."""
        script = "import sys, pathlib; from infra.__main__ import main; "
        script += f"sys.exit(main(sys.argv[1:], root=pathlib.Path({str(self.project.root)!r})))"
        engine = ["--engine", "embedded", "--state", str(self.state)] if stamps else []
        return [sys.executable, "-c", script, "tenants", *words, *engine]

    def environment(self) -> dict[str, str]:
        """Whose calls go to this cloud."""
        cloud = self.project.cloud
        own = {"AWS_ENDPOINT_URL": cloud.endpoint_url, "AWS_REGION": cloud.region}
        return {**os.environ, **cloud.environment, **own, "PYTHONPATH": str(ROOT)}


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """Stamped, protected as the files say, and lived in."""
    with running_cloud(tmp_path_factory.mktemp("leaving-cloud")) as cloud:
        project = Project(copy_project(tmp_path_factory.mktemp("leaving")), cloud)
        for stack in ("platform", "acme", "globex"):
            project.up(stack)
        state = tmp_path_factory.mktemp("cedarfleet")
        (state / "stacks").symlink_to(project.root / "state")
        keys = ("endpoint_url", "region", "account_id", "environment")
        (state / "cloud.json").write_text(json.dumps({key: getattr(cloud, key) for key in keys}))
        for tenant in ("acme", "globex", NEIGHBOUR):
            lived_in(project, tenant)
        yield Platform(project=project, state=state, listener=BusListener.begin(cloud))


def lived_in(project: Project, tenant: str) -> None:
    """Devices with shadows and certificates, a job, a timer, rows, files, people, a policy."""
    client = project.cloud.client
    iot = client("iot")
    for number in (1, 2):
        thing = f"{tenant}--press-0{number}"
        iot.create_thing(thingName=thing)
        for _ in range(number):  # the second has renewed its own
            hold(iot, tenant, thing)
        client("iot-data").update_thing_shadow(
            thingName=thing, shadowName="state", payload=b'{"state":{"desired":{"a":1}}}'
        )
    arn = iot.describe_thing(thingName=thing)["thingArn"]
    iot.create_job(jobId=f"{tenant}--j-1", targets=[arn], document="{}")
    client("scheduler").create_schedule(
        Name=f"{tenant}--grant-1",
        ScheduleExpression="at(2030-01-01T00:00:00)",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={
            "Arn": f"arn:aws:sqs:{project.cloud.region}:{project.cloud.account_id}:cedarfleet-work",
            "RoleArn": f"arn:aws:iam::{project.cloud.account_id}:role/cedarfleet-timer",
        },
    )
    for table, partition in TABLES.items():
        for number in range(ROWS):
            row = {partition: {"S": f"{tenant}--x#{number % 7}"}, "sk": {"S": str(number)}}
            client("dynamodb").put_item(TableName=table, Item=row)
    onboarding = {"issuer": {"S": names.onboarding_row(tenant)}, "began_at": {"S": "then"}}
    client("dynamodb").put_item(
        TableName=names.TENANTS_TABLE, Item={**onboarding, "told_at": {"S": "then"}}
    )
    if tenant == NEIGHBOUR:
        return
    outputs = project.engine.outputs(tenant).outputs
    for content in (b"1", b"2"):
        client("s3").put_object(Bucket=outputs["bucket"], Key="firmware/a.bin", Body=content)
    client("cognito-idp").admin_create_user(
        UserPoolId=outputs["user_pool_id"],
        Username=f"kim@{tenant}.example",
        UserAttributes=[{"Name": "email", "Value": f"kim@{tenant}.example"}],
    )
    client("verifiedpermissions").create_policy(
        policyStoreId=outputs["policy_store_id"],
        definition={"static": {"statement": BY_HAND}},
    )


def hold(iot: Any, tenant: str, *things: str) -> str:
    """A certificate of things with the tenant's policy, if the tenant is stamped; its id."""
    made = certified(iot)
    for thing in things:
        iot.attach_thing_principal(thingName=thing, principal=made["certificateArn"])
    if tenant != NEIGHBOUR:
        iot.attach_policy(policyName=f"{tenant}-device", target=made["certificateArn"])
    return made["certificateId"]


def found(platform: Platform, tenant: str, *ids: str) -> dict[str, set[str]]:
    """Store -> what of the tenant's is there."""
    things = (f"{tenant}--press-01", f"{tenant}--press-02")
    belongings = Belongings(tenant=tenant, ids=ids)
    searched = traces.search(platform.account, belongings, things=things)
    return {one.store: set(one.found) for one in searched if one.found}


def test_no_resource_of_a_stack_escapes_the_search(platform: Platform) -> None:
    """Each that the program makes for a tenant is found by itself, or what it is a part of is."""
    outputs = platform.project.engine.outputs("globex").outputs
    there = found(platform, "globex", outputs["user_pool_id"], outputs["policy_store_id"])
    words = {word for entries in there.values() for entry in entries for word in entry.split()}
    file = platform.project.root / "state" / "stacks" / "cedarfleet" / "globex.json"
    resources = json.loads(file.read_text())["deployment"]["resources"]
    made = [one for one in resources if one["type"].startswith("aws:")]
    assert len(made) > 50
    issuer = outputs["issuer"]
    parts = {
        "aws:cognito/userPoolClient:UserPoolClient": outputs["user_pool_id"],
        "aws:cognito/userPoolDomain:UserPoolDomain": outputs["user_pool_id"],
    }
    for one in made:
        identity = parts.get(one["type"], one["id"])
        assert any(word in identity for word in words - {"globex"}) or identity in words, one["id"]
    rows = there["table cedarfleet-tenants"]
    assert rows == {issuer, f"policies of {issuer}", names.onboarding_row("globex")}
    for store in ("IoT things", "IoT jobs", "schedules", "shadows of its things"):
        assert there[store], store


def test_a_neighbour_with_a_longer_name_is_another() -> None:
    """Neither tenant's names are taken for the other's."""
    one, two = Belongings(tenant="acme"), Belongings(tenant=NEIGHBOUR)
    for name in ("acme--press-01", "acme-device", "cedarfleet-acme", "acme-artifacts-0f3a"):
        assert one.has(name)
        assert not two.has(name)
    for name in ("acme-two--press-01", "acme-two-device", "acme-two-artifacts-0f3a", "acme-two"):
        assert two.has(name)
        assert not one.has(name)
    assert not one.has("acme-artifacts-artifacts-0f3a")


@pytest.mark.timeout(600)  # fourteen commands, three of which stamp or read all stacks
def test_the_operators_page_is_walked(platform: Platform, tmp_path: Path) -> None:
    """Each command of its blocks about a tenant that stays, in their order, does its work."""
    platform.listener.heard()
    ran = list[str]()
    for line in COMMANDS:
        words = shlex.split(
            line.replace("<tenant>", "globex")
            .replace("<device group>", "ward-3")
            .replace("<folder>", str(tmp_path))
        )[1:]
        more = ["--quiet", "1"] if words[0] == "suspend" else []
        stamps = words[0] in {"preview", "up", "drift", "move"}
        if stamps:
            more = ["--report", str(tmp_path / f"{len(ran)}.json")]
        done = subprocess.run(
            platform.command(*words, *more, stamps=stamps),
            env=platform.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        # The policy that somebody put into the store by hand is a drift.
        expected = 4 if words[0] == "drift" else 0
        assert done.returncode == expected, (line, done.stdout, done.stderr)
        ran.append(words[0])
    assert {"list", "preview", "up", "drift", "suspend", "resume", "freeze", "thaw"} <= {*ran}
    assert {"export", "move"} <= {*ran}
    heard = platform.listener.heard()
    assert told(heard) == [
        (f"tenant.{what}", "globex") for what in ("resumed", "suspended", "tier-changed")
    ]
    assert Archive.opened(tmp_path / "globex.tar", tmp_path / "opened")
    subprocess.run(
        platform.command("thaw", "acme", stamps=False), env=platform.environment(), check=True
    )


def test_a_tenant_that_comes_again_keeps_its_file(tmp_path: Path) -> None:
    """Only the file that was copied is taken away: one of a tenant stamped since is another."""
    folder, said = tmp_path / "left", list[str]()
    (tmp_path / "tenants").mkdir()
    folder.mkdir()
    file = tmp_path / "tenants" / "Pulumi.acme.yaml"
    (folder / file.name).write_text("config: {}\n")
    file.write_text("config: {new: true}\n")
    put_away(tmp_path, "acme", folder, say=said.append)
    assert (file.exists(), said) == (True, [])
    file.write_text("config: {}\n")
    put_away(tmp_path, "acme", folder, say=said.append)
    assert (file.exists(), len(said)) == (False, 1)


def test_a_word_changed_in_a_certificate_is_seen(tmp_path: Path) -> None:
    """Its digest is of all that it says, as it is read back."""
    record.certify(tmp_path, {"tenant": "acme", "left": {}, "reason": "leaves"})
    said = json.loads((tmp_path / record.CERTIFICATE).read_text())
    assert said["sha256"] == record.digest(said)
    assert said["sha256"] != record.digest(said | {"reason": "was thrown out"})


def test_without_the_word_nothing_begins(platform: Platform, tmp_path: Path) -> None:
    """Nobody typed the tenant's id; a stack of the laptop, and calls that go elsewhere."""
    words = ["offboard", "acme", "--to", str(tmp_path), "--reason", "leaves"]
    for given, changed, said in (
        (["--confirm", "globex"], {}, "--confirm acme is missing"),
        (["--confirm", "acme"], {"AWS_ENDPOINT_URL": "http://localhost:1"}, "names another"),
    ):
        done = subprocess.run(
            platform.command(*words, *given),
            env=platform.environment() | changed,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        assert (done.returncode, done.stdout) == (1, "")
        assert said in done.stderr
    assert not list(tmp_path.iterdir())


def test_what_is_protected_is_not_destroyed(platform: Platform) -> None:
    """The bare destroy takes no protection off, and says what stands in its way."""
    done = subprocess.run(
        platform.command("destroy", "globex", "--confirm", "globex"),
        env=platform.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "which lifts the protection" in done.stdout


def _run_and_kill(
    command: list[str], platform: Platform, draw: random.Random
) -> tuple[int, str] | None:
    """Run the command, and kill it some time after the first step that it says; what it ended with.

    ``None``: it was killed. Each run says one step at least, so there is an end.
    """
    with subprocess.Popen(
        command, env=platform.environment(), stdout=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None
        said = ""
        for line in run.stdout:
            said += line
            if line.startswith(tuple(f"{step}: " for step in STEPS)):
                time.sleep(draw.uniform(0, 0.2))  # the point at which it is killed, no wait
                run.kill()
        code = run.wait()
    return None if code < 0 else (code, said)


def test_a_tenant_leaves_over_any_number_of_kills(platform: Platform, tmp_path: Path) -> None:
    """Killed again and again, it goes on, ends with a proof, and touches nobody else."""
    seed = random.randrange(10**9)  # noqa: S311 - no secret
    print(f"seed {seed}")
    draw = random.Random(seed)  # noqa: S311 - the same
    iot = platform.project.cloud.client("iot")
    shared = hold(iot, "acme", "acme--press-01", "globex--press-01")
    hold(iot, "acme")  # of no thing
    outputs = platform.project.engine.outputs("globex").outputs
    others = (("globex", outputs["user_pool_id"], outputs["policy_store_id"]), (NEIGHBOUR,))
    before = [found(platform, *one) for one in others]
    platform.listener.heard()
    folder = tmp_path / "acme-is-gone"
    words = ["offboard", "acme", "--to", str(folder), "--reason", "leaves", "--confirm", "acme"]
    command = platform.command(*words, "--quiet", "1")
    kills = 0
    while (ended := _run_and_kill(command, platform, draw)) is None:
        kills += 1
    assert kills >= 3
    code, said_last = ended
    assert code == 0, said_last
    assert ", 0 left\n" in said_last
    kept = record.read(folder, "acme")
    assert kept is not None
    assert found(platform, "acme", *kept.ids) == {}
    for arn in kept.certificates:
        with pytest.raises(iot.exceptions.ResourceNotFoundException):
            iot.describe_certificate(certificateId=arn.rsplit("/", 1)[1])
    assert iot.describe_certificate(certificateId=shared)["certificateDescription"]["status"] == (
        "ACTIVE"
    )
    assert [found(platform, *one) for one in others] == before
    assert not (platform.project.root / "tenants" / "Pulumi.acme.yaml").exists()
    said = json.loads((folder / "certificate.json").read_text())
    assert said["sha256"] == record.digest(said)
    assert said["export"]["sha256"] == sha256_of(folder / "acme.tar")
    opened = Archive.opened(folder / "acme.tar", tmp_path / "opened")
    assert [line["email"] for line in opened.lines("people.jsonl")] == ["kim@acme.example"]
    assert len(list(opened.lines("audit-open.jsonl"))) == ROWS
    assert min(said["searched"][f"table {table}"] for table in TABLES) >= 2 * ROWS
    assert said["ends_by_itself"]["backups of table cedarfleet-audit"] > said["ended_at"][:10]
    row = platform.project.cloud.client("dynamodb").get_item(
        TableName="cedarfleet-audit",
        Key={
            "partition": {"S": OPERATORS_PARTITION},
            "sk": {"S": f"acme {kept.began_at}"},
        },
    )["Item"]
    assert row["sha256"]["S"] == said["sha256"]
    again = subprocess.run(
        command, env=platform.environment(), capture_output=True, text=True, check=False
    )
    assert (again.returncode, again.stderr) == (0, "")
    assert again.stdout == f"acme is offboarded: {folder / 'certificate.json'}\n"
    heard = platform.listener.heard()
    assert {*told(heard)} == {("tenant.offboarded", "acme"), ("tenant.suspended", "acme")}
    assert len({event["detail"]["id"] for event in heard}) == 2, "a kill may have it told twice"
