"""No identifier of one tenant means anything to another, on any route, wherever it stands.

The routes are those of the OpenAPI document: one that is not listed in ``ASKED`` fails the test.
"""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import pytest

from service.domain.events import EventCursor
from service.domain.files import FileState, Package
from service.domain.people import Person
from service.domain.webhooks import Delivery
from tests.service.stamped_policies import stamped

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import httpx

    from tests.service.conftest import ServiceUnderTest

UNTIL: Final = (datetime.now(UTC) + timedelta(hours=2)).isoformat()
# By operation: further query parameters and members that take an identifier, each written as a
# placeholder by its kind, in a request that is right otherwise. What stands in the path comes of
# the document. `None`: takes no token, and has tests of its own.
ASKED: Final[Mapping[str, Mapping[str, Any] | None]] = {
    "read_me": {},
    "check_permissions": {
        "json": {"checks": [{"command": "stop", "device": "{device}"}]},
    },
    "explain_permission": {
        "json": [
            {"command": "stop", "device": "{device}"},
            {"action": "ListDevices", "person": "{person}"},
        ]
    },
    "simulate_permission": {
        "json": [
            {"question": {"command": "stop", "device": "{device}"}},
            {"question": {"action": "ListDevices"}, "person": "{person}"},
            {
                "question": {"command": "stop", "device": "press-01"},
                "device_state": {"groups": ["{group}"]},
            },
        ]
    },
    "replay_decisions": {
        "json": {"policies": {"without": ["operators-view-only"]}},
    },
    "who_may": {"json": {"command": "stop", "device": "{device}"}, "params": {"cursor": "{none}"}},
    "list_devices": {"params": {"group": "{group}", "cursor": "{device}"}},
    "register_device": {"json": {"id": "new-1", "groups": ["{group}"]}},
    "renew_enrolment_code": {},
    "register_devices": {"ndjson": {"id": "new-2", "groups": ["{group}"]}},
    "enrol": None,
    "read_device": {},
    "configure_device": {"json": {"region": "mars"}},
    "read_telemetry": {},
    "list_device_logs": {"params": {"cursor": "{device}"}},
    "read_state": {},
    "change_state": {"json": {"desired": {"light": {"value": 1}}}},
    "set_device_groups": {"json": {"groups": ["{group}"]}},
    "set_device_tags": {"json": {"tags": {"floor": "9"}}},
    "pin_device": {"json": {"packages": ["pinned-9"]}},
    "retire_device": {},
    "list_groups": {"params": {"cursor": "{group}"}},
    "make_group": {"json": {"id": "new-group", "parents": ["{group}"]}},
    "read_group": {},
    "delete_group": {},
    "describe_group": {"json": {"description": "mine"}},
    "list_members": {"params": {"cursor": "{device}"}},
    "change_members": {"json": {"put_in": ["{device}"]}},
    "freeze_group": {"json": {"reason": "a recall"}},
    "read_freeze": {},
    "thaw_group": {},
    "set_wanted_version": {"json": {"file": "{file_id}"}},
    "list_wanted_versions": {},
    "read_wanted_version": {},
    "end_wanted_version": {},
    "list_versions": {"params": {"package": "{package}"}},
    "list_running": {"params": {"cursor": "{device}"}},
    "list_command_types": {"params": {"cursor": "{command_type}"}},
    "read_command_type": {},
    "make_command_type": {"json": {"name": "new-command", "action": "StopDevice"}},
    "change_command_type": {"json": {"action": "StopDevice"}},
    "end_command_type": {},
    "list_device_commands": {"params": {"cursor": "{command_id}"}},
    "list_device_downloads": {"params": {"cursor": "{download_id}"}},
    "send_command": {"json": {"name": "stop"}},
    "list_commands": {"params": {"device": "{device}", "cursor": "{command_id}"}},
    "read_command": {},
    "cancel_command": {"json": {}},
    "start_campaign": {
        "json": [
            {"name": "stop", "devices": ["{device}"]},
            {"name": "stop", "group": "{group}"},
            {"name": "stop", "filter": {"group": "{group}"}},
            {"name": "{command_type}", "devices": ["press-01"]},
        ]
    },
    "list_campaigns": {"params": {"group": "{group}", "cursor": "{campaign_id}"}},
    "read_campaign": {},
    "list_campaign_devices": {"params": {"cursor": "{device}"}},
    "cancel_campaign": {"json": {}},
    "list_downloads": {
        "params": {"device": "{device}", "group": "{group}", "cursor": "{download_id}"}
    },
    "start_download": {
        "json": [
            {"artifact": "recipes/steel.json", "device": "{device}"},
            {"artifact": "recipes/steel.json", "group": "{group}"},
            {"artifact": "{artifact}", "device": "press-01"},
            {"file": "{file_id}", "device": "press-01"},
            {"plan": "{plan_id}"},
        ]
    },
    "plan_download": {
        "json": [
            {"artifact": "recipes/steel.json", "device": "{device}"},
            {"artifact": "recipes/steel.json", "group": "{group}"},
            {"artifact": "{artifact}", "device": "press-01"},
            {"file": "{file_id}", "device": "press-01"},
        ]
    },
    "read_plan": {"params": {"cursor": "{none}"}},
    "approve_download": {},
    "pause_download": {},
    "resume_download": {},
    "read_download": {"params": {"cursor": "{device}"}},
    "cancel_download": {},
    "list_files": {"params": {"prefix": "{artifact}", "cursor": "{file_id}"}},
    "begin_file": {"json": {"name": "a.bin", "size": 1, "sha256": "ab" * 32}},
    "sign_parts": {"json": {"parts": [{"number": 1, "sha256": "ab" * 32}]}},
    "complete_file": {},
    "read_file": {},
    "retire_file": {},
    "list_people": {"params": {"email": "{email}", "cursor": "{person}"}},
    "invite_person": {"json": {"email": "new@acme.test", "groups": ["operators"]}},
    "read_person": {},
    "set_person_groups": {"json": {"groups": ["operators"]}},
    "disable_person": {},
    "enable_person": {},
    "sign_out_person": {},
    "forget_person": {},
    "read_audit": {
        "params": {
            "who": "{person}",
            "device": "{device}",
            "command": "{command_id}",
            "cursor": "{command_id}",
        }
    },
    "read_audit_chain": {},
    "export_audit": {},
    "read_usage": {},
    # Whose events are told, test_events.py tells: a stream does not end.
    "follow_events": {"params": {"nouns": "{none}"}},
    "list_webhooks": {"params": {"cursor": "{webhook}"}},
    "make_webhook": {"json": {"url": "https://hooks.example.com/", "nouns": ["device"]}},
    "read_webhook": {},
    "rotate_webhook_secret": {},
    "disable_webhook": {},
    "enable_webhook": {},
    "end_webhook": {},
    "list_webhook_deliveries": {"params": {"cursor": "{none}"}},
    "redeliver_webhook_event": {},
    "list_machines": {"params": {"cursor": "{machine}"}},
    "make_machine": {"json": {"id": "new-machine", "scopes": ["view"]}},
    "read_machine": {},
    "add_machine_secret": {"json": {}},
    "delete_machine_secret": {},
    "revoke_machine": {},
    "give_grant": {
        "json": [
            {
                "template": "technician-for-line",
                "person": "{email}",
                "device": "{device}",
                "until": UNTIL,
                "reason": "a colleague is away",
            },
            {
                "template": "technician-for-line",
                "person": "{person}",
                "group": "{group}",
                "until": UNTIL,
                "reason": "a colleague is away",
            },
        ]
    },
    "list_grants": {"params": {"cursor": "{grant}"}},
    "read_grant": {},
    "revoke_grant": {},
}
NOBODYS: Final = {
    "device": "pump-99",
    "group": "hall-99",
    "command_id": "01JD0000000000000000000000",
    "campaign_id": "01JD0000000000000000000004",
    "download_id": "01JD0000000000000000000001",
    "file_id": "01JD0000000000000000000002",
    "plan_id": "01JD0000000000000000000003",
    "artifact": "secret-99.bin",
    "person": "4f1c7d2a-0000-4000-8000-000000000099",
    "command_type": "unknown-99",
    "email": "nobody@globex.test",
    "machine": "mes-99",
    "secret_id": "client99--1",
    "grant": "01JD0000000000000000000003",
    "package": "package-99",
    "webhook": "01JD0000000000000000000005",
    "delivery_id": "01JD0000000000000000000006",
    "none": "no-such-cursor",
}
PLACEHOLDER: Final = re.compile(r"\{(\w+)\}")


