"""A tenant is off as a whole and on as it was, wherever the command was cut off; in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from infra.commands.revocation import Watch
from infra.commands.suspension import (
    FORBID_ALL,
    SUSPENDED_DIGEST,
    SuspensionError,
    Tenant,
    resume,
    suspend,
)
from tests.infra.commands.held_account import ISSUER, CutOffError, HeldAccount, RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable

NOT_SUSPENDED = "`globex` was not suspended by this command"


class Clock:
    """Stands still but for pauses."""

    def __init__(self) -> None:
        self.at = 100.0
        self.pauses: list[float] = []

    def pause(self, seconds: float) -> None:
        """Goes on at once."""
        self.at += seconds
        self.pauses.append(seconds)

    def watch(self, quiet: float = 5.0, most: float = 60.0) -> Watch:
        """By this clock."""
        return Watch(quiet_seconds=quiet, most_seconds=most, now=lambda: self.at, pause=self.pause)


def off(account: HeldAccount, *, tell: Callable[[str], None] | None = None) -> bool:
    """Suspend it; what is said is of no interest."""
    return suspend(
        account.tenant(),
        by="operator",
        reason="unpaid",
        watch=Clock().watch(),
        say=lambda _: None,
        tell=tell,
    )


def on(account: HeldAccount, *, tell: Callable[[str], None] | None = None) -> None:
    """Resume it."""
    resume(account.tenant(), say=lambda _: None, tell=tell)


def is_off(account: HeldAccount) -> bool:
    """Whether nobody and no device comes in, by any of the doors."""
    state = account.state()
    clients: list[dict[str, Any]] = [*state["clients"].values()]
    assert all(not one["AllowedOAuthFlows"] for one in clients)
    assert all(one["ExplicitAuthFlows"] == ["ALLOW_REFRESH_TOKEN_AUTH"] for one in clients)
    forbids = [
        one for one in state["policies"] if one.get("static", {}).get("statement") == FORBID_ALL
    ]
    assert len(forbids) == 1
    assert state["rows"][f"policies of {ISSUER}"]["digest"] == {"S": SUSPENDED_DIGEST}
    assert state["rows"][ISSUER]["status"] == {"S": "SUSPENDED"}
    assert '"Effect":"Deny","Action":"iot:*"' in state["policy"]
    assert state["jobs"] == {"globex--one": "CANCELED", "acme--one": "IN_PROGRESS"}
    return account.forced == ["globex--one"]


def test_a_tenant_is_off_and_on_as_it_was() -> None:
    """Each door is shut and opened again; told once when it began, the same time in the end."""
    account, told = HeldAccount(), list[str]()
    before = account.state()
    assert off(account, tell=told.append)
    assert is_off(account)
    on(account, tell=told.append)
    assert account.state() == {
        **before,
        "jobs": {"globex--one": "CANCELED", "acme--one": "IN_PROGRESS"},
    }
    assert account.versions == {"3": "permit"}
    assert f"suspension of {ISSUER}" not in account.rows
    assert len(told) == 2
    assert told[0] == told[1]
    with pytest.raises(SuspensionError, match=NOT_SUSPENDED):
        on(account)


@pytest.mark.parametrize("late", [False, True], ids=["not done", "done but not answered"])
def test_cut_off_at_any_call_it_is_repeated(*, late: bool) -> None:
    """Off once repeated, and on again as it was: what stood is known from before the first try."""
    whole = HeldAccount()
    off(whole)
    calls = len(whole.calls)
    on(whole)
    wanted = whole.state()
    assert calls > 15
    for number in range(calls):
        account = HeldAccount()
        account.late, account.cut_off_at = late, number
        with pytest.raises(CutOffError):
            off(account)
        assert off(account)
        assert is_off(account)
        on(account)
        assert account.state() == wanted, f"call {number}, {account.calls[number]}"
        assert account.versions == {"3": "permit"}


@pytest.mark.parametrize("late", [False, True], ids=["not done", "done but not answered"])
def test_a_resumption_cut_off_is_repeated(*, late: bool) -> None:
    """On as it was, unless it was the last call, after which there is nothing to repeat."""
    whole = HeldAccount()
    off(whole)
    begun = len(whole.calls)
    on(whole)
    for number in range(begun, len(whole.calls)):
        account = HeldAccount()
        off(account)
        account.late, account.cut_off_at = late, number
        with pytest.raises(CutOffError):
            on(account)
        is_last = number == len(whole.calls) - 1
        if late and is_last:
            with pytest.raises(SuspensionError, match=NOT_SUSPENDED):
                on(account)
        else:
            on(account)
        assert account.state() == whole.state(), f"call {number}, {account.calls[number]}"
        assert account.rows.keys() == whole.rows.keys()


def test_a_resumption_that_is_not_told_is_repeated() -> None:
    """What raises while it is told leaves the tenant on, and the next tells it again."""
    account, told = HeldAccount(), list[str]()
    off(account)

    def fail(since: str) -> None:
        told.append(since)
        raise CutOffError(since)

    with pytest.raises(CutOffError):
        on(account, tell=fail)
    assert account.state()["rows"][ISSUER]["status"] == {"S": "ACTIVE"}
    on(account, tell=told.append)
    assert len(told) == 2
    assert told[0] == told[1]


def test_a_repetition_keeps_who_and_why() -> None:
    """The first attempt's record stands, and no second policy or version is made."""
    account = HeldAccount()
    off(account)
    record = account.rows[f"suspension of {ISSUER}"]
    assert '"by": "operator", "reason": "unpaid"' in record["record"]["S"]
    assert "secret" not in record["record"]["S"]
    policies, versions = len(account.policies), len(account.versions)
    assert suspend(
        account.tenant(), by="other", reason="x", watch=Clock().watch(), say=lambda _: None
    )
    assert account.rows[f"suspension of {ISSUER}"] == record
    assert (len(account.policies), len(account.versions)) == (policies, versions)


