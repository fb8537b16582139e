"""Topic x action x device x tenant: what the broker allows under the stamped IoT policies.

What is expected is written here as a rule of its own, not read from the policy: a device reaches
its own topics of a few kinds, and nothing else of anybody's.
"""

from __future__ import annotations

from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from queue import SimpleQueue
from typing import TYPE_CHECKING, Final

import pytest
from awscrt import mqtt5
from awsiot import mqtt5_client_builder
from cedarfleet_device import wire

from infra import names
from tests.certificates import certified
from tests.infra.identities import identify

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from pathlib import Path

    from tests.infra.conftest import Project

SECONDS: Final = 20
DEVICES: Final = (("acme", "table-01"), ("acme", "table-02"), ("globex", "table-01"))
# Whose topics are asked for: the three, and those that a careless pattern would let in.
LOOKALIKES: Final = ("acme--table-011", "acme2--table-01", "acme--", "+", "#", "*")
ID: Final = "01JD0000000000000000000000"

PUBLISHED: Final[dict[str, Callable[[str, str], str]]] = {
    "command": lambda _, thing: wire.command_topic(thing, ID),
    "status": lambda _, thing: wire.status_topic(thing, ID),
    "presence": lambda _, thing: wire.presence_topic(thing),
    "telemetry": lambda tenant, thing: wire.telemetry_topic(tenant, thing, "speed"),
    "job": lambda _, thing: f"$aws/things/{thing}/jobs/start-next",
    "shadow": lambda _, thing: f"$aws/things/{thing}/shadow/name/state/update",
    "tunnel": lambda _, thing: f"$aws/things/{thing}/tunnels/notify",
    "events": lambda _, thing: f"$aws/events/presence/connected/{thing}",
}
SUBSCRIBED: Final[dict[str, Callable[[str, str], str]]] = {
    "commands": lambda _, thing: wire.command_filter(thing),
    "one command": lambda _, thing: wire.command_topic(thing, ID),
    "statuses": lambda _, thing: wire.status_topic(thing, "+"),
    "telemetry": lambda tenant, thing: wire.telemetry_topic(tenant, thing, "speed"),
    "jobs": lambda _, thing: f"$aws/things/{thing}/jobs/notify-next",
    "shadow": lambda _, thing: f"$aws/things/{thing}/shadow/name/state/update/delta",
    "all of it": lambda _, thing: f"fleet/{thing}/#",
    "events": lambda _, thing: f"$aws/events/presence/+/{thing}",
}
ITS_OWN: Final = {
    ("publish", "status"),
    ("publish", "presence"),
    ("publish", "telemetry"),
    ("publish", "job"),
    ("publish", "shadow"),
    ("subscribe", "commands"),
    ("subscribe", "jobs"),
    ("subscribe", "shadow"),
}
NOBODYS: Final = (
    "#",
    "+/+",
    "fleet/#",
    "fleet/+/commands/+",
    "$aws/things/+/jobs/#",
    "$aws/rules/#",
    "$aws/certificates/create-from-csr/json/accepted",
)


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One question of the table, and what the broker said."""

    device: str
    action: str
    kind: str
    owner: str
    allowed: bool


class RefusedError(Exception):
    """The broker refused a connection; its argument is the reason code of MQTT 5."""


class Connection:
    """An MQTT connection of a device, which answers what the broker said."""

    def __init__(self, client: mqtt5.Client, heard: SimpleQueue[str]) -> None:
        self._client = client
        self.heard = heard

    def publish(self, topic: str) -> bool:
        """Whether a message of QoS 1 was taken."""
        packet = mqtt5.PublishPacket(topic=topic, payload=b"{}", qos=mqtt5.QoS.AT_LEAST_ONCE)
        code = self._client.publish(packet).result(SECONDS).puback.reason_code
        # The second is of a reserved topic, whoever asks.
        assert code in (
            mqtt5.PubackReasonCode.SUCCESS,
            mqtt5.PubackReasonCode.TOPIC_NAME_INVALID,
            mqtt5.PubackReasonCode.NOT_AUTHORIZED,
        )
        return code == mqtt5.PubackReasonCode.SUCCESS

    def subscribe(self, topic: str) -> bool:
        """Whether a filter was taken."""
        wanted = mqtt5.Subscription(topic_filter=topic, qos=mqtt5.QoS.AT_LEAST_ONCE)
        answer = self._client.subscribe(mqtt5.SubscribePacket(subscriptions=[wanted]))
        (code,) = answer.result(SECONDS).reason_codes
        taken = code == mqtt5.SubackReasonCode.GRANTED_QOS_1
        assert taken or code in (
            mqtt5.SubackReasonCode.TOPIC_FILTER_INVALID,
            mqtt5.SubackReasonCode.NOT_AUTHORIZED,
        )
        return taken


@contextmanager
def connected(project: Project, folder: Path, client_id: str) -> Generator[Connection]:
    """A connection with the certificate in a folder, under a client id.

    Raises:
        RefusedError: the broker refused it.
    """
    ready: Future[None] = Future()
    stopped: Future[None] = Future()
    heard: SimpleQueue[str] = SimpleQueue()

    def failed(data: mqtt5.LifecycleConnectFailureData) -> None:
        answer = data.connack_packet
        if not ready.done():
            # A connection that never came has no answer, which awscrt's types do not say.
            ready.set_exception(RefusedError(answer.reason_code.name) if answer else data.exception)

    def came(_data: mqtt5.LifecycleConnectSuccessData) -> None:
        if not ready.done():
            ready.set_result(None)

    client = mqtt5_client_builder.mtls_from_path(
        endpoint="localhost",
        port=project.cloud.mqtt_port,
        cert_filepath=str(folder / "device.pem"),
        pri_key_filepath=str(folder / "device.key"),
        ca_filepath=project.cloud.ca,
        client_id=client_id,
        on_lifecycle_connection_success=came,
        on_lifecycle_connection_failure=failed,
        on_publish_received=lambda data: heard.put(data.publish_packet.topic),
        on_lifecycle_stopped=lambda _: stopped.set_result(None),
    )
    client.start()
    try:
        ready.result(SECONDS)
        yield Connection(client, heard)
    finally:
        client.stop()
        stopped.result(SECONDS)


@pytest.fixture(scope="module")
def folders(project: Project, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The identity of each device, by its thing."""
    made: dict[str, Path] = {}
    for tenant, device in DEVICES:
        folder = made[wire.thing_name(tenant, device)] = tmp_path_factory.mktemp("identity")
        identify(project.cloud.client("iot"), folder, tenant=tenant, device=device)
    return made


