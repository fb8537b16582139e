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
    remove_certificate,
    remove_jobs,
    remove_thing,
)

if TYPE_CHECKING:
    from collections.abc import Callable

ACME: Final = Belongings(tenant="acme", ids=frozenset())
CERTIFICATE: Final = "arn:aws:iot:eu-central-1:123456789012:cert/c1"
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
    """

    detached_at: float = 0.0
    seconds: float = 0.0
    deleted: list[str] = field(default_factory=list[str])
    jobs: dict[str, float | None] = field(default_factory=dict[str, "float | None"])
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
        """Let time pass."""
        self.seconds += seconds

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
        """One thing."""
        return {"things": ["acme--press-01"]}

    def list_attached_policies(self, **_: Any) -> dict[str, Any]:
        """None."""
        return {"policies": []}

    def list_named_shadows_for_thing(self, **_: Any) -> dict[str, Any]:
        """None."""
        return {"results": []}

    def list_jobs(self, **_: Any) -> dict[str, Any]:
        """Those that are not gone."""
        told: list[dict[str, Any]] = []
        for name, gone_at in self.jobs.items():
            if gone_at is None or gone_at > self.seconds:
                told.append({"jobId": name, "status": "DELETION_IN_PROGRESS" if gone_at else "X"})
        return {"jobs": told}

    def detach_thing_principal(self, **_: Any) -> None:
        """Answered at once, done later."""

    def update_certificate(self, **_: Any) -> None:
        """Deactivated."""

    def get_thing_shadow(self, **_: Any) -> None:
        """There is none."""
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
    iot = SlowIot(detached_at=7)
    remove(iot)
    assert (iot.deleted, iot.seconds) == ([name], 7)

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
    iot = SlowIot(jobs={"acme--1": 1e9})
    with pytest.raises(LeftError, match="1 jobs are not deleted yet"):
        remove_jobs(iot.account(), ACME, patience=iot.patience)
