"""AWS calls of one request on each route, counted by the clients' own events.

The service is whole, over boto3's clients; each call ends at an answer of ours, so that nothing but
the number of calls is measured. ``docs/calls-per-route.md`` promises them.
"""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from litestar.testing import TestClient

from service.adapters.aws.command_types import command_type_item
from service.adapters.aws.enrolment_rows import enrolment_item
from service.adapters.aws.groups import group_item
from service.adapters.aws.machines import machine_item
from service.adapters.aws.revocations import DynamoRevocations
from service.adapters.aws.wanted_versions import wish_item
from service.adapters.aws.webhooks import delivery_item, webhook_item
from service.adapters.memory.budgets import MemoryBuckets
from service.adapters.memory.policies import MemoryPolicyStores
from service.adapters.memory.signing_keys import MemorySigningKeys
from service.adapters.memory.tenants import MemoryTenantRegistry
from service.adapters.memory.user_pool import MemoryUserPool
from service.api.app import create_app
from service.domain.enrolments import Enrolment, code_digest, new_code
from service.domain.rates import microseconds
from service.domain.revocations import RunTimeWord
from service.domain.rollouts import PlannedRollout, Reach, Shape
from service.domain.work import WorkKind
from service.operations.commands import DIRECT_MESSAGES
from service.operations.operations import Operations
from service.settings import HttpSettings, PolicySettings, RecordSettings, TokenSettings
from tests.benchmarks.rows import Row
from tests.service.adapters.aws.answered_line import AnsweredDoor, Refusal
from tests.service.adapters.aws.conftest import AWS
from tests.service.adapters.aws.every_call import (
    COMMAND_TYPE,
    DEVICE,
    GROUP,
    ID,
    MACHINE,
    SENT,
    WEBHOOK,
    WISH,
    answer,
    ports_of,
    stored,
)
from tests.service.plenty import Plenty
from tests.service.requests import signing_request
from tests.service.stamped_policies import lendable, stamped

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from service.domain.budgets import Bucket
    from service.domain.tenants import Tenant
    from tests.service.adapters.aws.answered_line import Call

