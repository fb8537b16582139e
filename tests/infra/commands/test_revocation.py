"""``python -m infra devices revoke``: a device that comes back at once is put off for good."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError

from infra.__main__ import main
from infra.commands.devices import TABLE
from infra.commands.revocation import Watch, revoke
from infra.local.cloud.limits.table import CERTIFICATE
from tests.infra.local.cloud.limits.devices import identity, plugged
from tests.infra.local.cloud.limits.stubborn import Stubborn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.local.cloud import EmbeddedCloud
    from infra.local.cloud.limits.clock import Clock


@pytest.fixture
def clock(embedded_cloud: EmbeddedCloud) -> Iterator[Clock]:
    """The cloud's, which stands still; delays and rates are AWS's own."""
    limits = embedded_cloud.limits
    with limits.changed(pace=1), limits.clock.stopped():
        yield limits.clock


@pytest.fixture
def stubborn(embedded_cloud: EmbeddedCloud, clock: Clock) -> Iterator[Stubborn]:
    """Connected, on the clock that stands still."""
    del clock
    with closing(Stubborn(embedded_cloud, identity(embedded_cloud))) as device:
        device.try_again()
        yield device


def test_a_device_that_comes_back_at_once_is_put_off(
    embedded_cloud: EmbeddedCloud, clock: Clock, stubborn: Stubborn
) -> None:
    """It is let in while the certificate lingers, thrown out each time, and refused in the end."""
    said, begun = list[str](), clock.now()

    def pause(_: float) -> None:
        clock.advance(10)
        stubborn.try_again()

    away = revoke(
        embedded_cloud.client("iot"),
        embedded_cloud.client("iot-data"),
        stubborn.thing,
        watch=Watch(quiet_seconds=60, now=clock.now, pause=pause),
        say=said.append,
    )

    assert away
    assert stubborn.accepted > 5, "the certificate did not linger"
    assert stubborn.refused > 4
    # It was let in for the last time 10 s before the delay was over.
    took = clock.now() - begun
    assert took == pytest.approx(CERTIFICATE.figure - 10 + 60)
    last = f"last after {took - 60:.1f} s; took {took:.0f} s"
    assert said == [
        f"{stubborn.thing}: certificate {stubborn.certificate_id} is revoked",
        f"{stubborn.thing}: was disconnected, and is watched for 60 s",
        f"{stubborn.thing}: stays away; disconnected {stubborn.accepted} times, {last}",
    ]


def test_a_device_that_does_not_stay_away_is_told(
    embedded_cloud: EmbeddedCloud, clock: Clock, stubborn: Stubborn
) -> None:
    """The watch ends: the certificates are revoked, and the answer is that it comes back."""
    said = list[str]()

    def pause(_: float) -> None:
        clock.advance(10)
        stubborn.try_again()

    assert not revoke(
        embedded_cloud.client("iot"),
        embedded_cloud.client("iot-data"),
        stubborn.thing,
        watch=Watch(quiet_seconds=60, most_seconds=30, now=clock.now, pause=pause),
        say=said.append,
    )
    assert said[-1] == f"{stubborn.thing}: comes back still, 40 s after it was revoked"


def test_a_certificate_of_the_meantime_is_told(embedded_cloud: EmbeddedCloud, clock: Clock) -> None:
    """A renewal that was under way gave it another certificate, which nobody has revoked."""
    device, iot, said = identity(embedded_cloud), embedded_cloud.client("iot"), list[str]()
    made: list[str] = []

    def pause(seconds: float) -> None:
        clock.advance(seconds)
        if not made:
            new = iot.create_keys_and_certificate(setAsActive=True)
            iot.attach_thing_principal(thingName=device.thing, principal=new["certificateArn"])
            made.append(new["certificateId"])

    data = embedded_cloud.client("iot-data")
    watch = Watch(quiet_seconds=1, now=clock.now, pause=pause)
    assert not revoke(iot, data, device.thing, watch=watch, say=said.append)
    assert said[-1] == f"{device.thing}: has been given another certificate, {made[0]}"
    # Again, as its message says: now both are known.
    assert revoke(iot, data, device.thing, watch=watch, say=said.append)
    assert iot.describe_certificate(certificateId=made[0])["certificateDescription"]["status"] == (
        "REVOKED"
    )


def test_a_session_that_waits_is_ended_too(embedded_cloud: EmbeddedCloud, clock: Clock) -> None:
    """A device that is away finds nothing of its session; what never was is not found."""
    device, data = identity(embedded_cloud), embedded_cloud.client("iot-data")
    with plugged(embedded_cloud, device) as connection:
        assert connection.connect(device.thing, clean=False) == 0
        assert connection.subscribe(f"to/{device.thing}") == 1
        data.delete_connection(clientId=device.thing)
        assert connection.is_closed_within(10)
    data.delete_connection(clientId=device.thing, cleanSession=True)
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        data.delete_connection(clientId=device.thing)


@pytest.fixture
def table(embedded_cloud: EmbeddedCloud) -> str:
    """Of devices, empty."""
    name, keys = "devices-of-revoking", {"partition": "HASH", "sk": "RANGE"}
    embedded_cloud.client("dynamodb").create_table(
        TableName=name,
        KeySchema=[{"AttributeName": key, "KeyType": kind} for key, kind in keys.items()],
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
        BillingMode="PAY_PER_REQUEST",
    )
    return name


def test_the_command_ends_with_what_became_of_it(
    embedded_cloud: EmbeddedCloud,
    table: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """0: the device stays away; 1: there is no such device, said in one line."""
    for name, value in embedded_cloud.environment().items():
        monkeypatch.setenv(name, value)
    iot, thing = embedded_cloud.client("iot"), "revoking--press-07"
    monkeypatch.setenv(TABLE, table)
    iot.create_thing(thingName=thing)
    made = iot.create_keys_and_certificate(setAsActive=True)
    iot.attach_thing_principal(thingName=thing, principal=made["certificateArn"])

    assert main(["devices", "revoke", "revoking", "press-07", "--quiet", "0.1"]) == 0
    told = capfd.readouterr().out.splitlines()
    assert told[0] == f"{thing}: certificate {made['certificateId']} is revoked"
    assert told[1].startswith(f"{thing}: stays away; disconnected never, it was not there; took ")
    assert main(["devices", "revoke", "revoking", "press-08"]) == 1
    told, words = capfd.readouterr()
    assert (told, words.count("\n")) == ("", 1)
    assert words.startswith("cannot revoke the device: ")
    assert "ResourceNotFoundException" in words

    # Without the table its certificates are revoked all the same, and that is said.
    monkeypatch.setenv(TABLE, "no-such-table")
    again = iot.create_keys_and_certificate(setAsActive=True)
    iot.attach_thing_principal(thingName=thing, principal=again["certificateArn"])
    assert main(["devices", "revoke", "revoking", "press-07", "--quiet", "0.1"]) == 1
    told, words = capfd.readouterr()
    assert f"certificate {again['certificateId']} is revoked" in told
    assert words.startswith("press-07: cannot end its one-time codes, run it again: ")
