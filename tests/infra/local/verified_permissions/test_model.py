"""The endpoint against botocore's own service model: every operation, every required member, every constraint."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from botocore.loaders import Loader
from botocore.model import ListShape, MapShape, ServiceModel, Shape, StringShape, StructureShape

if TYPE_CHECKING:
    from collections.abc import Iterator

    from types_boto3_verifiedpermissions.client import VerifiedPermissionsClient

    from .conftest import Ask, Endpoint

Json = Any  # what travels, before anybody has looked at it

MODEL = ServiceModel(Loader().load_service_model("verifiedpermissions", "service-2"), "verifiedpermissions")

# A value for each pattern of the model; a new pattern fails the test until it is added.
MATCHING = {
    "[a-zA-Z0-9-/_]*": "PSEXAMPLEabcdefg111111",
    "[a-zA-Z0-9-]*": "ISEXAMPLEabcdefg111111",
    ".*": "text",
    "Action$|^.+::Action": "Shop::Action",
    "[A-Za-z0-9-_=]+.[A-Za-z0-9-_=]+.[A-Za-z0-9-_=]+": "aa.bb.cc",
    "https://.*": "https://login.example.com",
    "([_a-zA-Z][_a-zA-Z0-9]*::)*[_a-zA-Z][_a-zA-Z0-9]*": "Shop::Group",
    "arn:[a-zA-Z0-9-]+:cognito-idp:(([a-zA-Z0-9-]+:\\d{12}:userpool/[\\w-]+_[0-9a-zA-Z]+))": (
        "arn:aws:cognito-idp:eu-central-1:123456789012:userpool/eu-central-1_AbCdEfGhI"
    ),
    "[A-Za-z0-9-_=+/\\.]*": "token",
    "[0-9a-fA-F\\.:\\/]*": "10.0.0.1",
    "-?\\d{1,15}\\.\\d{1,4}": "1.5",
    "\\d{4}-\\d{2}-\\d{2}(T\\d{2}:\\d{2}:\\d{2}(\\.\\d{3})?(Z|[+-]\\d{4}))?": "2026-11-22",
    "-?(\\d+d)?(\\d+h)?(\\d+m)?(\\d+s)?(\\d+ms)?": "1h30m",
    "[a-zA-Z0-9:/_-]+": "arn:aws:kms:eu-central-1:123456789012:key/1",
}


def example(shape: Shape, depth: int = 0) -> Json:
    """A value that the model allows, with every member of a structure and the first of a union."""
    if isinstance(shape, StructureShape):
        members = list(shape.members.items())
        if shape.is_tagged_union:
            members = members[:1]
        return {name: example(member, depth + 1) for name, member in members if depth < 6}
    if isinstance(shape, ListShape):
        return [example(shape.member, depth + 1)]
    if isinstance(shape, MapShape):
        return {example(shape.key): example(shape.value, depth + 1)}
    if isinstance(shape, StringShape):
        if shape.enum:
            return shape.enum[0]
        pattern = shape.metadata.get("pattern")
        return MATCHING[pattern] if pattern else "x" * max(1, shape.metadata.get("min", 1))
    return {"boolean": True, "integer": 1, "long": 1}[shape.type_name]


def violations(  # noqa: C901 - one branch for each kind of shape
    shape: Shape, path: str = "", depth: int = 0
) -> Iterator[tuple[Any, str, str]]:
    """Values that break the model in one place each: the value, where, and how."""
    if isinstance(shape, StructureShape):
        yield from _structure_violations(shape, path, depth)
    elif isinstance(shape, ListShape):
        yield from _length_violations(shape, path, lambda n: [example(shape.member)] * n)
        for value, at, how in violations(shape.member, f"{path}/0", depth + 1):
            yield [value], at, how
    elif isinstance(shape, MapShape):
        yield from _length_violations(shape, path, lambda n: {f"key{i}": example(shape.value) for i in range(n)})
        for value, _, how in violations(shape.key, path, depth + 1):
            yield {value: example(shape.value)}, path, how
        key = example(shape.key)
        for value, at, how in violations(shape.value, f"{path}/{key}", depth + 1):
            yield {key: value}, at, how
    elif isinstance(shape, StringShape):
        yield from _length_violations(shape, path, lambda n: "a" * n)
        pattern = shape.metadata.get("pattern")
        if pattern:
            bad = "\n" if pattern == ".*" else "!" * max(3, shape.metadata.get("min", 1))
            assert re.fullmatch(pattern, bad) is None, pattern
            yield bad, path, "pattern"
        if shape.enum:
            yield "SOMETHING_ELSE", path, "enum"
    elif "min" in shape.metadata:
        yield shape.metadata["min"] - 1, path, "range"


def _structure_violations(shape: StructureShape, path: str, depth: int) -> Iterator[tuple[Any, str, str]]:
    base = example(shape, depth)
    if depth > 6:
        return
    for name, member in shape.members.items():
        for value, at, how in violations(member, f"{path}/{name}", depth + 1):
            yield ({name: value} if shape.is_tagged_union else base | {name: value}), at, how
    for name in shape.required_members:
        yield {other: value for other, value in base.items() if other != name}, f"{path}/{name}", "required"
    if shape.is_tagged_union:
        yield {}, path, "union of none"
        if len(shape.members) > 1:
            yield {name: example(member, depth + 1) for name, member in shape.members.items()}, path, "union of all"


def _length_violations(shape: Shape, path: str, made: Json) -> Iterator[tuple[Any, str, str]]:
    if shape.metadata.get("min", 0) > 0:
        yield made(shape.metadata["min"] - 1), path, "too short"
    if "max" in shape.metadata:
        yield made(shape.metadata["max"] + 1), path, "too long"


def method_name(operation: str) -> str:
    """``IsAuthorized`` -> ``is_authorized``."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", operation).lower()


