"""Reads policy documents of IAM and of resources: what they grant, to whom, on what."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from infra.guardrails.declared import Declared

# Type -> inputs that hold a policy document.
_POLICIES: Final[dict[str, tuple[str, ...]]] = {
    "aws:cloudwatch/logResourcePolicy:LogResourcePolicy": ("policyDocument",),
    "aws:ecr/repositoryPolicy:RepositoryPolicy": ("policy",),
    "aws:iam/policy:Policy": ("policy",),
    "aws:iam/role:Role": ("assumeRolePolicy",),
    "aws:iam/rolePolicy:RolePolicy": ("policy",),
    "aws:iam/userPolicy:UserPolicy": ("policy",),
    "aws:iot/policy:Policy": ("policy",),
    "aws:kms/key:Key": ("policy",),
    "aws:s3/bucketPolicy:BucketPolicy": ("policy",),
    "aws:sns/topic:Topic": ("policy",),
    "aws:sns/topicPolicy:TopicPolicy": ("policy",),
    "aws:sqs/queue:Queue": ("policy",),
    "aws:sqs/queuePolicy:QueuePolicy": ("policy",),
}


def granted(declared: Declared) -> Iterator[Mapping[str, Any]]:
    """The statements of a resource's documents that allow something."""
    for key in _POLICIES.get(declared.kind, ()):
        text = declared.inputs.get(key)
        if text is None:
            continue
        document = json.loads(text) if isinstance(text, str) else text
        for statement in listed(document.get("Statement") or []):
            # Whatever does not say that it denies is taken for a grant: fail closed.
            if statement.get("Effect") != "Deny":
                yield statement
    for inline in listed(declared.inputs.get("inlinePolicies") or []):
        document = json.loads(inline.get("policy") or '{"Statement": []}')
        yield from (
            one for one in listed(document.get("Statement") or []) if one.get("Effect") != "Deny"
        )


def listed(value: Any) -> list[Any]:
    """IAM allows one where it allows many."""
    return list(value) if isinstance(value, list) else [value]


def principals(statement: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(kind, who) of everybody that a statement names, e.g. `("Service", "iot.amazonaws.com")`."""
    who = statement.get("Principal")
    if who is None:
        return
    if isinstance(who, str):
        yield "AWS", who
        return
    for kind, names in who.items():
        yield from ((kind, name) for name in listed(names))


def condition_keys(statement: Mapping[str, Any]) -> set[str]:
    """The keys that a statement's conditions compare, in lower case, as IAM reads them."""
    conditions = statement.get("Condition") or {}
    return {key.lower() for tests in conditions.values() for key in tests}
