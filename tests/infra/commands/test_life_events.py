"""The event bus hears of a tenant's life once it is so, and again if nobody knows that it did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from infra import names
from infra.commands import life_events
from infra.commands.account import Account
from infra.commands.life_events import Happened, LifeEvent, NotToldError
from infra.commands.onboarding import Onboarding
from infra.commands.tenant_switch import SuspensionTold
from tests.infra.bus_listener import SCHEMA, BusListener, told

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.infra.conftest import Project

NEW: Final = "initech"


class _FullBus:
    """Takes no event, in an answer of 200."""

    def put_events(self, **asked: Any) -> dict[str, Any]:
        """As EventBridge answers while it is throttled."""
        refused = {"ErrorCode": "ThrottlingException", "ErrorMessage": "Rate exceeded"}
        return {"FailedEntryCount": 1, "Entries": [refused for _ in asked["Entries"]]}


@pytest.fixture
def account(project: Project) -> Iterator[Account]:
    """In which `initech` was never stamped."""
    yield Account(client=project.cloud.client, region=project.cloud.region)
    project.cloud.client("dynamodb").delete_item(
        TableName=names.TENANTS_TABLE, Key={"issuer": {"S": names.onboarding_row(NEW)}}
    )


def deaf(account: Account) -> Account:
    """The same, with a bus that takes nothing."""

    def client(service: str) -> Any:
        return _FullBus() if service == "events" else account.client(service)

    return Account(client=client, region=account.region)


def test_a_first_stamping_is_told_until_it_is_heard(project: Project, account: Account) -> None:
    """A refused event fails the command; the next tells it with its id, and a later one nothing."""
    listener = BusListener.begin(project.cloud)
    onboarding = Onboarding(deaf(account))
    onboarding.begin(NEW)
    with pytest.raises(NotToldError, match=r"`tenant.onboarded` is done, .* ThrottlingException"):
        onboarding.end(NEW)
    for _ in range(2):
        going = Onboarding(account)
        going.begin(NEW)
        going.end(NEW)
    [event] = listener.heard()
    assert told([event]) == [("tenant.onboarded", NEW)]
    assert event["detail"]["by"] == account.caller


def test_a_tenant_that_stood_before_is_not_told_of(project: Project, account: Account) -> None:
    """Its stack is in the registry, and nothing says since when."""
    listener = BusListener.begin(project.cloud)
    onboarding = Onboarding(account)
    onboarding.begin("globex")
    onboarding.end("globex")
    assert listener.heard() == []


def test_a_suspension_goes_on_where_nobody_hears(account: Account) -> None:
    """It is not stopped by a bus that takes nothing; the command fails at its end."""
    suspension = SuspensionTold(deaf(account), tenant="globex", by=account.caller)
    suspension("2026-11-30T16:00:00+00:00")
    with pytest.raises(NotToldError, match=r"it is off, but nobody is told: .*ThrottlingException"):
        suspension.check()


def test_an_id_is_of_what_happened_and_when() -> None:
    """A repetition has the same; another tenant, kind or time has another."""
    kept: dict[str, Any] = {"at": "then", "by": "arn:x"}
    event = LifeEvent(happened=Happened.RESUMED, tenant="acme", since="1", **kept)
    again = LifeEvent(happened=Happened.RESUMED, tenant="acme", since="1", at="later", by="arn:y")
    others = {
        LifeEvent(happened=Happened.RESUMED, tenant="acme", since="2", **kept).id,
        LifeEvent(happened=Happened.RESUMED, tenant="globex", since="1", **kept).id,
        LifeEvent(happened=Happened.SUSPENDED, tenant="acme", since="1", **kept).id,
    }
    assert event.id == again.id
    assert event.id not in others
    assert len(others) == 3


def test_the_schema_knows_every_event() -> None:
    """Of the types that the commands tell, no more and no fewer, and from where."""
    known = SCHEMA["properties"]
    assert known["detail-type"]["enum"] == [str(happened) for happened in Happened]
    assert known["source"]["enum"] == [life_events.SOURCE]
    assert known["detail"]["properties"]["format"]["enum"] == [life_events.FORMAT]
