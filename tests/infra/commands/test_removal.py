"""What AWS does in its own time is waited for when a tenant is taken away, and not for ever."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

import pytest

from infra.commands.account import Account, Belongings
from infra.commands.offboarding.removal import (
    LeftError,
    Patience,
    certificates,
    remove_certificate,
    remove_jobs,
    remove_rows,
    remove_thing,
    remove_timers,
    things,
)

if TYPE_CHECKING:
    from collections.abc import Callable

ACME: Final = Belongings(tenant="acme", ids=frozenset())
CERTIFICATE: Final = "arn:aws:iot:eu-central-1:123456789012:cert/c1"
MOST_SECONDS: Final = 2000
AT_ONCE: Final = 10  # jobs that AWS deletes (source: AWS IoT API reference, DeleteJob)


class ConflictError(Exception):
    """AWS says that something is attached yet."""


class LimitError(Exception):
    """AWS deletes as many jobs as it does at once."""


class AbsentError(Exception):
    """There is none."""


@dataclass
class SlowIot:
    """IoT Core whose detachments take some seconds, and which deletes ten jobs at once.

    Attributes:
        detached_at: second from when on nothing is attached any more.
        jobs: id -> second at which it is gone, once it is being deleted.
        holders: things that hold the certificate.
        policies: that are attached to it.
        shadows: of its thing; the one without a name is the empty text.
        done: what was detached or made inactive, in its order.
        refusals: of deletions.
        looks: at the list of jobs.
    """

    detached_at: float = 0.0
    seconds: float = 0.0
    deleted: list[str] = field(default_factory=list[str])
    jobs: dict[str, float | None] = field(default_factory=dict[str, "float | None"])
    holders: tuple[str, ...] = ("acme--press-01",)
    policies: tuple[str, ...] = ()
    shadows: list[str] = field(default_factory=list[str])
    done: list[str] = field(default_factory=list[str])
    refusals: int = 0
    looks: int = 0
    exceptions: Any = field(
        default_factory=lambda: SimpleNamespace(
            DeleteConflictException=ConflictError,
            InvalidRequestException=ConflictError,
            InvalidStateTransitionException=ConflictError,
            LimitExceededException=LimitError,
            ResourceNotFoundException=AbsentError,
        )
    )

    @property
    def patience(self) -> Patience:
        """On this clock."""
        return Patience(now=lambda: self.seconds, pause=self.pause)

    def pause(self, seconds: float) -> None:
        """Let time pass, though not for ever."""
        self.seconds += seconds
        assert self.seconds < MOST_SECONDS, "nobody gives up"

    def account(self) -> Account:
        """Where only this stands."""
        return Account(client=lambda _: self, region="eu-central-1")

    def can_paginate(self, _: str) -> bool:
        """Whatever is listed."""
        return True

    def get_paginator(self, operation: str) -> Any:
        """All that one lists is on one page."""
        return SimpleNamespace(paginate=lambda **asked: [getattr(self, operation)(**asked)])

    def list_principal_things(self, **_: Any) -> dict[str, Any]:
        """Who holds the certificate."""
        return {"things": list(self.holders)}

    def list_attached_policies(self, **_: Any) -> dict[str, Any]:
        """What is attached to it."""
        return {"policies": [{"policyName": name} for name in self.policies]}

    def list_things(self) -> dict[str, Any]:
        """All of the account."""
        return {"things": [{"thingName": name} for name in self.holders]}

    def list_named_shadows_for_thing(self, **_: Any) -> dict[str, Any]:
        """Those that have a name."""
        return {"results": [name for name in self.shadows if name]}

    def list_thing_principals(self, *, thingName: str) -> dict[str, Any]:  # noqa: N803
        """A certificate, and a person of Cognito, as AWS lists both; a thing may be gone."""
        if thingName == "acme--gone":
            raise AbsentError
        return {"principals": [CERTIFICATE, "eu-central-1:identity"]}

    def list_targets_for_policy(self, *, policyName: str) -> dict[str, Any]:  # noqa: N803
        """Another certificate, and again a person."""
        if policyName not in self.policies:
            raise AbsentError
        return {"targets": [CERTIFICATE.replace("c1", "c2"), "eu-central-1:identity"]}

    def list_jobs(self, **_: Any) -> dict[str, Any]:
        """Those that are not gone."""
        self.looks += 1
        assert self.looks < MOST_SECONDS, "nobody waits"
        told: list[dict[str, Any]] = []
        for name, gone_at in self.jobs.items():
            if gone_at is None or gone_at > self.seconds:
                told.append({"jobId": name, "status": "DELETION_IN_PROGRESS" if gone_at else "X"})
        return {"jobs": told}

    def detach_thing_principal(self, *, thingName: str, principal: str) -> None:  # noqa: N803
        """Answered at once, done later."""
        assert principal == CERTIFICATE
        self.done.append(thingName)

    def detach_policy(self, *, policyName: str, target: str) -> None:  # noqa: N803
        """Likewise."""
        assert target == CERTIFICATE
        self.done.append(policyName)

    def update_certificate(self, *, certificateId: str, newStatus: str) -> None:  # noqa: N803
        """Deactivated."""
        self.done.append(f"{certificateId} {newStatus}")

    def get_thing_shadow(self, **_: Any) -> None:
        """The one without a name."""
        if "" not in self.shadows:
            raise AbsentError

    def delete_thing_shadow(self, *, thingName: str, shadowName: str = "") -> None:  # noqa: N803
        """Gone; one ends once it was listed."""
        assert thingName not in self.deleted, "of a thing that is gone nobody lists them"
        self.shadows.remove(shadowName)
        if shadowName == "over":
            raise AbsentError

    def delete_certificate(self, *, certificateId: str) -> None:  # noqa: N803
        """Refused while it is attached."""
        self._delete(certificateId)

    def delete_thing(self, *, thingName: str) -> None:  # noqa: N803
        """Likewise."""
        self._delete(thingName)

    def delete_job(self, *, jobId: str, force: bool) -> None:  # noqa: N803
        """Gone after five seconds, unless ten are under way."""
        assert force
        under_way = [at for at in self.jobs.values() if at is not None and at > self.seconds]
        if len(under_way) >= AT_ONCE:
            raise LimitError
        assert self.jobs[jobId] is None, "it is being deleted"
        self.jobs[jobId] = self.seconds + 5

    def _delete(self, name: str) -> None:
        self.refusals += self.seconds < self.detached_at
        assert self.refusals < MOST_SECONDS, "nobody waits"
        if self.seconds < self.detached_at:
            raise ConflictError("it is attached")
        self.deleted.append(name)


def _certificate(iot: SlowIot) -> None:
    assert remove_certificate(iot.account(), ACME, CERTIFICATE, patience=iot.patience)


def _thing(iot: SlowIot) -> None:
    remove_thing(iot.account(), "acme--press-01", patience=iot.patience)


@pytest.mark.parametrize(("remove", "name"), [(_certificate, "c1"), (_thing, "acme--press-01")])
def test_a_detachment_is_waited_for(remove: Callable[[SlowIot], None], name: str) -> None:
    """It propagates in seconds; who is attached for longer is attached by somebody."""
    for seconds in (7, 61):  # at the sixtieth it is not given up yet
        iot = SlowIot(detached_at=seconds)
        remove(iot)
        assert (iot.deleted, iot.seconds) == ([name], seconds)

    held = SlowIot(detached_at=1e9)
    with pytest.raises(LeftError, match=f"{name} is not deleted: it is attached"):
        remove(held)
    assert held.deleted == []


def test_jobs_are_deleted_as_many_as_aws_takes() -> None:
    """Ten at once, until none is listed; another tenant's stay."""
    asked = [*(f"acme--{number:02}" for number in range(25)), "globex--1"]
    iot = SlowIot(jobs=dict.fromkeys(asked))
    assert remove_jobs(iot.account(), ACME, patience=iot.patience) == 25
    assert [job["jobId"] for job in iot.list_jobs()["jobs"]] == ["globex--1"]


