"""How events of IoT Core become rows of a device, or work: the SQL of IoT rules and their role.

An event tells that a thing was made or deleted (source: AWS IoT developer guide, "Registry
events"; switched on by `EVENTS`) or that a client came or went ("Lifecycle events"; always
on). Both come late, twice and out of order, so no event writes the facts that policies decide by:
each has a row of its own, and what is written twice is the same row::

    partition            sk                          written by
    <tenant>--devices    <device>#facts              the service, and nobody else
    <tenant>--devices    <device>#born#<thing id>    created
    <tenant>--devices    <device>#gone#<thing id>    deleted
    <tenant>--devices    <device>#connected          connected
    <tenant>--devices    <device>#disconnected       disconnected
    <tenant>--devices    <device>#versions           what the device said last of its versions
"""

from __future__ import annotations

from typing import Final

from cedarfleet_device import wire

from infra.stacks import iam

# Every kind that AWS knows: the provider reads all of them back, so one that is left out would show
# as a difference at each `up`. The platform owns this setting of the account.
EVENTS: Final = {
    kind: kind in {"THING", "JOB_EXECUTION"}
    for kind in (
        "CA_CERTIFICATE",
        "CERTIFICATE",
        "JOB",
        "JOB_EXECUTION",
        "POLICY",
        "THING",
        "THING_GROUP",
        "THING_GROUP_HIERARCHY",
        "THING_GROUP_MEMBERSHIP",
        "THING_TYPE",
        "THING_TYPE_ASSOCIATION",
    )
}

# A tenant's id holds no `--`, so the first one ends it (`wire.split_thing_name`).
_TENANT: Final = "^[a-z][a-z0-9]*(-[a-z0-9]+)*--"
_NAME: Final = f"{_TENANT}[A-Za-z0-9][A-Za-z0-9_-]{{0,63}}"
_THING_ID: Final = "^[A-Za-z0-9-]{1,128}"
_REASON: Final = "^[A-Z_]{1,64}"
_MAX_NUMBER_TEXT: Final = 20  # characters of a time in milliseconds or of a version


def _sql(topic: str, *, name: int, kind: str, columns: dict[str, str], checks: list[str]) -> str:
    """A rule's SQL.

    Every column by name, never `*`. The partition is computed from the name of the thing or client,
    which AWS writes into the topic and which must be a device's: a claim (`claim:acme:1`) and any
    other name write nothing. What is checked must be equal to what matches of it, since `$` of a
    pattern also stands before a final line break.

    Args:
        topic: the filter.
        name: the topic's level, from 1, that names thing or client.
        kind: of the row: the rest of its sort key, as SQL.
        columns: name of a further column -> SQL.
        checks: further conditions.
    """
    level = f"topic({name})"
    selected = {
        "partition": f"regexp_substr({level}, '{_TENANT}') + 'devices'",
        "sk": f"regexp_replace({level}, '{_TENANT}', '') + {kind}",
        "at": "timestamp",
        **columns,
    }
    conditions = [
        f"regexp_substr({level}, '{_NAME}') = {level}",
        f"length(timestamp) <= {_MAX_NUMBER_TEXT}",
        *checks,
    ]
    columns_of_row = ", ".join(f"{sql} AS {column}" for column, sql in selected.items())
    return f"SELECT {columns_of_row} FROM '{topic}' WHERE {' AND '.join(conditions)}"  # noqa: S608 - of an IoT rule, made of the constants above


def _of_thing(operation: str, kind: str) -> str:
    return _sql(
        f"$aws/events/thing/+/{operation}",
        name=4,
        kind=f"'#{kind}#' + thingId",
        columns={"thing_id": "thingId"},
        checks=[f"regexp_substr(thingId, '{_THING_ID}') = thingId"],
    )


def _of_client(operation: str, columns: dict[str, str], checks: list[str]) -> str:
    return _sql(
        f"$aws/events/presence/{operation}/+",
        name=5,
        kind=f"'#{operation}'",
        columns={"version_number": "versionNumber", **columns},
        checks=[f"length(versionNumber) <= {_MAX_NUMBER_TEXT}", *checks],
    )


RULES: Final = {
    "created": _of_thing("created", "born"),
    "deleted": _of_thing("deleted", "gone"),
    "connected": _of_client("connected", {}, []),
    "disconnected": _of_client(
        "disconnected",
        {"reason": "disconnectReason"},
        [f"regexp_substr(disconnectReason, '{_REASON}') = disconnectReason"],
    ),
}
"""What happens to a device -> SQL of the rule that writes it down."""

# What a device says of itself, so everything is checked and bounded; `packages` is base64, since
# the embedded cloud and AWS store an object differently. One that comes late, behind a later one,
# counts until the device connects again and says it anew.
VERSIONS: Final = " ".join(
    (
        f"SELECT regexp_substr(topic(2), '{_TENANT}') + 'devices' AS partition,",
        f"regexp_replace(topic(2), '{_TENANT}', '') + '#versions' AS sk,",
        "timestamp() AS at, agent AS agent, encode(packages, 'base64') AS packages",
        f"FROM '{wire.versions_topic('+')}'",
        f"WHERE clientid() = topic(2) AND regexp_substr(topic(2), '{_NAME}') = topic(2)",
        f"AND wire = {wire.WIRE_VERSION}",
        "AND regexp_substr(agent, '^[0-9A-Za-z][0-9A-Za-z._+-]{0,63}') = agent",
        # Base64 adds a third, and IoT Core may write a character as six (`status_rule`).
        f"AND length(encode(packages, 'base64')) <= {4 * wire.MAX_VERSIONS_BYTES}",
    )
)
"""Of what a device says of its versions; who sends it is who it is about."""


_BEFORE, _AFTER = wire.command_filter("#").split("#")
_SUBSCRIBED: Final = (
    "SELECT 1 AS version, 'redeliver-commands' AS kind,",
    f"regexp_replace(regexp_substr(topic(5), '{_TENANT}'), '--$', '') AS tenant,",
    "topic(5) AS thing FROM '$aws/events/subscriptions/subscribed/+'",
    f"WHERE regexp_substr(topic(5), '{_NAME}') = topic(5)",
    f"AND get(topics, 0) = '{_BEFORE}' + topic(5) + '{_AFTER}'",
)
SUBSCRIBED: Final = " ".join(_SUBSCRIBED)
"""Of a device that subscribes to its commands, for which the broker has kept nothing: work for the
worker (`service/domain/work.py`), without its tenant's issuer, which no rule knows."""


def permissions(*, devices_arn: str, errors_arn: str, work_arn: str) -> iam.Document:
    """Write rows into the devices table, send work, and to the error queue what could not be."""
    return iam.document(
        iam.allow("Events", "dynamodb:PutItem", devices_arn),
        iam.allow("Work", "sqs:SendMessage", work_arn),
        iam.allow("Errors", "sqs:SendMessage", errors_arn),
    )
