"""IAM: what the emulator's policy check does not look at, and what sessions see because of it."""

# ruff: noqa: SLF001 - the emulator is untyped, and private names are all that it has

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from infra.local.cloud.limits import requests

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from infra.local.cloud.emulator import Emulator

_IOT: Final = "services.iot"
_ACTIONS: Final = "core.iam_actions"
_EQUALITY = re.compile(r"([#\w.]+)\s*=\s*(:\w+)")
_UNKNOWN: Final = "\0unknown"  # fail closed: equals no key that a policy could name
_PAGE: Final = 25


def leading_keys_are_known(emulator: Emulator) -> None:
    """Set ``dynamodb:LeadingKeys``: without, ForAllValues lets a tenant read every partition."""
    dynamodb = emulator.module("services.dynamodb")

    def correction(original: Any) -> Any:
        def context(body: bytes) -> dict[str, Any]:
            known: dict[str, Any] = original(body)
            try:
                keys = list(_leading_keys(dynamodb._tables, json.loads(body or b"{}")))
            except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
                keys = [_UNKNOWN]
            return known | {"dynamodb:LeadingKeys": keys} if keys else known

        return context

    emulator.replace(_ACTIONS, "dynamodb_service_context", correction)


def loopback_counts_as_tls(emulator: Emulator) -> None:
    """Let a bucket be used that refuses what comes without TLS: here all comes over loopback."""

    def correction(original: Any) -> Any:
        def resolve(key: str, context: Any) -> Any:
            return "true" if key.lower() == "aws:securetransport" else original(key, context)

        return resolve

    emulator.replace("core.iam_evaluator", "_resolve_condition_key", correction)


def _leading_keys(tables: Any, request: dict[str, Any]) -> Iterator[str]:
    """Every partition key value that a request names; none without one (Scan, PartiQL)."""
    attribute = _hash_key(tables, request.get("TableName"), request.get("IndexName"))
    for part in ("Key", "Item"):
        if isinstance(request.get(part), dict):
            yield _text(request[part].get(attribute or ""))
    if expression := request.get("KeyConditionExpression"):
        names, values = (
            request.get("ExpressionAttributeNames") or {},
            request.get("ExpressionAttributeValues") or {},
        )
        named = [
            values.get(value)
            for name, value in _EQUALITY.findall(expression)
            if names.get(name, name) == attribute
        ]
        yield _text(named[0]) if len(named) == 1 else _UNKNOWN
    for table, wanted in (request.get("RequestItems") or {}).items():
        attribute = _hash_key(tables, table, None)
        for key in _batched(wanted):
            yield _text(key.get(attribute or ""))
    for entry in request.get("TransactItems") or ():
        for operation in entry.values():
            key = operation.get("Key") or operation.get("Item") or {}
            yield _text(key.get(_hash_key(tables, operation.get("TableName"), None)))


def _batched(wanted: Any) -> Iterator[dict[str, Any]]:
    """The keys or items of one table in a BatchGetItem or BatchWriteItem."""
    if isinstance(wanted, dict):
        yield from wanted.get("Keys") or ({},)
        return
    for write in wanted:
        yield (
            (write.get("PutRequest") or {}).get("Item")
            or (write.get("DeleteRequest") or {}).get("Key")
            or {}
        )


def _hash_key(tables: Any, table: str | None, index: str | None) -> str | None:
    description = tables.get(str(table).rsplit("/", 1)[-1]) or {}
    schema = description.get("KeySchema") or []
    if index:
        indexes = (description.get("GlobalSecondaryIndexes") or []) + (
            description.get("LocalSecondaryIndexes") or []
        )
        schema = next((found["KeySchema"] for found in indexes if found["IndexName"] == index), [])
    return next((key["AttributeName"] for key in schema if key["KeyType"] == "HASH"), None)


def _text(value: Any) -> str:
    """The text of an attribute value such as ``{"S": "acme--press-07"}``."""
    return (
        str(next(iter(value.values()))) if isinstance(value, dict) and len(value) == 1 else _UNKNOWN
    )


