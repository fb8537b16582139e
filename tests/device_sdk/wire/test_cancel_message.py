"""The message that takes a command back: read as it was written, and refused in odd forms."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cedarfleet_device.wire import CancelMessage, WireError, WrongVersionError

CANCEL = CancelMessage(
    command_id="0" * 26, thing="acme--press-07", canceled_at=1, expires_at=2**53 - 1
)


def test_a_cancel_is_read_as_it_was_written():
    """At the edges of its members too."""
    assert CancelMessage.decode(CANCEL.encode()) == CANCEL
    longest = json.loads(CANCEL.encode()) | {"thing": "t" * 128, "canceled_at": 0}
    read = CancelMessage.decode(json.dumps(longest).encode())
    assert (read.thing, read.canceled_at) == ("t" * 128, 0)


@pytest.mark.parametrize(
    "odd",
    [
        {"wire": 2},
        {"more": 1},
        *({"command_id": odd} for odd in ("0" * 25, "o" * 26, 7, None)),
        *({"thing": odd} for odd in ("", "t" * 129, 7)),
        *({"canceled_at": odd} for odd in (-1, 2**53, "now", True)),
        *({"expires_at": odd} for odd in (-1, 1.5, None)),
    ],
    ids=lambda odd: str(odd)[:40],
)
def test_another_cancel_is_refused(odd: dict[str, Any]):
    """In each member what is not of its form, a member more, another version."""
    document = json.loads(CANCEL.encode()) | odd
    with pytest.raises(WrongVersionError if "wire" in odd else WireError):
        CancelMessage.decode(json.dumps(document).encode())
