"""A registered device comes in by its code, and nobody else does: over HTTP, with the policies."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from litestar.testing import TestClient

from service.api.app import create_app
from service.domain.tenants import TenantStatus
from service.operations.operations import Operations
from service.settings import EnrolmentSettings, HttpSettings, TokenSettings
from tests.service.requests import rsa_key, signing_request

if TYPE_CHECKING:
    import httpx

    from tests.service.conftest import ServiceUnderTest

NEW = {
    "id": "press-91",
    "groups": ["line-press"],
    "attributes": {"kind": "press", "criticality": "high"},
    "tags": {"building": "7"},
}
REFUSED = "tenant, device and code do not fit together"


def register(service: ServiceUnderTest, *, as_: str = "managers", **changes: Any) -> httpx.Response:
    """Register a device of acme."""
    return service.call("POST", "/v1/devices", as_=as_, json=NEW | changes)


def code_of(service: ServiceUnderTest, device: str = "press-91") -> str:
    """The code of a device that is registered now."""
    answer = register(service, id=device)
    assert answer.status_code == 201, answer.text
    return answer.json()["code"]


def enrol(service: ServiceUnderTest, code: str, csr: str, **changes: str) -> httpx.Response:
    """Ask to come in, without a token."""
    body = {"tenant": "acme", "device": "press-91", "code": code, "csr": csr} | changes
    return service.client.post("/v1/enrolments", json=body)


def admitted(service: ServiceUnderTest, device: str = "press-91") -> set[str]:
    """The certificates that are let in as the device."""
    return service.ports.things.admitted.get(("acme", device), set())


def test_a_registered_device_comes_in(service: ServiceUnderTest) -> None:
    """It has its facts from the beginning, and a certificate once its code and key are proved."""
    answer = register(service)
    assert answer.status_code == 201, answer.text
    registered, csr = answer.json(), signing_request()
    assert registered["device"]["enrolled"] is False
    assert len(registered["code"].replace("-", "")) * 5 >= 128
    shown = service.call("GET", "/v1/devices/press-91").json()
    assert shown["enrolled"] is False
    assert (shown["groups"], shown["tags"]) == (["line-press"], {"building": "7"})

    answer = enrol(service, registered["code"], csr)

    assert answer.status_code == 200, answer.text
    assert answer.json()["thing"] == "acme--press-91"
    (certificate,) = admitted(service)
    assert service.ports.things.requests[certificate].pem == csr
    assert answer.json()["certificate"] == service.ports.things.certificates[certificate].pem
    assert answer.json()["mqtt"] == {"host": "localhost", "port": 8883}
    after = service.call("GET", "/v1/devices/press-91").json()
    assert after == shown | {"enrolled": True, "connectivity": None}
    # The event of the thing comes late, and the facts are still the device's.
    service.ports.devices.birth("acme", "press-91", _thing(service), at=1)
    assert service.call("GET", "/v1/devices/press-91").json() == after


def test_an_answer_that_was_lost_comes_again(service: ServiceUnderTest) -> None:
    """Same code and key: same answer, also after the facts changed and the code expired."""
    code, csr = code_of(service), signing_request()
    first = enrol(service, code, csr)
    service.ports.devices.birth("acme", "press-91", _thing(service), at=1)
    changed = service.call("PATCH", "/v1/devices/press-91", json={"criticality": "low"})
    assert changed.status_code == 200, changed.text
    service.ports.clock.now = datetime.now(UTC) + timedelta(days=30)
    again = enrol(service, code, csr)
    assert again.status_code == 200, again.text
    assert again.json() == first.json()
    assert len(service.ports.things.certificates) == 1


def test_another_key_is_refused(service: ServiceUnderTest) -> None:
    """A code that was used stands for the key that it was used with."""
    code = code_of(service)
    assert enrol(service, code, signing_request()).status_code == 200
    before = admitted(service).copy()
    stolen = enrol(service, code, signing_request())
    assert (stolen.status_code, stolen.json()["code"]) == (409, "key-differs")
    assert admitted(service) == before


def test_a_refusal_tells_no_name_apart(service: ServiceUnderTest) -> None:
    """Another's code, an unknown tenant, device or code, and one in service: one answer."""
    code, csr = code_of(service), signing_request()
    code_of(service, "press-92")
    answers = [
        enrol(service, code, csr, device="press-92"),  # swapped
        enrol(service, code, csr, tenant="globex"),  # of another tenant
        enrol(service, code, csr, tenant="globex", device="pump-01"),
        enrol(service, code, csr, tenant="nobody"),
        enrol(service, code, csr, tenant="NO TENANT"),
        enrol(service, code, csr, device="press-01"),  # in service, never registered
        enrol(service, code, csr, device="nothing"),
        enrol(service, code, csr, device="no/device"),
        enrol(service, code[:-1] + ("0" if code[-1] != "0" else "1"), csr),
        enrol(service, "none", csr),
    ]
    documents = [answer.json() | {"request_id": ""} for answer in answers]
    assert {answer.status_code for answer in answers} == {401}
    assert documents == [documents[0]] * len(answers)
    assert documents[0]["detail"] == REFUSED
    assert service.ports.things.made == {}
    assert enrol(service, code, csr).status_code == 200


