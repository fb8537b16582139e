"""The agent's word of its connection: its topic and its words."""

from __future__ import annotations

from cedarfleet_device.wire import form
from cedarfleet_device.wire.topics import status_topic


def presence_topic(thing: str) -> str:
    """Where the agent says that it is ``online`` or ``offline`` and its last will says ``lost``.

    It has the form of a status topic, so that the tenant's IoT policy covers it; the status rule drops it, since it
    carries no sequence. A shadow topic would not do: the shadow service ignores last wills (docs: AWS IoT "Device
    Shadow MQTT topics").
    """
    return status_topic(thing, "presence")


def presence_message(state: str) -> bytes:
    """What the agent says on its presence topic; ``state`` is ``online``, ``offline`` or ``lost``."""
    return form.encode({"presence": state})
