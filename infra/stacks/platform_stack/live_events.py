"""What devices and IoT Core tell of themselves, as work for the worker: the SQL of IoT rules.

Beside the rules that write rows, which nothing here changes: what a rule sends reaches the queue at
least once, and the worker writes it into the tenant's log of events (`service/domain/work.py`,
`service/operations/event_telling.py`), without its tenant's issuer, which no rule knows.
"""

from __future__ import annotations

from typing import Final

from cedarfleet_device.wire import CommandState

from infra.stacks.platform_stack import job_events

_TENANT: Final = "^[a-z][a-z0-9]*(-[a-z0-9]+)*--"
_NAME: Final = f"{_TENANT}[A-Za-z0-9][A-Za-z0-9_-]{{0,63}}"
_ID: Final = "^[0-9A-HJKMNP-TV-Z]{26}"
_SEQUENCE: Final = "^[0-9]{4}"
_REASON: Final = "^[A-Z_]{1,64}"
_STATES: Final = f"^({'|'.join(CommandState)})"
_JOB: Final = f"{_TENANT}[0-9A-HJKMNP-TV-Z]{{26}}-[0-9]{{2}}(r[0-9]{{2}})?"
_MAX_NUMBER_TEXT: Final = 20  # characters of a time in milliseconds or of a version


def _whole(value: str, pattern: str) -> str:
    """SQL: a text is what matches of it; `$` of a pattern also stands before a last line break."""
    return f"regexp_substr({value}, '{pattern}') = {value}"


def _owner(name: str) -> str:
    """SQL: the tenant of a name, `acme--`."""
    return f"regexp_substr({name}, '{_TENANT}')"


def _sql(event: str, topic: str, *, thing: str, columns: dict[str, str], checks: list[str]) -> str:
    """A rule's SQL: every member of the message by name, each of a form, never `*`.

    Args:
        event: a word of `service.domain.events.EventType`.
        topic: the filter.
        thing: SQL of the thing's name, which AWS or the topic says, never a payload.
        columns: name of a further member -> SQL.
        checks: further conditions.
    """
    selected = {
        "version": "1",
        "kind": "'tell-event'",
        "happened": f"'{event}'",
        "tenant": f"regexp_replace({_owner(thing)}, '--$', '')",
        "thing": thing,
        **columns,
    }
    members = ", ".join(f"{sql} AS {name}" for name, sql in selected.items())
    conditions = " AND ".join([_whole(thing, _NAME), *checks])
    return f"SELECT {members} FROM '{topic}' WHERE {conditions}"  # noqa: S608 - of an IoT rule, made of the constants above


def _of_client(event: str, operation: str, columns: dict[str, str], checks: list[str]) -> str:
    return _sql(
        event,
        f"$aws/events/presence/{operation}/+",
        thing="topic(5)",
        columns={"connection": "versionNumber", "at": "timestamp", **columns},
        checks=[
            f"length(versionNumber) <= {_MAX_NUMBER_TEXT}",
            f"length(timestamp) <= {_MAX_NUMBER_TEXT}",
            *checks,
        ],
    )


RULES: Final = {
    "command_state": _sql(
        "command.state",
        "fleet/+/commands/+/status",
        thing="topic(2)",
        columns={
            "command": "topic(4)",
            "sequence": "sequence",
            "state": "state",
            "at": "timestamp()",
        },
        # As the row is written: by the device itself, and of these forms alone.
        checks=[
            "clientid() = topic(2)",
            _whole("topic(4)", _ID),
            _whole("sequence", _SEQUENCE),
            _whole("state", _STATES),
        ],
    ),
    "delivery_state": _sql(
        "delivery.state",
        "$aws/events/jobExecution/+/+",
        thing=job_events.THING,
        columns={"job": "topic(4)", "state": "status", "at": "timestamp()"},
        checks=[
            _whole("topic(4)", _JOB),
            f"{_owner('topic(4)')} = {_owner(job_events.THING)}",
            _whole("status", f"^({job_events.STATES})"),
        ],
    ),
    "device_connected": _of_client("device.connected", "connected", {}, []),
    "device_disconnected": _of_client(
        "device.disconnected",
        "disconnected",
        {"reason": "disconnectReason"},
        [_whole("disconnectReason", _REASON)],
    ),
    "device_enrolled": _sql(
        "device.enrolled",
        "$aws/events/thing/+/created",
        thing="topic(4)",
        columns={"at": "timestamp"},
        checks=[f"length(timestamp) <= {_MAX_NUMBER_TEXT}"],
    ),
}
"""What happened -> SQL of the rule that tells the worker."""