def test_a_code_ends(service: ServiceUnderTest) -> None:
    """After its days, told to who has it; and at once when there is a new one."""
    code, csr = code_of(service), signing_request()
    renewed = service.call("POST", "/v1/devices/press-91/enrolment-code")
    assert renewed.status_code == 201, renewed.text
    assert enrol(service, code, csr).status_code == 401
    service.ports.clock.now = datetime.now(UTC) + timedelta(days=7, seconds=1)
    late = enrol(service, renewed.json()["code"], csr)
    assert (late.status_code, late.json()["code"]) == (409, "code-expired")
    assert service.ports.things.made == {}


def test_wrong_codes_are_bounded(service: ServiceUnderTest) -> None:
    """After so many of them the right one is refused as well, until there is a new code."""
    settings = EnrolmentSettings(max_tries=3)
    app = create_app(
        Operations(service.ports, TokenSettings(), settings), HttpSettings(body_max_bytes=65_536)
    )
    code, csr = code_of(service), signing_request()
    body = {"tenant": "acme", "device": "press-91", "csr": csr}
    with TestClient(app) as client:
        answers = [
            client.post("/v1/enrolments", json=body | {"code": tried}).status_code
            for tried in ("wrong", "wrong", "wrong", code)
        ]
        fresh = service.call("POST", "/v1/devices/press-91/enrolment-code").json()["code"]
        answers.append(client.post("/v1/enrolments", json=body | {"code": fresh}).status_code)
    assert answers == [401, 401, 401, 401, 200]


def test_enrolments_are_bounded_in_rate(service: ServiceUnderTest) -> None:
    """More than so many a second are told to come again, whatever they bring."""
    service.ports.clock.now = datetime(2026, 10, 1, tzinfo=UTC)
    most = EnrolmentSettings().tries_per_second
    answers = [enrol(service, "none", signing_request()) for _ in range(most + 1)]
    assert [answer.status_code for answer in answers] == [401] * most + [503]
    assert answers[-1].headers["Retry-After"]
    service.ports.clock.now += timedelta(seconds=1)
    assert enrol(service, "none", signing_request()).status_code == 401


@pytest.mark.parametrize(
    ("csr", "words"),
    [
        ("x", "one PEM certificate request"),
        (signing_request() * 2, "one PEM certificate request"),
        (signing_request(rsa_key(1024)), "P-256, or RSA of 2048"),
        (signing_request(ec.generate_private_key(ec.SECP384R1())), "P-256, or RSA of 2048"),
        ("-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----", "PKCS"),
    ],
    ids=["text", "two", "short", "curve", "torn"],
)
def test_a_poor_signing_request_is_refused(service: ServiceUnderTest, csr: str, words: str) -> None:
    """Before any name is looked up, and for a good code too, which it does not use up."""
    code = code_of(service)
    answer = enrol(service, code, csr)
    assert answer.status_code == 400, answer.text
    assert words in answer.json()["errors"][0]["problem"]
    assert enrol(service, code, signing_request()).status_code == 200


def test_a_key_must_be_proved(service: ServiceUnderTest) -> None:
    """A request whose signature is another key's is refused."""
    one, other = (signing_request().splitlines() for _ in range(2))
    mixed = "\n".join([*one[:-2], other[-2], one[-1]])
    answer = enrol(service, code_of(service), mixed)
    assert answer.status_code == 400, answer.text
    assert answer.json()["errors"][0]["field"] == "csr"


def test_an_rsa_key_of_2048_bits_will_do(service: ServiceUnderTest) -> None:
    """What AWS takes is taken."""
    assert enrol(service, code_of(service), signing_request(rsa_key(2048))).status_code == 200


def test_a_thing_of_another_origin_is_not_taken_over(service: ServiceUnderTest) -> None:
    """Who made a thing under the name meanwhile keeps it."""
    code = code_of(service)
    service.ports.things.made["acme", "press-91"] = "somebody else's"
    answer = enrol(service, code, signing_request())
    assert (answer.status_code, answer.json()["code"]) == (409, "name-taken")
    assert admitted(service) == set()


def test_a_revoked_device_does_not_come_in_again(service: ServiceUnderTest) -> None:
    """Its code and key give no answer any more."""
    code, csr = code_of(service), signing_request()
    enrol(service, code, csr)
    (certificate,) = admitted(service)
    service.ports.things.revoke(certificate)
    again = enrol(service, code, csr)
    assert (again.status_code, again.json()["code"]) == (409, "certificate-revoked")


