"""A person of a real pool: invited, signed in, and refused though the token has not run out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from infra.local.people import Person, SignInError
from tests.service.adapters.on_the_embedded_cloud.waiting import within

if TYPE_CHECKING:
    from tests.service.adapters.on_the_embedded_cloud.conftest import DeployedService

URL = "/v1/people"


@pytest.fixture(scope="module")
def kim(deployed: DeployedService) -> tuple[str, Person]:
    """Somebody whom a manager invited: the id, and the person with a password of one's own."""
    body = {"email": "kim@acme.example", "groups": ["operators"], "region": "eu-central"}
    made = deployed.call("POST", URL, json=body)
    assert made.status_code == 201, made.text
    assert made.json()["state"] == "invited"
    person = Person(email="kim@acme.example", groups=("operators",), password="Aa1-a-long-password")
    cognito: Any = deployed.setup.cloud.client("cognito-idp")
    cognito.admin_set_user_password(
        UserPoolId=deployed.setup.stacks["acme"]["user_pool_id"],
        Username=made.json()["id"],
        Password=person.password,
        Permanent=True,
    )
    return made.json()["id"], person


def status(deployed: DeployedService, token: str, path: str = "/v1/me") -> int:
    """How the bearer of a token is answered."""
    return deployed.http.get(path, headers={"Authorization": f"Bearer {token}"}).status_code


def signed_in(deployed: DeployedService, person: Person) -> str:
    """A token that counts: one of the very second of a revocation does not."""
    tokens: list[str] = []

    def again() -> bool:
        tokens.append(deployed.setup.sign_in("acme", person))
        return status(deployed, tokens[-1]) == 200

    within(10, again)
    return tokens[-1]


def test_a_person_signs_in_and_is_refused_in_time(
    deployed: DeployedService, kim: tuple[str, Person]
) -> None:
    """Signed out, taken out of a group and disabled: each within 5 s, with an unexpired token."""
    person_id, person = kim
    token = signed_in(deployed, person)
    assert status(deployed, token, "/v1/devices/press-01") == 200
    for method, path, body in (
        ("POST", "sign-out", None),
        ("PUT", "groups", {"groups": ["technicians"]}),
        ("POST", "disable", None),
    ):
        token = signed_in(deployed, person)
        answer = deployed.call(method, f"{URL}/{person_id}/{path}", json=body)
        assert answer.status_code == 200, answer.text
        within(5, lambda: status(deployed, token) == 401)  # noqa: B023 - asked before the next turn
    with pytest.raises(SignInError):
        deployed.setup.sign_in("acme", person)
    assert deployed.call("POST", f"{URL}/{person_id}/enable").status_code == 200
    token = signed_in(deployed, person)
    # Operators see each device, technicians those that they are granted.
    assert status(deployed, token, "/v1/devices/press-01") == 403
    seen = deployed.call("GET", f"{URL}/{person_id}").json()
    assert (seen["groups"], seen["enabled"], seen["region"]) == (
        ["technicians"],
        True,
        "eu-central",
    )


def test_the_pools_people_are_listed_in_pages(
    deployed: DeployedService, kim: tuple[str, Person]
) -> None:
    """Everybody once; a foreign cursor, an address that is taken and an unknown group are told."""
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        asked = {"limit": 3, **({"cursor": cursor} if cursor else {})}
        page = deployed.call("GET", URL, params=asked).json()
        found += page["people"]
        if (cursor := page["cursor"]) is None:
            break
    assert len({one["id"] for one in found}) == len(found) > 3
    assert kim[0] in {one["id"] for one in found}
    [listed] = deployed.call("GET", URL, params={"email": "kim@"}).json()["people"]
    assert listed["email"] == "kim@acme.example"
    taken = {"email": "kim@acme.example", "groups": []}
    assert deployed.call("POST", URL, json=taken).status_code == 409
    path = f"{URL}/{kim[0]}/groups"
    assert deployed.call("PUT", path, json={"groups": ["no-such"]}).status_code == 400
    assert deployed.call("GET", f"{URL}/nobody@acme.example").status_code == 404
    assert deployed.call("GET", f"{URL}/{kim[0]}", tenant="globex").status_code == 404
