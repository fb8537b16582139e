"""Each function is named after a correction and tells whether its hole is open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from probed_cloud import allow

if TYPE_CHECKING:
    from probed_cloud import ProbedCloud

_GOOD = {"Source": "probe", "DetailType": "asked", "Detail": "{}"}


def events_are_of_their_form(probed: ProbedCloud) -> bool:
    """An entry without type, or with a detail that is no object, is taken; or one of 256 KB."""
    events = probed.cloud.client("events")
    entries: list[dict[str, Any]] = [
        {"Source": "probe", "Detail": "{}"},
        _GOOD,
        {**_GOOD, "Detail": '"a text"'},
        {**_GOOD, "Detail": "{"},
    ]
    answer = events.put_events(Entries=entries)
    codes = [entry.get("ErrorCode") for entry in answer["Entries"]]
    expected = ["InvalidArgument", None, "MalformedDetail", "MalformedDetail"]
    if codes != expected or answer["FailedEntryCount"] != 3:
        return True
    assert answer["Entries"][1]["EventId"]
    large = {**_GOOD, "Detail": f'{{"a": "{"x" * 262_144}"}}'}
    for refused in ([{"Source": "probe"}], [large]):
        try:
            events.put_events(Entries=refused)
        except ClientError:
            continue
        return True
    return False


def conditions_know_the_events(probed: ProbedCloud) -> bool:
    """A session that may tell one kind of event tells none, or another, alone or beside its own."""
    meant = {"events:source": ["probe"], "events:detail-type": ["asked"]}
    condition = {
        "ForAllValues:StringEquals": meant,
        "Null": dict.fromkeys(meant, "false"),
    }
    session = probed.session_client("events", allow("events:PutEvents", "*", **condition))

    def is_let_in(*entries: dict[str, Any]) -> bool:
        try:
            session.put_events(Entries=[*entries])
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") != "AccessDeniedException":
                raise
            return False
        return True

    others = ({**_GOOD, "Source": "other"}, {**_GOOD, "DetailType": "told"})
    return not is_let_in(_GOOD) or any(
        is_let_in(*entries) for other in others for entries in ((other,), (_GOOD, other))
    )