def test_what_was_stamped_meanwhile_stays() -> None:
    """A stamping of a suspended tenant has told its own digest and policy of devices."""
    account = HeldAccount()
    off(account)
    account.rows[f"policies of {ISSUER}"]["digest"] = {"S": "digest-2"}
    account.versions["5"] = "permit more"
    account.default = "5"
    on(account)
    assert account.state()["rows"][f"policies of {ISSUER}"]["digest"] == {"S": "digest-2"}
    assert account.state()["policy"] == "permit more"


def test_a_policy_without_room_is_told() -> None:
    """Five versions: which of them goes, the operator says."""
    account = HeldAccount()
    account.most_versions = 1
    with pytest.raises(SuspensionError, match="`globex-device` has five versions: delete one"):
        off(account)
    account.most_versions = 2
    assert off(account)


def test_a_row_that_is_gone_is_not_made() -> None:
    """A tenant that is taken away meanwhile does not come back as half a row."""
    for gone in (ISSUER, f"policies of {ISSUER}"):
        account = HeldAccount()
        off(account)
        tenant = account.tenant()
        del account.rows[gone]
        with pytest.raises(RefusedError):
            suspend(tenant, by="x", reason="x", watch=Clock().watch(), say=lambda _: None)
        assert gone not in account.rows


def test_no_tenant_is_told() -> None:
    """By the registry's name and its own."""
    with pytest.raises(SuspensionError, match="table `tenants` has no tenant `acme`"):
        Tenant.find(HeldAccount().aws(), "acme")


def test_devices_are_ended_until_they_stay_away() -> None:
    """With the session, without the will; so slowly that half of the account's rate is left."""
    account, clock, said = HeldAccount(), Clock(), list[str]()
    account.connected = {"globex--press-01": 3, "globex--press-02": 1}
    assert suspend(account.tenant(), by="x", reason="x", watch=clock.watch(), say=said.append)
    assert account.connected == {"globex--press-01": 0, "globex--press-02": 0}
    assert all(one["cleanSession"] and not one["preventWillMessage"] for one in account.ended)
    rounds = clock.pauses.count(1.0)
    assert len(clock.pauses) - rounds == 2 * rounds, "a pause after each call, refused or not"
    assert min(clock.pauses) >= 1 / 100 * 2
    assert said[-1].endswith(
        "its 2 devices stay away: 4 connections of 2 ended, the last 2.1 s after the first, none in"
        " 5 s since"
    )
    assert [line[:10] for line in said[:5]] == ["   0.0 s  "] * 5
    assert f"{clock.at - 100:6.1f} s  its 2" in said[-1]
    assert any("2 app clients are shut" in line for line in said)
    assert any("1 jobs are canceled" in line for line in said)


@pytest.mark.parametrize("quiet", [3.0, 4.0])
def test_quiet_is_counted_from_the_last_connection(quiet: float) -> None:
    """However long it took before: not from the beginning."""
    account, clock = HeldAccount(), Clock()
    account.connected = {"globex--press-01": 4}
    watch = clock.watch(quiet=quiet)
    assert suspend(account.tenant(), by="x", reason="x", watch=watch, say=lambda _: None)
    assert quiet + 3 <= clock.at - 100 <= quiet + 3 + 2


def test_devices_that_come_back_still_are_told() -> None:
    """The first five by name; all else is off, and the command is to be repeated."""
    account, clock, said = HeldAccount(), Clock(), list[str]()
    account.connected = {f"globex--press-{number}": 10**6 for number in range(7)}
    watch = clock.watch(quiet=5, most=10)
    assert not suspend(account.tenant(), by="x", reason="x", watch=watch, say=said.append)
    assert 10 < clock.at - 100 < 13
    first = ", ".join(f"globex--press-{number}" for number in range(5))
    assert said[-1].endswith(f"  {first} come back still: repeat the command")
    assert is_off(account)


def test_a_resumption_says_what_is_on() -> None:
    """Step by step, as it is: with how long it took, and how many of them."""
    account, said = HeldAccount(), list[str]()
    off(account)
    resume(account.tenant(), say=said.append)
    assert [line[10:].split(":")[0] for line in said] == [
        "its devices may connect again",
        "people and machines sign in again",
        "the registry lets tokens in",
        "the policy store decides as before, as soon as it does so",
    ]
    assert all(line[:10] == "   0.0 s  " for line in said)
    assert said[1].endswith("2 app clients are as they were")


def test_a_watch_ends_when_it_says() -> None:
    """After just so many quiet seconds, and not given up at the last of those that it may take."""
    account, clock = HeldAccount(), Clock()
    account.connected = {}
    watch = clock.watch(quiet=11, most=9)
    assert not suspend(account.tenant(), by="x", reason="x", watch=watch, say=lambda _: None)
    assert clock.at == 110
    watch = clock.watch(quiet=11, most=10)
    assert suspend(account.tenant(), by="x", reason="x", watch=watch, say=lambda _: None)
    assert clock.at == 121
