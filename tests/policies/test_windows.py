"""One maintenance window: policies, rollouts and devices never differ on whether it is open."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from cedarfleet_device.installs.window import Window as DeviceWindow
from hypothesis import assume, given
from hypothesis import strategies as st

from infra.policies import TenantPolicies, load
from service.cedar.evaluator import Evaluator
from service.cedar.policy_set import PolicySet
from service.cedar.request import AuthorizationRequest, RequestContext, TokenBearer
from service.domain.devices import Device
from service.domain.rollouts import Window as RolloutWindow

if TYPE_CHECKING:
    from collections.abc import Mapping

POLICIES: Final = Path(__file__).parents[2] / "policies"
POLICY: Final = "firmware-in-maintenance-window"
BEARER: Final = TokenBearer(groups=("it-staff",))
# Whole hours east and west, halves and quarters, changes of half an hour and on both hemispheres.
ZONES: Final = (
    *("Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"),
    *("Pacific/Apia", "Pacific/Kiritimati", "America/St_Johns", "Pacific/Marquesas"),
)
MINUTES: Final = st.integers(0, 24 * 60 - 1)


@st.composite
def times(draw: st.DrawFn) -> tuple[str, str, datetime]:
    """A window, a zone and a moment: anywhere, or about an edge of the window there."""
    start, end = draw(MINUTES), draw(MINUTES)
    zone = draw(st.sampled_from(ZONES))
    around = draw(st.sampled_from([start, end, draw(MINUTES)]))
    day = draw(st.dates(date(2026, 1, 1), date(2027, 12, 30)))
    local = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone))
    local += timedelta(minutes=around, milliseconds=draw(st.integers(-1500, 1500)))
    return f"{clock(start)}-{clock(end)}", zone, local.astimezone(UTC)


def clock(minute: int) -> str:
    """``22:00``."""
    return f"{minute // 60:02}:{minute % 60:02}"


def offset(zone: str, now: datetime) -> str:
    """The zone's offset then, as people write it."""
    found = now.astimezone(ZoneInfo(zone)).utcoffset()
    assert found is not None
    sign = "-" if found < timedelta() else "+"
    return f"{sign}{clock(abs(found) // timedelta(minutes=1))}"


@cache
def policy() -> Evaluator:
    """The base's policy alone."""
    found = load(POLICIES, TenantPolicies(tenant="acme")).policy_set
    alone = PolicySet(
        schema=found.schema, static={POLICY: found.static[POLICY]}, templates={}, links=()
    )
    return Evaluator(alone.bound(tenant="acme", pool_id="pool"))


def policy_is_silent(facts: Mapping[str, str], now: datetime) -> bool:
    """Whether the policy lets firmware to a device of these facts pass, at this moment."""
    device = Device(tenant="acme", id="press-01", attributes=facts)
    request = AuthorizationRequest.of(
        principal=BEARER.uid("pool"),
        action="UpdateFirmware",
        entities=device.entities({}),
        context=RequestContext(now=now),
    )
    found = policy().evaluate(request.with_bearer(BEARER, pool_id="pool"))
    assert found.errors == ()
    return POLICY not in found.policies


@given(drawn=times())
def test_all_agree_whether_a_window_is_open(drawn: tuple[str, str, datetime]) -> None:
    """At the click and when a wave begins (Cedar), when its jobs are made, and on the device."""
    window, zone, now = drawn
    then = offset(zone, now)
    of_zone = policy_is_silent({"window": window, "time_zone": zone}, now)
    of_device = DeviceWindow.read(window, zone).is_open(round(now.timestamp() * 1000))
    assert of_zone is of_device
    assert policy_is_silent({"window": window, "utc_offset": then}, now) is of_device
    start, _, end = window.partition("-")
    assume(start != end)  # a rollout has none that is never open
    assert (RolloutWindow.of(window, then).opens_at(now) == now) is of_device


@given(drawn=times())
def test_a_window_opens_when_it_says(drawn: tuple[str, str, datetime]) -> None:
    """It is closed until then, within a day, and open at that very moment, by the policy too."""
    window, zone, now = drawn
    start, _, end = window.partition("-")
    assume(start != end)
    then = offset(zone, now)
    facts = {"window": window, "utc_offset": then}
    opens = RolloutWindow.of(window, then).opens_at(now)
    assert now <= opens < now + timedelta(days=1)
    assert policy_is_silent(facts, opens)
    if opens != now:
        assert not policy_is_silent(facts, opens - timedelta(milliseconds=1))