@pytest.mark.parametrize("operation", MODEL.operation_names)
def test_every_modelled_constraint_is_refused(endpoint: Endpoint, operation: str):
    """A request that breaks one constraint of the model is a ValidationException that names the place."""
    sender = endpoint.client(check=False)
    shape = MODEL.operation_model(operation).input_shape
    assert shape is not None
    checked = 0
    for value, at, how in violations(shape):
        checked += 1
        with pytest.raises(ClientError) as raised:
            getattr(sender, method_name(operation))(**value)
        response: Any = raised.value.response
        assert response["Error"]["Code"] == "ValidationException", (at, how, response)
        assert at in [item["path"] for item in response["fieldList"]], (at, how, response["fieldList"])
    sender.close()
    assert checked > 0 or operation == "ListPolicyStores"


@pytest.mark.parametrize(
    ("operation", "request_", "place"),
    [
        ("GetPolicyStore", {"policyStoreId": 5}, "/policyStoreId"),
        ("GetPolicyStore", {"policyStoreId": "x", "tags": "yes"}, "/tags"),
        ("ListPolicyStores", {"maxResults": True}, "/maxResults"),
        ("ListPolicyStores", {"maxResults": 1.5}, "/maxResults"),
        ("BatchGetPolicy", {"requests": {"policyStoreId": "x"}}, "/requests"),
        ("CreatePolicyStore", {"validationSettings": []}, "/validationSettings"),
        (
            "IsAuthorized",
            {"policyStoreId": "x", "context": {"contextMap": {"n": {"long": 2**63}}}},
            "/context/contextMap/n/long",
        ),
    ],
)
def test_a_member_of_the_wrong_json_type_is_a_serialization_error(
    ask: type[Ask], operation: str, request_: dict[str, Any], place: str
):
    """The place is named; numbers out of range are of the wrong type too."""
    with pytest.raises(AssertionError, match="SerializationException") as raised:
        ask()(operation, **request_)
    assert f"`{place}`" in str(raised.value)


def missing(shape: Shape, value: Json, path: str = "") -> Iterator[str]:
    """Required members that an answer lacks, and members that have no shape."""
    if isinstance(shape, StructureShape):
        for name in shape.required_members:
            if name not in value:
                yield f"{path}/{name}"
        for name, member in shape.members.items():
            if name in value:
                yield from missing(member, value[name], f"{path}/{name}")
        yield from (f"{path}/{name} is unknown" for name in value if name not in shape.members)
    elif isinstance(shape, ListShape):
        for number, item in enumerate(value):
            yield from missing(shape.member, item, f"{path}/{number}")


class Witness:
    """Calls operations and holds each answer against the model."""

    def __init__(self, client: VerifiedPermissionsClient) -> None:
        self._client = client
        self.seen: set[str] = set()

    def __call__(self, operation: str, **request: Json) -> dict[str, Any]:
        """The answer, when it is complete."""
        answer: dict[str, Any] = getattr(self._client, method_name(operation))(**request)
        answer.pop("ResponseMetadata")
        shape = MODEL.operation_model(operation).output_shape
        assert shape is not None
        assert list(missing(shape, answer)) == []
        self.seen.add(operation)
        return answer


