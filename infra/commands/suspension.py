"""Turns a tenant off in seconds, and on again as it was: people, machines, policies, devices.

What was is written down first, in a row of the registry beside the tenant's own. So a suspension
that was cut off is repeated, and a resumption restores what stood, not what the files say.

AWS makes it slow in places, and says where: a decision by the store lags behind a new policy by
seconds (Verified Permissions user guide, "eventual consistency"), the service reads a tenant's row
each half minute (`tenant_cache_seconds`), a new version of a device's policy takes "between 6 and 8
minutes" (IoT developer guide, "AWS IoT Core policies"), and who is disconnected "can immediately
attempt to reconnect" ("DeleteConnection"). So connections are ended again and again, with what
waits for the device there, until there has been none for long enough.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from infra import names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from infra.commands.revocation import Watch

QUIET_SECONDS: Final = 480.0  # the longest that a policy of a device lingers, see above
SUSPENDED_DIGEST: Final = "suspended"
FORBID_ALL: Final = '@id("suspended")\nforbid (principal, action, resource);'
_FORBIDS: Final = "cedarfleet: the tenant is suspended"
_DENY_ALL: Final = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Deny", "Action": "iot:*", "Resource": "*"}],
    },
    separators=(",", ":"),
)
# Without any flow Cognito takes its defaults, by which people sign in (source: Cognito API,
# CreateUserPoolClient, ExplicitAuthFlows): tokens that are refreshed the service refuses.
_NO_SIGN_IN: Final[dict[str, Any]] = {
    "ExplicitAuthFlows": ["ALLOW_REFRESH_TOKEN_AUTH"],
    "AllowedOAuthFlowsUserPoolClient": False,
    "AllowedOAuthFlows": [],
    "AllowedOAuthScopes": [],
    "SupportedIdentityProviders": [],
}
_ACTIVE, _OFF = "ACTIVE", "SUSPENDED"
# Of 100 calls of DeleteConnection a second that the account has, half (AWS IoT Core quotas).
_BETWEEN_CALLS: Final = 0.02


class SuspensionError(Exception):
    """The tenant cannot be suspended or resumed; says why."""


@dataclass(frozen=True, kw_only=True)
class Aws:
    """Clients of one account and region, and the registry's table.

    Attributes:
        data: of the account's own data plane of IoT.
        table: name of the table of tenants.
    """

    dynamodb: Any
    permissions: Any
    cognito: Any
    iot: Any
    data: Any
    table: str


@dataclass(frozen=True, kw_only=True)
class Tenant:
    """A tenant's row of the registry, in DynamoDB's form."""

    aws: Aws
    id: str
    row: dict[str, Any]

    @classmethod
    def find(cls, aws: Aws, tenant: str) -> Tenant:
        """The tenant of that id.

        Raises:
            SuspensionError: the registry has none.
        """
        found = aws.dynamodb.query(
            TableName=aws.table,
            IndexName=names.TENANTS_BY_TENANT_INDEX,
            KeyConditionExpression="tenant = :tenant",
            ExpressionAttributeValues={":tenant": {"S": tenant}},
        )["Items"]
        if not found:
            raise SuspensionError(f"table `{aws.table}` has no tenant `{tenant}`")
        return cls(aws=aws, id=tenant, row=found[0])

    @property
    def issuer(self) -> str:
        """Key of the row."""
        return self.row["issuer"]["S"]

    @property
    def pool_id(self) -> str:
        """The tenant's user pool."""
        return self.issuer.rsplit("/", 1)[1]

    @property
    def store_id(self) -> str:
        """The tenant's policy store."""
        return self.row["policy_store_id"]["S"]

    def key(self, kind: str = "") -> dict[str, Any]:
        """Of the tenant's own row, or of one beside it."""
        return {"issuer": {"S": f"{kind} of {self.issuer}" if kind else self.issuer}}

    def things(self) -> Iterator[str]:
        """Names of all things of the tenant."""
        pages = self.aws.iot.get_paginator("list_things_in_thing_group")
        for page in pages.paginate(thingGroupName=names.thing_group(self.id)):
            yield from page["things"]