def test_a_job_that_stays_is_told() -> None:
    """After a quarter of an hour, and so an operator looks why."""
    late = SlowIot(jobs={"acme--1": 901})
    assert remove_jobs(late.account(), ACME, patience=late.patience) == 1
    iot = SlowIot(jobs={"acme--1": 1e9})
    with pytest.raises(LeftError, match="1 jobs are not deleted yet"):
        remove_jobs(iot.account(), ACME, patience=iot.patience)


def test_a_certificate_is_off_before_all_else() -> None:
    """So that its device is, even if the rest is not reached."""
    iot = SlowIot(policies=("acme-device",))
    assert remove_certificate(iot.account(), ACME, CERTIFICATE, patience=iot.patience)
    assert iot.done == ["c1 INACTIVE", "acme--press-01", "acme-device"]
    assert iot.deleted == ["c1"]


@pytest.mark.parametrize(
    ("holders", "policies"),
    [
        (("acme--press-01", "globex--press-01"), ("acme-device",)),
        (("acme--press-01",), ("acme-device", "another")),
    ],
    ids=["thing", "policy"],
)
def test_a_certificate_of_two_is_taken_from_one(
    holders: tuple[str, ...], policies: tuple[str, ...]
) -> None:
    """Whose thing or policy holds it too goes on with it: it is neither put off nor deleted."""
    iot = SlowIot(holders=holders, policies=policies)
    assert not remove_certificate(iot.account(), ACME, CERTIFICATE, patience=iot.patience)
    assert iot.done == ["acme--press-01", "acme-device"]
    assert iot.deleted == []