def test_every_operation_answers_with_its_required_members(  # noqa: PLR0915 - all 34 of them
    client: VerifiedPermissionsClient, endpoint: Endpoint, schema: dict[str, Any]
):
    """All 34 operations succeed in one life of a store, and no answer lacks or adds a member."""
    call = Witness(client)
    view = {"actionType": "Shop::Action", "actionId": "view"}
    alice = {"entityType": "Shop::User", "entityId": "alice"}
    item = {"entityType": "Shop::Item", "entityId": "hat"}
    made = call("CreatePolicyStore", validationSettings={"mode": "STRICT"}, description="d", tags={"k": "v"})
    store: dict[str, Any] = {"policyStoreId": made["policyStoreId"]}
    call("GetPolicyStore", **store, tags=True)
    call("ListPolicyStores", maxResults=50)
    call("UpdatePolicyStore", **store, validationSettings={"mode": "STRICT"})
    call("PutSchema", **store, definition={"cedarJson": json.dumps(schema)})
    call("GetSchema", **store)
    statement = (
        'permit(principal == Shop::User::"alice", action == Shop::Action::"view", resource in Shop::Shelf::"s");'
    )
    static = call("CreatePolicy", **store, definition={"static": {"statement": statement, "description": "d"}})
    template = call(
        "CreatePolicyTemplate",
        **store,
        statement="permit(principal == ?principal, action, resource == ?resource);",
        name="name/template",
        description="d",
    )
    call(
        "CreatePolicy",
        **store,
        name="name/link",
        definition={
            "templateLinked": {"policyTemplateId": template["policyTemplateId"], "principal": alice, "resource": item}
        },
    )
    call("GetPolicy", **store, policyId="name/link")
    call("GetPolicyTemplate", **store, policyTemplateId="name/template")
    call("ListPolicyTemplates", **store)
    assert len(call("ListPolicies", **store)["policies"]) == 2
    call("UpdatePolicy", **store, policyId=static["policyId"], definition={"static": {"statement": statement}})
    call(
        "UpdatePolicyTemplate",
        **store,
        policyTemplateId="name/template",
        statement="permit(principal == ?principal, action, resource == ?resource) when {true};",
    )
    found = call(
        "BatchGetPolicy",
        requests=[
            {**store, "policyId": "name/link"},
            {**store, "policyId": "none"},
            {"policyStoreId": "x", "policyId": "y"},
        ],
    )
    assert (len(found["results"]), len(found["errors"])) == (1, 2)
    source = call(
        "CreateIdentitySource",
        **store,
        configuration={
            "cognitoUserPoolConfiguration": {
                "userPoolArn": "arn:aws:cognito-idp:eu-central-1:123456789012:userpool/eu-central-1_AbCdEfGhI"
            }
        },
        principalEntityType="Shop::User",
    )
    named = {**store, "identitySourceId": source["identitySourceId"]}
    call("GetIdentitySource", **named)
    call("ListIdentitySources", **store)
    query: dict[str, Any] = {"action": view, "resource": item}
    call("IsAuthorized", **store, principal=alice, **query)
    call("BatchIsAuthorized", **store, requests=[{"principal": alice, **query}])
    token = endpoint.pool.identity_token()
    call("IsAuthorizedWithToken", **store, identityToken=token, **query)
    call("BatchIsAuthorizedWithToken", **store, identityToken=token, requests=[query])
    oidc = {"issuer": endpoint.oidc.url, "tokenSelection": {"identityTokenOnly": {"clientIds": ["web"]}}}
    call("UpdateIdentitySource", **named, updateConfiguration={"openIdConnectConfiguration": oidc})
    call("GetIdentitySource", **named)
    call("ListIdentitySources", **store)
    call("DeleteIdentitySource", **named)
    alias = {"aliasName": "policy-store-alias/model-walk"}
    call("CreatePolicyStoreAlias", **alias, **store)
    call("GetPolicyStoreAlias", **alias)
    call("ListPolicyStoreAliases")
    call("DeletePolicyStoreAlias", **alias)
    call("TagResource", resourceArn=made["arn"], tags={"a": "b"})
    call("ListTagsForResource", resourceArn=made["arn"])
    call("UntagResource", resourceArn=made["arn"], tagKeys=["a"])
    call("DeletePolicy", **store, policyId=static["policyId"])
    call("DeletePolicyTemplate", **store, policyTemplateId="name/template")
    call("DeletePolicyStore", **store)
    assert call.seen == set(MODEL.operation_names)
    assert len(call.seen) == 34
