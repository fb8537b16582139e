"""Where messages go: one topic for each command of each thing, the presence, the shadow."""

from __future__ import annotations

import re

from cedarfleet_device.wire import form

_COMMAND_TOPIC = re.compile(r"fleet/(?P<thing>[^/]+)/commands/(?P<command_id>[^/]+)")


def command_topic(thing: str, command_id: str) -> str:
    """Where one command is published for ``thing``."""
    return f"fleet/{thing}/commands/{command_id}"


def command_filter(thing: str) -> str:
    """The one topic filter that the agent of ``thing`` subscribes to."""
    return f"fleet/{thing}/commands/+"


def status_topic(thing: str, command_id: str) -> str:
    """Where the device reports the states of one command."""
    return f"fleet/{thing}/commands/{command_id}/status"


def parse_command_topic(topic: str) -> tuple[str, str]:
    """The thing and command id of a command topic.

    Raises:
        WireError: the topic is no command topic.
    """
    match = _COMMAND_TOPIC.fullmatch(topic)
    if match is None:
        raise form.WireError(f"`{topic[:200]}` is no command topic")
    return match["thing"], match["command_id"]


def presence_topic(thing: str) -> str:
    """Where the agent says that it is ``online`` or ``offline`` and its last will says ``lost``.

    It has the form of a status topic, so that the tenant's IoT policy covers it; the status rule
    drops it, since it carries no sequence. A shadow topic would not do: the shadow service ignores
    last wills (docs: AWS IoT "Device Shadow MQTT topics").
    """
    return status_topic(thing, "presence")


def presence_message(state: str) -> bytes:
    """What the agent says on its presence topic.

    ``state`` is ``online``, ``offline`` or ``lost``.
    """
    return form.encode({"presence": state})


def shadow_topic(thing: str) -> str:
    """Where the reported state goes (docs: AWS IoT "Device Shadow MQTT topics")."""
    return f"$aws/things/{thing}/shadow/update"
