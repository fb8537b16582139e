"""Values are spelt alike for both engines, and read back as they were."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING

import cedarpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.adapters.aws.authorizer import attribute_value
from service.cedar.values import (
    EntityUid,
    datetime_text,
    duration_text,
    json_value,
    parse_datetime,
    parse_duration,
)

if TYPE_CHECKING:
    from service.cedar.values import Value

# Hypothesis wants naive bounds, and puts the zone to what it draws.
FIRST, LAST = (datetime(year, 1, 2, tzinfo=UTC).replace(tzinfo=None) for year in (1970, 2200))
moments = st.datetimes(FIRST, LAST, timezones=st.just(UTC))
durations = st.timedeltas(timedelta(days=-30), timedelta(days=30))
values = st.one_of(
    st.booleans(), st.integers(-(2**63), 2**63 - 1), moments, durations, st.ip_addresses()
)


@given(values)
def test_both_engines_get_the_same_value(value: Value) -> None:
    """What Verified Permissions is sent is of its model, and says what the Cedar JSON says."""
    sent = attribute_value(value)
    [(member, content)] = sent.items()
    patterns = {
        "datetime": r"\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}:\d{2}(\.\d{3})?(Z|[+-]\d{4}))?",
        "duration": r"-?(\d+d)?(\d+h)?(\d+m)?(\d+s)?(\d+ms)?",
        "ipaddr": r"[0-9a-fA-F\.:\/]*",
    }
    twin = json_value(value)
    if member in patterns:
        assert re.fullmatch(patterns[member], content)
        assert twin["__extn"]["arg"] == content
        function = {"ipaddr": "ip"}.get(member, member)
        equal = (
            f'permit(principal, action, resource) when {{ context.v == {function}("{content}") }};'
        )
        request = {
            "principal": 'A::"a"',
            "action": 'Action::"a"',
            "resource": 'A::"a"',
            "context": {"v": twin},
        }
        assert cedarpy.is_authorized(request, equal, []).decision is cedarpy.Decision.Allow
    else:
        assert twin == content


def test_addresses_of_both_families_are_spelt_for_the_policies() -> None:
    """IPv4 and IPv6 in the service's context."""
    assert attribute_value(ip_address("10.0.0.1")) == {"ipaddr": "10.0.0.1"}
    assert json.loads(json.dumps(json_value(ip_address("2001:db8::1")))) == {
        "__extn": {"fn": "ip", "arg": "2001:db8::1"}
    }


def test_sets_and_records_are_spelt_for_both_engines() -> None:
    """A token in the context is a record with a set; an entity is named."""
    value: Value = {"scope": ("fleet/view",), "owner": EntityUid("Fleet::Tenant", "acme")}
    assert json_value(value) == {
        "scope": ["fleet/view"],
        "owner": {"__entity": {"type": "Fleet::Tenant", "id": "acme"}},
    }
    assert attribute_value(value) == {
        "record": {
            "scope": {"set": [{"string": "fleet/view"}]},
            "owner": {"entityIdentifier": {"entityType": "Fleet::Tenant", "entityId": "acme"}},
        }
    }


@given(moments, durations)
def test_moments_and_durations_are_read_back(moment: datetime, duration: timedelta) -> None:
    """What Cedar is told is read as the same, to the millisecond."""
    assert abs(parse_datetime(datetime_text(moment)) - moment) < timedelta(milliseconds=1)
    assert abs(parse_duration(duration_text(duration)) - duration) < timedelta(milliseconds=1)


@pytest.mark.parametrize("text", ["", "-", "1", "1h1h", "1m1h", "h", "1.5h"])
def test_text_that_is_no_duration_is_refused(text: str) -> None:
    """Units in falling order, each with a whole number before it."""
    with pytest.raises(ValueError, match="is no duration"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["managers", 'Fleet::Group::""', 'Fleet::"x" ', '"x"'])
def test_text_that_is_no_uid_is_refused(text: str) -> None:
    """The message shows what a policy file would say."""
    with pytest.raises(ValueError, match=r'e\.g\. Fleet::Group::"technicians"'):
        EntityUid.parse(text)
