"""What IAM is asked with on the laptop: the keys of each request, each target, the right index."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

import pytest

from infra.local.cloud.corrections import authorization

if TYPE_CHECKING:
    from collections.abc import Callable

ANY: Final = {"context": "as before"}
GONE: Final = "\0unknown"
DEVICES: Final = {
    "KeySchema": [
        {"AttributeName": "sk", "KeyType": "RANGE"},
        {"AttributeName": "pk", "KeyType": "HASH"},
    ],
    "GlobalSecondaryIndexes": [
        {"IndexName": "by-day", "KeySchema": [{"AttributeName": "day", "KeyType": "HASH"}]}
    ],
    "LocalSecondaryIndexes": [
        {"IndexName": "by-hour", "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}]}
    ],
}
ACME: Final = {"pk": {"S": "acme"}, "sk": {"S": "1"}}
GLOBEX: Final = {"pk": {"S": "globex"}, "sk": {"S": "2"}}


class Emulator:
    """Modules of given members, of which a correction replaces one."""

    def __init__(self, **modules: Any) -> None:
        self.noted: list[tuple[str, str, bool]] = []
        self.rights = SimpleNamespace(note=self._note)
        self._modules = modules

    def module(self, name: str) -> Any:
        """A module by the last part of its name."""
        return self._modules[name.rpartition(".")[2]]

    def replace(self, module: str, name: str, correction: Callable[[Any], object]) -> None:
        """As the emulator's own."""
        owner = self.module(module)
        setattr(owner, name, correction(getattr(owner, name)))

    def _note(self, caller: str, action: str, *, allowed: bool) -> None:
        self.noted.append((caller, action, allowed))


def corrected(correction: Callable[[Any], object], **modules: Any) -> Emulator:
    """An emulator of these modules once it is corrected."""
    emulator = Emulator(**modules)
    correction(emulator)
    return emulator


def keys(request: object) -> list[str] | None:
    """The leading keys that IAM is told of a request to DynamoDB; ``None``: of none."""
    actions = SimpleNamespace(dynamodb_service_context=lambda _: dict(ANY))
    tables = SimpleNamespace(_tables={"devices": DEVICES})
    emulator = corrected(authorization.leading_keys_are_known, iam_actions=actions, dynamodb=tables)
    body = request if isinstance(request, bytes) else json.dumps(request).encode()
    told = emulator.module("core.iam_actions").dynamodb_service_context(body)
    assert told["context"] == ANY["context"]
    return told.get("dynamodb:LeadingKeys")


def asked(condition: str, *, index: str = "", **more: Any) -> dict[str, Any]:
    """A Query of the devices."""
    return {
        "TableName": "devices",
        "KeyConditionExpression": condition,
        **({"IndexName": index} if index else {}),
        **more,
    }


VALUES: Final = {":a": {"S": "acme"}, ":b": {"S": "b"}}


@pytest.mark.parametrize(
    ("request_", "found"),
    [
        ({"TableName": "devices", "Key": ACME}, ["acme"]),
        ({"TableName": "arn:aws:dynamodb:x:1:table/devices", "Item": GLOBEX}, ["globex"]),
        (asked("pk = :a", ExpressionAttributeValues=VALUES), ["acme"]),
        (
            asked(
                "#p = :a AND sk = :b",
                ExpressionAttributeNames={"#p": "pk"},
                ExpressionAttributeValues=VALUES,
            ),
            ["acme"],
        ),
        (asked("day = :b", index="by-day", ExpressionAttributeValues=VALUES), ["b"]),
        (asked("pk = :a", index="by-hour", ExpressionAttributeValues=VALUES), ["acme"]),
        (
            {"RequestItems": {"devices": {"Keys": [ACME, GLOBEX]}}},
            ["acme", "globex"],
        ),
        (
            {
                "RequestItems": {
                    "devices": [{"PutRequest": {"Item": ACME}}, {"DeleteRequest": {"Key": GLOBEX}}]
                }
            },
            ["acme", "globex"],
        ),
        (
            {
                "TransactItems": [
                    {"Put": {"TableName": "devices", "Item": ACME}},
                    {"Delete": {"TableName": "devices", "Key": GLOBEX}},
                ]
            },
            ["acme", "globex"],
        ),
        ({"TableName": "devices"}, None),  # a Scan
        (b"", None),
    ],
    ids=str,
)
def test_every_partition_of_a_request_is_told(
    request_: dict[str, Any] | bytes, found: list[str] | None
) -> None:
    """However it is asked; of what names none, IAM is told nothing, and a policy can refuse it."""
    assert keys(request_) == found


