"""EventBridge: what PutEvents takes and what it does not; the emulator takes anything.

And what IAM is told of a call: without source and type of its entries a condition on them holds
for every event, or for none.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from infra.local.cloud.limits import refusals

if TYPE_CHECKING:
    from infra.local.cloud.emulator import Emulator

_ACTIONS: Final = "core.iam_actions"
_EVENTS: Final = "services.eventbridge"
_REQUIRED: Final = ("Source", "DetailType", "Detail")
_MOST_BYTES: Final = 256 * 1024
_TIME_BYTES: Final = 14


def events_are_of_their_form(emulator: Emulator) -> None:
    """Take no entry without source, type and detail, or whose detail is no JSON object.

    Such an entry fails by itself, in an answer of 200; a call in which no entry has them all, or
    whose entries are 256 KB or more, fails as a whole (source: EventBridge API reference,
    PutEventsRequestEntry and PutEventsResultEntry; user guide, "Calculating PutEvents event entry
    size"). Which code and words a whole call fails with, is assumed.
    """
    events = emulator.module(_EVENTS)

    def correction(original: Any) -> Any:
        def put(data: dict[str, Any], allow_aws_source: bool = False) -> Any:
            entries: list[dict[str, Any]] = data.get("Entries", [])
            if not any(all(entry.get(key) for key in _REQUIRED) for entry in entries):
                words = f"no entry has all of {', '.join(_REQUIRED)}"
                return refusals.malformed("events", [words])
            if sum(map(_size, entries)) >= _MOST_BYTES:
                words = f"the entries' size is {_MOST_BYTES} bytes or more"
                return refusals.malformed("events", [words])
            failed = {
                place: fault
                for place, entry in enumerate(entries)
                if (fault := _fault(entry)) is not None
            }
            good = [entry for place, entry in enumerate(entries) if place not in failed]
            answer: dict[str, Any] = {"FailedEntryCount": 0, "Entries": []}
            if good:
                taken = original({**data, "Entries": good}, allow_aws_source)
                answer = json.loads(taken[2])
            results = iter(answer["Entries"])
            told = [
                failed[place] if place in failed else next(results) for place in range(len(entries))
            ]
            count = answer["FailedEntryCount"] + len(failed)
            return events.json_response({"FailedEntryCount": count, "Entries": told})

        return put

    emulator.replace(_EVENTS, "_put_events", correction)


def conditions_know_the_events(emulator: Emulator) -> None:
    """Set ``events:source`` and ``events:detail-type`` to those of all entries of a call.

    Source: EventBridge user guide, "Using IAM policy conditions".
    """

    def correction(original: Any) -> Any:
        def context(service: str, iam_action: str, body: bytes, *more: Any) -> dict[str, Any]:
            known: dict[str, Any] = original(service, iam_action, body, *more)
            if iam_action != "events:PutEvents":
                return known
            try:
                entries = json.loads(body)["Entries"]
                sources = [str(entry.get("Source")) for entry in entries]
                types = [str(entry.get("DetailType")) for entry in entries]
            except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
                return known  # fail closed: a condition that wants the keys finds none
            return known | {"events:source": sources, "events:detail-type": types}

        return context

    emulator.replace(_ACTIONS, "request_tag_context", correction)


def _fault(entry: dict[str, Any]) -> dict[str, str] | None:
    for key in _REQUIRED:
        if not entry.get(key):
            return {
                "ErrorCode": "InvalidArgument",
                "ErrorMessage": f"Parameter {key} is not valid: it is required.",
            }
    try:
        is_object = isinstance(json.loads(entry["Detail"]), dict)
    except ValueError:
        is_object = False
    if not is_object:
        return {"ErrorCode": "MalformedDetail", "ErrorMessage": "Detail is malformed."}
    return None


def _size(entry: dict[str, Any]) -> int:
    texts = [str(entry.get(key, "")) for key in _REQUIRED] + list(entry.get("Resources", []))
    return sum(len(text.encode()) for text in texts) + _TIME_BYTES * ("Time" in entry)