def test_a_device_that_is_gone_is_registered_anew(service: ServiceUnderTest) -> None:
    """The old code is refused, the name has no facts of the former device, and comes in again."""
    code, csr = code_of(service), signing_request()
    enrol(service, code, csr)
    service.ports.devices.birth("acme", "press-91", _thing(service), at=1)
    service.ports.devices.death("acme", "press-91", _thing(service))
    service.ports.things.made.clear()
    assert service.call("GET", "/v1/devices/press-91").status_code == 404
    assert enrol(service, code, csr).status_code == 401
    fresh = register(service, groups=[], attributes={}, tags={}).json()
    assert fresh["device"]["groups"] == []
    assert enrol(service, code, csr).status_code == 401
    assert enrol(service, fresh["code"], csr).status_code == 200


def test_a_code_for_a_device_in_service_is_refused(service: ServiceUnderTest) -> None:
    """Neither a name that is taken nor a device that is in gets a code."""
    assert register(service, id="press-01").status_code == 409
    code = code_of(service)
    assert register(service).status_code == 409
    enrol(service, code, signing_request())
    for device in ("press-91", "press-01"):
        answer = service.call("POST", f"/v1/devices/{device}/enrolment-code")
        assert answer.status_code == 409, answer.text
        assert "revoke it" in answer.json()["detail"]
    assert service.call("POST", "/v1/devices/none/enrolment-code").status_code == 404


def test_a_suspended_tenant_lets_nobody_in(service: ServiceUnderTest) -> None:
    """Its devices are told so once their code is proved."""
    code, tenant = code_of(service), service.acme.tenant
    rows = service.ports.tenants.rows
    rows[tenant.issuer] = replace(tenant, status=TenantStatus.SUSPENDED)
    answer = enrol(service, code, signing_request())
    assert (answer.status_code, answer.json()["type"]) == (
        403,
        "urn:cedarfleet:problem:tenant-suspended",
    )
    assert service.ports.things.made == {}


@pytest.mark.parametrize(
    ("group", "tags", "status"),
    [
        ("managers", {"building": "7"}, 201),
        ("managers", {"certified_by": "boss"}, 403),
        ("it-staff", {"certified_by": "boss"}, 201),
        ("operators", {}, 403),
        ("newcomers", {}, 403),
    ],
)
def test_managers_and_it_staff_register(
    service: ServiceUnderTest, group: str, tags: dict[str, str], status: int
) -> None:
    """Nobody else does, and only IT staff say that a device is certified."""
    answer = register(service, as_=group, tags=tags)
    assert answer.status_code == status, answer.text
    assert ("code" in answer.json()) is (status == 201)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"id": "press 91"}, "id"),
        ({"groups": ["line-pres"]}, "groups"),
        ({"attributes": {"colour": "red"}}, "attributes.colour"),
        ({"attributes": {"utc_offset": "+1"}}, "utc_offset"),
        ({"attributes": {"security_patch": "2099-01-01"}}, "security_patch"),
        ({"attributes": {"utc_offset": "+01:00", "time_zone": "Europe/Berlin"}}, "time_zone"),
        ({"tags": {"1": "x"}}, "tags"),
    ],
)
def test_a_wrong_device_is_refused_by_the_member(
    service: ServiceUnderTest, changes: dict[str, Any], field: str
) -> None:
    """The member is named, and nothing is stored."""
    answer = register(service, **changes)
    assert answer.status_code == 400, answer.text
    assert answer.json()["errors"][0]["field"] == field
    assert service.call("GET", "/v1/devices/press-91").status_code == 404


def test_every_enrolment_is_audited(service: ServiceUnderTest) -> None:
    """Who registered, which wrong code came, and that the device came in; no code, no key."""
    code, csr = code_of(service), signing_request()
    enrol(service, "wrong", csr)
    enrol(service, code, csr)
    enrol(service, code, signing_request())
    trail = [
        (record.action, type(record.decision).__name__, record.subject)
        for record in service.ports.audit.trail
    ]
    assert trail == [
        ("RegisterDevice", "Allowed", "press-91"),
        ("EnrolDevice", "Denied", "wrong code"),
        ("EnrolDevice", "Allowed", None),
        ("EnrolDevice", "Denied", "key-differs"),
    ]
    assert code not in str(service.ports.audit.trail)
    assert code not in str(service.ports.devices.rows)


def test_no_trail_no_device(service: ServiceUnderTest) -> None:
    """What cannot be audited is not done."""
    code = code_of(service)
    service.ports.audit.available = False
    assert enrol(service, code, signing_request()).status_code == 503
    assert service.ports.things.made == {}


def _thing(service: ServiceUnderTest) -> str:
    rows = service.ports.devices.rows["acme", "press-91"]
    (enrolment,) = rows.enrolments.values()
    return enrolment.thing_id
