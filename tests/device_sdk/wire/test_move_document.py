"""The job that moves a device: what it says is read back, and anything else is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cedarfleet_device.wire import DownloadDocument, MoveDocument, WireError

GOOD = {"wire": 1, "kind": "move", "endpoint": "two.devices.cedarfleet.example", "port": 443}


def test_what_is_said_is_read():
    """Host and port arrive; no download is read out of it, by an agent of before either."""
    document = MoveDocument(endpoint="two.devices.cedarfleet.example", port=443)
    said = json.loads(document.encode())
    assert said == GOOD
    assert MoveDocument.is_meant(said)
    assert MoveDocument.decode(said) == document
    with pytest.raises(WireError, match="missing or unknown member"):
        DownloadDocument.decode(said)


@pytest.mark.parametrize(
    "odd",
    [
        {"endpoint": "localhost"},
        {"endpoint": "Two.example"},
        {"endpoint": "two.example/x"},
        {"endpoint": "two.example\n"},
        {"endpoint": "127.0.0.1"},
        {"endpoint": "-.example"},
        {"endpoint": "a" * 250 + ".example"},
        {"endpoint": ["two.example"]},
        {"endpoint": None},
        {"port": 0},
        {"port": 65_536},
        {"port": True},
        {"port": "443"},
        {"kind": "download"},
        {"wire": 2},
        {"ca": "-----BEGIN CERTIFICATE-----"},
    ],
    ids=str,
)
def test_what_is_not_of_the_form_is_refused(odd: dict[str, Any]):
    """No host name, no port, another kind, and a member more, such as an authority."""
    with pytest.raises(WireError):
        MoveDocument.decode({**GOOD, **odd})


@pytest.mark.parametrize("other", [None, [], "move", {"kind": "download"}, {}])
def test_what_is_no_move_is_not_meant(other: object):
    """Only an object that says so is."""
    assert not MoveDocument.is_meant(other)
