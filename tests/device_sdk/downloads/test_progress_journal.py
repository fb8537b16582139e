"""What a progress journal may hold, and what of it is trusted."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import pytest
from cedarfleet_device.downloads import DownloadFailedError
from cedarfleet_device.downloads.progress_journal import Progress, ProgressJournal, Stage
from cedarfleet_device.downloads.ranges import ByteRange
from cedarfleet_device.wire import DownloadDocument
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.device_sdk.downloads.bad_answers import truncated

if TYPE_CHECKING:
    from pathlib import Path

    from tests.device_sdk.downloads.conftest import Device
    from tests.device_sdk.downloads.object_server import ObjectServer

SIZE = 100
DOCUMENT = DownloadDocument(
    name="firmware/image.bin", size=SIZE, sha256="0" * 64, etag='"v1"', url="https://host/v1"
)
ENTRY = replace(Progress.fresh(DOCUMENT), prefix=20, beyond=((30, 40), (50, 60)))
# What JSON may hold where a number, a pair or a list of pairs is expected.
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, SIZE + 5)
    | st.floats(allow_nan=True)
    | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=6,
)
PAIRS = st.lists(st.lists(st.integers(-5, SIZE + 5), min_size=2, max_size=2), max_size=4)


def stored(folder: Path, **changed: Any) -> Progress | None:
    """What is read of a journal that holds ``ENTRY`` with some members changed."""
    content = {"version": 1, **asdict(ENTRY)} | changed
    (folder / "key.json").write_text(json.dumps(content))
    return ProgressJournal(folder, "key").read()


@pytest.mark.parametrize("stage", list(Stage))
@pytest.mark.parametrize("etag", [None, '"other"'])
def test_what_is_written_is_read_back(tmp_path: Path, stage: Stage, etag: str | None):
    """Every member of an entry survives, and after ``clear`` there is none."""
    journal = ProgressJournal(tmp_path, "key")
    entry = replace(ENTRY, stage=stage, etag=etag)
    journal.write(entry)
    assert journal.read() == entry
    assert entry.ranges == (ByteRange(30, 40), ByteRange(50, 60))
    (tmp_path / "key.json.new").write_text("half of one")
    journal.clear()
    assert journal.read() is None
    assert list(tmp_path.iterdir()) == []
    journal.clear()


def test_each_key_has_a_journal_of_its_own(tmp_path: Path):
    """Another download's journal is neither read nor cleared."""
    mine, other = ProgressJournal(tmp_path, "mine"), ProgressJournal(tmp_path, "other")
    mine.write(ENTRY)
    assert other.read() is None
    other.clear()
    assert mine.read() == ENTRY


@pytest.mark.parametrize(
    "changed",
    [
        {"prefix": -1},
        {"prefix": SIZE + 1},
        {"beyond": [[-1, 5]]},
        {"beyond": [[5, 5]]},
        {"beyond": [[6, 5]]},
        {"beyond": [[5, SIZE + 1]]},
        {"beyond": [[SIZE, SIZE]]},
        {"beyond": [[5, 6], [90, SIZE + 1]]},
        {"beyond": [[0, SIZE + 1], [5, 6]]},
        {"beyond": [[5]]},
        {"beyond": [[5, 6, 7]]},
        {"beyond": [5, 6]},
        {"beyond": 5},
        {"beyond": None},
        {"stage": "flying"},
        {"stage": None},
        {"prefix": "20"},
        {"prefix": None},
        {"version": 0},
        {"version": 2},
        {"version": "1"},
        {"version": None},
        {"unknown": 1},
    ],
    ids=str,
)
def test_an_impossible_entry_is_no_entry(tmp_path: Path, changed: dict[str, Any]):
    """Ranges outside of the file or the wrong way round, other forms and versions are refused."""
    assert stored(tmp_path) == ENTRY
    assert stored(tmp_path, **changed) is None


@pytest.mark.parametrize("member", ["version", *asdict(ENTRY)])
def test_an_entry_without_a_member_is_refused_or_fresh(tmp_path: Path, member: str):
    """What is missing is not made up, but by a default that trusts no byte."""
    content: dict[str, Any] = {"version": 1, **asdict(ENTRY)}
    content.pop(member)
    (tmp_path / "key.json").write_text(json.dumps(content))
    found = ProgressJournal(tmp_path, "key").read()
    if member in ("prefix", "prefix_sha256"):
        assert found is not None
        assert getattr(found, member) == getattr(Progress.fresh(DOCUMENT), member)
    else:
        assert found is None


@pytest.mark.parametrize(
    "changed",
    [
        {"prefix": 0, "beyond": []},
        {"prefix": SIZE, "beyond": []},
        {"prefix": 0, "beyond": [[0, SIZE]]},
        {"beyond": [[99, SIZE]]},
        {"beyond": [[20, 21]]},
    ],
    ids=str,
)
def test_an_entry_at_the_file_s_edges_is_read(tmp_path: Path, changed: dict[str, Any]):
    """The first and the last byte of a file may be in a range or in the prefix."""
    found = stored(tmp_path, **changed)
    assert found is not None
    assert [found.prefix, [list(each) for each in found.beyond]] == [
        changed.get("prefix", 20),
        changed["beyond"],
    ]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.dictionaries(st.sampled_from(["prefix", "beyond", "size", "stage"]), VALUES | PAIRS))
def test_whatever_stands_there_is_refused_or_possible(tmp_path: Path, changed: dict[str, Any]):
    """Nothing that JSON can say is read as bytes outside of the file, and nothing raises."""
    found = stored(tmp_path, **changed)
    if found is not None:
        assert 0 <= found.prefix <= found.size
        assert all(0 <= span.start < span.end <= found.size for span in found.ranges)


@pytest.mark.parametrize(
    "changed",
    [
        {"name": "other.bin"},
        {"size": SIZE + 1},
        {"sha256": "1" * 64},
        {"etag": '"v2"'},
        {"etag": ""},
    ],
    ids=str,
)
def test_an_entry_of_another_version_is_not_of_it(changed: dict[str, Any]):
    """Name, size, digest and ETag must all be the document's; its URL may be a fresh one."""
    assert ENTRY.is_of(replace(DOCUMENT, url="https://host/again"))
    assert not ENTRY.is_of(replace(DOCUMENT, **changed))


@pytest.mark.parametrize("etag", ["announced", "not announced"])
def test_a_newer_version_of_equal_size_starts_at_zero(
    device: Device, server: ObjectServer, etag: str
):
    """Half an older version on the disk is not taken for half of the newer one."""

    def document() -> DownloadDocument:
        found = server.document()
        return found if etag == "announced" else replace(found, etag="")

    server.faults.append(truncated)
    with pytest.raises(DownloadFailedError):
        device.downloader(attempts=1).fetch(document(), refresh_url=lambda: server.url)
    assert device.leftovers() != []
    server.put(server.content[::-1])
    server.requests.clear()
    delivered = device.downloader().fetch(document(), refresh_url=lambda: server.url)
    assert [each.span[0] for each in server.requests] == [0]
    assert delivered.bytes_fetched == len(server.content)
    assert device.visible_files() == {"firmware/image.bin": server.content}
