"""A call is refused for whatever botocore's model does not allow, in AWS's words."""

from __future__ import annotations

import re
from typing import Any

import pytest

from infra.local.cloud.limits.patterns import compiled
from infra.local.cloud.limits.requests import MODELS
from infra.local.cloud.limits.shapes import problems, service_model

_DOCUMENT = {"policyDocument": "{}"}


@pytest.mark.parametrize(
    ("service", "operation", "parameters", "words"),
    [
        ("iot", "CreateThing", {}, "Value null at 'thingName'"),
        ("iot", "CreateThing", {"thingName": "a+b"}, "regular expression pattern"),
        ("iot", "CreateThing", {"thingName": "a" * 129}, "length less than or equal to 128"),
        ("iot", "CreateThing", {"thingName": 7}, "Member must be a string"),
        (
            "iot",
            "CreateThing",
            {"thingName": "a", "attributePayload": {"attributes": {"a": "+02:00"}}},
            "at 'attributePayload.attributes.a'",
        ),
        ("iot", "ListThings", {"maxResults": 0}, "greater than or equal to 1"),
        ("iot", "ListThings", {"maxResults": 251}, "less than or equal to 250"),
        ("iot", "CreateJob", {"jobId": "j", "targets": []}, "at 'targets'"),
        ("iot", "CreateJob", {"jobId": "j", "targets": "arn"}, "Member must be a list"),
        ("iot", "UpdateCertificate", {"certificateId": "a" * 64, "newStatus": "GONE"}, "enum"),
        ("iam", "CreateRole", {"RoleName": "r", "AssumeRolePolicyDocument": ""}, "length"),
        ("iam", "TagRole", {"RoleName": "r", "Tags": [{"Key": "a"}]}, "'Tags.1.member.Value'"),
        ("dynamodb", "PutItem", {"TableName": "t", "Item": [1]}, "Member must be a map"),
        ("dynamodb", "ListTables", {"Limit": True}, "Member must be an integer"),
        ("cognito-idp", "AdminGetUser", {"UserPoolId": "eu_a", "Username": "a b"}, "pattern"),
        ("ecs", "ListTasks", {"maxResults": 2**31}, "less than or equal"),
    ],
)
def test_what_the_model_forbids_is_named(
    service: str, operation: str, parameters: dict[str, Any], words: str
) -> None:
    """Required, pattern, length, range, type and enumeration, wherever in the request."""
    found = problems(service, operation, parameters)

    assert any(words in each for each in found), found


@pytest.mark.parametrize(
    ("service", "operation", "parameters"),
    [
        ("iot", "CreateThing", {"thingName": "a" * 128, "attributePayload": None}),
        ("iot", "CreateThing", {"thingName": "a", "unknown": 1}),
        ("iot", "CreatePolicy", {"policyName": "p", **_DOCUMENT}),
        ("iot", "CreateThingType", {"thingTypeName": "t", "tags": [{"Key": "Größe", "Value": ""}]}),
        ("iam", "TagRole", {"RoleName": "r", "Tags": [{"Key": "a b", "Value": "ü"}]}),
        ("cognito-idp", "AdminGetUser", {"UserPoolId": "eu-central-1_a", "Username": "ä€1@x"}),
        ("dynamodb", "PutItem", {"TableName": "t", "Item": {"a": {"M": {"b": {"L": []}}}}}),
    ],
)
def test_what_the_model_allows_passes(
    service: str, operation: str, parameters: dict[str, Any]
) -> None:
    """At the limit, with members that the model does not know, with letters of any alphabet."""
    assert problems(service, operation, parameters) == []


def test_every_pattern_of_the_models_is_read() -> None:
    """No pattern is silently skipped, since Python could not read it."""
    unread: list[str] = []
    for service in {*MODELS.values(), "route53", "application-autoscaling", "budgets", "wafv2"}:
        model = service_model(service)
        for name in model.shape_names:
            pattern = model.shape_for(name).metadata.get("pattern")
            try:
                compiled(pattern or "")
            except (re.error, KeyError) as error:
                unread.append(f"{service} {name}: {pattern} ({error})")
    assert not unread
