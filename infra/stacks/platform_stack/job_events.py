"""How the end of a job on a device becomes a row: the SQL of an IoT rule, and its role's rights.

IoT Jobs tells when an execution has ended, on `$aws/events/jobExecution/<job>/<status>` (source:
AWS IoT developer guide, "Jobs events"; switched on by `device_events.EVENTS`). Such an event comes
late, twice, or not at all; written is the same row each time, beside the download's record::

    thing                    sk                 written by
    <tenant>--download#<id>  job#07#<device>    this rule; `job#07r01` of a round of that job
"""

from __future__ import annotations

from typing import Final

from infra.stacks.platform_stack import status_rule

_TENANT: Final = "[a-z][a-z0-9]*(-[a-z0-9]+)*"
_DOWNLOAD: Final = "[0-9A-HJKMNP-TV-Z]{26}"
_JOB: Final = f"^{_TENANT}--{_DOWNLOAD}-[0-9]{{2}}(r[0-9]{{2}})?"
_UP_TO_DEVICE: Final = f"^arn:aws:iot:[a-z0-9-]+:[0-9]{{12}}:thing/{_TENANT}--"
_THING_ARN: Final = f"{_UP_TO_DEVICE}[A-Za-z0-9][A-Za-z0-9_-]{{0,63}}"
THING: Final = "regexp_replace(thingArn, '^[^/]*/', '')"
"""SQL: the name of the thing that an event is of."""
STATES: Final = "SUCCEEDED|FAILED|REJECTED|TIMED_OUT|CANCELED|REMOVED"
"""How an execution ends, as alternatives of a pattern."""


def _owner(text: str) -> str:
    """SQL: the tenant of a name, `acme--`."""
    return f"regexp_substr({text}, '^{_TENANT}--')"


# Every column by name, never `*`. The partition is computed from the job's id, which AWS writes
# into the topic; IAM lets a job of a tenant have that tenant's things alone, and what is of another
# all the same is dropped here. What is checked must be equal to what matches of it, since `$` of a
# pattern also stands before a final line break. A value of `statusDetails` has at most 1,024
# characters (source: IoT Jobs data plane API reference, JobExecutionState).
SQL: Final = " ".join(
    (
        f"SELECT regexp_replace(regexp_substr(topic(4), '^{_TENANT}--{_DOWNLOAD}'),",
        "'--', '--download#') AS thing,",
        f"'job#' + regexp_replace(topic(4), '^{_TENANT}--{_DOWNLOAD}-', '')",
        f"+ '#' + regexp_replace(thingArn, '{_UP_TO_DEVICE}', '') AS sk,",
        "status AS state, statusDetails.reason AS reason, timestamp() AS at,",
        f"floor(timestamp() / 1000) + {status_rule.KEEP_SECONDS} AS ttl",
        "FROM '$aws/events/jobExecution/+/+'",
        f"WHERE regexp_substr(topic(4), '{_JOB}') = topic(4)",
        f"AND regexp_substr(thingArn, '{_THING_ARN}') = thingArn",
        f"AND {_owner('topic(4)')}",
        f"= {_owner(THING)}",
        f"AND regexp_substr(status, '^({STATES})') = status",
    )
)
