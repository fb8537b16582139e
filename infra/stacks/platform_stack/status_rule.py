"""How a device's status becomes a row: the SQL of the IoT rule and the role that writes."""

from __future__ import annotations

from typing import Final

from cedarfleet_device.wire import MAX_DETAIL_BYTES, CommandState

from infra.stacks import iam

KEEP_SECONDS: Final = 90 * 24 * 3600
"""How long a state stays; as long as the service's records by default (``record_days``)."""

MAX_DETAIL_TEXT: Final = 4 * MAX_DETAIL_BYTES
"""Characters of ``detail`` in base64.

IoT Core writes the object anew before it encodes it: `é` may become ``\\u00e9``, three times its
bytes, and base64 adds a third. What the wire allows is never dropped.
"""

_MAX_INSTANT_TEXT: Final = 20  # characters of a time in milliseconds, with room for a decimal form
_STATES: Final = "|".join(CommandState)

# Every column by name, never `*`: a payload could otherwise write into another tenant's partition.
# The thing comes from the topic and must be the sender; command id, sequence and state are checked,
# since the sort key is built from what the device says. `detail` is base64, since the embedded
# cloud and AWS store an object differently. All that a device chooses is bounded: what is larger is
# dropped here, before it costs anyone a read. The row leaves by `ttl`.
STATUS_SQL: Final = " ".join(
    (
        "SELECT topic(2) AS thing, topic(4) + '#status#' + sequence AS sk, topic(4) AS command_id,",
        "sequence AS sequence, state AS state, encode(detail, 'base64') AS detail,",
        "at AS device_time, timestamp() AS received_at,",
        f"floor(timestamp() / 1000) + {KEEP_SECONDS} AS ttl",
        "FROM 'fleet/+/commands/+/status'",
        "WHERE clientid() = topic(2) AND regexp_matches(topic(4), '^[0-9A-HJKMNP-TV-Z]{26}$')",
        "AND regexp_matches(sequence, '^[0-9]{4}$')",
        f"AND regexp_matches(state, '^({_STATES})$')",
        # `$` also matches before a line end that closes the text (source: java.util.regex.Pattern).
        "AND length(topic(4)) = 26 AND length(sequence) = 4",
        "AND NOT regexp_matches(state, '[^a-z_]')",
        f"AND length(encode(detail, 'base64')) <= {MAX_DETAIL_TEXT}",
        f"AND length(at) <= {_MAX_INSTANT_TEXT}",
    )
)
SQL_VERSION: Final = "2016-03-23"


def trust(*, account_id: str) -> iam.Document:
    """IoT Core of this account, and no other account's, may assume the role."""
    return iam.trust("iot.amazonaws.com", account_id)


def permissions(*, commands_arn: str, errors_arn: str) -> iam.Document:
    """Write rows into the commands table, and what could not be written into the error queue."""
    return iam.document(
        iam.allow("States", "dynamodb:PutItem", commands_arn),
        iam.allow("Errors", "sqs:SendMessage", errors_arn),
    )