@dataclass
class World:
    """A tenant with one of everything, as its manager made it by the API.

    Attributes:
        ids: by kind, one identifier each.
    """

    service: ServiceUnderTest
    tenant: str
    ids: dict[str, str] = field(default_factory=dict[str, str])

    def call(self, method: str, path: str, **request: Any) -> httpx.Response:
        """One request as the tenant's manager."""
        pool = self.service.acme if self.tenant == "acme" else self.service.globex
        token = self.service.tokens.setdefault(self.tenant, pool.id_token("boss", ["managers"]))
        headers = {"Authorization": f"Bearer {token}", **request.pop("headers", {})}
        return self.service.client.request(method, path, headers=headers, **request)

    def fill(self, device: str, group: str, artifact: str) -> None:
        """Make one of everything."""
        person = Person(
            id=f"4f1c7d2a-0000-4000-8000-{self.tenant:0>12}",
            subject="s",
            email=f"kim@{self.tenant}.test",
            state="active",
            enabled=True,
            groups=("operators",),
        )
        self.service.ports.people.add(self.tenant, person)
        self.ids = {
            "device": device,
            "group": f"hall-{self.tenant}",
            "command_type": f"dance-{self.tenant}",
            "artifact": artifact,
            "person": person.id,
            "email": person.email,
            "machine": f"mes-{self.tenant}",
            "package": f"package-{self.tenant}",
            "none": "no-such-cursor",
        }
        made = (
            ("command_id", f"/v1/devices/{device}/commands", {"name": "stop"}),
            ("campaign_id", "/v1/campaigns", {"name": "stop", "devices": [device]}),
            ("download_id", "/v1/downloads", {"artifact": artifact, "device": device}),
            ("plan_id", "/v1/downloads/plan", {"artifact": artifact, "device": device}),
            ("file_id", "/v1/files", {"name": "up.bin", "size": 1, "sha256": "ab" * 32}),
            ("", "/v1/webhooks", {"url": "https://hooks.example.com/", "nouns": ["device"]}),
            ("", "/v1/machines", {"id": self.ids["machine"], "scopes": ["view"]}),
            ("", "/v1/groups", {"id": self.ids["group"], "parents": [group]}),
            (
                "",
                "/v1/command-types",
                {"name": self.ids["command_type"], "action": "OperateDevice"},
            ),
            (
                "grant",
                "/v1/grants",
                {
                    "template": "technician-for-line",
                    "person": person.email,
                    "device": device,
                    "until": UNTIL,
                    "reason": "a colleague is away",
                },
            ),
        )
        for kind, path, body in made:
            answer = self.call("POST", path, json=body)
            assert answer.status_code in {201, 202}, answer.text
            if kind:
                self.ids[kind] = answer.json()["id"]
            if path == "/v1/webhooks":
                self.ids["webhook"] = answer.json()["webhook"]["id"]
                self.ids["delivery_id"] = self._delivery(self.ids["webhook"])
            if path == "/v1/machines":
                self.ids["secret_id"] = answer.json()["secret"]["id"]
        self._want()

    def _want(self) -> None:
        """Have the tenant's file be there, and its group want it."""
        files = self.service.ports.file_records.once.records
        key = (self.tenant, self.ids["file_id"])
        package = Package(name=self.ids["package"], version="2")
        files[key] = replace(files[key], state=FileState.AVAILABLE, package=package)
        url = f"/v1/groups/{self.ids['group']}/wanted-versions/{package.name}"
        answer = self.call("PUT", url, json={"file": self.ids["file_id"]})
        assert answer.status_code == 200, answer.text

    def _delivery(self, webhook: str) -> str:
        """A delivery of a webhook, as the worker writes one down."""
        made = Delivery(
            delivery_id=f"01JD000000000000000000{self.tenant[:4].upper().replace('L', '0'):0>4}",
            event_id="evt_1",
            type="device.connected",
            cursor=EventCursor(page=1, seen=1),
            at=1,
            attempt=1,
            delivered=True,
            outcome="204",
            milliseconds=1,
        )
        pool = self.service.acme if self.tenant == "acme" else self.service.globex
        asyncio.run(self.service.ports.webhooks.note(pool.tenant, webhook, made))
        return made.delivery_id

    def seen(self) -> list[str]:
        """All of it, as the tenant itself sees it."""
        one = self.ids
        paths = (
            "/v1/devices",
            "/v1/groups",
            "/v1/command-types",
            "/v1/commands",
            "/v1/campaigns",
            "/v1/downloads",
            "/v1/files",
            "/v1/people",
            "/v1/machines",
            "/v1/grants",
            "/v1/webhooks",
            f"/v1/webhooks/{one['webhook']}/deliveries",
            f"/v1/devices/{one['device']}",
            "/v1/versions",
            f"/v1/groups/{one['group']}/members",
            f"/v1/groups/{one['group']}/wanted-versions",
            f"/v1/groups/{one['group']}/wanted-versions/{one['package']}",
            f"/v1/commands/{one['command_id']}",
            f"/v1/campaigns/{one['campaign_id']}",
            f"/v1/campaigns/{one['campaign_id']}/devices",
            f"/v1/downloads/{one['download_id']}",
            f"/v1/files/{one['file_id']}",
            f"/v1/people/{one['person']}",
            f"/v1/machines/{one['machine']}",
            f"/v1/grants/{one['grant']}",
        )
        return [self.call("GET", path).text for path in paths]


