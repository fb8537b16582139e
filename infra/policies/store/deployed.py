"""Reads back what a policy store holds, on AWS or on the embedded cloud."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from infra import names
from service.cedar.granted import fingerprint, is_granted
from service.cedar.policy_set import Link, PolicySet
from service.cedar.statement import statement_est
from service.cedar.values import EntityUid

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_verifiedpermissions import VerifiedPermissionsClient

_BATCH: Final = 100  # BatchGetPolicy takes so many
_PAGE: Final = 50  # ListPolicies gives so many


class NotDeployedError(Exception):
    """There is no such tenant, or its store cannot be read; the message says what and where."""


@dataclass(frozen=True, kw_only=True)
class Store:
    """Where a tenant's policies are deployed.

    Attributes:
        policy_store_id: as the registry says it.
        pool_id: of the tenant's user pool.
        granted: fingerprints of the grants that the API gave (``granted``).
    """

    policy_store_id: str
    pool_id: str
    granted: frozenset[str] = frozenset()


def find(client: DynamoDBClient, tenant: str, *, table: str) -> Store:
    """The tenant's store and user pool from the tenant registry.

    Raises:
        NotDeployedError: the registry has no such tenant.
    """
    try:
        found = client.query(
            TableName=table,
            IndexName=names.TENANTS_BY_TENANT_INDEX,
            KeyConditionExpression="tenant = :tenant",
            ExpressionAttributeValues={":tenant": {"S": tenant}},
        )["Items"]
    except client.exceptions.ResourceNotFoundException as error:
        raise NotDeployedError(
            f"no table `{table}`: the platform is not stamped here, or it has another name"
        ) from error
    if not found:
        raise NotDeployedError(f"table `{table}` has no tenant `{tenant}`: it is not stamped yet")
    row: dict[str, Any] = dict(found[0])
    return Store(
        policy_store_id=row["policy_store_id"]["S"],
        pool_id=row["issuer"]["S"].rsplit("/", 1)[1],
        granted=granted(client, tenant),
    )


def granted(client: DynamoDBClient, tenant: str) -> frozenset[str]:
    """Fingerprints of the policies that the tenant's API says its store is to hold for grants."""
    key = {"thing": {"S": f"{tenant}--revocations"}, "sk": {"S": "#granted"}}
    try:
        found = client.get_item(TableName=names.COMMANDS_TABLE, Key=key, ConsistentRead=True)
    # Fail closed: what calls itself a grant then counts as somebody else's policy.
    except client.exceptions.ResourceNotFoundException:
        return frozenset()
    return frozenset(found.get("Item", {}).get("policies", {}).get("SS", ()))


def read(
    client: VerifiedPermissionsClient,
    policy_store_id: str,
    *,
    grants: Collection[str] | None = None,
) -> PolicySet:
    """What decides in the store, but for grants of the API, which no file says.

    Policies by their ``@id``, links by their store id.

    Args:
        client: of the account and region of the store.
        policy_store_id: as the registry says it.
        grants: fingerprints of the grants that there are; a policy that calls itself one, and is
            none of these, is somebody else's and stays. ``None``: whatever calls itself one.

    Raises:
        NotDeployedError: the store is not there, or it changed while it was read.
    """
    try:
        schema_json = client.get_schema(policyStoreId=policy_store_id)["schema"]
        ids = list(_policy_ids(client, policy_store_id))
        details = list(_details(client, policy_store_id, ids))
        templates = {
            found: client.get_policy_template(
                policyStoreId=policy_store_id, policyTemplateId=found
            )["statement"]
            for found in {
                d["templateLinked"]["policyTemplateId"] for _, d in details if "templateLinked" in d
            }
        }
    except client.exceptions.ResourceNotFoundException as error:
        raise NotDeployedError(f"policy store `{policy_store_id}`: {error}") from error
    static: dict[str, str] = {}
    links: list[Link] = []
    for policy_id, definition in details:
        if "static" in definition:
            statement = definition["static"]["statement"]
            if is_granted(statement) and (grants is None or fingerprint(statement) in grants):
                continue
            try:
                static[_name(statement, policy_id, static)] = statement
            # Fail closed: written by hand in a newer Cedar, and no comparison is true without it.
            except ValueError as error:
                raise NotDeployedError(
                    f"policy `{policy_id}` of store `{policy_store_id}`: {error}"
                ) from error
        else:
            links.append(_link(policy_id, definition["templateLinked"]))
    return PolicySet(schema=schema_json, static=static, templates=templates, links=tuple(links))


def _policy_ids(client: VerifiedPermissionsClient, policy_store_id: str) -> Iterator[str]:
    for page in client.get_paginator("list_policies").paginate(
        policyStoreId=policy_store_id, PaginationConfig={"PageSize": _PAGE}
    ):
        yield from (policy["policyId"] for policy in page["policies"])


def _details(
    client: VerifiedPermissionsClient, policy_store_id: str, ids: list[str]
) -> Iterator[tuple[str, dict[str, Any]]]:
    for start in range(0, len(ids), _BATCH):
        wanted = itertools.islice(ids, start, start + _BATCH)
        answer = client.batch_get_policy(
            requests=[{"policyStoreId": policy_store_id, "policyId": i} for i in wanted]
        )
        # Fail closed: half a policy set says nothing about decisions.
        if answer["errors"]:
            missing = ", ".join(error["policyId"] for error in answer["errors"])
            words = f"changed while it was read: {missing} cannot be read"
            raise NotDeployedError(f"policy store `{policy_store_id}` {words}")
        yield from (
            (result["policyId"], dict(result["definition"])) for result in answer["results"]
        )


def _name(statement: str, policy_id: str, taken: dict[str, str]) -> str:
    name = statement_est(statement).get("annotations", {}).get("id") or policy_id
    # While an update runs, a name may stand twice.
    return f"{name} ({policy_id})" if name in taken else name


def _link(policy_id: str, definition: dict[str, Any]) -> Link:
    def entity(member: str) -> EntityUid:
        return EntityUid(definition[member]["entityType"], definition[member]["entityId"])

    template = definition["policyTemplateId"]
    return Link(
        id=policy_id, template=template, principal=entity("principal"), resource=entity("resource")
    )
