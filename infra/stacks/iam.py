"""Makes IAM and IoT policy documents: statements that allow or deny, and who may assume a role."""

from __future__ import annotations

from typing import Any, TypeAlias

Statement: TypeAlias = dict[str, Any]
Document: TypeAlias = dict[str, Any]


def document(*statements: Statement) -> Document:
    """A policy document of the language's current version."""
    return {"Version": "2012-10-17", "Statement": list(statements)}


def allow(
    sid: str | None,
    actions: str | list[str],
    resources: str | list[str],
    *,
    when: dict[str, Any] | None = None,
) -> Statement:
    """A statement that allows actions on resources.

    Args:
        sid: its name, letters and digits; none in an IoT policy, where every character counts.
        actions: each spelled out, e.g. `s3:GetObject`.
        resources: ARNs.
        when: condition operator -> key -> value or values.
    """
    named = {} if sid is None else {"Sid": sid}
    statement = {**named, "Effect": "Allow", "Action": actions, "Resource": resources}
    return statement if when is None else statement | {"Condition": when}


def deny_everybody(
    sid: str, actions: str | list[str], resources: str | list[str], *, when: dict[str, Any]
) -> Statement:
    """A statement of a resource's own policy that refuses whoever comes so."""
    return {
        "Sid": sid,
        "Effect": "Deny",
        "Principal": "*",
        "Action": actions,
        "Resource": resources,
        "Condition": when,
    }


def allow_service(
    sid: str, service: str, actions: str | list[str], resources: str | list[str], *, when: Any
) -> Statement:
    """A statement of a resource's own policy that lets a service of AWS in.

    Args:
        sid: its name.
        service: e.g. `iot.amazonaws.com`.
        actions: each spelled out.
        resources: ARNs.
        when: for whom the service has to come, without which it would come for anybody.
    """
    statement = allow(sid, actions, resources, when=when)
    return {**statement, "Principal": {"Service": service}}


def trust(service: str, account: str, source_arn: str | None = None) -> Document:
    """An AWS service may assume the role, on behalf of one account.

    Without the condition another account could have the service use the role for it (source: IAM
    user guide, "The confused deputy problem").

    Args:
        service: e.g. `iot.amazonaws.com`.
        account: twelve digits.
        source_arn: the only resource for which it may, or the only ones, with `*`.
    """
    condition: dict[str, Any] = {"StringEquals": {"aws:SourceAccount": account}}
    if source_arn is not None:
        condition["ArnLike" if "*" in source_arn else "ArnEquals"] = {"aws:SourceArn": source_arn}
    return document(_assumed_by({"Service": service}) | {"Condition": condition})


def trust_told(service: str, external_id: str) -> Statement:
    """A service that tells an id of ours as it assumes a role, the account, may assume it."""
    condition = {"StringEquals": {"sts:ExternalId": external_id}}
    return _assumed_by({"Service": service}) | {"Condition": condition}


def trust_roles(*role_arns: str) -> Document:
    """These other roles, and nobody else, may assume the role."""
    return document(_assumed_by({"AWS": list(role_arns)}))


def _assumed_by(principal: dict[str, Any]) -> Statement:
    return {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
