"""Changes are seen as late as on AWS, and no test waits for it: the clock is advanced."""

from __future__ import annotations

import json
import ssl
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from infra.local.cloud.limits.table import (
    CEDAR_POLICY,
    CERTIFICATE,
    DEVICE_POLICY,
    DOMAIN,
    INDEX,
    MEMBERSHIP,
)
from tests.infra.local.cloud.limits.devices import identity, plain, plugged

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.local.cloud import EmbeddedCloud
    from infra.local.cloud.limits.clock import Clock

PERMIT = "permit(principal, action, resource);"


@pytest.fixture
def clock(embedded_cloud: EmbeddedCloud) -> Iterator[Clock]:
    """The cloud's, which stands still; delays are AWS's own."""
    limits = embedded_cloud.limits
    with limits.changed(pace=1), limits.clock.stopped():
        yield limits.clock


def _found(cloud: EmbeddedCloud, thing: str) -> list[dict[str, Any]]:
    iot = cloud.client("iot")
    iot.update_indexing_configuration(
        thingIndexingConfiguration={
            "thingIndexingMode": "REGISTRY",
            "thingConnectivityIndexingMode": "STATUS",
        }
    )
    return iot.search_index(queryString=f"thingName:{thing}")["things"]


def test_index_shows_a_thing_as_it_was(embedded_cloud: EmbeddedCloud, clock: Clock) -> None:
    """A new thing, a change and a deletion each show after the index's delay."""
    iot, thing = embedded_cloud.client("iot"), f"thing-{uuid.uuid4().hex[:8]}"
    shown: list[list[Any]] = []

    def note() -> None:
        shown.append([each["attributes"] for each in _found(embedded_cloud, thing)])

    iot.create_thing(thingName=thing, attributePayload={"attributes": {"a": "1"}})
    note()
    clock.advance(INDEX.figure)
    note()
    iot.update_thing(thingName=thing, attributePayload={"attributes": {"a": "2"}})
    note()
    clock.advance(INDEX.figure)
    note()
    iot.delete_thing(thingName=thing)
    note()
    clock.advance(INDEX.figure)
    note()

    assert shown == [[], [{"a": "1"}], [{"a": "1"}], [{"a": "2"}], [{"a": "2"}], []]


def test_index_shows_a_connection_late(embedded_cloud: EmbeddedCloud, clock: Clock) -> None:
    """A device that has connected is shown as connected after the delay only."""
    device = identity(embedded_cloud)
    clock.advance(INDEX.figure)

    with plugged(embedded_cloud, device) as connection:
        assert connection.connect(device.thing) == 0
        before = _found(embedded_cloud, device.thing)[0]["connectivity"]["connected"]
        clock.advance(INDEX.figure)
        after = _found(embedded_cloud, device.thing)[0]["connectivity"]["connected"]
    assert (before, after) == (False, True)


def test_groups_are_listed_as_they_were(embedded_cloud: EmbeddedCloud, clock: Clock) -> None:
    """A new member is neither among a thing's groups nor a group's things at once."""
    iot, thing, group = (embedded_cloud.client("iot"), *(uuid.uuid4().hex for _ in range(2)))
    iot.create_thing(thingName=thing)
    iot.create_thing_group(thingGroupName=group)

    def listed() -> tuple[list[str], list[str]]:
        groups = iot.list_thing_groups_for_thing(thingName=thing)["thingGroups"]
        members = iot.list_things_in_thing_group(thingGroupName=group)["things"]
        return [each["groupName"] for each in groups], members

    iot.add_thing_to_thing_group(thingName=thing, thingGroupName=group)
    assert listed() == ([], [])
    clock.advance(MEMBERSHIP.figure)
    assert listed() == ([group], [thing])
    iot.remove_thing_from_thing_group(thingName=thing, thingGroupName=group)
    assert listed() == ([group], [thing])
    clock.advance(MEMBERSHIP.figure)
    assert listed() == ([], [])


def test_own_name_is_answered_late(embedded_cloud: EmbeddedCloud, clock: Clock) -> None:
    """The broker knows the certificate of a new domain configuration after AWS's hour."""
    device, iot = identity(embedded_cloud), embedded_cloud.client("iot")
    host = f"{uuid.uuid4().hex[:8]}.devices.example"
    made = embedded_cloud.client("acm").request_certificate(DomainName=host, ValidationMethod="DNS")
    with embedded_cloud.limits.changed(figures={"domain-configurations": 1000}):
        iot.create_domain_configuration(
            domainConfigurationName=host,
            domainName=host,
            serverCertificateArns=[made["CertificateArn"]],
        )

    with pytest.raises(ssl.SSLCertVerificationError):
        plugged(embedded_cloud, device, host=host)
    clock.advance(DOMAIN.figure)
    with plugged(embedded_cloud, device, host=host) as connection:
        assert connection.connect(device.thing) == 0


