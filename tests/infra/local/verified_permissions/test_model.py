"""The endpoint against botocore's service model: operations, required members, constraints."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from botocore.loaders import Loader
from botocore.model import ListShape, ServiceModel, Shape, StructureShape

from tests.infra.local.verified_permissions.modelled import violations

if TYPE_CHECKING:
    from collections.abc import Iterator

    from types_boto3_verifiedpermissions.client import VerifiedPermissionsClient

    from .conftest import Ask, Endpoint

Json = Any  # what travels, before anybody has looked at it

MODEL = ServiceModel(
    Loader().load_service_model("verifiedpermissions", "service-2"), "verifiedpermissions"
)


def method_name(operation: str) -> str:
    """``IsAuthorized`` -> ``is_authorized``."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", operation).lower()


@pytest.mark.parametrize("operation", MODEL.operation_names)
def test_every_modelled_constraint_is_refused(endpoint: Endpoint, operation: str):
    """A request that breaks one constraint is a ValidationException that names the place."""
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
        assert at in [item["path"] for item in response["fieldList"]], (
            at,
            how,
            response["fieldList"],
        )
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
def test_member_of_the_wrong_json_type_is_a_serialization_error(
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
    made = call(
        "CreatePolicyStore", validationSettings={"mode": "STRICT"}, description="d", tags={"k": "v"}
    )
    store: dict[str, Any] = {"policyStoreId": made["policyStoreId"]}
    call("GetPolicyStore", **store, tags=True)
    call("ListPolicyStores", maxResults=50)
    call("UpdatePolicyStore", **store, validationSettings={"mode": "STRICT"})
    call("PutSchema", **store, definition={"cedarJson": json.dumps(schema)})
    call("GetSchema", **store)
    statement = (
        'permit(principal == Shop::User::"alice", action == Shop::Action::"view", '
        'resource in Shop::Shelf::"s");'
    )
    static = call(
        "CreatePolicy", **store, definition={"static": {"statement": statement, "description": "d"}}
    )
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
            "templateLinked": {
                "policyTemplateId": template["policyTemplateId"],
                "principal": alice,
                "resource": item,
            }
        },
    )
    call("GetPolicy", **store, policyId="name/link")
    call("GetPolicyTemplate", **store, policyTemplateId="name/template")
    call("ListPolicyTemplates", **store)
    assert len(call("ListPolicies", **store)["policies"]) == 2
    call(
        "UpdatePolicy",
        **store,
        policyId=static["policyId"],
        definition={"static": {"statement": statement}},
    )
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
                "userPoolArn": "arn:aws:cognito-idp:eu-central-1:123456789012:userpool/"
                "eu-central-1_AbCdEfGhI"
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
    oidc = {
        "issuer": endpoint.oidc.url,
        "tokenSelection": {"identityTokenOnly": {"clientIds": ["web"]}},
    }
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
