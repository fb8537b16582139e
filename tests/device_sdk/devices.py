"""A tenant of the embedded cloud, its devices as processes, and an observer of all states."""

from __future__ import annotations

import json
import secrets
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from awscrt import io, mqtt5
from cedarfleet_device import wire
from cedarfleet_device.connection.client import send_at_once, tls_context
from cedarfleet_device.wire import CommandMessage, CommandState, StatusMessage

from infra import names
from infra.local.processes import Child
from infra.stacks.tenant_stack import iot_policies
from tests.certificates import certified

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from infra.local.cloud import EmbeddedCloud

TENANT = "workshop"  # no tenant of tenants/: other tests stamp those into the same cloud
_ULID = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_SECONDS = 30.0
_NO_LIMIT = mqtt5.ExtendedValidationAndFlowControlOptions.NONE
_THING_TYPE = "device-of-the-field"  # nor their thing type, for the same reason


def new_command(
    thing: str, name: str, *, seconds: float = 60, arguments: Mapping[str, Any] | None = None
) -> CommandMessage:
    """A command for ``thing`` that is valid for ``seconds`` from now."""
    now = round(time.time() * 1000)
    return CommandMessage(
        command_id="0" + "".join(secrets.choice(_ULID) for _ in range(25)),
        thing=thing,
        name=name,
        arguments=dict(arguments or {}),
        issued_at=now,
        expires_at=now + round(seconds * 1000),
    )


@dataclass(frozen=True, kw_only=True)
class Device:
    """A device's files on disk."""

    thing: str
    folder: Path
    config_file: Path
    python: str = sys.executable
    environment: Mapping[str, str] = field(default_factory=dict[str, str])

    def arguments(self, action: str, *more: str) -> list[str]:
        """Command line of the installed program."""
        return [
            self.python,
            "-m",
            "cedarfleet_device",
            action,
            "--config",
            str(self.config_file),
            *more,
        ]

    def run(self, handlers: str | None = None, *, name: str = "device") -> Child:
        """Start the agent as a process of its own.

        ``handlers`` is the body of ``register(agent)``.
        """
        more: list[str] = []
        if handlers is not None:
            file = self.folder / "handlers.py"
            file.write_text(
                "import os, sys, time\nfrom pathlib import Path\n\ndef register(agent):\n"
                + handlers
            )
            more = ["--handlers", str(file)]
        return Child(
            name=name,
            command=self.arguments("run", *more),
            environment={"PYTHONUNBUFFERED": "1", **self.environment},
            log_file=self.folder / f"{name}.log",
        )


class Observer:
    """An MQTT client that collects every state that a device reports, in order of arrival."""

    def __init__(self, *, host: str, port: int, tls: io.ClientTlsContext) -> None:
        self.statuses: dict[str, list[StatusMessage]] = {}
        self.other: list[tuple[str, bytes]] = []
        self._news = threading.Condition()
        self._ready, self._stopped = threading.Event(), threading.Event()
        self._port = port
        self.client = mqtt5.Client(
            mqtt5.ClientOptions(
                host_name=host,
                port=port,
                tls_ctx=tls,
                connect_options=mqtt5.ConnectPacket(
                    client_id=f"observer-{secrets.token_hex(4)}", session_expiry_interval_sec=3600
                ),
                session_behavior=mqtt5.ClientSessionBehaviorType.REJOIN_ALWAYS,
                extended_validation_and_flow_control_options=_NO_LIMIT,
                min_reconnect_delay_ms=100,
                max_reconnect_delay_ms=500,
                on_publish_callback_fn=self._on_publish,
                on_lifecycle_event_connection_success_fn=self._on_connected,
                on_lifecycle_event_stopped_fn=lambda _: self._stopped.set(),
            )
        )

    def final(self, command_id: str, *, seconds: float = _SECONDS) -> StatusMessage:
        """Wait for the command's final state."""
        return self.await_all([command_id], seconds=seconds)[command_id][-1]

    def await_all(
        self, command_ids: list[str], *, seconds: float = _SECONDS
    ) -> dict[str, list[StatusMessage]]:
        """Wait for the final states of all these commands.

        The states of each, in order of arrival.
        """

        def ended() -> bool:
            return all(
                any(s.state.is_final for s in self.statuses.get(each, ())) for each in command_ids
            )

        self.until(
            ended,
            seconds=seconds,
            what=lambda: f"{len(command_ids)} commands to end: {self._open(command_ids)}",
        )
        return {each: list(self.statuses[each]) for each in command_ids}

    def until(
        self, holds: Callable[[], bool], *, seconds: float = _SECONDS, what: Callable[[], str]
    ) -> None:
        """Wait until ``holds`` after some message."""
        with self._news:
            assert self._news.wait_for(holds, seconds), f"waited {seconds} s for {what()}"

    def _open(self, command_ids: list[str]) -> str:
        still = [
            each
            for each in command_ids
            if not any(s.state.is_final for s in self.statuses.get(each, ()))
        ]
        return f"{len(still)} left, e.g. {[(each, self.statuses.get(each)) for each in still[:3]]}"

    def _on_publish(self, data: mqtt5.PublishReceivedData) -> None:
        topic = data.publish_packet.topic
        payload = bytes(data.publish_packet.payload or b"")  # pyright: ignore[reportArgumentType]
        with self._news:
            try:
                self.statuses.setdefault(topic.split("/")[3], []).append(
                    StatusMessage.decode(payload)
                )
            except wire.WireError:
                self.other.append((topic, payload))
            self._news.notify_all()

    def _on_connected(self, data: mqtt5.LifecycleConnectSuccessData) -> None:
        # Else what is measured is how long this client holds its commands back.
        send_at_once(self._port)
        if data.connack_packet.session_present:
            self._ready.set()
            return
        subscription = mqtt5.Subscription(
            topic_filter="fleet/+/commands/+/status", qos=mqtt5.QoS.AT_LEAST_ONCE
        )
        packet = mqtt5.SubscribePacket(subscriptions=[subscription])
        self.client.subscribe(packet).add_done_callback(lambda _: self._ready.set())

    def __enter__(self) -> Self:
        self.client.start()
        assert self._ready.wait(_SECONDS)
        return self

    def __exit__(self, *_: object) -> None:
        self.client.stop()
        self._stopped.wait(5)


