"""Grants over HTTP: given by whom policies let, ending by themselves, revoked at once."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest

from service.cedar.evaluator import Evaluator
from service.domain.grants import GrantState
from service.domain.people import Person
from service.operations.granting import CLEANED_AFTER
from service.operations.operations import Operations
from service.operations.revocations import FRESH_SECONDS
from service.settings import JobSettings, TokenSettings
from tests.service.stamped_policies import stamped

if TYPE_CHECKING:
    from collections.abc import Sequence

    import httpx

    from service.adapters.memory.memory_ports import MemoryPorts
    from service.cedar.decision import Decision
    from service.cedar.request import AuthorizationRequest
    from service.domain.identities import Principal
    from tests.service.conftest import ServiceUnderTest

URL: Final = "/v1/grants"
DIAGNOSE: Final = {"name": "run-diagnostics"}
NOW: Final = datetime.now(UTC).replace(microsecond=0)
ENDS: Final = NOW + timedelta(minutes=30)
LEND: Final = (
    'permit (principal in Fleet::Group::"technicians", action in [Fleet::Action::"GiveGrant",'
    ' Fleet::Action::"View", Fleet::Action::"Maintain"], resource in'
    ' Fleet::DeviceGroup::"line-press");'
)
"""A tenant's policy: technicians service one line, and may let others stand in."""


@dataclass
class Store:
    """Policy stores that hold the base, a policy of the tenant's own, and the grants of now."""

    ports: MemoryPorts
    parsed: dict[frozenset[str], Evaluator] = field(default_factory=dict[frozenset[str], Evaluator])

    async def decide(self, principal: Principal, request: AuthorizationRequest) -> Decision:
        """By the engine."""
        return self._evaluator(principal).evaluate(self._asked(principal, request)).decision

    async def decide_all(
        self, principal: Principal, requests: Sequence[AuthorizationRequest]
    ) -> tuple[Decision, ...]:
        """The same of each."""
        evaluator = self._evaluator(principal)
        return tuple(
            evaluator.evaluate(self._asked(principal, request)).decision for request in requests
        )

    def _evaluator(self, principal: Principal) -> Evaluator:
        tenant = principal.tenant
        whole = stamped(tenant, lend=LEND)
        grants = {
            f"SP{grant}": text
            for (owner, grant), text in self.ports.granted_policies.held.items()
            if owner == tenant.id
        }
        key = frozenset((tenant.id, *grants))
        if key not in self.parsed:
            self.parsed[key] = Evaluator(replace(whole, static={**whole.static, **grants}))
        return self.parsed[key]

    def _asked(self, principal: Principal, request: AuthorizationRequest) -> AuthorizationRequest:
        bearer = principal.bearer(frozenset({"email"}))
        return request.with_bearer(bearer, pool_id=principal.tenant.pool_id)


@pytest.fixture
def granting(service: ServiceUnderTest) -> ServiceUnderTest:
    """The service over stores that know grants, with a technician whom nothing is given."""
    ports = replace(service.ports, authorizer=Store(service.ports))
    service.app.state.operations = Operations(ports, TokenSettings())
    for name in ("kim", "lee"):
        subject = service.acme.claims(name)["sub"]
        email = f"{name}@acme.test"
        person = Person(id=subject, subject=subject, email=email, state="active", enabled=True)
        service.ports.people.add("acme", person)
        service.tokens[name] = service.acme.id_token(name, ["technicians-to-be"])
    service.tokens["kim"] = service.acme.id_token("kim", ["technicians"])
    service.ports.clock.now = NOW
    return service


def body(**changes: Any) -> dict[str, Any]:
    """A grant to ask for: Kim on the press that is in no line that technicians have."""
    return {
        "template": "technician-for-line",
        "person": "kim@acme.test",
        "device": "press-01",
        "until": ENDS.isoformat(),
        "reason": "Lee is away",
    } | changes


def give(service: ServiceUnderTest, as_: str = "managers", **changes: Any) -> httpx.Response:
    """One grant."""
    return service.call("POST", URL, as_=as_, json=body(**changes))


def given(service: ServiceUnderTest, **changes: Any) -> dict[str, Any]:
    """One grant that stands."""
    answer = give(service, **changes)
    assert answer.status_code == 201, answer.text
    return answer.json()


