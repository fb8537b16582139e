"""`make aws-check` runs here against the embedded cloud: the same program, another endpoint."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from infra.aws_check.__main__ import Check
from infra.aws_check.calls import MOST_CALLS, AwsCalls, OutOfCallsError
from infra.aws_check.rows import ROWS, Settled

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator

    from infra.local.cloud import EmbeddedCloud

# What the embedded cloud cannot answer: it has no Service Quotas, and its IAM simulation reads no
# context.
OPEN = {"rates", "tenant-role"}


class Advanced:
    """Time of the embedded cloud, which passes at once."""

    def __init__(self, cloud: EmbeddedCloud) -> None:
        self._clock = cloud.limits.clock

    def pause(self, seconds: float) -> None:
        """Advance its clock."""
        self._clock.advance(seconds)

    def until(self, event: threading.Event, seconds: float) -> bool:
        """Advance its clock; what is due then still takes a moment of the machine's."""
        self._clock.advance(seconds)
        return event.wait(0.5)

    def here(self, seconds: float) -> float:
        """What is to come has come after a second."""
        return min(seconds, 1)


@dataclass
class Run:
    """One check of the embedded cloud, and what it said."""

    cloud: EmbeddedCloud
    session: boto3.Session
    most: int = MOST_CALLS
    agreed: bool = True
    interrupted_at: str | None = None
    lines: list[str] = field(default_factory=list[str])
    made: list[str] = field(default_factory=list[str])

    def say(self, line: str) -> None:
        """Note a line; press Ctrl-C at one."""
        self.lines.append(line)
        if self.interrupted_at is not None and self.interrupted_at in line:
            raise KeyboardInterrupt

    def run(self) -> int:
        """The exit code."""
        calls = AwsCalls(self.session, endpoint_url=self.cloud.endpoint_url, most=self.most)
        check = Check(
            calls=calls,
            waiting=Advanced(self.cloud),
            ca_file=self.cloud.ca_file,
            agreed=lambda: self.agreed,
            say=self.say,
        )
        try:
            with self.cloud.limits.changed(pace=1):
                return check.run()
        finally:
            self.made = calls.made
            calls.close()

    @property
    def text(self) -> str:
        """All that was said."""
        return "\n".join(self.lines)


def standing(cloud: EmbeddedCloud) -> list[str]:
    """Names of all that is in the cloud and has a check's name."""
    return [name for name in _names(cloud) if "check" in name.replace("_", "-")]


def _names(cloud: EmbeddedCloud) -> Iterator[str]:
    iot: Any = cloud.client("iot")
    yield from (each["thingName"] for each in iot.list_things()["things"])
    yield from (each["groupName"] for each in iot.list_thing_groups()["thingGroups"])
    yield from (each["policyName"] for each in iot.list_policies()["policies"])
    yield from (each["templateName"] for each in iot.list_provisioning_templates()["templates"])
    yield from (each["jobId"] for each in iot.list_jobs()["jobs"])
    yield from (each["ruleName"] for each in iot.list_topic_rules()["rules"])
    yield from (each["RoleName"] for each in cloud.client("iam").list_roles()["Roles"])
    yield from cloud.client("dynamodb").list_tables()["TableNames"]
    pools = cloud.client("cognito-idp").list_user_pools(MaxResults=60)["UserPools"]
    yield from (each["Name"] for each in pools)
    stores = cloud.client("verifiedpermissions").list_policy_stores()["policyStores"]
    yield from (each.get("description", "") for each in stores)