def job_targets_are_authorized(emulator: Emulator) -> None:
    """Check each target of CreateJob and PassRole of its presigning role, not only its name."""
    iot, evaluator = emulator.module(_IOT), emulator.module("core.iam_evaluator")

    def correction(original: Any) -> Any:
        async def create(job_id: str, payload: dict[str, Any]) -> Any:
            key = evaluator._verified_key.get()
            checks = [("iot:CreateJob", target) for target in payload.get("targets") or ()]
            if role := (payload.get("presignedUrlConfig") or {}).get("roleArn"):
                checks.append(("iam:PassRole", role))
            passed = {"iam:PassedToService": "iot.amazonaws.com"}
            for action, resource in checks:
                if key and (
                    denied := evaluator.enforce(
                        key,
                        action,
                        "iot",
                        iot.get_region(),
                        resource_arn=resource,
                        service_context=passed,
                    )
                ):
                    caller = getattr(denied, "principal_arn", "the caller")
                    words = (
                        f"User: {caller} is not authorized to perform: {action} "
                        f"on resource: {resource}"
                    )
                    return iot.error_response_json("AccessDeniedException", words, 403)
            return await original(job_id, payload)

        return create

    emulator.replace(_IOT, "_create_job", correction)


def search_names_its_index(emulator: Emulator) -> None:
    """Check SearchIndex on the index, which is all that AWS needs; on ``*`` a grant is refused."""

    def correction(original: Any) -> Any:
        def extract(
            service: str, method: str, path: str, headers: Any, body: bytes, *rest: Any
        ) -> Any:
            if service != "iot" or path.rstrip("/") != "/indices/search":
                return original(service, method, path, headers, body, *rest)
            try:
                index = json.loads(body or b"{}").get("indexName") or "AWS_Things"
            except (ValueError, AttributeError):
                index = "AWS_Things"
            _query, region, account = rest
            return f"arn:aws:iot:{region}:{account}:index/{index}"

        return extract

    emulator.replace(_ACTIONS, "extract_resource_arn", correction)


def policy_is_attached_to_its_target(emulator: Emulator) -> None:
    """Check AttachPolicy on the certificate; on ``*`` a grant of certificates is refused."""

    def correction(original: Any) -> Any:
        def extract(
            service: str, method: str, path: str, headers: Any, body: bytes, *rest: Any
        ) -> Any:
            if service != "iot" or not path.startswith("/target-policies/"):
                return original(service, method, path, headers, body, *rest)
            try:
                return str(json.loads(body)["target"])
            except (ValueError, KeyError, TypeError):
                return "*"

        return extract

    emulator.replace(_ACTIONS, "extract_resource_arn", correction)


# Operation -> the parameter that names what it is about, and the ARN of such a name behind service,
# region and account. Source: AWS service authorization reference, "Resource types" of each action.
_NAMED: Final[dict[str, tuple[str, str]]] = {
    "CreateDomainConfiguration": ("domainConfigurationName", "iot:{at}:domainconfiguration/{name}"),
    "DeleteAlarms": ("AlarmNames", "cloudwatch:{at}:alarm:{name}"),
    "DeleteDashboards": ("DashboardNames", "cloudwatch::{account}:dashboard/{name}"),
    "DeleteDomainConfiguration": ("domainConfigurationName", "iot:{at}:domainconfiguration/{name}"),
    "DescribeAlarms": ("AlarmNames", "cloudwatch:{at}:alarm:{name}"),
    "DescribeClusters": ("clusters", "ecs:{at}:cluster/{name}"),
    "DescribeDomainConfiguration": (
        "domainConfigurationName",
        "iot:{at}:domainconfiguration/{name}",
    ),
    "DescribeRepositories": ("repositoryNames", "ecr:{at}:repository/{name}"),
    "GetDashboard": ("DashboardName", "cloudwatch::{account}:dashboard/{name}"),
    "PutDashboard": ("DashboardName", "cloudwatch::{account}:dashboard/{name}"),
    "UpdateDomainConfiguration": ("domainConfigurationName", "iot:{at}:domainconfiguration/{name}"),
    **{
        operation: (name, "{name}")
        for operation, name in (("TagResource", "resourcearn"), ("UntagResource", "resourcearn"))
    },
}


def what_is_stamped_is_named(emulator: Emulator) -> None:
    """Check tags, dashboards and the like on what the call names; else a grant of it is refused."""

    def correction(original: Any) -> Any:
        def extract(*request: Any) -> Any:
            found = original(*request)
            return _named(*request) or found if found == "*" else found

        return extract

    emulator.replace(_ACTIONS, "extract_resource_arn", correction)