def acts(service: ServiceUnderTest, device: str = "pump-07") -> int:
    """How Kim's change of a device is answered."""
    path = f"/v1/devices/{device}/commands"
    return service.call("POST", path, as_="kim", json=DIAGNOSE).status_code


def at(service: ServiceUnderTest, moment: datetime) -> None:
    """Let the service's clock stand there."""
    service.ports.clock.now = moment


@pytest.fixture
def pump(granting: ServiceUnderTest) -> ServiceUnderTest:
    """A pump in a line in which technicians may nothing."""
    press = granting.device("press-01")
    granting.ports.devices.add(replace(press, id="pump-07", groups=("line-pump",)))
    return granting


def test_a_grant_gives_what_its_template_says(pump: ServiceUnderTest) -> None:
    """On its device, to its person, until its end, and nothing else."""
    assert acts(pump) == 403
    grant = given(pump, device="pump-07")
    assert (grant["state"], grant["person"]) == ("active", pump.acme.claims("kim")["sub"])
    assert grant["given_by"].endswith(pump.acme.claims("managers")["sub"])
    assert acts(pump) == 202
    stop = pump.call("POST", "/v1/devices/pump-07/commands", as_="kim", json={"name": "stop"})
    assert stop.status_code == 403
    at(pump, ENDS - timedelta(seconds=1))
    assert acts(pump) == 202
    at(pump, ENDS)
    assert acts(pump) == 403
    shown = pump.call("GET", f"{URL}/{grant['id']}").json()
    assert (shown["state"], shown["over_at"]) == ("ended", shown["until"])


def test_a_grant_on_a_group_reaches_its_devices(pump: ServiceUnderTest) -> None:
    """Those of that line, and no other's."""
    given(pump, device=None, group="line-pump")
    assert acts(pump) == 202
    pump.tokens["kim"] = pump.acme.id_token("kim", [])
    assert acts(pump) == 403, "the template is for technicians"


def test_break_glass_needs_its_emergency(pump: ServiceUnderTest) -> None:
    """For the two hours before its end, with a reason at each change."""
    given(pump, template="break-glass", device=None, group="line-pump")
    path = "/v1/devices/pump-07/commands"
    emergency = {"name": "stop", "emergency": {"reason": "smoke"}}
    assert pump.call("POST", path, as_="kim", json={"name": "stop"}).status_code == 403
    assert pump.call("POST", path, as_="kim", json=emergency).status_code == 202


def test_a_revoked_grant_is_refused_at_once(pump: ServiceUnderTest) -> None:
    """Though the store shows it for some time more; and who gave and took it is told."""
    grant = given(pump, device="pump-07")
    pump.ports.granted_policies.fails.add("remove")
    revoked = pump.call("DELETE", f"{URL}/{grant['id']}")
    assert (revoked.status_code, revoked.json()["state"]) == (200, "revoking")
    assert pump.ports.granted_policies.held, "the store goes by it still"
    assert acts(pump) == 403
    assert pump.call("GET", "/v1/devices/pump-07", as_="kim").status_code == 403
    pump.ports.granted_policies.fails.clear()
    again = pump.call("DELETE", f"{URL}/{grant['id']}").json()
    assert (again["state"], again["revoked_by"]) == ("revoked", grant["given_by"])
    assert not pump.ports.granted_policies.held
    audited = [one.subject for one in pump.ports.audit.trail if one.action == "RevokeGrant"]
    assert all(grant["id"] in str(subject) for subject in audited)


def test_another_process_refuses_changes_at_once(pump: ServiceUnderTest) -> None:
    """Its word of a moment ago is not enough for a change that rests on a grant alone."""
    grant = given(pump, device="pump-07")
    assert acts(pump) == 202
    other, one = pump.app.state.operations, Operations(pump.ports, TokenSettings())
    pump.app.state.operations = one
    pump.ports.granted_policies.fails.add("remove")
    assert pump.call("DELETE", f"{URL}/{grant['id']}").status_code == 200
    pump.app.state.operations = other
    assert acts(pump) == 403
    assert FRESH_SECONDS < 5, "and of a read within that"


