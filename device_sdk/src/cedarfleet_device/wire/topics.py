"""Where commands and their states are published, one topic for each command of each thing."""

from __future__ import annotations

import re

from cedarfleet_device.wire.form import WireError

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
        raise WireError(f"`{topic[:200]}` is no command topic")
    return match["thing"], match["command_id"]