def suspend(
    tenant: Tenant,
    *,
    by: str,
    reason: str,
    watch: Watch,
    say: Callable[[str], None],
    tell: Callable[[str], None] | None = None,
) -> bool:
    """Turn the tenant off; may be repeated.

    Args:
        tenant: whom.
        by: who asked for it.
        reason: why, for whoever resumes it.
        watch: when its devices are known to stay away.
        say: told of each step, with the seconds since the beginning.
        tell: called with the time at which the suspension began, the same in a repetition, once all
            is off and before the minutes in which devices are kept away.

    Returns:
        Whether its devices stay away. All else holds in any case.

    Raises:
        botocore.exceptions.ClientError: AWS refused; what was said until then is done.
        SuspensionError: its devices' policy has no room for one more version.
    """
    begun = watch.now()

    def told(words: str) -> None:
        say(f"{watch.now() - begun:6.1f} s  {words}")

    record = _recorded(tenant, by=by, reason=reason)
    # Told before the store changes, as a stack does: from here on no copy decides (ADR 0025).
    _set(tenant, "policies", "digest", SUSPENDED_DIGEST)
    if _forbids(tenant) is None:
        tenant.aws.permissions.create_policy(
            policyStoreId=tenant.store_id,
            definition={"static": {"description": _FORBIDS, "statement": FORBID_ALL}},
        )
    told("the policy store forbids everything: changes and reads, as soon as it decides by that")
    _set(tenant, "", "status", _OFF)
    told("the registry turns all tokens away: within half a minute (`tenant_cache_seconds`)")
    for client in record["clients"]:
        tenant.aws.cognito.update_user_pool_client(**{**client, **_NO_SIGN_IN})
    told(f"nobody signs in any more: {len(record['clients'])} app clients are shut")
    _deny(tenant)
    told("no device may connect, publish or subscribe: within 6 to 8 minutes, so AWS says")
    told(f"{_cancel_jobs(tenant)} jobs are canceled: what waits does not begin when it is resumed")
    if tell is not None:
        tell(record["at"])
    return _disconnect_all(tenant, watch=watch, told=told)


def resume(
    tenant: Tenant,
    *,
    say: Callable[[str], None],
    tell: Callable[[str], None] | None = None,
) -> None:
    """Restore what was before the suspension; may be repeated until it is done.

    Args:
        tenant: whom.
        say: told of each step, with the seconds since the beginning.
        tell: called with the time at which the suspension began, once all is on; if it raises, a
            repetition calls it again.

    Raises:
        botocore.exceptions.ClientError: AWS refused; what was said until then is done.
        SuspensionError: the tenant is not suspended by ``suspend``.
    """
    begun = time.monotonic()

    def told(words: str) -> None:
        say(f"{time.monotonic() - begun:6.1f} s  {words}")

    record = _record(tenant)
    if record is None:
        raise SuspensionError(
            f"`{tenant.id}` was not suspended by this command; a line `suspended: true` in its "
            "file is taken out by hand, with `up`"
        )
    _allow(tenant, record["device_policy_version"])
    told("its devices may connect again: within 6 to 8 minutes, so AWS says")
    for client in record["clients"]:
        tenant.aws.cognito.update_user_pool_client(**client)
    told(
        f"people and machines sign in again: {len(record['clients'])} app clients are as they were"
    )
    _set(tenant, "", "status", _ACTIVE)
    told("the registry lets tokens in: within half a minute")
    if (policy := _forbids(tenant)) is not None:
        tenant.aws.permissions.delete_policy(policyStoreId=tenant.store_id, policyId=policy)
    # A stamping meanwhile has told its own.
    _set(tenant, "policies", "digest", record["digest"], instead_of=SUSPENDED_DIGEST)
    told("the policy store decides as before, as soon as it does so")
    if tell is not None:
        tell(record["at"])
    tenant.aws.dynamodb.delete_item(TableName=tenant.aws.table, Key=tenant.key("suspension"))


def _recorded(tenant: Tenant, *, by: str, reason: str) -> dict[str, Any]:
    """What was before the first attempt; written before anything is changed."""
    if (known := _record(tenant)) is not None:
        return known
    digest = tenant.aws.dynamodb.get_item(
        TableName=tenant.aws.table, Key=tenant.key("policies"), ConsistentRead=True
    )["Item"]["digest"]["S"]
    record = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "by": by,
        "reason": reason,
        "digest": digest,
        "clients": list(_clients(tenant)),
        "device_policy_version": _default_version(tenant),
    }
    tenant.aws.dynamodb.put_item(
        TableName=tenant.aws.table,
        Item={**tenant.key("suspension"), "record": {"S": json.dumps(record)}},
        ConditionExpression="attribute_not_exists(issuer)",
    )
    return record


def _record(tenant: Tenant) -> dict[str, Any] | None:
    item = tenant.aws.dynamodb.get_item(
        TableName=tenant.aws.table, Key=tenant.key("suspension"), ConsistentRead=True
    ).get("Item")
    return None if item is None else json.loads(item["record"]["S"])


