"""Lets nobody change anything of a tenant, or of the devices of one group, until it is thawed.

A forbid in the tenant's policy store, as a suspension is, so it is decided where everything is:
commands, downloads, campaigns and what is asked again batch by batch later. Reading goes on, and
what takes work away, so that a machine can be stopped. It counts as soon as the store decides by it
(Verified Permissions user guide, "eventual consistency"); until it is thawed no copy of the
policies decides (ADR 0025).
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from infra import names
from infra.commands.suspension import SUSPENDED_DIGEST
from service.cedar.freezes import GOES_ON

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from infra.commands.suspension import Tenant

FROZEN_DIGEST: Final = "frozen"
_DESCRIBED: Final = "cedarfleet: frozen"
_ROW: Final = "freezing"


class FreezeError(Exception):
    """It cannot be frozen or thawed; says why."""


@dataclass(frozen=True, kw_only=True)
class Frozen:
    """One forbid that stands.

    Attributes:
        policy_id: the store's.
        group: whose devices; ``None``: everything of the tenant.
    """

    policy_id: str
    group: str | None


def statement(group: str | None) -> str:
    """The forbid: of the devices of a group and of those below it, or of everything."""
    where = f'resource in Fleet::DeviceGroup::"{group}"' if group else "resource"
    goes_on = ", ".join(f'Fleet::Action::"{action}"' for action in GOES_ON)
    return (
        f'@id("{name_of(group)}")\n'
        '@unless("it only reads, stops or takes back")\n'
        f"forbid (principal, action, {where})\n"
        f"unless {{ action in [{goes_on}] }};"
    )


def name_of(group: str | None) -> str:
    """What the forbid is called in refusals and in the audit."""
    return f"frozen-{group}" if group else "read-only"


def freeze(
    tenant: Tenant, *, group: str | None, by: str, reason: str, say: Callable[[str], None]
) -> None:
    """Forbid all changes; may be repeated.

    Args:
        tenant: whose.
        group: whose devices; ``None``: everything.
        by: who asked for it.
        reason: why, for whoever thaws it.
        say: told of each step, with the seconds since the beginning.

    Raises:
        botocore.exceptions.ClientError: AWS refused.
        FreezeError: the tenant is suspended, or has no such group.
    """
    begun = time.monotonic()
    if group is not None and group not in (known := known_groups(tenant)):
        raise FreezeError(f"`{tenant.id}` has no group `{group}`; there are {', '.join(known)}")
    digest = _digest(tenant)
    if digest == SUSPENDED_DIGEST:
        raise FreezeError(f"`{tenant.id}` is suspended: nothing can be changed there")
    if digest != FROZEN_DIGEST:
        _write(tenant, {"digest": digest, "by": by, "reason": reason})
        # Told before the store changes: from here on no copy of the policies decides.
        _tell(tenant, FROZEN_DIGEST)
    if not any(one.group == group for one in frozen(tenant)):
        tenant.aws.permissions.create_policy(
            policyStoreId=tenant.store_id,
            definition={
                "static": {"description": _described(group), "statement": statement(group)}
            },
        )
    for one in frozen(tenant):
        if one.group == group:
            _name(tenant, one)
    what = f"devices of `{group}`" if group else "anything"
    say(f"{time.monotonic() - begun:6.1f} s  nobody changes {what} of {tenant.id} any more")


def thaw(tenant: Tenant, *, group: str | None, say: Callable[[str], None]) -> None:
    """Take the forbid of a group away, or all of them; may be repeated.

    Raises:
        botocore.exceptions.ClientError: AWS refused.
        FreezeError: nothing of that is frozen, or the tenant is suspended.
    """
    begun = time.monotonic()
    if _digest(tenant) == SUSPENDED_DIGEST:
        raise FreezeError(f"`{tenant.id}` is suspended: resume it first")
    standing, record = list(frozen(tenant)), _read(tenant)
    ending = [one for one in standing if group is None or one.group == group]
    if not ending and (record is None or standing):
        raise FreezeError(f"nothing of that is frozen in `{tenant.id}`")
    for one in ending:
        tenant.aws.permissions.delete_policy(policyStoreId=tenant.store_id, policyId=one.policy_id)
        _name(tenant, one, forgets=True)
    if len(ending) == len(standing) and record is not None:
        # Last, so that no copy decides by policies of which one is still there; a stamping
        # meanwhile has told its own.
        if _digest(tenant) == FROZEN_DIGEST:
            _tell(tenant, record["digest"])
        tenant.aws.dynamodb.delete_item(TableName=tenant.aws.table, Key=tenant.key(_ROW))
    left = len(standing) - len(ending)
    say(f"{time.monotonic() - begun:6.1f} s  {len(ending)} thawed in {tenant.id}, {left} stay")


def frozen(tenant: Tenant) -> Iterator[Frozen]:
    """What is frozen of a tenant now."""
    pages = tenant.aws.permissions.get_paginator("list_policies")
    for page in pages.paginate(policyStoreId=tenant.store_id):
        for policy in page["policies"]:
            words = str(policy["definition"].get("static", {}).get("description", ""))
            if words == _DESCRIBED or words.startswith(f"{_DESCRIBED} "):
                group = words.removeprefix(_DESCRIBED).strip() or None
                yield Frozen(policy_id=policy["policyId"], group=group)


def known_groups(tenant: Tenant) -> list[str]:
    """Device groups of the tenant's file, and those that were made at run time."""
    pages = tenant.aws.dynamodb.get_paginator("query").paginate(
        TableName=names.DEVICES_TABLE,
        KeyConditionExpression="#partition = :own",
        ExpressionAttributeNames={"#partition": "partition"},
        ExpressionAttributeValues={":own": {"S": f"{names.thing_prefix(tenant.id)}groups"}},
    )
    made = {item["sk"]["S"] for page in pages for item in page["Items"]}
    return sorted(made | set(tenant.row.get("groups", {}).get("M", {})))