def asked(project: Project, folders: dict[str, Path]) -> Iterator[Cell]:
    """Every question of the table, asked of the broker."""
    for me, folder in folders.items():
        with connected(project, folder, me) as connection:
            for owner in (*folders, *LOOKALIKES):
                tenant = owner.partition("--")[0]
                named = tenant if tenant in ("acme", "globex") else "acme"
                # No topic to publish to has a wildcard in it (MQTT 5, 4.7.1).
                if owner not in ("+", "#"):
                    for kind, topic in PUBLISHED.items():
                        taken = connection.publish(topic(named, owner))
                        yield Cell(
                            device=me, action="publish", kind=kind, owner=owner, allowed=taken
                        )
                for kind, topic in SUBSCRIBED.items():
                    filter_ = topic(named, owner)
                    if "#" in filter_[:-1]:
                        continue  # `#` stands last or not at all
                    taken = connection.subscribe(filter_)
                    yield Cell(device=me, action="subscribe", kind=kind, owner=owner, allowed=taken)
            for filter_ in NOBODYS:
                taken = connection.subscribe(filter_)
                yield Cell(
                    device=me, action="subscribe", kind=filter_, owner="nobody", allowed=taken
                )


def test_a_device_reaches_its_own_topics_and_no_others(
    project: Project, folders: dict[str, Path]
) -> None:
    """Each cell of the table is as the rule says, in both directions."""
    cells = list(asked(project, folders))

    wrong = [
        cell
        for cell in cells
        if cell.allowed != (cell.device == cell.owner and (cell.action, cell.kind) in ITS_OWN)
    ]
    assert wrong == []
    assert len(cells) > 350
    assert sum(cell.allowed for cell in cells) == len(DEVICES) * len(ITS_OWN)


def test_a_device_speaks_to_its_own_tenants_rule_alone(
    project: Project, folders: dict[str, Path]
) -> None:
    """Its own thing's telemetry, but in the other tenant's rule, and any other rule, is refused."""
    for me, folder in folders.items():
        mine = me.partition("--")[0]
        with connected(project, folder, me) as connection:
            for tenant in ("acme", "globex", "acme2"):
                topic = wire.telemetry_topic(tenant, me, "speed")
                assert connection.publish(topic) == (tenant == mine), topic
            for rule in (names.STATUS_RULE, names.JOB_ENDED_RULE):
                assert not connection.publish(f"$aws/rules/{rule}/fleet/{me}/commands/{ID}/status")


def test_a_certificate_connects_as_its_own_thing_alone(
    project: Project, folders: dict[str, Path], tmp_path: Path
) -> None:
    """Nobody connects under another's name, with a thing of another tenant, or with none."""
    for me, other in product(folders, (*folders, "acme--nobody", "acme")):
        if me == other:
            with connected(project, folders[me], other):
                pass
        else:
            with (
                pytest.raises(RefusedError, match="NOT_AUTHORIZED"),
                connected(project, folders[me], other),
            ):
                pass

    iot = project.cloud.client("iot")
    loose, crossed = certified(iot), certified(iot)
    for made in (loose, crossed):
        iot.attach_policy(policyName=names.device_policy("acme"), target=made["certificateArn"])
    iot.create_thing(thingName="globex--crossed")
    iot.attach_thing_principal(thingName="globex--crossed", principal=crossed["certificateArn"])
    for made, client_id in ((loose, "acme--loose"), (crossed, "globex--crossed")):
        (tmp_path / "device.pem").write_text(made["certificatePem"])
        (tmp_path / "device.key").write_text(made["keyPair"]["PrivateKey"])
        with (
            pytest.raises(RefusedError, match="NOT_AUTHORIZED"),
            connected(project, tmp_path, client_id),
        ):
            pass


def test_a_message_comes_to_the_one_it_is_for(project: Project, folders: dict[str, Path]) -> None:
    """Of three that listen, in two tenants, each hears what is published to it, in order."""
    things = list(folders)
    data = project.cloud.client("iot-data")
    numbers = ("first", "second")

    with (
        connected(project, folders[things[0]], things[0]) as one,
        connected(project, folders[things[1]], things[1]) as two,
        connected(project, folders[things[2]], things[2]) as three,
    ):
        listening = dict(zip(things, (one, two, three), strict=True))
        for thing, connection in listening.items():
            assert connection.subscribe(wire.command_filter(thing))
        for number in numbers:
            for thing in things:
                data.publish(topic=wire.command_topic(thing, number), qos=1, payload=b"{}")
        for thing, connection in listening.items():
            assert [connection.heard.get(timeout=SECONDS) for _ in numbers] == [
                wire.command_topic(thing, number) for number in numbers
            ]
            assert connection.heard.empty()
