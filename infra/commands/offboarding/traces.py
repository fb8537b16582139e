"""Searches every store of an account for what is left of a tenant.

Each search reads its list to the end, says how much it looked at, and fails as a whole where AWS
refuses: a store that could not be searched is no proof. What nobody can search is in `UNSEARCHED`.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from infra.commands import shared_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from infra.commands.account import Account, Belongings

UNSEARCHED: Final = {
    "messages of the work queue and its dead letters": (
        "hold ids only, are handled as of an unknown tenant, and end after 14 days at most"
    ),
    "log lines of the service": "name the tenant until their log group's retention ends them",
    "versions of the stack's state": "stand in the state bucket as long as its rules say",
    "CloudTrail and metrics": "are the account's own records, kept as it says",
}
_TAG: Final = "tenant"


@dataclass(frozen=True, kw_only=True)
class Searched:
    """What one search came to.

    Attributes:
        store: what was searched.
        looked_at: how many entries it has.
        found: what of them is the tenant's.
    """

    store: str
    looked_at: int
    found: tuple[str, ...]


@dataclass(frozen=True)
class _Listed:
    """One call that lists names.

    Attributes:
        service: of AWS.
        operation: of its API, in snake case.
        key: of the answer.
        name: what of an entry is compared; empty: the entry itself.
        asked: parameters.
    """

    service: str
    operation: str
    key: str
    name: tuple[str, ...] = ()
    asked: Mapping[str, Any] | None = None

    def entries(self, account: Account) -> Iterator[tuple[str, ...]]:
        """All that can be compared of each entry."""
        for entry in account.pages(self.service, self.operation, self.key, **(self.asked or {})):
            yield tuple(str(entry.get(name, "")) for name in self.name) if self.name else (entry,)


_LISTS: Final[Mapping[str, _Listed]] = {
    "IoT things": _Listed("iot", "list_things", "things", ("thingName",)),
    "IoT thing groups": _Listed("iot", "list_thing_groups", "thingGroups", ("groupName",)),
    "IoT policies": _Listed("iot", "list_policies", "policies", ("policyName",)),
    "IoT certificates": _Listed("iot", "list_certificates", "certificates", ("certificateId",)),
    "IoT jobs": _Listed("iot", "list_jobs", "jobs", ("jobId",)),
    "IoT rules": _Listed("iot", "list_topic_rules", "rules", ("ruleName",)),
    "IoT provisioning templates": _Listed(
        "iot", "list_provisioning_templates", "templates", ("templateName",)
    ),
    "user pools": _Listed(
        "cognito-idp", "list_user_pools", "UserPools", ("Id", "Name"), {"MaxResults": 60}
    ),
    "policy stores": _Listed(
        "verifiedpermissions",
        "list_policy_stores",
        "policyStores",
        ("policyStoreId", "description"),
    ),
    "buckets": _Listed("s3", "list_buckets", "Buckets", ("Name",)),
    "roles": _Listed("iam", "list_roles", "Roles", ("RoleName",)),
    "IAM policies": _Listed(
        "iam", "list_policies", "Policies", ("PolicyName",), {"Scope": "Local"}
    ),
    "Firehose streams": _Listed("firehose", "list_delivery_streams", "DeliveryStreamNames"),
    "schedules": _Listed("scheduler", "list_schedules", "Schedules", ("Name",)),
    "EventBridge rules": _Listed("events", "list_rules", "Rules", ("Name",)),
    "alarms": _Listed("cloudwatch", "describe_alarms", "MetricAlarms", ("AlarmName",)),
    "log groups": _Listed("logs", "describe_log_groups", "logGroups", ("logGroupName",)),
    "tables": _Listed("dynamodb", "list_tables", "TableNames"),
}


def search(
    account: Account, belongings: Belongings, *, things: tuple[str, ...] = ()
) -> Iterator[Searched]:
    """Search all stores, one after another.

    Args:
        account: whose.
        belongings: what is the tenant's.
        things: names of its devices, whose shadows are asked for.

    Raises:
        botocore.exceptions.ClientError: AWS refused; nothing is known of that store.
    """
    for store, listed in _LISTS.items():
        yield _searched(store, listed.entries(account), belongings.has)
    yield _searched("queues", _queues(account), belongings.has)
    yield _searched("KMS aliases", _aliases(account), belongings.has)
    yield _searched("retained MQTT messages", _retained(account), belongings.has)
    yield _searched("resources by their tag", _tagged(account, belongings.tenant), lambda _: True)
    yield _shadows(account, things)
    for table in shared_rows.tables(account):
        yield _table(account, table, belongings)


def _searched(
    store: str, entries: Iterator[tuple[str, ...]], belongs: Callable[[str], bool]
) -> Searched:
    looked_at, found = 0, list[str]()
    for entry in entries:
        looked_at += 1
        if any(map(belongs, entry)):
            found.append(" ".join(filter(None, entry)))
    return Searched(store=store, looked_at=looked_at, found=tuple(found))


def _queues(account: Account) -> Iterator[tuple[str, ...]]:
    for url in account.pages("sqs", "list_queues", "QueueUrls"):
        yield (url.rsplit("/", 1)[1],)


def _aliases(account: Account) -> Iterator[tuple[str, ...]]:
    for alias in account.pages("kms", "list_aliases", "Aliases"):
        yield (alias["AliasName"].removeprefix("alias/"),)


def _retained(account: Account) -> Iterator[tuple[str, ...]]:
    for message in account.pages("iot-data", "list_retained_messages", "retainedTopics"):
        yield tuple(message["topic"].split("/"))


def _tagged(account: Account, tenant: str) -> Iterator[tuple[str, ...]]:
    """Whatever else the stack's provider has marked (`infra/stacks/provider.py`)."""
    wanted = [{"Key": _TAG, "Values": [tenant]}]
    key = "ResourceTagMappingList"
    for found in account.pages("resourcegroupstaggingapi", "get_resources", key, TagFilters=wanted):
        yield (found["ResourceARN"],)


def _shadows(account: Account, things: tuple[str, ...]) -> Searched:
    """Of a thing that is gone its shadows could be left: the list of things does not show them."""
    found = list[str]()
    for thing in things:
        found += [f"{thing} {name}".strip() for name in shadows_of(account, thing)]
    return Searched(store="shadows of its things", looked_at=len(things), found=tuple(found))


def shadows_of(account: Account, thing: str) -> Iterator[str]:
    """Names of a thing's shadows; of the one without a name the empty text."""
    data = account.client("iot-data")
    asked = ("iot-data", "list_named_shadows_for_thing", "results")
    with suppress(data.exceptions.ResourceNotFoundException):  # the thing is gone
        yield from account.pages(*asked, thingName=thing)
    try:
        data.get_thing_shadow(thingName=thing)
    except data.exceptions.ResourceNotFoundException:
        return
    yield ""


def _table(account: Account, table: str, belongings: Belongings) -> Searched:
    looked_at, found = 0, list[str]()
    for key, row in shared_rows.keyed(account, table):
        looked_at += 1
        if shared_rows.is_of(belongings, key, row):
            found.append(" ".join(str(next(iter(value.values()))) for value in key.values()))
    return Searched(store=f"table {table}", looked_at=looked_at, found=tuple(found))
