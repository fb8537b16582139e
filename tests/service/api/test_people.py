"""People over HTTP: invited, put into groups, disabled and signed out, by whom policies allow."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from service.domain.people import Person
from service.domain.rates import microseconds
from service.operations.people import CHANGES

if TYPE_CHECKING:
    import httpx

    from tests.service.conftest import ServiceUnderTest

URL = "/v1/people"


def add(service: ServiceUnderTest, name: str, *groups: str, tenant: str = "acme") -> Person:
    """Somebody of a pool, with the subject of the tokens that the pool's twin gives."""
    pool = service.acme if tenant == "acme" else service.globex
    subject = pool.claims(name)["sub"]
    return service.ports.people.add(
        tenant,
        Person(
            id=subject,
            subject=subject,
            email=f"{name}@{tenant}.test",
            state="active",
            enabled=True,
            groups=groups,
        ),
    )


def me(service: ServiceUnderTest, token: str) -> httpx.Response:
    """What the bearer of a token is answered."""
    return service.client.get("/v1/me", headers={"Authorization": f"Bearer {token}"})


def test_a_person_is_invited_found_and_listed(service: ServiceUnderTest) -> None:
    """The answer names the place; the list shows no groups, the person does."""
    body = {"email": "kim@acme.test", "groups": ["technicians", "operators"]}
    made = service.call("POST", URL, json=body)
    assert made.status_code == 201, made.text
    person = made.json()
    assert person["groups"] == ["operators", "technicians"]
    assert made.headers["Location"] == f"{URL}/{person['id']}"
    for name in (person["id"], "kim@acme.test"):
        assert service.call("GET", f"{URL}/{name}").json() == person
    [listed] = service.call("GET", f"{URL}?email=ki").json()["people"]
    assert listed["email"] == "kim@acme.test"
    assert "groups" not in listed
    assert service.call("GET", f"{URL}?email=x").json() == {"people": [], "cursor": None}


def test_a_list_comes_in_pages(service: ServiceUnderTest) -> None:
    """Everybody once, and a cursor of null behind the last."""
    names = {add(service, f"ann-{number}").email for number in range(5)}
    found: list[str] = []
    cursor = ""
    while True:
        page = service.call("GET", f"{URL}?limit=2{cursor}").json()
        found += [one["email"] for one in page["people"]]
        if page["cursor"] is None:
            break
        cursor = f"&cursor={page['cursor']}"
    assert sorted(found) == sorted(names)


@pytest.mark.parametrize("act", ["disable", "sign-out"])
def test_a_token_of_before_is_refused_at_once(service: ServiceUnderTest, act: str) -> None:
    """Though it has not run out: signed out everywhere, or disabled."""
    person, token = add(service, "kim", "operators"), service.acme.id_token("kim", ["operators"])
    assert me(service, token).status_code == 200
    answer = service.call("POST", f"{URL}/{person.id}/{act}")
    assert answer.status_code == 200, answer.text
    refused = me(service, token)
    assert (refused.status_code, refused.json()["code"]) == (401, "token-revoked")
    assert service.ports.people.known["acme", person.id].enabled is (act == "sign-out")
    assert service.ports.people.signed_out == ([person.id] if act == "sign-out" else [])


def test_who_loses_a_group_needs_a_new_token(service: ServiceUnderTest) -> None:
    """A group that is only added ends no token; one that is taken away ends those of before."""
    person, token = add(service, "kim", "operators"), service.acme.id_token("kim", ["operators"])
    put = f"{URL}/{person.id}/groups"
    answer = service.call("PUT", put, json={"groups": ["operators", "technicians"]})
    assert answer.json()["groups"] == ["operators", "technicians"]
    assert me(service, token).status_code == 200
    assert service.call("PUT", put, json={"groups": ["technicians"]}).status_code == 200
    assert me(service, token).json()["code"] == "token-revoked"
    assert service.ports.people.known["acme", person.id].groups == ("technicians",)


def test_who_is_enabled_again_may_sign_in(service: ServiceUnderTest) -> None:
    """The pool lets the person in; tokens of before stay refused."""
    person, token = add(service, "kim"), service.acme.id_token("kim")
    service.call("POST", f"{URL}/{person.id}/disable")
    assert service.call("POST", f"{URL}/{person.id}/enable").json()["enabled"] is True
    assert me(service, token).status_code == 401