@dataclass(frozen=True)
class Probe:
    """A request with one identifier left open.

    Attributes:
        operation: its id.
        kind: of the identifier; where it stands is in ``where``.
    """

    operation: str
    where: str
    kind: str
    method: str
    path: str
    request: Mapping[str, Any]

    def ask(self, world: World, identifier: str) -> httpx.Response:
        """The request with this identifier, and the asking tenant's own in all other places."""
        ids = {**world.ids, "open": identifier}
        path = _filled(self.path, ids)
        request = {name: _filled(part, ids) for name, part in self.request.items()}
        if (row := request.pop("ndjson", None)) is not None:
            request["content"] = json.dumps(row)
            request["headers"] = {"Content-Type": "application/x-ndjson"}
        return world.call(self.method, path, **request)


def _filled(part: Any, ids: Mapping[str, str]) -> Any:
    if isinstance(part, dict):
        return {name: _filled(one, ids) for name, one in part.items()}
    if isinstance(part, list):
        return [_filled(one, ids) for one in part]
    if isinstance(part, str):
        return PLACEHOLDER.sub(lambda found: ids[found[1]], part)
    return part


def _opened(part: Any, place: str = "") -> Iterator[tuple[str, str, Any]]:
    """Each placeholder in turn: its place, its kind, and the part with `{open}` for it."""
    if isinstance(part, dict):
        for name, one in part.items():
            for where, kind, opened in _opened(one, f"{place}.{name}"):
                yield where, kind, {**part, name: opened}
    elif isinstance(part, list):
        for index, one in enumerate(part):
            for where, kind, opened in _opened(one, f"{place}[{index}]"):
                yield where, kind, [*part[:index], opened, *part[index + 1 :]]
    elif isinstance(part, str) and (found := PLACEHOLDER.fullmatch(part)):
        yield place, found[1], "{open}"


