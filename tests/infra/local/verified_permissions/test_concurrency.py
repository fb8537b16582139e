"""Writes while others decide: no answer is ever between two policy sets."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .conftest import Endpoint

Json = Any  # what travels, before anybody has looked at it

ALICE: Any = {"entityType": "Shop::User", "entityId": "alice"}
HAT: Any = {"entityType": "Shop::Item", "entityId": "hat"}
VIEW: Any = {"actionType": "Shop::Action", "actionId": "view"}
PERMIT: Any = {
    "static": {"statement": 'permit(principal == Shop::User::"alice", action, resource);'}
}
FORBID: Any = {
    "static": {"statement": 'forbid(principal, action, resource == Shop::Item::"safe");'}
}


def test_decisions_during_writes_are_those_of_some_moment(endpoint: Endpoint, open_store: str):
    """While a permit is replaced, new before old, viewing stays allowed, the safe closed."""
    writer, readers = endpoint.client(), [endpoint.client() for _ in range(3)]
    old = writer.create_policy(policyStoreId=open_store, definition=PERMIT)["policyId"]
    forbid = writer.create_policy(policyStoreId=open_store, definition=FORBID)["policyId"]
    done = threading.Event()

    def watch(client: Json) -> int:
        seen = 0
        while not done.is_set():
            request = {"policyStoreId": open_store, "principal": ALICE, "action": VIEW}
            allowed = client.is_authorized(**request, resource=HAT)
            closed = client.is_authorized(
                **request, resource={"entityType": "Shop::Item", "entityId": "safe"}
            )
            assert (allowed["decision"], allowed["errors"]) == ("ALLOW", [])
            assert 1 <= len(allowed["determiningPolicies"]) <= 2
            assert (closed["decision"], closed["determiningPolicies"]) == (
                "DENY",
                [{"policyId": forbid}],
            )
            seen += 1
        return seen

    with ThreadPoolExecutor(len(readers)) as pool:
        watching = [pool.submit(watch, reader) for reader in readers]
        for _ in range(60):
            new = writer.create_policy(policyStoreId=open_store, definition=PERMIT)["policyId"]
            writer.delete_policy(policyStoreId=open_store, policyId=old)
            old = new
        done.set()
        assert all(watcher.result(timeout=30) > 5 for watcher in watching)
    for client in (writer, *readers):
        client.close()


def test_a_policy_counts_from_the_answer_to_its_creation(endpoint: Endpoint, open_store: str):
    """Whoever has been answered sees the change at once: decisions never use an older set."""
    client = endpoint.client()
    request: Any = {
        "policyStoreId": open_store,
        "principal": ALICE,
        "action": VIEW,
        "resource": HAT,
    }
    for _ in range(30):
        made = client.create_policy(policyStoreId=open_store, definition=PERMIT)["policyId"]
        assert client.is_authorized(**request)["determiningPolicies"] == [{"policyId": made}]
        client.delete_policy(policyStoreId=open_store, policyId=made)
        assert client.is_authorized(**request)["decision"] == "DENY"
    client.close()


def test_one_client_token_creates_one_policy_when_sent_at_once(endpoint: Endpoint, open_store: str):
    """Ten simultaneous retries get one id."""
    clients = [endpoint.client() for _ in range(10)]
    with ThreadPoolExecutor(10) as pool:
        made = list(
            pool.map(
                lambda client: client.create_policy(
                    policyStoreId=open_store, definition=PERMIT, clientToken="same"
                ),
                clients,
            )
        )
    assert len({item["policyId"] for item in made}) == 1
    assert len(clients[0].list_policies(policyStoreId=open_store)["policies"]) == 1
    for client in clients:
        client.close()