@pytest.fixture(scope="module")
def session(embedded_cloud: EmbeddedCloud) -> boto3.Session:
    """One for all, since it keeps the parsed models of services."""
    keys = embedded_cloud.environment()
    return boto3.Session(
        aws_access_key_id=keys["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=keys["AWS_SECRET_ACCESS_KEY"],
        region_name=embedded_cloud.region,
    )


@pytest.fixture(scope="module")
def certificates(embedded_cloud: EmbeddedCloud) -> int:
    """How many there were before."""
    return len(embedded_cloud.client("iot").list_certificates()["certificates"])


def test_each_row_is_answered(
    embedded_cloud: EmbeddedCloud, session: boto3.Session, certificates: int
) -> None:
    """Whole and within its calls; who answered is said, no secret is, and nothing is left."""
    run = Run(embedded_cloud, session)

    code = run.run()

    said = dict(zip((row.id for row in ROWS), _settled(run.lines), strict=True))
    expected = {
        row.id: Settled.NO_CALL if row.reason else Settled.OPEN if row.id in OPEN else Settled.HOLDS
        for row in ROWS
    }
    # Two requests may miss one another.
    said["simultaneous-writes"] = Settled.HOLDS
    assert said == expected, run.text
    assert code == 1, "two rows stay open"
    assert len(run.made) <= MOST_CALLS
    assert f"{len(run.made)} calls of at most {MOST_CALLS}" in run.lines
    assert "which is not AWS" in run.lines[0]
    assert run.text.count("the embedded cloud answered") == sum(not row.reason for row in ROWS)
    keys = embedded_cloud.environment()["AWS_SECRET_ACCESS_KEY"]
    assert not [word for word in (keys, "X-Amz-", "PRIVATE KEY", "eyJ") if word in run.text]
    _nothing_is_left(embedded_cloud, certificates)


def _settled(lines: list[str]) -> list[str]:
    start = "  settled: "
    return [line.removeprefix(start) for line in lines if line.startswith(start)]


def _nothing_is_left(cloud: EmbeddedCloud, certificates: int) -> None:
    assert standing(cloud) == []
    assert len(cloud.client("iot").list_certificates()["certificates"]) == certificates


def test_ctrl_c_leaves_nothing(
    embedded_cloud: EmbeddedCloud, session: boto3.Session, certificates: int
) -> None:
    """Interrupted in the middle, it takes away what stands and says what was answered."""
    run = Run(embedded_cloud, session, interrupted_at="asking: ttl-number")

    assert run.run() == 1
    assert "not asked: interrupted" in run.text
    assert "the same thing twice, and another one refused" in run.text
    _nothing_is_left(embedded_cloud, certificates)


def test_calls_beyond_the_most_are_not_made(
    embedded_cloud: EmbeddedCloud, session: boto3.Session, certificates: int
) -> None:
    """What does not fit is not asked, and what stands is taken away with the calls kept for it."""
    run = Run(embedded_cloud, session, most=24)

    assert run.run() == 1
    assert len(run.made) <= 24
    assert "calls are not enough for it" in run.text
    assert "LEFT OVER" not in run.text
    _nothing_is_left(embedded_cloud, certificates)


def test_nothing_is_made_before_somebody_agrees(
    embedded_cloud: EmbeddedCloud, session: boto3.Session
) -> None:
    """What will be made, and where, is said first; one call asks who is asked."""
    run = Run(embedded_cloud, session, agreed=False)

    assert run.run() == 1
    assert run.made == ["sts.GetCallerIdentity"]
    assert "IAM role with one policy" in run.text
    assert run.lines[-1] == "nothing was made"


def test_call_too_many_is_not_sent(embedded_cloud: EmbeddedCloud, session: boto3.Session) -> None:
    """The count is of requests: the one beyond it never leaves."""
    calls = AwsCalls(session, endpoint_url=embedded_cloud.endpoint_url, most=1)
    sts = calls.client("sts")
    sts.get_caller_identity()

    with pytest.raises(OutOfCallsError):
        sts.get_caller_identity()
    assert calls.made == ["sts.GetCallerIdentity"]
    calls.close()


def test_command_makes_nothing_where_nobody_can_agree(embedded_cloud: EmbeddedCloud) -> None:
    """Without a terminal and without `--yes` the program says what it would make, and ends."""
    done = subprocess.run(
        [sys.executable, "-m", "infra.aws_check"],
        env={**os.environ, **embedded_cloud.environment()},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 1, done.stderr
    assert f"the embedded cloud at {embedded_cloud.endpoint_url}" in done.stdout
    assert done.stdout.endswith("nothing was made\n")