def probes(document: Mapping[str, Any]) -> Iterator[Probe]:
    """Every place of every route in which an identifier may stand.

    Raises:
        KeyError: a route is not known here.
    """
    for path, item in document["paths"].items():
        for method, operation in item.items():
            name = operation["operationId"]
            asked = ASKED[name]
            if asked is None:
                continue
            bodies = asked.get("json")
            first = {**asked, "json": bodies[0]} if isinstance(bodies, list) else dict(asked)
            # A parameter of a list is tried for itself: two filters may exclude each other.
            params = first.pop("params", {})
            for kind in PLACEHOLDER.findall(path):
                opened = path.replace(f"{{{kind}}}", "{open}")
                yield Probe(name, f"path.{kind}", kind, method, opened, first)
            for parameter, placeholder in params.items():
                kind = placeholder.strip("{}")
                tried = {**first, "params": {parameter: "{open}"}}
                yield Probe(name, f"query.{parameter}", kind, method, path, tried)
            for body in bodies if isinstance(bodies, list) else [bodies]:
                for where, kind, opened in _opened(body, "body"):
                    yield Probe(name, where, kind, method, path, {**first, "json": opened})
            for where, kind, opened in _opened(first.get("ndjson"), "row"):
                yield Probe(name, where, kind, method, path, {"ndjson": opened})