def test_nobody_gives_more_than_they_hold(pump: ServiceUnderTest) -> None:
    """A technician gives the own line to another one, no other line, and no break-glass."""
    assert give(pump, "lee", person="kim@acme.test").status_code == 403
    pump.tokens["lee"] = pump.acme.id_token("lee", ["technicians"])
    stands_in = give(pump, "lee", device=None, group="line-press")
    assert stands_in.status_code == 201, stands_in.text
    for changes in (
        {"device": "pump-07"},
        {"device": None, "group": "line-pump"},
        {"device": None, "group": "all"},
        {"device": "press-01", "template": "break-glass"},
        {"device": "press-01", "person": "lee@acme.test"},
    ):
        refused = give(pump, "lee", **changes)
        assert refused.status_code == 403, changes
        named = refused.json()["policies"]
        assert not named or named == ["grants-no-more-than-held"]


def test_what_is_held_until_friday_is_given_until_friday(pump: ServiceUnderTest) -> None:
    """Nobody passes on a grant beyond its end, or to more than it reaches."""
    pump.ports.devices.add(replace(pump.device("press-01"), id="press-91", groups=("line-pump",)))
    # Kim may give where the policy says, and holds this device by a grant alone.
    given(pump, device="press-91")
    assert acts(pump, "press-91") == 202
    assert give(pump, "kim", device="press-91", person="lee@acme.test").status_code == 403
    pump.ports.devices.add(replace(pump.device("press-91"), groups=("line-pump", "line-press")))
    longer = (NOW + timedelta(days=3)).isoformat()
    held = give(pump, "kim", device="press-91", person="lee@acme.test", until=longer)
    assert held.status_code == 201, "the line is held without an end"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"template": "certified-for-line"}, "template"),
        ({"device": None}, "device"),
        ({"group": "line-press"}, "device"),
        ({"until": NOW.isoformat()}, "until"),
        ({"until": (NOW + timedelta(days=367)).isoformat()}, "until"),
        ({"until": "2099-01-01T00:00:00"}, "until"),
        ({"reason": "  "}, "reason"),
        ({"reason": None}, "reason"),
    ],
)
def test_what_could_never_be_given_is_named(
    granting: ServiceUnderTest, changes: dict[str, Any], field: str
) -> None:
    """The member, and what would be right; nothing is recorded."""
    refused = give(granting, **changes)
    assert refused.status_code == 400, refused.text
    assert field in str(refused.json()["errors"])
    assert not granting.ports.grant_records.once.records


def test_what_is_not_there_is_said(granting: ServiceUnderTest) -> None:
    """Of person, device, group and grant; and to who may give nothing, not even that."""
    absent: tuple[dict[str, Any], ...] = (
        {"person": "nobody"},
        {"device": "no"},
        {"device": None, "group": "no"},
    )
    for changes in absent:
        assert give(granting, **changes).status_code == 404
    unknown = [give(granting, "lee", person=name) for name in ("nobody", "kim@acme.test")]
    assert [one.status_code for one in unknown] == [403, 403]
    for method in ("GET", "DELETE"):
        assert granting.call(method, f"{URL}/01JD0000000000000000000000").status_code == 404
        assert granting.call(method, f"{URL}/x").status_code == 404


def test_one_key_gives_one_grant(granting: ServiceUnderTest) -> None:
    """A repeat is answered with the first; another request under the key is refused."""
    headers = {"Idempotency-Key": "one"}
    first = granting.call("POST", URL, json=body(), headers=headers)
    assert granting.call("POST", URL, json=body(), headers=headers).json() == first.json()
    other = granting.call("POST", URL, json=body(reason="else"), headers=headers)
    assert (first.status_code, other.status_code) == (201, 422)
    assert len(granting.ports.granted_policies.held) == 1


@pytest.mark.parametrize(("number", "status"), [(999, 201), (1_000, 409)])
def test_a_tenant_has_so_many_grants_and_no_more(
    granting: ServiceUnderTest, number: int, status: int
) -> None:
    """The bound itself is told."""
    held = frozenset(f"{one:064x}" for one in range(number))
    granting.ports.revocations.granted["acme"] = held
    answer = give(granting)
    assert answer.status_code == status
    assert status == 201 or "1000 grants at most" in answer.json()["detail"]