def _name(tenant: Tenant, one: Frozen, *, forgets: bool = False) -> None:
    """Tell the service what the policy is called, as a stack does of its own."""
    tenant.aws.dynamodb.update_item(
        TableName=tenant.aws.table,
        Key=tenant.key(),
        UpdateExpression="REMOVE #names.#id" if forgets else "SET #names.#id = :name",
        ExpressionAttributeNames={"#names": "policy_names", "#id": one.policy_id},
        **({} if forgets else {"ExpressionAttributeValues": {":name": {"S": name_of(one.group)}}}),
    )


def _described(group: str | None) -> str:
    return f"{_DESCRIBED} {group}" if group else _DESCRIBED


def _digest(tenant: Tenant) -> str:
    found = tenant.aws.dynamodb.get_item(
        TableName=tenant.aws.table, Key=tenant.key("policies"), ConsistentRead=True
    )
    return found["Item"]["digest"]["S"]


def _tell(tenant: Tenant, digest: str) -> None:
    tenant.aws.dynamodb.update_item(
        TableName=tenant.aws.table,
        Key=tenant.key("policies"),
        UpdateExpression="SET #digest = :digest",
        ConditionExpression="attribute_exists(issuer)",
        ExpressionAttributeNames={"#digest": "digest"},
        ExpressionAttributeValues={":digest": {"S": digest}},
    )


def _write(tenant: Tenant, record: dict[str, Any]) -> None:
    said = {**record, "at": datetime.now(UTC).isoformat(timespec="seconds")}
    tenant.aws.dynamodb.put_item(
        TableName=tenant.aws.table,
        Item={**tenant.key(_ROW), "record": {"S": json.dumps(said)}},
    )


def _read(tenant: Tenant) -> dict[str, Any] | None:
    item = tenant.aws.dynamodb.get_item(
        TableName=tenant.aws.table, Key=tenant.key(_ROW), ConsistentRead=True
    ).get("Item")
    return None if item is None else json.loads(item["record"]["S"])
