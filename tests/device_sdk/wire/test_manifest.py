"""What a maker says of a file, and who signed it: read back as it was, and refused in odd forms."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cedarfleet_device.wire import (
    DownloadDocument,
    Manifest,
    Signed,
    WireError,
    WrongVersionError,
)

MANIFEST = Manifest(
    name="firmware/press.img",
    size=7,
    sha256="a" * 64,
    package="firmware",
    version="2.0.0-rc.1",
    requires={"bootloader": "3"},
    kinds=("press", "saw"),
    downgrade=True,
    expires_at=1_700_000_000_000,
)
SIGNED = {"text": "{}", "signatures": {"b" * 64: "MEUCIQ=="}}
DOCUMENT = {
    "wire": 1,
    "kind": "download",
    "name": "a.bin",
    "size": 0,
    "sha256": "0" * 64,
    "etag": '"x"',
    "url": "https://files.example/a",
}


def test_a_manifest_is_read_as_it_was_written():
    """With all that may be left out, and without."""
    assert Manifest.decode(MANIFEST.encode()) == MANIFEST
    least = Manifest(name="a", size=0, sha256="0" * 64, package="a", version="1")
    assert Manifest.decode(least.encode()) == least
    assert (least.requires, least.kinds, least.downgrade, least.expires_at) == ({}, (), False, None)


@pytest.mark.parametrize(
    "odd",
    [
        {"wire": 2},
        {"more": 1},
        *({"name": odd} for odd in ("", 7, None)),
        *({"size": odd} for odd in (-1, True, 1.0, "7")),
        *({"sha256": odd} for odd in ("A" * 64, "a" * 63, "a" * 65, 7)),
        *({"package": odd} for odd in ("", "Firmware", "-a", "a" * 65, "a\n", 7)),
        *({"version": odd} for odd in ("", ".1", "1 ", "1" * 65, 1)),
        *({"requires": odd} for odd in ([], {"A": "1"}, {"a": 1}, {"a": ""})),
        {"requires": {f"p{number}": "1" for number in range(17)}},
        *({"kinds": odd} for odd in ({}, "press", [""], [7], ["a" * 65], ["k"] * 17)),
        *({"downgrade": odd} for odd in (1, 0, None, "true")),
        *({"expires_at": odd} for odd in (-1, 2**53, True, "now", 1.5)),
    ],
    ids=lambda odd: str(odd)[:40],
)
def test_another_manifest_is_refused(odd: dict[str, Any]):
    """In each member what is not of its form, a member more, another version."""
    document = json.loads(MANIFEST.encode()) | odd
    with pytest.raises(WrongVersionError if "wire" in odd else WireError):
        Manifest.decode(json.dumps(document).encode())


@pytest.mark.parametrize(
    "edge",
    [
        {"size": 0},
        {"version": "1" * 64},
        {"package": "a" * 64},
        {"requires": {f"p{number}": "1" for number in range(16)}},
        {"kinds": ["k" * 64] * 16},
        {"expires_at": 0},
        {"expires_at": 2**53 - 1},
    ],
    ids=lambda odd: str(odd)[:40],
)
def test_a_manifest_at_its_edges_is_taken(edge: dict[str, Any]):
    """As long and as many as is said, and no more (above)."""
    document = json.loads(MANIFEST.encode()) | edge
    read = Manifest.decode(json.dumps(document).encode())
    for name, value in edge.items():
        assert getattr(read, name) == (tuple(value) if name == "kinds" else value)


@pytest.mark.parametrize(
    "odd",
    [
        None, [], "text", {}, {"text": "{}"}, {"signatures": {}},
        {**SIGNED, "more": 1}, {**SIGNED, "text": 7}, {**SIGNED, "text": "x" * 2049},
        {**SIGNED, "text": "\ud800"}, {**SIGNED, "signatures": []},
        {**SIGNED, "signatures": {"b" * 63: "MEUCIQ=="}},
        {**SIGNED, "signatures": {"b" * 64: 7}},
        {**SIGNED, "signatures": {"b" * 64: "M===EUC"}},
        {**SIGNED, "signatures": {"b" * 64: "M" * 129}},
        {**SIGNED, "signatures": {f"{number:064x}": "MEUCIQ==" for number in range(9)}},
    ],
    ids=lambda odd: str(odd)[:40],
)  # fmt: skip
def test_what_was_not_signed_in_its_form_is_refused(odd: object):
    """Alone, and in the job that would deliver it."""
    with pytest.raises(WireError):
        Signed.of(odd)
    with pytest.raises(WireError):
        DownloadDocument.decode({**DOCUMENT, "manifest": odd})


def test_as_many_may_sign_as_is_said():
    """Eight, over a text as long as it may be; who reads a list of keys allows a longer one."""
    signatures = {f"{number:064x}": "M" * 128 for number in range(8)}
    assert Signed.of({"text": "x" * 2048, "signatures": signatures}).signatures == signatures
    assert Signed.of({"text": "x" * 3000, "signatures": {}}, most=3000).text == "x" * 3000
    read = DownloadDocument.decode({**DOCUMENT, "manifest": SIGNED})
    assert read.manifest == Signed(text="{}", signatures={"b" * 64: "MEUCIQ=="})
    assert DownloadDocument.decode(json.loads(read.encode())) == read


@pytest.mark.parametrize(
    "odd",
    [
        {"wire": 2}, {"kind": "move"}, {"more": 1},
        *({"name": odd} for odd in ("", "x" * 1025, 7)),
        *({"size": odd} for odd in (-1, True, 1.5, None)),
        *({"sha256": odd} for odd in ("0" * 63, "G" * 64, None)),
        {"etag": None}, {"url": None},
    ],
    ids=lambda odd: str(odd)[:40],
)  # fmt: skip
def test_another_document_is_refused(odd: dict[str, Any]):
    """In each member what is not of its form, a member more, another version."""
    assert DownloadDocument.decode({**DOCUMENT, "name": "x" * 1024}).manifest is None
    with pytest.raises(WrongVersionError if "wire" in odd else WireError):
        DownloadDocument.decode({**DOCUMENT, **odd})