@pytest.mark.parametrize(
    "request_",
    [
        {"TableName": "others", "Key": ACME},
        {"TableName": "devices", "Key": {"sk": {"S": "1"}}},
        {"TableName": "devices", "Key": {"pk": "acme"}},
        {"TableName": "devices", "Key": {"pk": {"S": "acme", "N": "1"}}},
        {"TableName": "devices", "IndexName": "none", "Key": ACME},
        asked("pk = :a", index="by-day", ExpressionAttributeValues=VALUES),
        asked("sk = :a", ExpressionAttributeValues=VALUES),
        asked("pk = :a OR pk = :b", ExpressionAttributeValues=VALUES),
        asked("pk = :a"),
        {"RequestItems": {"devices": {}}},
        {"RequestItems": {"devices": [{"Other": ACME}]}},
        {"RequestItems": {"devices": 1}},
        {"TransactItems": [{"Check": {"TableName": "devices"}}]},
        {"TransactItems": [1]},
        b"{",
        b"[]",
    ],
    ids=str,
)
def test_a_partition_that_is_not_understood_equals_none(
    request_: dict[str, Any] | bytes,
) -> None:
    """It is told as one that no policy can name, and so the request is refused."""
    assert keys(request_) == [GONE]


def test_loopback_is_tls_and_nothing_else_is_changed() -> None:
    """Whatever the key's case; every other key is the emulator's to resolve."""
    evaluator = SimpleNamespace(_resolve_condition_key=lambda key, context: f"{key} {context}")
    corrected(authorization.loopback_counts_as_tls, iam_evaluator=evaluator)
    resolve: Any = vars(evaluator)["_resolve_condition_key"]
    assert resolve("aws:SecureTransport", "of it") == "true"
    assert resolve("aws:SourceAccount", "of it") == "aws:SourceAccount of it"


def job(payload: dict[str, Any], *, refused: str = "", key: str = "AKIA") -> tuple[Any, list[Any]]:
    """What CreateJob answers, and what IAM was asked."""
    enforced: list[Any] = []

    def enforce(caller: str, action: str, *_: str, resource_arn: str, service_context: Any) -> Any:
        assert caller == key
        assert service_context == {"iam:PassedToService": "iot.amazonaws.com"}
        enforced.append((action, resource_arn))
        return SimpleNamespace(principal_arn="kim") if resource_arn == refused else None

    async def create(job_id: str, payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        return job_id, payload

    iot = SimpleNamespace(
        _create_job=create, get_region=lambda: "x", error_response_json=lambda *said: said
    )
    evaluator = SimpleNamespace(_verified_key=SimpleNamespace(get=lambda: key), enforce=enforce)
    corrected(authorization.job_targets_are_authorized, iot=iot, iam_evaluator=evaluator)
    return asyncio.run(vars(iot)["_create_job"]("j", payload)), enforced


def test_each_target_of_a_job_is_authorized() -> None:
    """And the role that signs its URLs; one that is refused is the answer, and no job is made."""
    payload = {"targets": ["a", "b"], "presignedUrlConfig": {"roleArn": "r"}}
    of_all = [("iot:CreateJob", "a"), ("iot:CreateJob", "b"), ("iam:PassRole", "r")]
    assert job(payload) == (("j", payload), of_all)
    assert job({"targets": ["a"]}) == (("j", {"targets": ["a"]}), of_all[:1])
    assert job({}) == (("j", {}), [])
    for number, (action, resource) in enumerate(of_all):
        (code, words, status), asked_of = job(payload, refused=resource)
        assert (code, status) == ("AccessDeniedException", 403)
        assert words == f"User: kim is not authorized to perform: {action} on resource: {resource}"
        assert asked_of == of_all[: number + 1]
    assert job(payload, key="") == (("j", payload), []), "who comes without a key is the root user"


REQUESTS: Final = (
    ("iot", "/indices/search", b'{"indexName": "other"}', "arn:aws:iot:x:1:index/other", "*"),
    ("iot", "/indices/search/", b"", "arn:aws:iot:x:1:index/AWS_Things", "*"),
    ("iot", "/indices/search", b"[", "arn:aws:iot:x:1:index/AWS_Things", "*"),
    ("iot", "/target-policies/p", b'{"target": "cert"}', "*", "cert"),
    ("iot", "/target-policies/p", b"{}", "*", "*"),
    ("iot", "/things/x", b'{"target": "cert"}', "*", "*"),
    ("s3", "/target-policies/p", b'{"target": "cert"}', "*", "*"),
    ("s3", "/indices/search", b"{}", "*", "*"),
)


@pytest.mark.parametrize(("service", "path", "body", "index", "target"), REQUESTS)
def test_a_right_is_asked_of_its_own_resource(
    service: str, path: str, body: bytes, index: str, target: str
) -> None:
    """Of the index that is searched, and of what gets a policy; else of what it was before."""
    for correction, expected in (
        (authorization.search_names_its_index, index),
        (authorization.policy_is_attached_to_its_target, target),
    ):
        actions = SimpleNamespace(extract_resource_arn=lambda *_: "*")
        corrected(correction, iam_actions=actions)
        extract: Any = vars(actions)["extract_resource_arn"]
        assert extract(service, "POST", path, {}, body, "q", "x", "1") == expected


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("sqs:SendMessageBatch", "sqs:SendMessage"),
        ("sqs:ReceiveMessage", "sqs:ReceiveMessage"),
        ("other:PutBatch", "other:PutBatch"),
        (None, None),
    ],
)
def test_a_batch_of_messages_needs_the_right_of_one(before: str | None, after: str | None) -> None:
    """IAM has no action of the batch's name; of other services it may have."""
    actions = SimpleNamespace(extract_iam_action=lambda *_: before)
    corrected(authorization.batches_need_the_right_of_one, iam_actions=actions)
    assert vars(actions)["extract_iam_action"]("of", "a", "request") == after