def test_a_grant_is_revoked_as_it_was_read(granting: ServiceUnderTest) -> None:
    """With its tag; what was changed meanwhile is 412, and stands."""
    grant = given(granting)
    read = granting.call("GET", f"{URL}/{grant['id']}")
    old = {"If-Match": '"else"'}
    assert granting.call("DELETE", f"{URL}/{grant['id']}", headers=old).status_code == 412
    assert granting.ports.granted_policies.held
    held = {"If-Match": read.headers["ETag"]}
    assert granting.call("DELETE", f"{URL}/{grant['id']}", headers=held).status_code == 200
    over = granting.call("DELETE", f"{URL}/{grant['id']}")
    assert (over.status_code, over.json()["state"]) == (200, "revoked")


def test_a_list_has_each_grant_once(service: ServiceUnderTest) -> None:
    """The newest first, in pages, also those that are over."""
    subject = service.acme.claims("kim")["sub"]
    kim = Person(id=subject, subject=subject, email="kim@acme.test", state="active", enabled=True)
    service.ports.people.add("acme", kim)
    made = [given(service)["id"] for _ in range(5)]
    service.call("DELETE", f"{URL}/{made[2]}")
    found: list[str] = []
    cursor = ""
    while True:
        page = service.call("GET", f"{URL}?limit=2{cursor}").json()
        found += [one["id"] for one in page["grants"]]
        if page["cursor"] is None:
            break
        cursor = f"&cursor={page['cursor']}"
    assert sorted(found) == sorted(made)
    assert found == sorted(found, reverse=True)


def test_a_full_store_is_said_in_words(granting: ServiceUnderTest) -> None:
    """With what to do."""
    granting.ports.granted_policies.full = True
    refused = give(granting)
    assert (refused.status_code, "no room" in refused.json()["detail"]) == (409, True)


def test_a_device_that_is_gone_keeps_no_grant(granting: ServiceUnderTest) -> None:
    """What there is no more can be revoked all the same."""
    grant = given(granting)
    del granting.ports.devices.rows["acme", "press-01"]
    assert granting.call("DELETE", f"{URL}/{grant['id']}").json()["state"] == "revoked"


def test_who_may_view_people_alone_sees_no_grants(granting: ServiceUnderTest) -> None:
    """The list is asked of the tenant."""
    for path in (URL, f"{URL}/01JD0000000000000000000000"):
        assert granting.call("GET", path, as_="operators").status_code == 403


def test_the_worker_cleans_up_what_ended(granting: ServiceUnderTest) -> None:
    """It handles the message that was sent when the grant was given."""
    given(granting)
    worker = granting.app.state.operations.worker(JobSettings())
    at(granting, ENDS + CLEANED_AFTER)
    [sent] = granting.ports.work_queue.waiting
    asyncio.run(worker.handle(sent))
    assert not granting.ports.granted_policies.held
    [grant] = granting.ports.grant_records.once.records.values()
    assert grant.state is GrantState.ENDED


def test_who_is_forgotten_is_named_by_no_grant(pump: ServiceUnderTest) -> None:
    """One that counts still keeps all as it is; those that are over tell no more whose."""
    first, second = given(pump), given(pump)
    person = first["person"]
    path = f"/v1/people/{person}/pseudonym"
    assert pump.call("DELETE", f"{URL}/{first['id']}").json()["state"] == "revoked"
    keys = dict(pump.ports.person_keys.known)
    refused = pump.call("DELETE", path)
    assert refused.status_code == 409
    assert second["id"] in refused.json()["detail"]
    assert first["id"] not in refused.json()["detail"]
    assert keys.items() <= pump.ports.person_keys.known.items()
    assert pump.call("GET", f"{URL}/{first['id']}").json()["person"] == person
    assert pump.call("DELETE", f"{URL}/{second['id']}").json()["state"] == "revoked"
    assert pump.call("DELETE", path).status_code == 204
    shown = pump.call("GET", URL).json()["grants"]
    assert [(one["person"], one["email"], one["reason"]) for one in shown] == [("", "", "")] * 2
    assert {one["state"] for one in shown} == {"revoked"}
