"""A person of a real pool: invited, signed in, and refused though the token has not run out."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from infra import names
from infra.local.people import Person, SignInError, add_person
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


def rows_with(deployed: DeployedService, *words: str) -> dict[str, set[str]]:
    """In which rows of any table each of the words stands: table, partition, column."""
    table: Any = deployed.setup.cloud.client("dynamodb")
    found = {word: set[str]() for word in words}
    for name in table.list_tables()["TableNames"]:
        for page in table.get_paginator("scan").paginate(TableName=name):
            for row in page["Items"]:
                # The registry has one key, the other tables two.
                first = next(
                    row[key]["S"] for key in ("issuer", "thing", "partition") if key in row
                )
                for column, value in row.items():
                    for word in words:
                        if word in json.dumps(value, default=repr):
                            found[word].add(f"{name} {first} {column}")
    return found


def test_a_person_is_erased_from_a_tenant_that_stays(deployed: DeployedService) -> None:
    """As `docs/audit.md` says it: the address stands nowhere then, and the trail is whole."""
    email, pool = "mo@acme.example", deployed.setup.stacks["acme"]["user_pool_id"]
    cognito: Any = deployed.setup.cloud.client("cognito-idp")
    mo = add_person(cognito, pool, email=email, groups=["managers"], region="eu-central")
    headers = {"Authorization": f"Bearer {signed_in(deployed, mo)}"}
    me = deployed.http.get("/v1/me", headers=headers).json()
    subject = me["principal"].rpartition("|")[2]
    sent = deployed.http.post(
        "/v1/devices/press-02/commands", headers=headers, json={"name": "reboot"}
    )
    assert sent.status_code == 202, sent.text
    asked = {
        "template": "technician-for-line",
        "person": email,
        "device": "press-02",
        "until": (datetime.now(UTC) + timedelta(hours=2)).isoformat(),
        "reason": "Mo covers the night",
    }
    grant = deployed.call("POST", "/v1/grants", json=asked).json()
    assert grant["email"] == email, grant
    person, forget = f"{URL}/{subject}", f"{URL}/{subject}/pseudonym"

    assert deployed.call("POST", f"{person}/disable").status_code == 200
    refused = deployed.call("DELETE", forget)
    assert (refused.status_code, grant["id"] in refused.json()["detail"]) == (409, True)
    assert deployed.call("DELETE", f"/v1/grants/{grant['id']}").status_code == 200
    made = f"/v1/grants/{grant['id']}"
    within(60, lambda: deployed.call("GET", made).json()["state"] == "revoked")
    assert deployed.call("DELETE", forget).status_code == 204
    cognito.admin_delete_user(UserPoolId=pool, Username=subject)

    left = rows_with(deployed, email, "Mo covers the night", subject)
    assert left[email] == set()
    # What somebody wrote in words of their own is in the trail, and nothing is taken out of that.
    assert {row.split()[0] for row in left["Mo covers the night"]} == {names.AUDIT_TABLE}
    # What the person made says by whose random id, which nobody can ask for any more.
    assert {row.rpartition(" ")[2] for row in left[subject]} <= {"created_by", "subject", "sk"}
    assert deployed.call("GET", person).status_code == 404
    within(30, lambda: subject not in _policies(deployed))
    assert email not in deployed.call("GET", "/v1/audit/export").text


def _policies(deployed: DeployedService) -> str:
    """All that the tenant's policy store holds."""
    store = deployed.setup.stacks["acme"]["policy_store_id"]
    client: Any = deployed.setup.cloud.client("verifiedpermissions")
    pages = client.get_paginator("list_policies").paginate(policyStoreId=store)
    return " ".join(
        str(client.get_policy(policyStoreId=store, policyId=one["policyId"])["definition"])
        for page in pages
        for one in page["policies"]
    )
