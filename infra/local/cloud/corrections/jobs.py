"""IoT Jobs: what the emulator makes of a job's document."""

# ruff: noqa: SLF001 - the emulator is untyped, and private names are all that it has

from __future__ import annotations

import json
import re
import unicodedata
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable

    from infra.local.cloud.emulator import Emulator

_IOT: Final = "services.iot"
_VERSIONED: Final = re.compile(
    r"(?P<object>\$\{aws:iot:s3-presigned-url-v2:[^}]*?)%3FversionId%3D(?P<version>[^}]+)\}"
)
_SIGNATURE: Final = "X-Amz-Signature"
# By the verb of a request topic, of a thing and of one of its jobs (source: AWS IoT developer
# guide, "Jobs device MQTT API").
_OF_A_THING: Final = {
    "get": "GetPendingJobExecutions",
    "start-next": "StartNextPendingJobExecution",
}
_DETAIL_KEY: Final = re.compile(r"[a-zA-Z0-9:_-]+")
_MOST_KEY: Final = 128
_MOST_VALUE: Final = 1024
_WAITING: Final = frozenset({"QUEUED", "IN_PROGRESS"})
_OF_A_JOB: Final = {"get": "DescribeJobExecution", "update": "UpdateJobExecution"}


def executions_are_limited(emulator: Emulator) -> None:
    """Throttle what devices ask of Jobs by MQTT, at the rates that HTTP shares.

    Source of the answer: AWS IoT developer guide, "Jobs API error codes": RequestThrottled.
    """
    iot, limits = emulator.module(_IOT), emulator.limits

    def correction(original: Any) -> Any:
        async def handle(  # noqa: PLR0917 - as the emulator has it
            account: str, region: str, thing: str, verb: str, job: str | None, payload: bytes
        ) -> None:
            operation = _OF_A_THING[verb] if job is None else _OF_A_JOB[verb]
            rate = limits.too_fast("iot-jobs-data", operation, {})
            if rate is None:
                await original(account, region, thing, verb, job, payload)
                return
            asked = verb if job is None else f"{job}/{verb}"
            words = f"Rate exceeded ({rate.id})"
            document = iot._jobs_rejected("RequestThrottled", words, _client_token(payload))
            topic = f"$aws/things/{thing}/jobs/{asked}/rejected"
            answer = iot._jobs_mqtt_json(document).encode()
            await iot.broker_publish(account, region, topic, answer, qos=1)

        return handle

    emulator.replace(_IOT, "_handle_jobs_publish", correction)


def _client_token(payload: bytes) -> str | None:
    """What an asker knows its answer by."""
    try:
        return json.loads(payload or b"{}").get("clientToken")
    except (ValueError, RecursionError, AttributeError):
        return None


def details_are_of_their_form(emulator: Emulator) -> None:
    r"""Refuse what a device tells of a job in characters that AWS refuses; all were taken.

    Source: AWS IoT API reference, "JobExecutionState": key pattern, value pattern ``[^\p{C}]+``,
    "The maximum length of the value in the name/value pair is 1,024 characters".
    """
    iot = emulator.module(_IOT)

    def correction(original: Any) -> Any:
        def error(details: dict[str, str] | None) -> Any:
            found = original(details)
            if found is None and not all(map(_is_detail, details or {}, (details or {}).values())):
                words = "statusDetails has a key or a value that is not of its pattern or length"
                return iot.error_response_json("InvalidRequestException", words, 400)
            return found

        return error

    emulator.replace(_IOT, "_jobs_status_details_error", correction)


def _is_detail(key: str, value: str) -> bool:
    is_short = len(key) <= _MOST_KEY and len(value) <= _MOST_VALUE
    seen = all(unicodedata.category(each)[0] != "C" for each in value)
    return is_short and seen and _DETAIL_KEY.fullmatch(key) is not None


def waiting_jobs_are_found_by_name(emulator: Emulator) -> None:
    """Look for a device's waiting jobs under its name; the emulator looks at those of all devices.

    It does so some six times for each job of each device: with 10,000 devices in a download the
    laptop's cloud answered nothing for five seconds whenever a job of 100 was made.
    """
    iot = emulator.module(_IOT)

    def correction(_original: Any) -> Any:
        def pending(thing_name: str) -> list[dict[str, Any]]:
            iot._jobs_materialize_all()
            jobs, executions = iot._jobs.keys(), iot._job_executions
            names = [key for job in jobs if (key := (thing_name, job)) in executions]
            for name in names:
                iot._jobs_apply_timeout(executions[name])
            # Anew: one whose time is over may have been queued once more.
            found = [dict(executions[name]) for name in names]
            waiting = [one for one in found if one["status"] in _WAITING]
            return sorted(waiting, key=lambda one: one["queuedAt"])

        return pending

    emulator.replace(_IOT, "jobs_pending_for_thing", correction)


def signed_url_names_the_version(emulator: Emulator) -> None:
    """Sign `%3FversionId%3D...` of a placeholder as the object's version; it was part of the key.

    Source: AWS IoT developer guide, "Managing jobs": presigned URL using Amazon S3 versioning.
    """

    def correction(original: Callable[[dict[str, Any]], str]) -> Callable[[dict[str, Any]], str]:
        def signed(job: dict[str, Any], found: re.Match[str]) -> str:
            placeholder = f"{found['object']}}}"
            url = original({**job, "document": placeholder})
            return (
                found[0] if url == placeholder else _sign(emulator, url, unquote(found["version"]))
            )

        def document(job: dict[str, Any]) -> str:
            text = _VERSIONED.sub(lambda found: signed(job, found), job.get("document") or "{}")
            return original({**job, "document": text})

        return document

    emulator.replace(_IOT, "_jobs_presigned_document", correction)


def _sign(emulator: Emulator, url: str, version: str) -> str:
    """The presigned URL with a version, signed anew by the same session."""
    signing = emulator.module("core.sigv4")
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    del query[_SIGNATURE]
    query["versionId"] = version
    access_key, day, region, service, _ = query["X-Amz-Credential"].split("/")
    session = emulator.module("services.sts")._sessions[access_key]
    request = signing.build_canonical_request(
        "GET", unquote(parts.path), {"host": parts.netloc}, query, "host"
    )
    text = signing.build_string_to_sign(query["X-Amz-Date"], day, region, service, request)
    signature = signing.calculate_signature(session["SecretAccessKey"], day, region, service, text)
    canonical = signing.build_canonical_query_string(query)
    return f"{parts.scheme}://{parts.netloc}{parts.path}?{canonical}&{_SIGNATURE}={signature}"
