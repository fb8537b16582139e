"""Bills of materials from anybody: what is read of them, and what is not."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from service.domain.materials import (
    MAX_TEXT,
    MOST_COMPONENTS,
    MOST_STORED,
    Component,
    Materials,
    WantedComponent,
    read_components,
)
from service.errors import InvalidRequestError

LOG4J = "pkg:maven/org.apache.logging.log4j/log4j-core@2.14.1"
CYCLONEDX: dict[str, Any] = {
    "bomFormat": "CycloneDX",
    "specVersion": "1.6",
    "components": [
        {
            "type": "library",
            "group": "org.apache.logging.log4j",
            "name": "log4j-core",
            "version": "2.14.1",
            "purl": f"{LOG4J}?type=jar",
            "components": [{"type": "library", "name": "shaded", "version": "1"}],
        },
        {"type": "library", "name": "zlib", "version": "1.3"},
    ],
}
SPDX: dict[str, Any] = {
    "spdxVersion": "SPDX-2.3",
    "packages": [
        {
            "name": "log4j-core",
            "versionInfo": "2.14.1",
            "externalRefs": [
                {"referenceType": "cpe23Type", "referenceLocator": "cpe:2.3:a:b"},
                {"referenceType": "purl", "referenceLocator": LOG4J},
            ],
        },
        {"name": "busybox"},
    ],
}


def read(said: Any) -> tuple[tuple[Component, ...], bool] | None:
    """What is read of a document."""
    return read_components(json.dumps(said).encode())


def test_both_forms_are_read() -> None:
    """CycloneDX with nested components, and SPDX 2 with the purl of its references."""
    assert read(CYCLONEDX) == (
        (
            Component(
                name="org.apache.logging.log4j/log4j-core",
                version="2.14.1",
                purl=f"{LOG4J}?type=jar",
            ),
            Component(name="zlib", version="1.3"),
            Component(name="shaded", version="1"),
        ),
        True,
    )
    assert read(SPDX) == (
        (
            Component(name="log4j-core", version="2.14.1", purl=LOG4J),
            Component(name="busybox"),
        ),
        True,
    )


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b'{"bomFormat": "other"}',
        b'{"spdxVersion": "SPDX-3.0"}',
        b"\xff\xfe",
        b'{"a":' * 100_000,
        b"<bom/>",
    ],
)
def test_what_is_no_bill_is_nothing(content: bytes) -> None:
    """Another form, no JSON, or nested without an end: nothing is known, and nothing fails."""
    assert read_components(content) is None


def test_what_cannot_be_kept_is_not_whole() -> None:
    """Too many, too long, without a name, or of another type: the rest stands, and it is told."""
    many = [{"name": f"c{number}"} for number in range(MOST_COMPONENTS + 1)]
    for wrong in ([{"name": "x" * (MAX_TEXT + 1)}], [{"version": "1"}], [{"name": 7}], many):
        found = read({"bomFormat": "CycloneDX", "components": [{"name": "good"}, *wrong]})
        assert found is not None
        components, is_whole = found
        assert (components[0], is_whole) == (Component(name="good"), False)
        assert len(components) <= MOST_COMPONENTS
    for odd in (7, "x", [7], {"name": "x"}):
        assert read({"bomFormat": "CycloneDX", "components": odd}) == ((), True)


def test_what_is_stored_is_bounded() -> None:
    """As many as a row takes, and it says that they are not all."""
    components = tuple(
        Component(name=hashlib.sha512(str(number).encode()).hexdigest())
        for number in range(MOST_COMPONENTS)
    )
    bill = Materials(
        file_id="f", name="n", size=1, sha256="s", components=components, is_whole=True
    )
    kept = bill.fitting()
    assert 0 < len(kept.components) < len(components)
    assert not kept.is_whole
    assert len(kept.packed()) <= MOST_STORED
    assert Materials.unpacked(kept.packed()) == kept.components


def test_what_packs_well_is_read_again() -> None:
    """Five thousand names of one letter take 40 KB packed, and 3 MB once they are unpacked."""
    components = tuple(
        Component(name=f"{number} {'a' * 280}", version="b" * 290)
        for number in range(MOST_COMPONENTS)
    )
    bill = Materials(
        file_id="f", name="n", size=1, sha256="s", components=components, is_whole=True
    )
    kept = bill.fitting()
    assert 0 < len(kept.components) < len(components)
    assert not kept.is_whole
    assert Materials.unpacked(kept.packed()) == kept.components


@pytest.mark.parametrize("member", ["name", "version", "purl", "group"])
def test_half_a_surrogate_pair_is_no_component(member: str) -> None:
    """What JSON lets through and no answer can be written with; the rest stands."""
    good = {"name": "good", "version": "1", "purl": LOG4J, "group": "g"}
    text = f"{LOG4J}\ud800" if member == "purl" else "\ud800"
    found = read({"bomFormat": "CycloneDX", "components": [good | {member: text}, good]})
    assert found == ((Component(name="g/good", version="1", purl=LOG4J),), False)


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ("log4j-core", {"log4j-core"}),
        ("org.apache.logging.log4j/log4j-core@2.14.1", {"log4j-core"}),
        ("log4j-core@2.14.1", {"log4j-core"}),
        ("log4j-core@2.15", set[str]()),
        ("log4j", set[str]()),
        (LOG4J, {"log4j-core"}),
        (LOG4J.partition("@")[0], {"log4j-core"}),
        ("pkg:maven/org.apache.logging.log4j/log4j-core@2.15", set[str]()),
        ("pkg:pypi/zlib", set[str]()),
        ("zlib", {"zlib"}),
    ],
)
def test_a_component_is_found_by_what_is_asked(asked: str, names: set[str]) -> None:
    """By name with or without group and version, or by its package URL; whole names alone."""
    found = read(CYCLONEDX)
    assert found is not None
    wanted = WantedComponent.of(asked)
    assert {one.name.rpartition("/")[2] for one in found[0] if wanted.fits(one)} == names


def test_a_scoped_name_is_no_version() -> None:
    """`@angular/core`, also as its package URL writes it."""
    one = Component(name="@angular/core", version="17", purl="pkg:npm/%40angular/core@17")
    for asked in ("@angular/core", "@angular/core@17", "pkg:npm/%40angular/core", "core@17"):
        assert WantedComponent.of(asked).fits(one), asked
    assert not WantedComponent.of("@angular/core@16").fits(one)


@pytest.mark.parametrize("asked", ["", "pkg:", "a@", "x" * 301])
def test_what_names_nothing_is_refused(asked: str) -> None:
    """With what it is to be like."""
    with pytest.raises(InvalidRequestError):
        WantedComponent.of(asked)


@pytest.mark.parametrize(
    "asked",
    [
        "log4j-core",
        "g/käse@1",
        "käse",
        'a"b\\c',
        "absent",
        "pkg:npm/%40angular/core",
        "pkg:npm/@angular/core@1",
        "pkg:npm/angular",
    ],
)
def test_what_is_stored_is_looked_through_for_what_fits(asked: str) -> None:
    """The same as of all that was stored, however a name or its package URL is spelt there."""
    components = (
        Component(name="log4j-core", version="2.14.1", purl=LOG4J),
        Component(name="g/käse", version="1"),
        Component(name='a"b\\c'),
        Component(name="x", purl="pkg:npm/%40angular/core@1"),
        Component(name="y", purl="pkg:npm/@angular/core@1"),
    )
    bill = Materials(
        file_id="f", name="n", size=1, sha256="s", components=components, is_whole=True
    )
    wanted = WantedComponent.of(asked)
    fitting = tuple(filter(wanted.fits, components))
    assert bool(fitting) is (asked not in {"absent", "pkg:npm/angular"})
    assert Materials.fitting_in(bill.packed(), wanted, most=9) == fitting
    assert Materials.fitting_in(bill.packed(), wanted, most=1) == fitting[:1]