def test_device_policy_decides_minutes_later(embedded_cloud: EmbeddedCloud, clock: Clock) -> None:
    """A device that may connect no more still does until the broker's cache has ended."""
    device, iot = identity(embedded_cloud), embedded_cloud.client("iot")
    deny = {"Effect": "Deny", "Action": "iot:*", "Resource": "*"}
    iot.create_policy_version(
        policyName=device.policy,
        policyDocument=json.dumps({"Version": "2012-10-17", "Statement": [deny]}),
        setAsDefault=True,
    )

    with plugged(embedded_cloud, device) as connection:
        assert connection.connect(device.thing) == 0
    clock.advance(DEVICE_POLICY.figure)
    with plugged(embedded_cloud, device) as connection, pytest.raises(ConnectionResetError):
        connection.connect(device.thing)


def test_revoked_certificate_lingers(embedded_cloud: EmbeddedCloud, clock: Clock) -> None:
    """A device stays connected, and is let in again, for minutes; then it is out."""
    device, iot = identity(embedded_cloud), embedded_cloud.client("iot")
    with plugged(embedded_cloud, device) as first:
        assert first.connect(device.thing) == 0
        iot.update_certificate(certificateId=device.certificate_id, newStatus="REVOKED")
        assert not first.is_closed_within(0.2)
    clock.advance(1)
    with plugged(embedded_cloud, device) as again:
        assert again.connect(device.thing) == 0
        clock.advance(CERTIFICATE.figure)
        assert again.is_closed_within(10)
    with plugged(embedded_cloud, device) as last, pytest.raises(OSError, match=r".*"):
        last.connect(device.thing)


class Store:
    """A policy store without validation, whose decisions are asked for."""

    def __init__(self, cloud: EmbeddedCloud) -> None:
        self.client = plain(cloud, "verifiedpermissions")
        made = self.client.create_policy_store(validationSettings={"mode": "OFF"})
        self.id: str = made["policyStoreId"]

    def create(self, statement: str) -> str:
        """A policy's id."""
        definition = {"static": {"statement": statement}}
        made = self.client.create_policy(policyStoreId=self.id, definition=definition)
        return str(made["policyId"])

    def decision(self, namespace: str = "") -> str:
        """Of a user's request about which nothing is known."""
        one = {"entityType": f"{namespace}User", "entityId": "a"}
        action = {"actionType": f"{namespace}Action", "actionId": "a"}
        answer = self.client.is_authorized(
            policyStoreId=self.id, principal=one, action=action, resource=one
        )
        return str(answer["decision"])


def test_cedar_policy_decides_later(embedded_cloud: EmbeddedCloud, clock: Clock) -> None:
    """A policy that is made, changed or deleted decides after the delay, and not before."""
    store = Store(embedded_cloud)
    decisions: list[str] = []

    def note() -> None:
        decisions.append(store.decision())
        clock.advance(CEDAR_POLICY.figure)
        decisions.append(store.decision())

    made = store.create(PERMIT)
    note()
    never = "permit(principal, action, resource) when { false };"
    store.client.update_policy(
        policyStoreId=store.id, policyId=made, definition={"static": {"statement": never}}
    )
    note()
    store.create(PERMIT)
    clock.advance(CEDAR_POLICY.figure)
    forbid = store.create("forbid(principal, action, resource);")
    note()
    store.client.delete_policy(policyStoreId=store.id, policyId=forbid)
    note()

    assert decisions == ["DENY", "ALLOW", "ALLOW", "DENY", "ALLOW", "DENY", "DENY", "ALLOW"]


def test_cedar_changes_show_in_their_order(embedded_cloud: EmbeddedCloud, clock: Clock) -> None:
    """Of two changes the first shows first: a forbid made before a permit denies before it."""
    store = Store(embedded_cloud)
    store.create("forbid(principal, action, resource);")
    clock.advance(CEDAR_POLICY.figure / 2)
    store.create(PERMIT)
    seen: list[str] = []
    for _ in range(4):
        seen.append(store.decision())
        clock.advance(CEDAR_POLICY.figure / 2)

    assert seen == ["DENY"] * 4


def test_schema_checks_at_once_and_decides_later(
    embedded_cloud: EmbeddedCloud, clock: Clock
) -> None:
    """A request that fits the old schema only is decided until the new one is seen."""
    store = Store(embedded_cloud)
    store.client.update_policy_store(policyStoreId=store.id, validationSettings={"mode": "STRICT"})

    def put(kind: str) -> None:
        applies = {"principalTypes": [kind], "resourceTypes": [kind]}
        schema = {"N": {"entityTypes": {kind: {}}, "actions": {"a": {"appliesTo": applies}}}}
        store.client.put_schema(
            policyStoreId=store.id, definition={"cedarJson": json.dumps(schema)}
        )

    put("User")
    clock.advance(CEDAR_POLICY.figure)
    put("Other")
    store.create("permit(principal is N::Other, action, resource);")
    assert store.decision("N::") == "DENY"
    clock.advance(CEDAR_POLICY.figure)
    with pytest.raises(ClientError, match="ValidationException"):
        store.decision("N::")