class Tenant:
    """One tenant in the embedded cloud: policy and group."""

    def __init__(self, cloud: EmbeddedCloud, name: str = TENANT) -> None:
        self.cloud = cloud
        self.name = name
        self._iot = cloud.client("iot")
        arns = names.Arns(account_id=cloud.account_id, region=cloud.region)
        self._iot.create_thing_group(thingGroupName=names.thing_group(name))
        if _THING_TYPE not in [
            each["thingTypeName"] for each in self._iot.list_thing_types()["thingTypes"]
        ]:
            self._iot.create_thing_type(thingTypeName=_THING_TYPE)
        policy = iot_policies.device_policy(tenant=name, arns=arns)
        self._iot.create_policy(policyName=names.device_policy(name), policyDocument=policy)

    def device(
        self, folder: Path, *, registered: bool = True, settings: Mapping[str, Any] | None = None
    ) -> Device:
        """A device's configuration.

        ``registered``: with thing and certificate, as after enrolment.
        """
        name = f"press-{secrets.token_hex(4)}"
        thing = wire.thing_name(self.name, name)
        folder.mkdir(parents=True, exist_ok=True)
        if registered:
            self._register(thing, folder)
        config_file = write_config(
            folder,
            {
                "thing": thing,
                "endpoint": self.cloud.mqtt_host,
                "port": self.cloud.mqtt_port,
                "ca_file": str(self.cloud.ca_file),
                **(settings or {}),
            },
        )
        return Device(thing=thing, folder=folder, config_file=config_file)

    def send(self, message: CommandMessage) -> str:
        """Publish as the service does; the command id."""
        self.cloud.client("iot-data").publish(
            topic=wire.command_topic(message.thing, message.command_id),
            qos=1,
            payload=message.encode(),
        )
        return message.command_id

    def omniscient(self) -> io.ClientTlsContext:
        """TLS with a certificate whose policy allows everything."""
        made = certified(self._iot)
        name = f"observer-{secrets.token_hex(4)}"
        everything = {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Action": "iot:*", "Resource": "*"}],
        }
        self._iot.create_policy(policyName=name, policyDocument=json.dumps(everything))
        self._iot.attach_policy(policyName=name, target=made["certificateArn"])
        certificate, key = made["certificatePem"].encode(), made["keyPair"]["PrivateKey"].encode()
        return tls_context(certificate, key, self.cloud.ca_file.read_bytes())

    def _register(self, thing: str, folder: Path) -> None:
        self._iot.create_thing(thingName=thing, thingTypeName=_THING_TYPE)
        made = certified(self._iot)
        self._iot.attach_thing_principal(thingName=thing, principal=made["certificateArn"])
        self._iot.attach_policy(
            policyName=names.device_policy(self.name), target=made["certificateArn"]
        )
        (folder / "device.crt").write_text(made["certificatePem"])
        (folder / "device.key").write_text(made["keyPair"]["PrivateKey"])
        (folder / "device.key").chmod(0o600)


def write_config(folder: Path, fields: Mapping[str, Any]) -> Path:
    """``device.toml`` with quick reconnects and the usual paths."""
    usual = {
        "certificate_file": "device.crt",
        "key_file": "device.key",
        "state_dir": "state",
        "download_dir": "downloads",
        "connection.reconnect_min_seconds": 0.1,
        "connection.reconnect_max_seconds": 0.5,
        "connection.limit_rate": False,
    }
    file = folder / "device.toml"
    file.write_text(
        "".join(f"{key} = {json.dumps(value)}\n" for key, value in {**usual, **fields}.items())
    )
    return file


def states(statuses: list[StatusMessage]) -> list[CommandState]:
    """Only the states."""
    return [each.state for each in statuses]


def fill(file: Path) -> None:
    """Write until there is no room for one more byte."""
    with file.open("wb", buffering=0) as filling:
        for size in (65536, 512, 1):
            try:
                while True:
                    filling.write(bytes(size))
            except OSError:
                continue