@pytest.fixture
def worlds(service: ServiceUnderTest) -> dict[str, World]:
    """Two tenants, each with one of everything."""
    made = {name: World(service, name) for name in ("acme", "globex")}
    for pool in (service.acme, service.globex):
        service.ports.policy_stores.stamp(pool.tenant, stamped(pool.tenant))
    made["acme"].fill("press-01", "line-press", "recipes/steel.json")
    made["globex"].fill("pump-01", "ward", "secret.bin")
    for pool in (service.acme, service.globex):  # reads are decided by copies, as mostly
        assert asyncio.run(service.app.state.operations.decisions.prepare(pool.tenant))
    return made


def said(answer: httpx.Response, identifier: str) -> str:
    """What the caller is told, without the identifier that they sent and what is new each time."""
    text = answer.text.replace(json.dumps(identifier)[1:-1], "<id>")
    return re.sub(r"01[0-9A-HJKMNP-TV-Z]{24}|RD-[\w-]+", "<made>", text)


@pytest.mark.parametrize(("asker", "owner"), [("acme", "globex"), ("globex", "acme")])
def test_what_is_anothers_is_as_what_there_is_not(
    service: ServiceUnderTest, worlds: dict[str, World], asker: str, owner: str
) -> None:
    """Told alike to the letter, nothing of the other's in it, and nothing of theirs changed."""
    document = service.client.get("/v1/openapi").json()
    ours, theirs = worlds[asker], worlds[owner]
    before = theirs.seen()
    found = list(probes(document))
    for probe in found:
        if asker == "globex" and "press-01" in json.dumps(probe.request):
            continue  # names a device of acme's beside the open place
        identifier, nobodys = theirs.ids[probe.kind], NOBODYS[probe.kind]
        told = probe.ask(ours, identifier)
        unknown = probe.ask(ours, nobodys)
        where = f"{probe.operation} {probe.where}: {told.status_code} {told.text}"
        assert told.status_code < HTTPStatus.INTERNAL_SERVER_ERROR, where
        # Where a list begins is a name in its order, whosever it is.
        if probe.where != "query.cursor":
            assert told.status_code == unknown.status_code, f"{where}; nobody's: {unknown.text}"
            assert said(told, identifier) == said(unknown, nobodys), where
        if probe.where.startswith("path."):
            assert told.status_code in {400, 404}, where
        rest = said(told, identifier)
        leaked = [one for kind, one in theirs.ids.items() if kind != "none" and one in rest]
        assert not leaked, f"{where}: {leaked}"
    assert theirs.seen() == before
    assert len(found) > 50, "places of identifiers"


def test_every_route_is_asked(service: ServiceUnderTest) -> None:
    """And every kind of identifier that a path takes is one that both tenants have."""
    document = service.client.get("/v1/openapi").json()
    operations = {
        operation["operationId"]: path
        for path, item in document["paths"].items()
        for operation in item.values()
    }
    assert ASKED.keys() == operations.keys()
    for path in operations.values():
        assert set(PLACEHOLDER.findall(path)) <= NOBODYS.keys(), path


def test_no_list_shows_anything_of_another_tenant(
    service: ServiceUnderTest, worlds: dict[str, World]
) -> None:
    """Of every route that reads and takes nothing in its path."""
    document = service.client.get("/v1/openapi").json()
    for asker, owner in (("acme", "globex"), ("globex", "acme")):
        foreign = [one for kind, one in worlds[owner].ids.items() if kind != "none"]
        for path, item in document["paths"].items():
            if "get" in item and "{" not in path:
                params = {"seconds": 0} if path == "/v1/events" else {}  # else it does not end
                answer = worlds[asker].call("GET", path, params=params)
                assert answer.status_code == 200, answer.text
                assert not [one for one in foreign if one in answer.text], path