@pytest.mark.parametrize("group", ["operators", "technicians", "it-staff", "operations-managers"])
def test_people_are_a_matter_of_those_allowed(service: ServiceUnderTest, group: str) -> None:
    """Nobody else sees an address, or changes anything, and every attempt is audited."""
    person = add(service, "kim", "operators")
    asked = [
        ("GET", URL, None),
        ("GET", f"{URL}/{person.id}", None),
        ("POST", URL, {"email": "x@acme.test"}),
        ("PUT", f"{URL}/{person.id}/groups", {"groups": ["managers"]}),
        *(("POST", f"{URL}/{person.id}/{act}", None) for act in ("disable", "enable", "sign-out")),
    ]
    for method, path, body in asked:
        answer = service.call(method, path, as_=group, **({"json": body} if body else {}))
        assert answer.status_code == 403, (method, path)
        assert "kim" not in answer.text
    assert len(service.ports.audit.trail) == len(asked)
    assert service.ports.people.known["acme", person.id] == person


def test_another_tenants_people_are_as_unknown_as_none(service: ServiceUnderTest) -> None:
    """By id or address; and an id that no pool could have is none either."""
    theirs = add(service, "eve", tenant="globex")
    for name in (theirs.id, theirs.email, "nobody", "a b", "x" * 200):
        for method, path in (("GET", ""), ("POST", "/disable"), ("POST", "/sign-out")):
            answer = service.call(method, f"{URL}/{name}{path}")
            assert answer.status_code == 404, (name, path)
    assert service.ports.people.known["globex", theirs.id].enabled
    assert service.call("GET", URL).json()["people"] == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"email": "kim"}, "email"),
        ({"email": 'k"im@acme.test'}, "email"),
        ({"email": "kim@acme.test", "groups": ["operators", "operators"]}, "groups"),
        ({"email": "kim@acme.test", "groups": ["a b"]}, "groups"),
        ({"email": "kim@acme.test", "groups": ["no-such-group"]}, "groups"),
    ],
)
def test_a_wrong_invitation_names_the_member(
    service: ServiceUnderTest, body: dict[str, Any], field: str
) -> None:
    """What is wrong, and where."""
    answer = service.call("POST", URL, json=body)
    assert answer.status_code == 400, answer.text
    assert [one["field"] for one in answer.json()["errors"]] == [field]


def test_invitations_wait_for_their_turn(service: ServiceUnderTest) -> None:
    """What all tenants of the account share is used up: 503, and nobody was invited."""
    at = microseconds(time.time() + 5)  # so that no token comes meanwhile
    service.ports.buckets.rows[CHANGES.key] = at + CHANGES.rate.span
    body = {"email": "new@acme.test", "groups": ["operators"]}
    waits = service.call("POST", URL, json=body)
    assert (waits.status_code, "Retry-After" in waits.headers) == (503, True)
    assert service.call("GET", URL).json()["people"] == []


def test_an_address_that_is_taken_is_a_conflict(service: ServiceUnderTest) -> None:
    """And nothing changes about whoever has it."""
    person = add(service, "kim", "operators")
    answer = service.call("POST", URL, json={"email": person.email, "groups": ["managers"]})
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:cedarfleet:problem:conflict")
    assert service.ports.people.known["acme", person.id].groups == ("operators",)


def test_a_pool_that_fails_leaves_the_token_refused(service: ServiceUnderTest) -> None:
    """503, and no token of before counts: nobody knows whether the person is disabled."""
    person, token = add(service, "kim"), service.acme.id_token("kim")
    service.ports.people.fails.add("enable")
    assert service.call("POST", f"{URL}/{person.id}/disable").status_code == 503
    assert me(service, token).json()["code"] == "token-revoked"


def test_a_manager_alone_makes_one_whatever_is_permitted(service: ServiceUnderTest) -> None:
    """The audit names the base's forbid, which stands above a tenant's own permits."""
    person = add(service, "kim", "operators")
    put = f"{URL}/{person.id}/groups"
    refused = service.call("PUT", put, as_="it-staff", json={"groups": ["managers"]})
    assert refused.json()["policies"] == ["managers-by-managers"]
    boss = add(service, "boss", "managers")
    for act in ("disable", "sign-out"):
        refused = service.call("POST", f"{URL}/{boss.id}/{act}", as_="it-staff")
        assert refused.json()["policies"] == ["managers-by-managers"]
    refused = service.call("PUT", f"{URL}/{boss.id}/groups", as_="it-staff", json={"groups": []})
    assert refused.json()["policies"] == ["managers-by-managers"]
    assert service.call("PUT", put, json={"groups": ["managers"]}).status_code == 200