PAGE: Final = Path(__file__).parents[2] / "docs" / "calls-per-route.md"
_ROW: Final = re.compile(r"\| `(?P<route>[^`]+)`(?P<of>[^|]*) \| (?P<calls>[^|]*) \|(?P<rest>.*)")
_TIMES: Final = re.compile(r"(\d+) x (.+)")
COMING: Final = "press-50"  # registered, not in yet
CODE: Final = new_code()
CONTROL_PLANE: Final = "iot"  # as boto3 names it; its quotas are an account's
# Members of a group: more than one batch of 30 decisions.
_MEMBERS: Final = 40
A_PLAN: Final = f"a plan for a group of {_MEMBERS}"
ROLLOUT: Final = PlannedRollout(
    shape=Shape(), waves=(1,), reach=Reach(targets=1), requester="kim", needs_approval=True
)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One request, and of which case of a route it is."""

    route: str
    path: str = ""
    of: str = ""
    body: Mapping[str, Any] | None = None
    devices: int = 1
    """Of a fleet in one line."""
    device: str = DEVICE.id
    media_type: str = "application/json"
    away: bool = False
    used_up: Bucket | None = None

    @property
    def name(self) -> str:
        """As the page names it."""
        return f"{self.route} {self.of}".strip()


class _Told(DynamoRevocations):
    """Revocations that were read a moment ago: a process asks for them every two seconds."""

    async def word(self, tenant: Tenant) -> RunTimeWord:  # noqa: ARG002 - nobody's
        return RunTimeWord()


REQUESTS: Final = (
    Asked(route="GET /v1/me"),
    Asked(
        route="POST /v1/permissions/check",
        body={"checks": [{"command": "reboot", "device": DEVICE.id}, {"action": "ListDevices"}]},
    ),
    Asked(route="POST /v1/permissions/explain", body={"command": "reboot", "device": DEVICE.id}),
    Asked(
        route="POST /v1/permissions/simulate",
        body={
            "question": {"command": "reboot", "device": DEVICE.id},
            "persona": {"groups": ["operators"]},
        },
    ),
    Asked(
        route="POST /v1/permissions/replay",
        body={"policies": {"without": ["operators-view-only"]}},
    ),
    Asked(route="POST /v1/permissions/who", body={"command": "reboot", "device": DEVICE.id}),
    Asked(route="GET /v1/devices"),
    Asked(route="GET /v1/devices", of="with filters", path="?group=line&tag=building:7"),
    Asked(route="POST /v1/devices", body={"id": COMING, "groups": ["line"]}),
    Asked(route="POST /v1/devices/{device}/enrolment-code", device=COMING),
    Asked(
        route="POST /v1/registrations",
        of="a row",
        body={"id": COMING, "groups": ["line"]},
        media_type="application/x-ndjson",
    ),
    Asked(
        route="POST /v1/enrolments",
        device=COMING,
        body={"tenant": "acme", "device": COMING, "code": CODE, "csr": signing_request()},
    ),
    Asked(route="GET /v1/devices/{device}"),
    Asked(route="GET /v1/devices/{device}/telemetry"),
    Asked(route="GET /v1/devices/{device}/logs"),
    Asked(route="GET /v1/devices/{device}/state"),
    Asked(route="PATCH /v1/devices/{device}/state", body={"desired": {"speed": {"value": 3}}}),
    Asked(route="PATCH /v1/devices/{device}", body={"criticality": "low"}),
    Asked(route="PUT /v1/devices/{device}/groups", body={"groups": ["line"]}),
    Asked(route="PATCH /v1/devices/{device}/tags", body={"tags": {"building": "7"}}),
    Asked(route="PUT /v1/devices/{device}/pins", body={"packages": [WISH.package]}),
    Asked(route="POST /v1/devices/{device}/commands", body={"name": "reboot"}),
    Asked(
        route="POST /v1/devices/{device}/commands",
        of="to one that is away",
        body={"name": "reboot"},
        away=True,
    ),
    Asked(
        route="POST /v1/devices/{device}/commands",
        of="beyond the account's direct messages",
        body={"name": "reboot"},
        used_up=DIRECT_MESSAGES,
    ),
    Asked(route="GET /v1/commands/{command_id}"),
    Asked(route="POST /v1/commands/{command_id}/cancel", body={}),
    Asked(route="GET /v1/commands", of="of one"),
    Asked(route="GET /v1/devices/{device}/commands"),
    Asked(
        route="POST /v1/campaigns",
        of=f"to a group of {_MEMBERS}",
        body={"name": "reboot", "group": "line"},
        devices=_MEMBERS,
    ),
    Asked(route="GET /v1/campaigns", of="of one"),
    Asked(route="GET /v1/campaigns/{campaign_id}"),
    Asked(route="GET /v1/campaigns/{campaign_id}/devices", of="of one"),
    Asked(route="POST /v1/campaigns/{campaign_id}/cancel", body={}),
    Asked(route="POST /v1/downloads", of="to a device", body={"device": DEVICE.id}),
    Asked(
        route="POST /v1/downloads",
        of=f"a file, to a group of {_MEMBERS}",
        body={"group": "line"},
        devices=_MEMBERS,
    ),
    Asked(
        route="POST /v1/downloads",
        of=f"firmware, to a group of {_MEMBERS}",
        body={"group": "line", "artifact": "firmware/press.bin"},
        devices=_MEMBERS,
    ),
    Asked(route="POST /v1/downloads", of="a file, to all", body={"group": "all"}),
    Asked(route="POST /v1/devices/{device}/retire"),
    Asked(route="GET /v1/command-types"),
    Asked(
        route="POST /v1/command-types",
        body={"name": "new-command", "action": "SetParameters"},
    ),
    Asked(route="GET /v1/command-types/{command_type}"),
    Asked(route="PUT /v1/command-types/{command_type}", body={"action": "SetParameters"}),
    Asked(route="DELETE /v1/command-types/{command_type}"),
    Asked(
        route="POST /v1/devices/{device}/commands",
        of="of a type made by the API",
        body={"name": COMMAND_TYPE.name},
    ),
    Asked(route="POST /v1/groups", body={"id": "cell-9"}),
    Asked(route="GET /v1/groups"),
    Asked(route="GET /v1/groups/{group}"),
    Asked(route="PATCH /v1/groups/{group}", body={"description": "x"}),
    Asked(route="DELETE /v1/groups/{group}"),
    Asked(route="GET /v1/groups/{group}/members"),
    Asked(route="POST /v1/groups/{group}/members", of="a device", body={"put_in": [DEVICE.id]}),
    Asked(route="PUT /v1/groups/{group}/freeze", body={"reason": "a recall"}),
    Asked(route="GET /v1/groups/{group}/freeze"),
    Asked(route="DELETE /v1/groups/{group}/freeze"),
    Asked(route="PUT /v1/groups/{group}/wanted-versions/{package}", body={"file": ID}),
    Asked(route="GET /v1/groups/{group}/wanted-versions"),
    Asked(route="GET /v1/groups/{group}/wanted-versions/{package}"),
    Asked(route="DELETE /v1/groups/{group}/wanted-versions/{package}"),
    Asked(route="GET /v1/versions"),
    Asked(route="GET /v1/versions/{package}"),
    Asked(route="GET /v1/downloads/{download_id}"),
    Asked(route="GET /v1/downloads", of="of one"),
    Asked(route="GET /v1/devices/{device}/downloads", of="of one"),
    Asked(route="POST /v1/downloads/{download_id}/cancel"),
    Asked(
        route="POST /v1/downloads/plan",
        of=f"for a group of {_MEMBERS}",
        body={"group": "line", "artifact": "recipes/steel.json"},
        devices=_MEMBERS,
    ),
    Asked(route="GET /v1/downloads/plans/{plan_id}"),
    Asked(route="POST /v1/downloads", of=A_PLAN, body={"plan": ID}, devices=_MEMBERS),
    Asked(route="POST /v1/downloads/{download_id}/approve"),
    Asked(route="POST /v1/downloads/{download_id}/pause"),
    Asked(route="POST /v1/downloads/{download_id}/resume"),
    Asked(
        route="POST /v1/files", body={"name": "recipes/steel.json", "size": 1, "sha256": "ab" * 32}
    ),
    Asked(
        route="POST /v1/files/{file_id}/parts",
        body={"parts": [{"number": 1, "sha256": "ab" * 32}]},
    ),
    Asked(route="POST /v1/files/{file_id}/complete"),
    Asked(route="GET /v1/files"),
    Asked(route="GET /v1/files/{file_id}"),
    Asked(route="DELETE /v1/files/{file_id}"),
    Asked(route="GET /v1/people"),
    Asked(route="POST /v1/people", body={"email": "ann@acme.test", "groups": ["operators"]}),
    Asked(route="GET /v1/people/{person}"),
    Asked(route="PUT /v1/people/{person}/groups", body={"groups": ["technicians"]}),
    Asked(route="POST /v1/people/{person}/disable"),
    Asked(route="POST /v1/people/{person}/enable"),
    Asked(route="POST /v1/people/{person}/sign-out"),
    Asked(route="DELETE /v1/people/{person}/pseudonym"),
    Asked(route="GET /v1/audit"),
    Asked(route="GET /v1/audit/chain"),
    Asked(route="GET /v1/audit/export"),
    Asked(route="GET /v1/usage"),
    Asked(route="GET /v1/events", path="?seconds=0"),
    Asked(route="GET /v1/webhooks"),
    Asked(
        route="POST /v1/webhooks",
        body={"url": "https://hooks.example.com/", "nouns": ["device"]},
    ),
    Asked(route="GET /v1/webhooks/{webhook}"),
    Asked(route="POST /v1/webhooks/{webhook}/rotate"),
    Asked(route="POST /v1/webhooks/{webhook}/disable"),
    Asked(route="POST /v1/webhooks/{webhook}/enable"),
    Asked(route="DELETE /v1/webhooks/{webhook}"),
    Asked(route="GET /v1/webhooks/{webhook}/deliveries"),
    Asked(route="POST /v1/webhooks/{webhook}/deliveries/{delivery_id}/redeliver"),
    Asked(route="GET /v1/machines"),
    Asked(route="POST /v1/machines", body={"id": "mes", "scopes": ["view"]}),
    Asked(route="GET /v1/machines/{machine}"),
    Asked(route="POST /v1/machines/{machine}/secrets", body={}),
    Asked(route="DELETE /v1/machines/{machine}/secrets/{secret_id}"),
    Asked(route="DELETE /v1/machines/{machine}"),
    Asked(
        route="POST /v1/grants",
        body={
            "template": "technician-for-line",
            "person": "ann",
            "device": DEVICE.id,
            "until": (datetime.now(UTC) + timedelta(hours=2)).isoformat(),
            "reason": "Lee is away",
        },
    ),
    Asked(route="GET /v1/grants"),
    Asked(route="GET /v1/grants/{grant}"),
    Asked(route="DELETE /v1/grants/{grant}"),
)


def rows(_: int) -> Iterator[Row]:
    """One for each request: as many calls as the page says, and of which service."""
    promised = promises(PAGE.read_text(encoding="utf-8"))
    for name, calls in measured().items():
        yield Row(
            name=f"calls per route, {name}",
            ours=len(calls),
            reference=len(promised.get(name, ())),
            unit="AWS calls",
            target="as docs/calls-per-route.md",
            met=promised.get(name) == calls,
            rounds=1,
            note=f"{sum(one.startswith('IoT ') for one in calls)} of IoT Core's control plane",
        )


def measured() -> dict[str, tuple[str, ...]]:
    """The calls of each request in order, once token, tenant, role and budget are known."""
    pool = MemoryUserPool("acme", groups={"line": ()}, templates=lendable())
    door = AnsweredDoor(AWS)
    stores = MemoryPolicyStores()
    stores.stamp(pool.tenant, stamped(pool.tenant))
    ports = replace(
        ports_of(door),
        policy_stores=stores,
        revocations=_Told(aws=door, settings=RecordSettings()),
        tenants=MemoryTenantRegistry(rows={pool.tenant.issuer: pool.tenant}),
        signing_keys=MemorySigningKeys(
            keys={(pool.tenant.issuer, pool.key_id): pool.key.public_key()}
        ),
    )
    headers = {"Authorization": f"Bearer {pool.id_token('boss', ['managers'])}"}
    found: dict[str, tuple[str, ...]] = {}
    plan: dict[str, Any] = {}
    for used_up, of_it in groupby(REQUESTS, key=lambda asked: asked.used_up):
        buckets = MemoryBuckets()
        if used_up:
            at = microseconds(time.time() + 5)  # so that no token comes meanwhile
            buckets.rows[used_up.key] = at + used_up.rate.span
        operations = Operations(
            replace(ports, buckets=buckets), TokenSettings(), policies=PolicySettings(sample=0)
        )
        operations.machines = replace(
            operations.machines, budgets=Plenty(buckets, operations.machines.clock)
        )
        with TestClient(create_app(operations, HttpSettings(body_max_bytes=4096))) as client:
            with client.portal() as portal:
                portal.call(operations.decisions.prepare, pool.tenant)
            for asked in of_it:
                found[asked.name] = _calls(asked, client, headers, door, (pool.tenant, plan))
    return found


def promises(page: str) -> dict[str, tuple[str, ...]]:
    """What the page says, by the name of the request."""
    found: dict[str, tuple[str, ...]] = {}
    for match in filter(None, map(_ROW.fullmatch, page.splitlines())):
        calls: list[str] = []
        for text in filter(None, match["calls"].strip().split(", ")):
            several = _TIMES.fullmatch(text)
            calls += [several[2]] * int(several[1]) if several else [text]
        found[f"{match['route']}{match['of']}".strip()] = tuple(
            one for one in calls if one != "none"
        )
    return found


def told(calls: Iterable[str]) -> str:
    """Calls as the page writes them."""
    runs = [(one, len(list(same))) for one, same in groupby(calls)]
    return ", ".join(f"{count} x {one}" if count > 1 else one for one, count in runs) or "none"


def _calls(
    asked: Asked,
    client: TestClient[Any],
    headers: Mapping[str, str],
    door: AnsweredDoor,
    known: tuple[Tenant, dict[str, Any]],
) -> tuple[str, ...]:
    acme, plan = known

    def answered_by(call: Call) -> dict[str, Any] | Refusal:
        if (of_webhooks := _of_webhooks(call, acme)) is not None:
            return of_webhooks
        of_plan = _of_plan(call, asked, plan)
        return _of_wish(call, acme, asked) if of_plan is None else of_plan

    door.answer = answered_by
    door.calls.clear()
    method, _, path = asked.route.partition(" ")
    path = path.replace("{device}", asked.device)
    path = path.replace("{machine}", MACHINE.id).replace("{secret_id}", MACHINE.secrets[0].id)
    path = path.replace("{command_type}", COMMAND_TYPE.name).replace("{package}", WISH.package)
    url = re.sub(r"\{[^}]+\}", ID, path) + asked.path
    body = asked.body
    if path == "/v1/downloads" and asked.of != A_PLAN:
        body = {"artifact": "recipes/steel.json", **(body or {})}
    content = None if body is None else json.dumps(body)
    kind = {"Content-Type": asked.media_type} if content else {}
    answered = client.request(method, url, headers={**headers, **kind}, content=content)
    if not answered.is_success:
        raise AssertionError(f"{asked.name}: {answered.status_code} {answered.text}")
    return tuple(
        f"IoT {call.operation}" if call.service == CONTROL_PLANE else call.operation
        for call in door.calls
        if not _is_of_many(call)
    )


def _is_of_many(call: Call) -> bool:
    """Whether the audit makes the call once for many requests, as the page says above its table."""
    if call.operation == "SendMessage":
        return WorkKind.CHAIN_AUDIT in call.arguments["MessageBody"]
    return call.operation in {"GetItem", "PutItem"} and "--people" in str(call.arguments)


def _of_webhooks(call: Call, acme: Tenant) -> dict[str, Any] | None:
    """One webhook with one delivery."""
    own = str(call.arguments.get("ExpressionAttributeValues", {}).get(":own"))
    if "--webhook-deliveries#" in own:
        return {"Items": [delivery_item(acme, ID, SENT)]}
    return {"Items": [webhook_item(WEBHOOK)]} if "--webhooks" in own else None


def _of_plan(call: Call, asked: Asked, plan: dict[str, Any]) -> dict[str, Any] | None:
    """What is answered of the plan that was made before, whose rows are kept in ``plan``."""
    for put in call.arguments.get("TransactItems", ()):
        item = put["Put"]["Item"]
        if "--plan#" in item["thing"]["S"]:
            plan[item["sk"]["S"]] = item
    key = str(call.arguments.get("Key"))
    if "--plan#" in key:
        return {"Item": plan[call.arguments["Key"]["sk"]["S"]]}
    # Nothing was started of it yet.
    return (
        {} if call.operation == "GetItem" and "--download#" in key and asked.of == A_PLAN else None
    )


def _of_wish(call: Call, acme: Tenant, asked: Asked) -> dict[str, Any] | Refusal:
    """What is answered of wanted versions: where one is set none stands, and its file is there."""
    thing = call.arguments.get("ExpressionAttributeValues", {}).get(":thing")
    if thing == {"S": "acme--versions"}:
        runs = stored({"thing": thing, "sk": {"S": f"{WISH.package}#{DEVICE.id}"}}, acme)
        return {"Items": [runs]}
    if thing == {"S": "acme--wanted"}:
        wished = [] if asked.route.startswith("PUT") else [replace(WISH, group=ID)]
        return {"Items": [wish_item(one) for one in wished]}
    found = _answer(call, acme, asked)
    if "/wanted" in asked.route and call.operation == "GetItem" and isinstance(found, dict):
        package = {"package_name": WISH.package, "package_version": WISH.version}
        there = {"state": "available", "version": "v1", **package}
        found.get("Item", {}).update({name: {"S": text} for name, text in there.items()})
    return found


def _answer(call: Call, acme: Tenant, asked: Asked) -> dict[str, Any] | Refusal:
    """As AWS says it when all is well, of a fleet of so many devices in one line."""
    if call.operation == "SendDirectMessage" and asked.away:
        return Refusal("ResourceNotFoundException", 404)
    allow = {"decision": "ALLOW", "determiningPolicies": [], "errors": []}
    if call.operation == "Query" and "devices" in call.arguments["TableName"]:
        return {"Items": _rows(call.arguments["ExpressionAttributeValues"], asked)}
    if ":list" in call.arguments.get("ExpressionAttributeValues", {}):
        return {"Items": [_listed()]}
    own: dict[str, dict[str, Any]] = {
        "BatchIsAuthorizedWithToken": {
            "results": [allow] * len(call.arguments.get("requests", ()))
        },
        "ListObjectsV2": {"IsTruncated": False},
        "HeadObject": {"ContentLength": 1, "ETag": '"e"', "Metadata": {"sha256": "ab" * 32}},
    }
    if call.operation in own:
        return own[call.operation]
    if call.operation == "GetItem" and (own_row := _row_of(call, asked)) is not None:
        return own_row
    found = answer(call, acme)
    if not isinstance(found, dict):
        raise AssertionError(f"no request makes {call.operation}")  # noqa: TRY004 - as said
    # A download names its device; the pointer of a command, in the same table, its thing.
    if "Item" in found and "download#" in str(call.arguments.get("Key")):
        found["Item"]["target"] = {"S": DEVICE.id}
        if asked.route.endswith(("/approve", "/pause", "/resume")):
            found["Item"]["rollout"] = {"S": ROLLOUT.encode()}
    row = found.get("Item") or found.get("Attributes") or {}
    if row.get("sk", {}).get("S") == f"{ID}#record":  # a command that has left, and may be running
        row |= {"state": {"S": "published"}, "expires_at": {"N": str(2**50)}}
    return found


def _row_of(call: Call, asked: Asked) -> dict[str, Any] | None:
    """A row that is not there yet, or not as one that was stored; ``None``: that one."""
    if "--machines" in str(call.arguments["Key"]):
        return _machine_of(asked)
    # It was never frozen.
    return {} if asked.route == "PUT /v1/groups/{group}/freeze" else None


def _machine_of(asked: Asked) -> dict[str, Any]:
    """The row of a machine: with one secret for who makes a second, none of one to be made."""
    if asked.route == "POST /v1/machines":
        return {}
    one = asked.route.endswith("/secrets")
    return {"Item": machine_item(replace(MACHINE, secrets=MACHINE.secrets[: 1 if one else 2]))}


def _listed() -> dict[str, Any]:
    """The row of a list, of a download or of a command."""
    texts = {"sk": ID, "target_kind": "device", "target": DEVICE.id, "artifact": "a"}
    texts |= {"device": DEVICE.id, "name": "reboot", "created_by": "somebody", "group": "line"}
    return {name: {"S": text} for name, text in texts.items()}


def _rows(values: Mapping[str, Any], asked: Asked) -> list[dict[str, Any]]:
    """The rows of the devices table that a query with these values finds."""
    if values.get(":name", {"S": ""})["S"] == "new-command":
        return []
    if values[":own"]["S"].endswith("--command-types"):
        return [command_type_item(replace(COMMAND_TYPE, version=1))]
    if values[":own"]["S"].endswith("--groups"):
        return [group_item(replace(GROUP, id=ID, version=1))]
    if values.get(":prefix", {"S": ""})["S"].startswith(COMING):
        return _coming() if asked.device == COMING else []
    return [row for number in range(asked.devices) for row in _device(number)]


def _coming() -> list[dict[str, Any]]:
    """The rows of a device that is registered."""
    enrolment = Enrolment(
        tenant="acme",
        device=COMING,
        registration=ID,
        code_digest=code_digest("acme", COMING, CODE),
        expires_at=2**50,
        version=1,
    )
    _, facts = _device(0)
    named = {"sk": {"S": f"{COMING}#facts"}, "origin": {"S": ID}}
    return [enrolment_item(enrolment), facts | named]


def _device(number: int) -> Iterator[dict[str, Any]]:
    device = f"{DEVICE.id[:-2]}{int(DEVICE.id[-2:]) + number:02}"
    key = {"partition": {"S": "acme--devices"}}
    at = {"at": {"N": "1"}, "thing_id": {"S": f"thing-{number}"}}
    yield {**key, "sk": {"S": f"{device}#born#thing-{number}"}, **at}
    yield {
        **key,
        "sk": {"S": f"{device}#facts"},
        "attributes": {"M": {}},
        "groups": {"L": [{"S": "line"}]},
        "tags": {"M": {"building": {"S": "7"}}},
        "version": {"N": "1"},
        "origin": {"S": f"thing-{number}"},
        "created_at": {"N": "1"},
        "changed_at": {"N": "1"},
        "changed_by": {"S": "somebody"},
    }