def test_things_are_found_by_their_names() -> None:
    """Those of a neighbour whose name begins alike are not among them."""
    iot = SlowIot(holders=("acme--b", "acme-two--a", "globex--a", "acme--a"))
    assert things(iot.account(), ACME) == ("acme--a", "acme--b")


@dataclass
class Scheduler:
    """EventBridge Scheduler, one of whose schedules ends by itself once it was listed."""

    left: list[str]
    over: str
    exceptions: Any = field(
        default_factory=lambda: SimpleNamespace(ResourceNotFoundException=AbsentError)
    )

    def can_paginate(self, _: str) -> bool:
        """Whatever is listed."""
        return True

    def get_paginator(self, operation: str) -> Any:
        """All of them, on one page."""
        assert operation == "list_schedules"
        listed = [{"Name": name, "GroupName": "group"} for name in self.left]
        return SimpleNamespace(paginate=lambda: [{"Schedules": listed}])

    def delete_schedule(self, *, Name: str, GroupName: str) -> None:  # noqa: N803
        """Gone; of one that ended AWS says that there is none."""
        assert GroupName == "group"
        self.left.remove(Name)
        if Name == self.over:
            raise AbsentError


def test_timers_of_the_tenant_alone_are_deleted() -> None:
    """One that ends meanwhile stops nothing, and is not counted."""
    scheduler = Scheduler(left=["acme--1", "acme-two--1", "acme--2", "acme--3"], over="acme--1")
    account = Account(client=lambda _: scheduler, region="eu-central-1")
    assert remove_timers(account, ACME) == 2
    assert scheduler.left == ["acme-two--1"]


def test_certificates_are_found_by_thing_and_by_policy() -> None:
    """Who else is attached is none; a thing or policy that is gone holds nothing."""
    iot, other = SlowIot(policies=("acme-device",)), CERTIFICATE.replace("c1", "c2")
    things = ["acme--gone", "acme--press-01"]
    assert certificates(iot.account(), ACME, things) == (CERTIFICATE, other)
    assert certificates(SlowIot().account(), ACME, things) == (CERTIFICATE,)
    assert certificates(iot.account(), ACME, []) == (other,)


def test_a_thing_goes_with_all_its_shadows() -> None:
    """With a name or without; one that ends meanwhile stops nothing."""
    iot = SlowIot(shadows=["state", "over", "", "other"])
    _thing(iot)
    assert (iot.shadows, iot.deleted) == ([], ["acme--press-01"])


@dataclass
class Tables:
    """DynamoDB with tables of one string key, which deletes ten rows of what it is asked at once.

    Attributes:
        rows: table -> partitions that are left.
        waited: before a rest was asked for again.
    """

    rows: dict[str, list[str]]
    waited: list[float] = field(default_factory=list[float])

    def can_paginate(self, _: str) -> bool:
        """Whatever is listed."""
        return True

    def get_paginator(self, operation: str) -> Any:
        """All that one lists is on one page."""
        return SimpleNamespace(paginate=lambda **asked: [getattr(self, operation)(**asked)])

    def list_tables(self) -> dict[str, Any]:
        """All of the account."""
        return {"TableNames": list(self.rows)}

    def describe_table(self, *, TableName: str) -> dict[str, Any]:  # noqa: N803
        """Of one key."""
        assert TableName in self.rows
        return {"Table": {"KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}]}}

    def scan(self, *, TableName: str, ConsistentRead: bool) -> dict[str, Any]:  # noqa: N803
        """The whole table."""
        assert ConsistentRead
        return {"Items": [{"pk": {"S": name}} for name in self.rows[TableName]]}

    def batch_write_item(self, *, RequestItems: dict[str, Any]) -> dict[str, Any]:  # noqa: N803
        """What the table's rate leaves over comes back (source: BatchWriteItem)."""
        ((table, asked),) = RequestItems.items()
        assert 1 <= len(asked) <= 25
        for one in asked[:10]:
            self.rows[table].remove(one["DeleteRequest"]["Key"]["pk"]["S"])
        return {"UnprocessedItems": {table: asked[10:]}} if asked[10:] else {}


def test_rows_that_a_table_leaves_over_are_asked_for_again() -> None:
    """Until none is left, after a pause each time; those of others stay, in whatever table."""
    own = [f"acme--{number:02}" for number in range(42)]
    tables = Tables({"cedarfleet-a": [*own, "acme-two--1"], "cedarfleet-b": ["x"], "else": [*own]})
    account = Account(client=lambda _: tables, region="eu-central-1")
    patience = Patience(pause=tables.waited.append)
    assert remove_rows(account, ACME, patience=patience) == {"cedarfleet-a": 42, "cedarfleet-b": 0}
    assert tables.rows == {"cedarfleet-a": ["acme-two--1"], "cedarfleet-b": ["x"], "else": own}
    assert tables.waited == [1.0] * 3, "twice in the batch of 25, and once in that of 17"
