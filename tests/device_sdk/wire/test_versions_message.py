"""What a device says of its versions: what it carries, and what it refuses."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cedarfleet_device.wire import (
    MAX_REPORTED_PACKAGES,
    MAX_VERSIONS_BYTES,
    VersionsMessage,
    WireError,
    WrongVersionError,
    reportable,
)

MESSAGE = VersionsMessage(agent="0.2.0", packages={"firmware": "1.4.2", "recipes": "7"})


def test_versions_travel_as_they_are() -> None:
    """Also none, of a device on which nothing was installed."""
    assert VersionsMessage.decode(MESSAGE.encode()) == MESSAGE
    bare = VersionsMessage(agent="0.2.0")
    assert VersionsMessage.decode(bare.encode()) == bare


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("wire", 2), ("agent", ""), ("agent", 7), ("agent", "a" * 65), ("packages", []),
        ("packages", {"Firmware": "1"}), ("packages", {"firmware": ""}),
        ("packages", {"firmware": 1}), ("packages", {"firmware": "1 2"}),
        ("packages", {f"p{number}": "1" for number in range(MAX_REPORTED_PACKAGES + 1)}),
        ("more", 1),
    ],
)  # fmt: skip
def test_another_form_is_refused(member: str, value: Any) -> None:
    """A version, name or number of packages that is not of the form, and a member too many."""
    document = json.loads(MESSAGE.encode()) | {member: value}
    with pytest.raises(WrongVersionError if member == "wire" else WireError):
        VersionsMessage.decode(json.dumps(document).encode())


def test_what_a_maker_names_oddly_is_left_out() -> None:
    """The rest is said; whatever is left in the largest report is taken by the rule."""
    odd = {"firmware": "1.0 beta", "recipes": "7", "": "1", "B": "2"}
    assert reportable(odd) == {"recipes": "7"}
    many = {f"{number:02}{'p' * 62}": "9" * 64 for number in range(99)}
    message = VersionsMessage(agent="9" * 64, packages=reportable(many))
    assert VersionsMessage.decode(message.encode()) == message
    assert len(json.dumps(message.packages)) <= MAX_VERSIONS_BYTES
