"""Decisions of the Verified Permissions endpoint: beside bare cedarpy, and through boto3."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from itertools import cycle
from statistics import median
from typing import TYPE_CHECKING, Any

import boto3
import cedarpy

from infra.local.verified_permissions import Caller, VerifiedPermissions
from infra.local.verified_permissions.shapes import check_input
from tests.benchmarks.plant import SCHEMA, asking, policies
from tests.benchmarks.rows import Row, compare, interleaved

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

SIZES = (10, 100, 1000)
DECISIONS = 300  # in process, for one figure; at least one for each principal
MANY = 1000  # principals in turn: a day of a fleet's people and machines
CALLS = 200  # through boto3, for one figure
MAX_RATIO = 3.0
MAX_CALL_RATIO = 3.0
MAX_P99_MS = 50.0

CALLER = Caller(account_id="123456789012", region="eu-central-1")


def rows(rounds: int) -> Iterator[Row]:
    """Overhead in process and latency through boto3, for 10, 100 and 1000 policies."""
    for count in SIZES:
        for people in (1, MANY):
            yield _in_process(count, people, rounds)
    with _process() as client:
        for count in SIZES:
            yield from _through_boto3(client, count, rounds)


def _in_process(count: int, people: int, rounds: int) -> Row:
    app = VerifiedPermissions(
        state_dir=None,
        authenticate=lambda *_: CALLER,
        signing_keys={}.__getitem__,
        account_id=CALLER.account_id,
    )
    store = _filled(lambda operation, **request: app.perform(operation, request, CALLER), count)
    policy_set = cedarpy.PolicySet.from_str("\n".join(policies(count)))
    schema = cedarpy.Schema.from_json_str(SCHEMA)
    # A third of the policies name such a user.
    asked = [asking(f"user-{number}") for number in range(people)]
    bodies = cycle(
        [json.dumps({"policyStoreId": store, **by_api}).encode() for by_api, _, _ in asked]
    )
    requests = cycle([(by_hand, json.dumps(entities)) for _, by_hand, entities in asked])

    def ours() -> bool:
        request = json.loads(next(bodies))
        check_input("IsAuthorized", request)
        return app.perform("IsAuthorized", request, CALLER)["decision"] == "ALLOW"

    def bare() -> bool:
        # Action groups need the schema's actions among the entities, so the entities are read with
        # the schema.
        request, entities = next(requests)
        return cedarpy.is_authorized(
            request, policy_set, cedarpy.Entities.from_json_str(entities, schema), schema
        ).allowed

    decisions = max(DECISIONS, people)
    series = interleaved(rounds, _microseconds(ours, decisions), _microseconds(bare, decisions))
    return compare(
        name=f"decision in process, {count} policies, "
        f"{people} principal{'s in turn' if people > 1 else ''}",
        ours=series[0],
        reference=series[1],
        unit="us CPU",
        at_most=MAX_RATIO,
        note="request JSON to answer, beside cedarpy with parsed policies and schema, "
        "entities read for each request",
    )


def _through_boto3(client: Any, count: int, rounds: int) -> Iterator[Row]:
    store = _filled(
        lambda operation, **request: getattr(client, _METHODS[operation])(**request), count
    )
    question, _, _ = asking("olga")
    latencies: list[float] = []

    def decide() -> float:
        taken = _latencies(
            lambda: client.is_authorized(policyStoreId=store, **question)["decision"] == "ALLOW"
        )
        latencies.extend(taken)
        return median(taken)

    def fetch() -> float:
        return median(
            _latencies(
                lambda: client.get_policy_store(policyStoreId=store)["policyStoreId"] == store
            )
        )

    series = interleaved(rounds, decide, fetch)
    yield compare(
        name=f"IsAuthorized through boto3, {count} policies, p50",
        ours=series[0],
        reference=series[1],
        unit="ms",
        at_most=MAX_CALL_RATIO,
        note="beside GetPolicyStore on the same connection: what signing and HTTP cost anyway",
    )
    latencies.sort()
    p99 = latencies[int(len(latencies) * 0.99)]
    yield Row(
        name=f"IsAuthorized through boto3, {count} policies, p99",
        ours=p99,
        unit="ms",
        target=f"<= {MAX_P99_MS:g} ms",
        met=p99 <= MAX_P99_MS,
        rounds=rounds,
        note=f"of {len(latencies)} calls",
    )


_METHODS = {
    "CreatePolicyStore": "create_policy_store",
    "PutSchema": "put_schema",
    "CreatePolicy": "create_policy",
}


def _filled(call: Callable[..., dict[str, Any]], count: int) -> str:
    """A new STRICT store with the schema and ``count`` policies; its id."""
    store: str = call("CreatePolicyStore", validationSettings={"mode": "STRICT"})["policyStoreId"]
    call("PutSchema", policyStoreId=store, definition={"cedarJson": SCHEMA})
    for statement in policies(count):
        call("CreatePolicy", policyStoreId=store, definition={"static": {"statement": statement}})
    return store


def _microseconds(decide: Callable[[], bool], decisions: int) -> Callable[[], float]:
    """The mean of some decisions, in CPU time (others use this machine); each must be an ALLOW."""

    def measured() -> float:
        assert decide()  # also warms up
        started = time.process_time()
        allowed = sum(decide() for _ in range(decisions))
        taken = time.process_time() - started
        assert allowed == decisions
        return taken / decisions * 1e6

    return measured


def _latencies(call: Callable[[], bool]) -> list[float]:
    """Milliseconds of each of a few hundred calls, which must all be right."""
    taken: list[float] = []
    for _ in range(CALLS):
        started = time.perf_counter()
        right = call()
        taken.append((time.perf_counter() - started) * 1e3)
        assert right
    return taken


@contextmanager
def _process() -> Generator[Any]:
    """A client of the endpoint in a process of its own."""
    environment = {name: text for name, text in os.environ.items() if not name.startswith("AWS_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "infra.local.verified_permissions"],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        started = json.loads(process.stdout.readline())
        client: Any = boto3.client(
            "verifiedpermissions",
            endpoint_url=started["url"],
            region_name=CALLER.region,
            aws_access_key_id=started["access_key_id"],
            aws_secret_access_key=started["secret_access_key"],
        )
        yield client
        client.close()
    finally:
        process.terminate()
        process.communicate(timeout=20)
