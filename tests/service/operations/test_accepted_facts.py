"""Whatever the API accepts of a device, the policy store can decide on, and so can whoever repairs.

The store is the one of the embedded cloud, called in process; the adapter spells the questions.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from hypothesis import given, settings
from hypothesis import strategies as st

from service.adapters.aws.authorizer import VerifiedPermissionsAuthorizer
from service.adapters.memory.audit import MemoryAuditLog
from service.adapters.memory.devices import MemoryConnections, MemoryDevices
from service.adapters.memory.work import MemoryWorkQueue
from service.cedar import device_facts
from service.domain.devices import Device, check_attributes, check_one_offset, check_patch_date
from service.domain.permissions import Permission
from service.domain.tags import check_count, check_tags
from service.errors import InvalidRequestError
from service.operations.authorization import Access, RequestFacts
from service.operations.devices import Devices
from tests.service.adapters.aws.answered_line import AnsweredDoor, Call
from tests.service.adapters.aws.conftest import AWS
from tests.service.operations.policies import Advice
from tests.service.operations.test_decided_alike import ACME, Store, caller, endpoint

if TYPE_CHECKING:
    from collections.abc import Mapping

NOW: Final = datetime.now(UTC)
OF_THEIR_FORM: Final[Mapping[str, st.SearchStrategy[str]]] = {
    "kind": st.from_regex(device_facts.LABEL, fullmatch=True),
    "region": st.from_regex(device_facts.LABEL, fullmatch=True),
    "criticality": st.sampled_from(device_facts.LEVELS),
    "utc_offset": st.from_regex(device_facts.OFFSET, fullmatch=True),
    "time_zone": st.sampled_from(["Europe/Berlin", "America/St_Johns", "Pacific/Kiritimati"]),
    "window": st.from_regex(device_facts.WINDOW, fullmatch=True),
    "security_patch": st.dates().map(str) | st.from_regex(r"[0-9]{1,4}-[0-9]{2}-[0-9]{2}"),
}
CHANGES: Final = st.fixed_dictionaries(
    {}, optional={name: form | st.text(max_size=9) for name, form in OF_THEIR_FORM.items()}
)
TAGS: Final = st.dictionaries(
    st.from_regex(r"[A-Za-z][A-Za-z0-9_.-]{0,9}", fullmatch=True) | st.text(max_size=5),
    st.text(max_size=200),
    max_size=4,
)
ALL: Final = frozenset(Permission)


@cache
def store() -> Store:
    """It allows everything: what it refuses, it cannot decide on."""
    return Store.of(["permit (principal, action, resource);"], [])


async def answered(call: Call) -> dict[str, Any]:
    """What the store says to a question of the adapter."""
    return endpoint()(call.operation, **{**call.arguments, "policyStoreId": store().id})


@settings(max_examples=60)
@given(CHANGES, TAGS)
def test_what_is_accepted_can_be_decided_on(changes: dict[str, str], tags: dict[str, str]) -> None:
    """A change goes through whole or is refused as the caller's fault; then the device is read."""
    door = AnsweredDoor(AWS)
    door.answer = answered
    facts = MemoryDevices()
    facts.add(Device(tenant=ACME.id, id="press-07"))
    devices = Devices(
        facts=facts,
        connections=MemoryConnections(devices=facts),
        groups=facts.groups,
        queue=MemoryWorkQueue(),
        clock=lambda: NOW,
    )
    authorizer = VerifiedPermissionsAuthorizer(aws=door)
    access = Access(
        principal=caller({}),
        facts=RequestFacts(request_id="r", source_ip=None),
        declared=ALL,
        authorizer=authorizer,
        adviser=Advice(authorizer),
        audit=MemoryAuditLog(),
        clock=lambda: NOW,
    )

    async def scenario() -> None:
        with suppress(InvalidRequestError):
            await devices.configure(access, "press-07", changes)
        with suppress(InvalidRequestError):
            await devices.set_tags(access, "press-07", tags)
        read = await devices.read(access, "press-07")
        assert read.problem is None
        # A repair of whatever was stored: everything is taken away again.
        if read.attributes:
            await devices.configure(access, "press-07", dict.fromkeys(read.attributes))

    asyncio.run(scenario())


@given(CHANGES, TAGS)
def test_a_registration_is_held_to_the_same(changes: dict[str, str], tags: dict[str, str]) -> None:
    """Its checks are those of a change, so what they accept can be read by policies."""
    try:
        check_attributes({}, changes)
        check_patch_date(changes, today=NOW.date())
        check_one_offset({}, changes)
        if tags:
            check_tags({}, tags)
            check_count(tags)
    except InvalidRequestError:
        return
    device = Device(tenant=ACME.id, id="press-07", attributes=changes, tags=tags)
    assert device.problem is None
