"""Each function is named after a correction and tells whether its hole is open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

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