def _named(  # noqa: PLR0917 - the parts of a request, as the emulator hands them on
    service: str,
    method: str,
    path: str,
    headers: Mapping[str, str],
    body: bytes,
    query: Mapping[str, Any],
    region: str,
    account: str,
) -> str | None:
    """The ARN of the one thing that a call names; None: it names none, or several."""
    operation = headers.get("x-amz-target", "").rpartition(".")[2]
    parameters: dict[str, Any] = {}
    try:
        if operation:
            parameters = json.loads(body or b"{}")
        elif (request := requests.read(service, method, path, headers, body, query)) is not None:
            operation, parameters = request.operation, request.parameters
        if operation not in _NAMED:
            return None
        parameter, form = _NAMED[operation]
        told = {name.lower(): value for name, value in parameters.items()}
    except (requests.UnreadableRequestError, ValueError, AttributeError):
        return None
    found = told.get(parameter.lower())
    names = found if isinstance(found, list) else [found]
    if len(names) != 1 or not isinstance(names[0], str):
        return None
    if names[0].startswith("arn:"):
        return names[0]
    return "arn:aws:" + form.format(at=f"{region}:{account}", account=account, name=names[0])


def batches_need_the_right_of_one(emulator: Emulator) -> None:
    """Ask for ``sqs:SendMessage`` where ten are sent; IAM has no action of the batch's name.

    Source: SQS developer guide, "Amazon SQS API permissions: Actions and resource reference".
    """

    def correction(original: Any) -> Any:
        def extract(*request: Any) -> Any:
            action = original(*request)
            return action.removesuffix("Batch") if str(action).startswith("sqs:") else action

        return extract

    emulator.replace(_ACTIONS, "extract_iam_action", correction)


def rights_are_noted(emulator: Emulator) -> None:
    """Keep which role asked for which action, and what IAM said."""
    evaluator, responses = (
        emulator.module("core.iam_evaluator"),
        emulator.module("core.responses"),
    )

    def correction(original: Any) -> Any:
        def enforce(access_key_id: str, iam_action: str, *rest: Any, **named: Any) -> Any:
            denied = original(access_key_id, iam_action, *rest, **named)
            if isinstance(denied, evaluator.AuthError):
                return denied
            caller = getattr(denied, "principal_arn", "")
            if not caller and access_key_id:
                found = evaluator.resolve_credential(access_key_id, responses.get_account_id())
                caller = getattr(found, "principal_arn", "")
            emulator.rights.note(caller, iam_action, allowed=denied is None)
            return denied

        return enforce

    emulator.replace("core.iam_evaluator", "enforce", correction)


def job_list_is_filtered_and_paged(emulator: Emulator) -> None:
    """Heed group, page size and token in ListJobs; else all who may list see all tenants' jobs."""
    iot = emulator.module(_IOT)

    def correction(original: Any) -> Any:
        def list_jobs(query: dict[str, Any]) -> Any:
            jobs = json.loads(original(query)[2])["jobs"]
            group = _one(query, "thingGroupName")
            if wanted := _one(query, "thingGroupId"):
                groups = iot._thing_groups.items()
                group = next(
                    (name for name, found in groups if found.get("thingGroupId") == wanted),
                    _UNKNOWN,
                )
            if group:
                suffix = f":thinggroup/{group}"
                jobs = [
                    job
                    for job in jobs
                    if any(arn.endswith(suffix) for arn in iot._jobs[job["jobId"]]["targets"])
                ]
            try:
                size, offset = (
                    int(_one(query, "maxResults") or _PAGE),
                    int(_one(query, "nextToken") or 0),
                )
            except ValueError:
                return iot.error_response_json(
                    "InvalidRequestException", "maxResults or nextToken is not valid", 400
                )
            page: dict[str, Any] = {"jobs": jobs[offset : offset + size]}
            if offset + size < len(jobs):
                page["nextToken"] = str(offset + size)
            return iot.json_response(page)

        return list_jobs

    emulator.replace(_IOT, "_list_jobs", correction)


def _one(query: dict[str, Any], name: str) -> str | None:
    value: Any = query.get(name)
    return str(value[0] if isinstance(value, list) else value) if value else None