def test_rights_are_noted_with_who_asked() -> None:
    """Whom IAM has refused it names itself; whose key is wrong has no name."""

    class WrongKeyError(Exception):
        """Of a request that nobody signed."""

    answers: dict[str, Any] = {
        "allowed": None,
        "denied": SimpleNamespace(principal_arn="role"),
        "wrong": WrongKeyError(),
    }
    evaluator = SimpleNamespace(
        AuthError=WrongKeyError,
        enforce=lambda _, action: answers[action],
        resolve_credential=lambda key, account: SimpleNamespace(principal_arn=f"{account}/{key}"),
    )
    responses = SimpleNamespace(get_account_id=lambda: "1")
    emulator = corrected(
        authorization.rights_are_noted, iam_evaluator=evaluator, responses=responses
    )
    enforce: Any = vars(evaluator)["enforce"]
    for key, action in (("k", "allowed"), ("", "allowed"), ("k", "denied"), ("k", "wrong")):
        assert enforce(key, action) is answers[action]
    assert emulator.noted == [
        ("1/k", "allowed", True),
        ("", "allowed", True),
        ("role", "denied", False),
    ]


def listed(**query: Any) -> tuple[list[str], str | None] | str:
    """Which jobs are listed, and the token of the next page; or why none is."""
    jobs = {
        f"j{number:02}": {"targets": [f"arn:thing/{number}", f"arn:thinggroup/{group}"]}
        for number, group in enumerate(["acme", "globex"] * 20)
    }
    answer = json.dumps({"jobs": [{"jobId": name} for name in jobs]})
    iot = SimpleNamespace(
        _jobs=jobs,
        _thing_groups={"acme": {"thingGroupId": "id-a"}, "globex": {"thingGroupId": "id-g"}},
        _list_jobs=lambda _: (200, {}, answer),
        json_response=lambda said: said,
        error_response_json=lambda code, words, status: f"{status} {code}: {words}",
    )
    corrected(authorization.job_list_is_filtered_and_paged, iot=iot)
    said: Any = vars(iot)["_list_jobs"](query)
    return (
        said
        if isinstance(said, str)
        else ([one["jobId"] for one in said["jobs"]], said.get("nextToken"))
    )


def test_who_lists_jobs_gets_those_of_the_group() -> None:
    """By its name or id, a page at a time; of an unknown group none, and not all."""
    acme = [f"j{number:02}" for number in range(0, 40, 2)]
    globex = [f"j{number:02}" for number in range(1, 40, 2)]
    assert listed(thingGroupName="acme") == (acme, None)
    assert listed(thingGroupName=["globex"]) == (globex, None)
    assert listed(thingGroupId=["id-g"]) == (globex, None)
    assert listed(thingGroupId="none") == ([], None)
    first, token = listed()
    assert (first, token) == ([f"j{number:02}" for number in range(25)], "25")
    assert listed(nextToken="25") == ([f"j{number:02}" for number in range(25, 40)], None)
    assert listed(thingGroupName="acme", maxResults="20") == (acme, None)
    assert listed(thingGroupName="acme", maxResults="19") == (acme[:19], "19")
    assert listed(maxResults="x") == (
        "400 InvalidRequestException: maxResults or nextToken is not valid"
    )
