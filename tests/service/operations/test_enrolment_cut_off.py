"""An enrolment that is cut off before or behind any call, or meets another, goes on or is refused.

The calls are found by making them: each of the ports is wrapped by an object that counts and fails.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from service.adapters.memory.enrolments import MemoryEnrolments
from service.adapters.memory.memory_ports import MemoryPorts
from service.adapters.memory.user_pool import MemoryUserPool
from service.domain.devices import Device
from service.domain.enrolments import DeviceEndpoint, Enrolment, code_digest, new_code
from service.domain.instants import milliseconds
from service.errors import (
    EnrolmentFault,
    EnrolmentRefusedError,
    EnrolmentStateError,
    UnavailableError,
)
from service.operations.authorization import RequestFacts
from service.operations.budgets import Budgets
from service.operations.enrolment import ENROLMENTS, Enrol, Enrolled, EnrolmentRequest
from service.settings import EnrolmentSettings
from tests.service.operations.cut_line import Line, Wrapped, cut
from tests.service.requests import signing_request

if TYPE_CHECKING:
    from service.adapters.memory.authorizer import CedarAuthorizer
    from service.domain.tenants import Tenant
    from service.ports import Ports

FACTS = RequestFacts(request_id="request-1", source_ip=None)
ENDPOINT = DeviceEndpoint(host="localhost", port=8883, authorities="")
SETTINGS = EnrolmentSettings(tries_per_second=1_000)
CODE = new_code()
FIRST, SECOND = signing_request(), signing_request()
CALLS = 10
"""Of one enrolment: found below to be as many."""


@pytest.fixture(scope="module")
def acme() -> MemoryUserPool:
    """One tenant."""
    return MemoryUserPool("acme")


@pytest.fixture
def ports(acme: MemoryUserPool, authorizer: CedarAuthorizer) -> MemoryPorts:
    """Twins with one registered device."""
    made = MemoryPorts.around(authorizer)
    acme.join(made)
    enrolment = Enrolment(
        tenant="acme",
        device="press-91",
        registration="01JD0000000000000000000000",
        code_digest=code_digest("acme", "press-91", CODE),
        expires_at=milliseconds(made.clock()) + 60_000,
    )
    device = Device(tenant="acme", id="press-91")
    stored = made.enrolments.register(acme.tenant, device, enrolment, by="boss", now_ms=1)
    assert asyncio.run(stored)
    return made


def over(ports: MemoryPorts, line: Line) -> Ports:
    """The ports behind a line."""
    names = ("tenants", "enrolments", "things", "audit")
    wrapped: dict[str, Any] = {name: Wrapped(name, getattr(ports, name), line) for name in names}
    return replace(ports, **wrapped)


AT = datetime.now(UTC)


def enrol_over(ports: MemoryPorts, line: Line) -> Enrol:
    """The operation of one process behind a line."""
    return Enrol(over(ports, line), Budgets(ports.buckets, ports.clock), SETTINGS, ENDPOINT)


async def enrol(ports: MemoryPorts, line: Line, csr: str = FIRST) -> Enrolled:
    """One request of a device that has the code."""
    asked = EnrolmentRequest(tenant="acme", device="press-91", code=CODE, csr=csr)
    return await enrol_over(ports, line)(asked, FACTS)


def test_an_enrolment_makes_so_many_calls(ports: MemoryPorts) -> None:
    """As many as are cut below, in an order in which nothing lets in before it is written down."""
    line = Line()
    asyncio.run(enrol(ports, line))
    assert len(line.calls) == CALLS
    assert line.calls == [
        *["tenants.named", "enrolments.find", "audit.write"],
        *["enrolments.change", "things.make", "enrolments.change"],
        *["things.sign", "enrolments.change", "things.admit", "enrolments.change"],
    ]


@pytest.mark.parametrize("number", range(1, CALLS + 1))
@pytest.mark.parametrize("where", ["before", "behind"])
def test_what_is_cut_off_goes_on_with_the_same_key(
    ports: MemoryPorts, number: int, where: str
) -> None:
    """The next try ends with one thing and one certificate that is let in, and answers with it."""
    with pytest.raises(UnavailableError):
        asyncio.run(enrol(ports, cut(where, number)))

    done = asyncio.run(enrol(ports, Line()))

    assert ports.things.admitted == {("acme", "press-91"): {done.certificate.id}}
    assert len(ports.things.made) == 1
    assert asyncio.run(enrol(ports, Line())).certificate == done.certificate
    device = ports.devices.known("acme", "press-91")
    assert device is not None
    assert device.enrolled


@pytest.mark.parametrize("number", range(1, CALLS + 1))
@pytest.mark.parametrize("where", ["before", "behind"])
def test_what_is_cut_off_is_taken_by_no_other_key(
    ports: MemoryPorts, number: int, where: str
) -> None:
    """Once a key is written down, another one is refused; before that, it is the one that comes."""
    with pytest.raises(UnavailableError):
        asyncio.run(enrol(ports, cut(where, number)))
    (registered,) = ports.devices.rows["acme", "press-91"].enrolments.values()

    if not registered.key:
        asyncio.run(enrol(ports, Line(), SECOND))
        with pytest.raises(EnrolmentStateError):
            asyncio.run(enrol(ports, Line(), FIRST))
    else:
        with pytest.raises(EnrolmentStateError) as caught:
            asyncio.run(enrol(ports, Line(), SECOND))
        assert caught.value.fault is EnrolmentFault.KEY_DIFFERS
    keys = {
        ports.things.requests[one].pem for ones in ports.things.admitted.values() for one in ones
    }
    assert len(keys) <= 1


def test_of_two_keys_at_once_one_wins(ports: MemoryPorts) -> None:
    """The other is refused, and one certificate is let in."""

    async def scenario() -> list[object]:
        line = Line(turns=True)
        both = (enrol(ports, line, FIRST), enrol(ports, line, SECOND))
        return list(await asyncio.gather(*both, return_exceptions=True))

    answers = asyncio.run(scenario())
    (done,) = [one for one in answers if isinstance(one, Enrolled)]
    (refused,) = [one for one in answers if isinstance(one, EnrolmentStateError)]
    assert refused.fault is EnrolmentFault.KEY_DIFFERS
    assert ports.things.admitted == {("acme", "press-91"): {done.certificate.id}}


def test_one_key_twice_at_once_is_one_device(ports: MemoryPorts) -> None:
    """A device that asks again too soon gets one certificate, in both answers."""

    async def scenario() -> list[Enrolled]:
        line = Line(turns=True)
        return list(await asyncio.gather(*(enrol(ports, line) for _ in range(3))))

    answers = asyncio.run(scenario())
    (certificate,) = {one.certificate.id for one in answers}
    assert ports.things.admitted == {("acme", "press-91"): {certificate}}


def test_wrong_codes_at_once_are_all_counted(ports: MemoryPorts) -> None:
    """None of them is lost, however they meet."""

    async def scenario() -> list[object]:
        line = Line(turns=True)
        asked = EnrolmentRequest(tenant="acme", device="press-91", code="wrong", csr=FIRST)
        tries = [enrol_over(ports, line)(asked, FACTS) for _ in range(5)]
        return list(await asyncio.gather(*tries, return_exceptions=True))

    assert {type(one) for one in asyncio.run(scenario())} == {EnrolmentRefusedError}
    (registered,) = ports.devices.rows["acme", "press-91"].enrolments.values()
    assert registered.tries == 5


class Contended(MemoryEnrolments):
    """Whose rows somebody else always changes first."""

    async def change(self, tenant: Tenant, enrolment: Enrolment) -> Enrolment | None:
        """Too late."""
        del tenant, enrolment
        return None


def test_a_wrong_code_that_is_not_counted_is_no_answer(ports: MemoryPorts) -> None:
    """Fail closed: a try that nobody wrote down would be one more than are allowed."""
    ports = replace(ports, enrolments=Contended(devices=ports.devices))
    asked = EnrolmentRequest(tenant="acme", device="press-91", code="wrong", csr=FIRST)
    with pytest.raises(UnavailableError):
        asyncio.run(enrol_over(ports, Line())(asked, FACTS))


def test_the_accounts_enrolments_are_shared(ports: MemoryPorts) -> None:
    """Where all processes together have used them up nothing is made; later it goes on."""

    async def scenario() -> list[str]:
        ports.clock.now = AT
        others = Budgets(ports.buckets, ports.clock)
        while (await others.spend(ENROLMENTS)).granted:
            pass
        line = Line()
        with pytest.raises(UnavailableError):
            await enrol(ports, line)
        ports.clock.now = AT + timedelta(seconds=10)
        await enrol(ports, Line())
        return line.calls

    assert not [call for call in asyncio.run(scenario()) if call.startswith("things.")]
    assert len(ports.things.admitted) == 1
