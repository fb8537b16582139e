"""How far an offboarding is, and its certificate: files that are whole and of nobody else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from infra.commands.offboarding.record import (
    CERTIFICATE,
    RECORD,
    Record,
    RecordError,
    certify,
    digest,
    read,
    write,
)

if TYPE_CHECKING:
    from pathlib import Path

BEGUN = Record(
    tenant="globex",
    reason="the contract ended",
    by="arn:aws:iam::1:user/operator",
    began_at="2026-11-30T00:00:00+00:00",
    ids=["eu-central-1_globex"],
    done={"devices": {"things": 2}},
)


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Also into a folder that is not there yet; nothing else is left beside it."""
    folder = tmp_path / "runs" / "globex"
    assert read(folder, "globex") is None
    for record in (BEGUN, Record(tenant="globex", reason="", by="x", began_at="y")):
        write(record, folder)
        assert read(folder, "globex") == record
        assert [one.name for one in folder.iterdir()] == [RECORD]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is no record of an offboarding"),
        (b"{}", "is no record of an offboarding: .*`tenant`"),
        (b'{"tenant":"globex","reason":"","by":"","began_at":"","more":1}', "is no record"),
        (b'{"tenant":"globex","reason":1,"by":"","began_at":""}', "is no record"),
        (b'{"tenant":"acme","reason":"","by":"","began_at":""}', "is of `acme`, not of `globex`"),
    ],
)
def test_what_is_no_record_of_the_tenants_is_refused(
    tmp_path: Path, content: bytes, words: str
) -> None:
    """Rather than gone on with: its steps would be taken for done."""
    (tmp_path / RECORD).write_bytes(content)
    with pytest.raises(RecordError, match=words):
        read(tmp_path, "globex")
    (tmp_path / RECORD).unlink()
    (tmp_path / RECORD).mkdir()
    with pytest.raises(RecordError, match=r"is no record of an offboarding: .*Is a directory"):
        read(tmp_path, "globex")


def test_a_word_of_a_certificate_that_was_changed_shows(tmp_path: Path) -> None:
    """The digest is of all else that it says, however its members stand."""
    said = {"tenant": "globex", "left": {"queues": 0}, "by": "Zoë"}
    whole = certify(tmp_path, said)
    text = (tmp_path / CERTIFICATE).read_text()
    assert json.loads(text) == whole == {**said, "sha256": digest(said)}
    assert text.endswith("}\n")
    assert digest(whole) == digest(dict(reversed(said.items()))) == whole["sha256"]
    # Of the JSON as whoever holds the certificate makes it: sorted, without blanks, in UTF-8.
    assert digest({"b": "Zoë", "a": 1}) == (
        "cd2787732e4f433cdcd6a1c9fd8f73d83e93c3212e7b166823ebea5e36c88ce7"
    )
    for changed in ({**said, "by": "Zoe"}, {**said, "more": 1}, {"tenant": "globex"}):
        assert digest(changed) != whole["sha256"]