def _set(
    tenant: Tenant, kind: str, column: str, value: str, *, instead_of: str | None = None
) -> None:
    """Change one column of a row that is there; with ``instead_of`` only if it holds that."""
    condition, values = "attribute_exists(issuer)", {":value": {"S": value}}
    if instead_of is not None:
        condition, values = "#column = :old", {**values, ":old": {"S": instead_of}}
    try:
        tenant.aws.dynamodb.update_item(
            TableName=tenant.aws.table,
            Key=tenant.key(kind),
            UpdateExpression="SET #column = :value",
            ConditionExpression=condition,
            ExpressionAttributeNames={"#column": column},
            ExpressionAttributeValues=values,
        )
    except tenant.aws.dynamodb.exceptions.ConditionalCheckFailedException:
        if instead_of is None:
            raise


def _forbids(tenant: Tenant) -> str | None:
    """The id of the policy that forbids all, if it stands."""
    pages = tenant.aws.permissions.get_paginator("list_policies")
    for page in pages.paginate(policyStoreId=tenant.store_id):
        for policy in page["policies"]:
            if policy["definition"].get("static", {}).get("description") == _FORBIDS:
                return policy["policyId"]
    return None


def _clients(tenant: Tenant) -> Iterator[dict[str, Any]]:
    """The settings of each app client, as they are set; no secret is among them."""
    update = tenant.aws.cognito.meta.service_model.operation_model("UpdateUserPoolClient")
    settable = frozenset(update.input_shape.members)
    pages = tenant.aws.cognito.get_paginator("list_user_pool_clients")
    for page in pages.paginate(UserPoolId=tenant.pool_id):
        for listed in page["UserPoolClients"]:
            held = tenant.aws.cognito.describe_user_pool_client(
                UserPoolId=tenant.pool_id, ClientId=listed["ClientId"]
            )["UserPoolClient"]
            yield {key: value for key, value in held.items() if key in settable and value != ""}


def _default_version(tenant: Tenant) -> str:
    return tenant.aws.iot.get_policy(policyName=names.device_policy(tenant.id))["defaultVersionId"]


def _deny(tenant: Tenant) -> None:
    policy = names.device_policy(tenant.id)
    if tenant.aws.iot.get_policy(policyName=policy)["policyDocument"] == _DENY_ALL:
        return
    try:
        tenant.aws.iot.create_policy_version(
            policyName=policy, policyDocument=_DENY_ALL, setAsDefault=True
        )
    except tenant.aws.iot.exceptions.VersionsLimitExceededException as error:
        # Five at most (AWS IoT Core quotas); which of them nobody needs, only the operator knows.
        raise SuspensionError(
            f"IoT policy `{policy}` has five versions: delete one that is not the default "
            "(`aws iot delete-policy-version`), and suspend again"
        ) from error


def _allow(tenant: Tenant, version: str) -> None:
    policy = names.device_policy(tenant.id)
    held = tenant.aws.iot.get_policy(policyName=policy)
    if held["policyDocument"] != _DENY_ALL:
        return
    tenant.aws.iot.set_default_policy_version(policyName=policy, policyVersionId=version)
    tenant.aws.iot.delete_policy_version(
        policyName=policy, policyVersionId=held["defaultVersionId"]
    )


def _cancel_jobs(tenant: Tenant) -> int:
    """Cancel the tenant's jobs that are under way; how many.

    With `force` those too at which a device is; it cannot report on them any more (source: AWS IoT
    API reference, CancelJob). What is stored of a download says `canceled` once IoT Core tells.
    """
    iot, count = tenant.aws.iot, 0
    pages = iot.get_paginator("list_jobs").paginate(status="IN_PROGRESS")
    for job in [job for page in pages for job in page["jobs"]]:
        if job["jobId"].startswith(names.thing_prefix(tenant.id)):
            iot.cancel_job(jobId=job["jobId"], force=True, comment="the tenant is suspended")
            count += 1
    return count


def _disconnect_all(tenant: Tenant, *, watch: Watch, told: Callable[[str], None]) -> bool:
    things = list(tenant.things())
    begun = last = watch.now()
    ended, came_back = 0, set[str]()
    while (now := watch.now()) - last < watch.quiet_seconds:
        if now - begun > watch.most_seconds:
            told(f"{', '.join(sorted(came_back)[:5])} come back still: repeat the command")
            return False
        for thing in things:
            try:
                tenant.aws.data.delete_connection(
                    # What waits there is not to reach the device on the day it is resumed.
                    clientId=thing,
                    cleanSession=True,
                    preventWillMessage=False,
                )
            except tenant.aws.data.exceptions.ResourceNotFoundException:
                continue
            finally:
                watch.pause(_BETWEEN_CALLS)
            ended, last = ended + 1, watch.now()
            came_back.add(thing)
        watch.pause(1.0)
    told(
        f"its {len(things)} devices stay away: {ended} connections of {len(came_back)} ended, "
        f"the last {last - begun:.1f} s after the first, none in {watch.quiet_seconds:.0f} s since"
    )
    return True
