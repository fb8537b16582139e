"""What becomes of a session in the middle: cut off, shared by tabs, of two tenants."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from infra import names
from infra.local.people import Person, add_person
from service.domain.tenants import TenantStatus

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.service.adapters.on_the_embedded_cloud.conftest import DeployedService
    from tests.service.adapters.on_the_embedded_cloud.console.conftest import Visitor

# As if the token were about to end.
AGE = """tenant => {
  const kept = JSON.parse(sessionStorage.getItem(`session.${tenant}`));
  sessionStorage.setItem(`session.${tenant}`, JSON.stringify({ ...kept, until: 0 }));
  return kept.token;
}"""
# Others' devices may fill the first page of all.
FOUND = "devices?text=press-01"
TOKEN = "JSON.parse(sessionStorage.getItem('session.acme')).token"
REFRESH = "JSON.parse(sessionStorage.getItem('session.acme')).refresh"
EVERYWHERE = """() => JSON.stringify([{ ...localStorage }, document.cookie])"""


def test_a_lost_connection_is_told_and_mends(visit: Callable[..., Visitor]) -> None:
    """Without a network the page says so in words; with it again it goes on by itself."""
    operator = visit()
    operator.open(FOUND)
    page = operator.sign_in("operators")
    expect(page.get_by_role("link", name="press-01")).to_be_visible()
    operator.window.set_offline(True)
    page.get_by_role("link", name="press-01").click()
    expect(page.get_by_role("alert")).to_contain_text("No connection")
    operator.window.set_offline(False)
    expect(page.get_by_role("heading", name="Facts")).to_be_visible()


def test_tabs_share_a_session_and_its_end(visit: Callable[..., Visitor]) -> None:
    """A new tab is signed in by the other; a token near its end is refreshed; one ends for both."""
    manager = visit()
    manager.open(FOUND)
    first = manager.sign_in("managers")
    second = manager.window.new_page()
    manager.watch(second)
    second.goto(manager.url + "files")
    expect(second.get_by_role("heading", level=1)).to_have_text("Files")
    old = first.evaluate(AGE, "acme")
    first.reload()
    expect(first.get_by_role("link", name="press-01")).to_be_visible()
    assert first.evaluate(TOKEN) != old
    for page in (first, second):
        assert old not in page.evaluate(EVERYWHERE)
        assert first.evaluate(TOKEN) not in page.evaluate(EVERYWHERE)
    second.get_by_role("button", name="Sign out").click()
    expect(second.get_by_role("button", name="Sign in")).to_be_visible()
    expect(first.get_by_text("Your session has ended")).to_be_visible()
    assert first.evaluate("sessionStorage.getItem('session.acme')") is None


def test_two_tenants_stand_in_two_windows(visit: Callable[..., Visitor]) -> None:
    """In one browser, each window is its own tenant's; the other's device is not there."""
    acme = visit()
    acme.open(FOUND)
    acme.sign_in("managers")
    globex = visit("globex")
    globex.open("devices/press-01")
    page = globex.sign_in("managers", "globex")
    expect(page.get_by_role("alert")).to_contain_text("Not found")
    beside = acme.window.new_page()
    acme.watch(beside)
    beside.goto(globex.url + "devices")
    # Of one browser, and yet nobody is signed in there: tokens are shared within a tenant alone.
    expect(beside.get_by_role("button", name="Sign in")).to_be_visible()
    expect(acme.page.get_by_role("link", name="press-01")).to_be_visible()


def test_an_answer_to_nobodys_question_is_refused(visit: Callable[..., Visitor]) -> None:
    """A code that somebody else has brought here signs nobody in."""
    victim = visit()
    page = victim.open("signed-in?code=of-somebody-else&state=theirs")
    expect(page.get_by_role("alert")).to_contain_text("You are not signed in")
    assert page.evaluate("sessionStorage.length") == 0


@pytest.fixture(scope="module")
def sam(deployed: DeployedService) -> Person:
    """An operator of acme whom no other test knows, since what is ended is ended for all."""
    return add_person(
        deployed.setup.cloud.client("cognito-idp"),
        deployed.setup.stacks["acme"]["user_pool_id"],
        email="sam@acme.example",
        groups=["operators"],
        region="eu-central",
    )


def change(deployed: DeployedService, method: str, what: str, body: object = None) -> None:
    """Have a manager change something of Sam."""
    [sam] = deployed.call("GET", "/v1/people", params={"email": "sam@"}).json()["people"]
    answer = deployed.call(method, f"/v1/people/{sam['id']}/{what}", json=body)
    assert answer.status_code == 200, answer.text


def test_a_session_that_is_ended_in_the_middle_says_so(
    visit: Callable[..., Visitor], deployed: DeployedService, sam: Person
) -> None:
    """Signed out everywhere by a manager: said in words, no token is left, and the way back."""
    visitor = visit()
    visitor.open("devices/press-01")
    page = visitor.sign_in_as(sam)
    expect(page.get_by_role("heading", name="Facts")).to_be_visible()
    change(deployed, "POST", "sign-out")
    expect(page.get_by_role("heading", name="Your session has ended")).to_be_visible()
    expect(page.get_by_role("heading", name="Facts")).to_have_count(0)
    assert page.evaluate("sessionStorage.length") == 0
    page.reload()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    expect(page.get_by_text("press-01")).to_have_count(0)
    visitor.sign_in_as(sam)
    expect(page.get_by_role("heading", level=1)).to_have_text("press-01")
    expect(page.get_by_role("heading", name="Facts")).to_be_visible()


def test_another_group_counts_in_the_middle(
    visit: Callable[..., Visitor], deployed: DeployedService, sam: Person
) -> None:
    """A token that a change of groups has ended is refreshed; the page goes on with new ones."""
    visitor = visit()
    visitor.open("devices/press-01")
    page = visitor.sign_in_as(sam)
    expect(page.get_by_role("heading", name="Facts")).to_be_visible()
    old = page.evaluate(TOKEN)
    change(deployed, "PUT", "groups", {"groups": ["technicians"]})
    expect(page.get_by_role("heading", name="Access denied")).to_be_visible()
    assert page.evaluate(TOKEN) != old
    change(deployed, "PUT", "groups", {"groups": ["operators"]})
    page.reload()
    expect(page.get_by_role("heading", name="Facts")).to_be_visible()


def test_who_signs_out_leaves_no_way_back(
    visit: Callable[..., Visitor], deployed: DeployedService, sam: Person
) -> None:
    """The refresh token of a session that was signed out gives no token any more."""
    visitor = visit()
    visitor.open("devices")
    page = visitor.sign_in_as(sam)
    form = {
        "grant_type": "refresh_token",
        "refresh_token": page.evaluate(REFRESH),
        "client_id": deployed.setup.stacks["acme"]["console_client_id"],
    }
    at = f"{deployed.setup.cloud.endpoint_url}/oauth2/token"
    assert deployed.http.post(at, data=form).status_code == 200
    with page.expect_response("**/oauth2/revoke") as revoked:
        page.get_by_role("button", name="Sign out").click()
    assert revoked.value.status == 200
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    assert deployed.http.post(at, data=form).status_code == 400


def test_a_suspended_tenant_is_told_and_comes_back(
    visit: Callable[..., Visitor], deployed: DeployedService
) -> None:
    """Who is signed in then reads that nothing can be done, and goes on once that is over."""
    dynamodb: Any = deployed.setup.cloud.client("dynamodb")
    [row] = [
        one
        for one in dynamodb.scan(TableName=names.TENANTS_TABLE)["Items"]
        if one.get("tenant") == {"S": "globex"}
    ]

    def mark(status: str) -> None:
        dynamodb.update_item(
            TableName=names.TENANTS_TABLE,
            Key={"issuer": row["issuer"]},
            UpdateExpression="SET #status = :status",
            ExpressionAttributeNames={"#status": "status"},
            ExpressionAttributeValues={":status": {"S": status}},
        )

    manager = visit("globex")
    manager.open("devices/pump-01")
    page = manager.sign_in("managers", "globex")
    expect(page.get_by_role("heading", name="Facts")).to_be_visible()
    mark(TenantStatus.SUSPENDED)
    try:
        expect(page.get_by_role("heading", name="Suspended")).to_be_visible(timeout=30_000)
        expect(page.get_by_role("heading", name="Facts")).to_have_count(0)
    finally:
        mark(TenantStatus.ACTIVE)
    expect(page.get_by_role("heading", name="Facts")).to_be_visible(timeout=60_000)


def test_a_first_sign_in_sets_a_password(visit: Callable[..., Visitor]) -> None:
    """Somebody who was invited sets a password on the tenant's page, and is where they wanted."""
    guest = visit()
    cognito = guest.deployed.setup.cloud.client("cognito-idp")
    pool = guest.deployed.setup.stacks["acme"]["user_pool_id"]
    email, first = "invited@acme.example", f"Aa1-{secrets.token_urlsafe(18)}"
    cognito.admin_create_user(
        UserPoolId=pool,
        Username=email,
        TemporaryPassword=first,
        MessageAction="SUPPRESS",
        UserAttributes=[
            {"Name": "email", "Value": email},
            {"Name": "email_verified", "Value": "true"},
        ],
    )
    cognito.admin_add_user_to_group(UserPoolId=pool, Username=email, GroupName="managers")
    guest.open("groups")
    page = guest.page
    page.get_by_role("button", name="Sign in").click()
    page.get_by_label("Username").fill(email)
    page.get_by_label("Password").fill(first)
    page.get_by_role("button", name="Sign in").click()
    chosen = f"Aa1-{secrets.token_urlsafe(18)}"
    page.get_by_label("New password", exact=True).fill(chosen)
    page.get_by_label("Confirm new password").fill(chosen)
    page.get_by_role("button", name="Update password").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Groups")
    expect(page.get_by_text(email)).to_be_visible()
